"""The simulated cluster: runs a plan of replicas against a trace and says what it cost and how much came late.

A bin goes: loads that are due become ready; `desired` is applied; the bin is served. Too few replicas: the difference
is ordered, each with a load latency of its own. Too many: loading ones leave first, the latest due first, then ready
ones, which are paid for while they drain and take no new work. A loading replica is paid for, whether its start fails
or not. The run begins with no replica, and those of the first bin load like any other.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.cluster_steps import COUNTERS, DRAINING, NODES_FREE, NONE, READY, ClusterState
from autoscaler.backtest.result import Bins, Outcome
from autoscaler.backtest.setting import IntArray, Setting, ShortIntArray
from autoscaler.core.load_latency import LoadLatency
from forecasting.series import FloatArray

# Load latencies drawn per run; a run with more orders begins again with the first. 65,536 are 3 orders in each minute
# of 14 days, and take a millisecond to draw.
DRAWS = 65_536

# Late work below this many replica-seconds in a bin is rounding, not a late bin.
LATE_RS_MIN = 1e-9

# The largest count that a plan holds in 32 bits.
REPLICAS_MAX = 2**31 - 1


def simulate(setting: Setting, desired: IntArray | ShortIntArray) -> Outcome:
    """Run a whole plan: `desired` replicas at the start of each bin, shape (n,), integers >= 0.

    ValueError where the plan's length isn't the trace's, or a count is negative or above `REPLICAS_MAX`.
    """
    if desired.shape != (len(setting),):
        raise ValueError(f"the plan has shape {desired.shape}, the trace has {len(setting)} bins")
    for at in (int(desired.argmin()), int(desired.argmax())) if desired.size else ():
        if not 0 <= desired[at] <= REPLICAS_MAX:
            raise ValueError(f"bin {at} of the plan asks for {int(desired[at])} replicas")
    plan = desired.astype(np.int32)
    return outcome(setting, _run(setting, plan), plan)


def bins_of(setting: Setting, outcome: Outcome) -> Bins:
    """What happened bin by bin under an outcome of `setting`.

    The plan is run again, which gives the same to the bit, unless the outcome holds its bins. A million bins take a
    fifth of a second; held for each policy instead, ten million would be gigabytes.
    """
    if outcome.counted is not None:
        return outcome.counted
    state = _run(setting, outcome.desired)
    return Bins(state.ready, state.paid, state.late_rs, state.served_rs)


class SimulatedCluster:
    """The same simulation for a driver that looks at the cluster before it decides.

    Per bin, in order: `begin_bin`, then `scale_and_serve`. After the last bin: `outcome`.
    """

    def __init__(self, setting: Setting, *, due_level: float = 0.5) -> None:
        """Start with no replica before bin 0.

        Args:
            setting: what is replayed.
            due_level: `begin_bin` tells for each loading replica when it will serve with this probability. Nobody
                knows how long a load will take, so it goes by the replica's age and the distribution alone. With a
                constant load and no failures, every level gives the truth.
        """
        self._setting = setting
        self._state = new_state(setting, replicas_max=1024)
        self._remaining_bins = expected_remaining_bins(self._state.load_bins, due_level)
        self._desired = np.zeros(len(setting), dtype=np.int32)
        self._bin = 0

    def begin_bin(self) -> tuple[int, IntArray]:
        """Begin the next bin; return (ready replicas, bins until each loading replica is expected to serve, sorted).

        A replica due in d bins serves from the bin that lies d bins ahead; d is at least 1.
        """
        due = cluster_steps.begin_and_look(self._state, self._bin, self._remaining_bins)
        return int(self._state.counters[READY]), due

    @property
    def draining(self) -> int:
        """Replicas that were released and aren't gone; between `begin_bin` and `scale_and_serve`."""
        return int(self._state.counters[DRAINING])

    def scale_and_serve(self, desired: int) -> None:
        """Order or release so that ready and loading replicas are `desired` together, and serve the bin."""
        self._state = with_room(self._state, desired)
        cluster_steps.scale_and_serve(self._state, self._bin, desired)
        self._desired[self._bin] = desired
        self._bin += 1

    def outcome(self) -> Outcome:
        """What the run led to, once every bin of the trace is served."""
        if self._bin != len(self._setting):
            raise ValueError(f"only {self._bin} of {len(self._setting)} bins are served")
        return outcome(self._setting, self._state, self._desired)


