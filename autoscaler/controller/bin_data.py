"""What Prometheus said of one bin, and what of it can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.core.learned_capacity import SaturatedBin

# Above this share of the KV cache engines begin to queue or to preempt: what runs beyond it counts as waiting.
_KV_FULL = 0.9
# A demand below a twentieth of what is ready, while GPUs work more than half of the time, is a query that misses the
# traffic. GPU utilisation proves no more than that: one request alone drives it up.
_IDLE_SHARE = 0.05
_BUSY_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class EngineBin:
    """What the engines said at a bin's end; NaN where it is unknown.

    Attributes:
        waiting: requests queued.
        running: requests being served.
        kv_cache_usage: share of the KV cache in use, 0 to 1.
        completed_rps: requests completed per second.
        gpu_utilization: share of the time in which the GPUs work, 0 to 1.
    """

    waiting: float = math.nan
    running: float = math.nan
    kv_cache_usage: float = math.nan
    completed_rps: float = math.nan
    gpu_utilization: float = math.nan

    @property
    def queued(self) -> float:
        """Requests waiting, and those that run beyond a full KV cache; NaN where the queue is unknown."""
        beyond = 0.0
        if self.running > 0 and self.kv_cache_usage > _KV_FULL:
            beyond = self.running * (1.0 - _KV_FULL / self.kv_cache_usage)
        return self.waiting + beyond

    @property
    def in_system(self) -> float:
        """Requests queued or being served."""
        return self.waiting + self.running


@dataclass(frozen=True, slots=True)
class BinData:
    """One bin.

    Attributes:
        end_s: when it ended: the decision that is made of it is for the bin that starts then.
        demand_rps: unit -> work per second that arrived in it; NaN where unknown.
        engine: what the engines said at its end.
    """

    end_s: float
    demand_rps: Mapping[str, float]
    engine: EngineBin = field(default_factory=EngineBin)

    @property
    def known(self) -> bool:
        """Whether every unit's demand is known."""
        return not any(math.isnan(rate) for rate in self.demand_rps.values())

    def doubted(self, *, ready: int, capacity_rps: Mapping[str, float]) -> bool:
        """Whether the demand is next to nothing while the GPUs are busy."""
        if ready == 0 or not self.known or not self.engine.gpu_utilization > _BUSY_SHARE:
            return False
        return max(rate / capacity_rps[unit] for unit, rate in self.demand_rps.items()) < _IDLE_SHARE * ready

    def backlog_rs(self, request_capacity_rps: float) -> float | None:
        """Work queued in replica-seconds; None where the queue is unknown."""
        queued = self.engine.queued
        return queued / request_capacity_rps if math.isfinite(queued) and queued >= 0 else None


def saturated_bin(before: BinData, seen: BinData, *, unit: str, ready: int | None, bin_s: float) -> SaturatedBin:
    """What two bins tell of the capacity; `ready` is None where the number of replicas changed."""
    return SaturatedBin(
        arrived_rps=seen.demand_rps[unit],
        completed_rps=seen.engine.completed_rps,
        waiting_before=before.engine.waiting,
        waiting=seen.engine.waiting,
        in_system_before=before.engine.in_system,
        in_system=seen.engine.in_system,
        ready=ready,
        bin_s=bin_s,
    )
