"""A simulated cluster for the controller: one workload, its demand from a trace, its pods made and loaded on a clock.

Everything that the controller asks of the world is here; what it does is what it does live. Bins, loads and releases
are those of the backtest: a replica that is ordered serves once its load is over, surplus ones leave at once, loading
ones first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.no_cluster import NoCluster
from autoscaler.core.fluid import serve_bin
from autoscaler.core.load_latency import LoadLatency
from autoscaler.kube.facts import Pod, Target, TargetKey, Unavailable
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError
from autoscaler.traces.trace import Trace
from autoscaler.wording import replicas_text

# Loads drawn; with more orders the first are drawn again.
_DRAWS = 4_096


@dataclass(frozen=True, slots=True)
class Served:
    """What a simulated run came to.

    Attributes:
        replica_hours: paid for.
        late_share: of the work; NaN where none arrived.
        plan: replicas per bin, ready and loading, as decided.
    """

    replica_hours: float
    late_share: float
    plan: tuple[int, ...]


@dataclass(slots=True)
class _Replica:
    number: int
    created_s: float
    ready_s: float


class SimulatedWorld(NoCluster):
    """The cluster, the metrics, the writer and the only leader, all in one. Its time is moved by `begin`."""

    def __init__(self, autoscaler: PredictiveAutoscaler, trace: Trace, loads: LoadLatency, *, seed: int = 0) -> None:
        """Start at the trace's start, without a replica.

        Args:
            autoscaler: the object, whose demand queries are the trace's units.
            trace: bins as wide as the object's interval.
            loads: what loads really take, whatever the object believes.
            seed: of the loads that are drawn.
        """
        self._autoscaler = autoscaler
        self._trace = trace
        self._loads_s = loads.sample_s(_DRAWS, seed)
        self._now_s = self.start_s = math.floor(trace.start_s / trace.bin_s) * trace.bin_s
        self._ordered = 0
        self._replicas: list[_Replica] = []
        self._backlog_rs = self._late_rs = self._arrived_rs = self._paid_rs = 0.0
        self._plan: list[int] = []
        self._units = {demand.query: demand.unit for demand in autoscaler.spec.demand}

    @property
    def end_s(self) -> float:
        """When the last bin of the trace is over."""
        return self.start_s + self._trace.duration_s

    def begin(self, now_s: float) -> None:
        """Serve the bin before `now_s` with the replicas that were ready, and let loads get on."""
        if now_s > self._now_s:
            self._serve(round((self._now_s - self.start_s) / self._trace.bin_s))
        self._now_s = now_s

    def _serve(self, bin_index: int) -> None:
        spec, bin_s = self._autoscaler.spec, self._trace.bin_s
        capacity = {demand.unit: demand.capacity for demand in spec.demand}
        arrived = max(
            float(np.nan_to_num(values[bin_index])) / capacity[unit] for unit, values in self._trace.demand.items()
        )
        self._backlog_rs, late_rs = serve_bin(
            self._backlog_rs, arrived, float(self._ready()), bin_s, spec.objective.max_wait
        )
        self._late_rs += late_rs
        self._arrived_rs += arrived
        self._paid_rs += len(self._replicas) * bin_s
        self._plan.append(len(self._replicas))

    def _ready(self) -> int:
        return sum(replica.ready_s <= self._now_s for replica in self._replicas)

    def served(self) -> Served:
        """What the run came to so far."""
        late_share = self._late_rs / self._arrived_rs if self._arrived_rs else math.nan
        return Served(self._paid_rs / 3_600.0, late_share, tuple(self._plan))

    # The cluster.

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """The one object."""
        return (self._autoscaler,)

    def target(self, key: TargetKey) -> Target | Unavailable:
        """The workload."""
        pods = tuple(self._pod(replica) for replica in self._replicas)
        return Target(key, len(self._replicas), str(self._ordered), pods)

    def _pod(self, replica: _Replica) -> Pod:
        ready = replica.ready_s <= self._now_s
        name = f"{self._autoscaler.spec.scale_target_ref.name}-{replica.number}"
        return Pod(
            uid=name,
            name=name,
            node="simulated",
            created_s=replica.created_s,
            scheduled_s=replica.created_s,
            started_s=replica.created_s,
            ready=ready,
            ready_s=replica.ready_s if ready else None,
            restarts=0,
            deleting=False,
            failed=False,
        )

    # The metrics.

    def fetch(self, requests: list[RangeRequest]) -> dict[RangeRequest, RangeAnswer | SourceError]:
        """The trace's bins, as rates at their ends; before its start, nothing."""
        return {request: self._answer(request) for request in requests}

    def _answer(self, request: RangeRequest) -> RangeAnswer | SourceError:
        unit = self._units.get(request.query)
        if unit is None:
            return SourceError(Failure.BAD_QUERY, f"the trace has no {request.query}")
        first = round((request.start_s - self.start_s) / self._trace.bin_s) - 1
        bins = first + np.arange(request.points)
        inside = (bins >= 0) & (bins < len(self._trace))
        values = np.full(request.points, np.nan)
        values[inside] = self._trace.demand[unit][bins[inside]] / self._trace.bin_s
        return RangeAnswer(values)

    # The writer.

    def apply(self, autoscaler: PredictiveAutoscaler, target: Target, desired: int, *, now_s: float) -> Outcome:
        """Order or release replicas, in whatever mode."""
        before = len(self._replicas)
        if desired == before:
            return Outcome(Action.NONE, "Unchanged", f"{target.key} has {replicas_text(desired)}", before, desired)
        self._replicas.sort(key=lambda replica: (replica.ready_s > self._now_s, replica.ready_s))
        del self._replicas[desired:]
        while len(self._replicas) < desired:
            load_s = float(self._loads_s[self._ordered % _DRAWS])
            self._replicas.append(_Replica(self._ordered, now_s, now_s + load_s))
            self._ordered += 1
        return Outcome(Action.PATCHED, "Scaled", f"{target.key}: {before} -> {desired} replicas", before, desired)

    # The lease.

    def is_leader(self) -> bool:
        """There is no other."""
        return True

    def hand_over(self, *, within_s: float) -> bool:
        """To nobody."""
        return False

    def another_leads(self) -> bool:
        """There is no other."""
        return False