def new_state(setting: Setting, *, replicas_max: int, load_bins: IntArray | None = None) -> ClusterState:
    """An empty cluster before bin 0, with room for `replicas_max` replicas that load at once.

    `load_bins`, see ClusterState, are drawn of the setting's load latency where they aren't given; none that comes to
    stand in them later may be above the largest of now.
    """
    n = len(setting)
    if load_bins is None:
        load_bins = order_load_bins(setting.load_latency, setting.bin_s, setting.start_failure_share, setting.seed)
    drain_bins = int(setting.drain_s // setting.bin_s)
    counters = np.zeros(COUNTERS, dtype=np.int64)
    counters[NODES_FREE] = NONE
    return ClusterState(
        counters=counters,
        backlog_rs=np.zeros(1),
        due_head=np.full(n + int(load_bins.max()) + 1, NONE, dtype=np.int32),
        nodes=np.empty((max(1, replicas_max), 2), dtype=np.int64),
        drain_ends=np.zeros(n + drain_bins + 1, dtype=np.int32),
        load_bins=load_bins,
        arrivals_rs=np.ascontiguousarray(setting.arrivals_rs, dtype=np.float64),
        ready=np.zeros(n, dtype=np.int32),
        paid=np.zeros(n),
        late_rs=np.zeros(n),
        served_rs=np.zeros(n),
        bin_s=float(setting.bin_s),
        max_wait_s=float(setting.max_wait_s),
        drain_bins=drain_bins,
        drain_rest=setting.drain_s / setting.bin_s - drain_bins,
    )


def with_room(state: ClusterState, replicas: int) -> ClusterState:
    """The cluster with room for so many replicas that load at once."""
    if replicas <= len(state.nodes):
        return state
    nodes = np.empty((2 * replicas, 2), dtype=np.int64)
    nodes[: len(state.nodes)] = state.nodes
    return state._replace(nodes=nodes)


def outcome(setting: Setting, state: ClusterState, desired: ShortIntArray) -> Outcome:
    """Sum up a cluster that has served every bin."""
    arrived_rs = float(setting.arrivals_rs.sum())
    kept_rs = float(state.served_rs.sum()) + float(state.backlog_rs[0])
    assert math.isclose(arrived_rs, kept_rs, rel_tol=1e-6, abs_tol=1e-6), f"{arrived_rs} arrived, {kept_rs} kept"
    scored = slice(setting.score_from_bin, None)
    scored_arrivals_rs = float(setting.arrivals_rs[scored].sum())
    ready_rs = float(state.ready[scored].sum()) * setting.bin_s
    return Outcome(
        desired=desired,
        replica_hours=float(state.paid[scored].sum()) * setting.bin_s / 3600.0,
        late_fraction=float(state.late_rs[scored].sum()) / scored_arrivals_rs if scored_arrivals_rs > 0 else 0.0,
        late_bins=int(np.count_nonzero(state.late_rs[scored] > LATE_RS_MIN)),
        mean_utilisation=float(state.served_rs[scored].sum()) / ready_rs if ready_rs > 0 else 0.0,
    )


def _run(setting: Setting, plan: ShortIntArray) -> ClusterState:
    """A cluster that has served every bin under `plan`."""
    state = new_state(setting, replicas_max=int(plan.max(initial=0)))
    cluster_steps.run_plan(state, plan)
    return state


@lru_cache(maxsize=16)
def order_load_bins(load: LoadLatency, bin_s: float, start_failure_share: float, seed: int) -> IntArray:
    """Bins from order to ready of the k-th order of a run, read-only: one entry where all are alike.

    A start that fails, loads a second time from the moment at which it would have been ready.
    """
    if len(set(load.quantiles_s)) == 1 and start_failure_share == 0:
        bins = np.array([whole_bins(load.quantiles_s[0], bin_s)], dtype=np.int64)
    else:
        bins = _ceil_bins(drawn_loads_s(load, start_failure_share, seed), bin_s)
    bins.flags.writeable = False
    return bins


def drawn_loads_s(load: LoadLatency, start_failure_share: float, seed: int) -> FloatArray:
    """Load latency in seconds of the first DRAWS orders of a run, second loads of failed starts included."""
    drawn_s = load.sample_s(2 * DRAWS, seed)
    fails = np.random.default_rng([seed, 1]).random(DRAWS) < start_failure_share
    loads_s: FloatArray = drawn_s[:DRAWS] + np.where(fails, drawn_s[DRAWS:], 0.0)
    return loads_s


def expected_remaining_bins(load_bins: IntArray, level: float) -> IntArray:
    """Age in bins of a replica that still loads -> bins after which it will serve with probability `level`.

    Args:
        load_bins: load latencies in bins, as the cluster draws them.
        level: in [0, 1].

    Returns:
        Shape (longest load,), each at least 1: of the loads longer than the age, the quantile, less the age.
    """
    ordered = np.sort(load_bins)
    ages = np.arange(int(ordered[-1]))
    shorter = np.searchsorted(ordered, ages, side="right")
    rank = np.minimum(shorter + np.floor(level * (len(ordered) - shorter)).astype(np.int64), len(ordered) - 1)
    return np.asarray(ordered[rank] - ages, dtype=np.int64)


def whole_bins(load_s: float, bin_s: float) -> int:
    """Bins that a load of `load_s` seconds takes: ceil(load / bin), where 600 s of 60.00000001 s aren't 11."""
    return int(_ceil_bins(np.array([load_s]), bin_s)[0])


def _ceil_bins(loads_s: FloatArray, bin_s: float) -> IntArray:
    return np.ceil(loads_s / bin_s * (1 - 1e-12)).astype(np.int64)
