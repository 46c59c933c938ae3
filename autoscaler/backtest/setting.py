"""What a backtest replays: one trace, one kind of replica, one objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoscaler.core.event import Event
from autoscaler.core.load_latency import LoadLatency
from forecasting.clock import UTC_ZONE
from forecasting.series import FloatArray

IntArray = npt.NDArray[np.int64]
ShortIntArray = npt.NDArray[np.int32]  # where there is one per bin and policy: half the memory

# What `headstart run` has by default.
INTERVAL_S = 60.0


@dataclass(frozen=True, slots=True)
class WarmNodes:
    """Nodes that must be provisioned for replicas, and placeholders that keep some warm: `nodeHeadStart` live.

    Attributes:
        provisioning: from ordering a node to its readiness.
        load: from ordering a replica on a ready node to its readiness.
        placeholders_max: as many placeholders as are allowed; each holds a node's room for one replica.
    """

    provisioning: LoadLatency
    load: LoadLatency
    placeholders_max: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One backtest, in the units of the simulation: a replica-second is what one replica does in a second.

    Attributes:
        trace_name: for tables.
        start_s: start of the first bin.
        bin_s: width of a bin in seconds.
        demand_rps: unit -> work per second seen in each bin, shape (n,); NaN is missing. What policies see.
        capacity_rps: unit -> work per second that one replica sustains.
        arrivals_rs: replica-seconds of work that arrive in each bin, shape (n,): the largest over the units, with
            missing demand filled linearly. What the simulated cluster serves; policies must not look at it.
        load_latency: from order to ready.
        start_failure_share: share of starts that fail once and load a second time (0 to 1, exclusive).
        drain_s: seconds that a released replica is still paid for while it finishes its work.
        max_wait_s: the longest wait that is not late.
        late_budget: share of the work that may be late, in (0, 1).
        score_from_bin: bins before it are history, not scored.
        replicas_min: fewest replicas allowed.
        replicas_max: most replicas allowed.
        seed: for everything drawn at random.
        interval_s: time from one decision of Headstart to the next, rounded to whole bins; a bin where that is longer.
        schedule: known events, by which Headstart plans; the others know of none.
        time_zone: IANA name of the zone whose clocks the seasons of demand follow.
        warm_nodes: what keeps nodes warm where that is replayed too; `load_latency` is then of a node and a load.
    """

    trace_name: str
    start_s: float
    bin_s: float
    demand_rps: Mapping[str, FloatArray]
    capacity_rps: Mapping[str, float]
    arrivals_rs: FloatArray
    load_latency: LoadLatency
    max_wait_s: float
    late_budget: float
    score_from_bin: int
    replicas_min: int = 0
    replicas_max: int = 100_000
    start_failure_share: float = 0.0
    drain_s: float = 0.0
    seed: int = 0
    interval_s: float = INTERVAL_S
    schedule: tuple[Event, ...] = ()
    time_zone: str = UTC_ZONE
    warm_nodes: WarmNodes | None = None

    def __len__(self) -> int:
        return len(self.arrivals_rs)

    @property
    def observed_replicas(self) -> FloatArray:
        """Demand in replicas as a policy sees it, shape (n,): the largest over the units of demand / capacity.

        NaN where no unit is known.
        """
        replicas = np.full(len(self), np.nan)
        for unit, demand_rps in self.demand_rps.items():
            np.fmax(replicas, demand_rps / self.capacity_rps[unit], out=replicas)
        return replicas
