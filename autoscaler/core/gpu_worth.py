"""What the replicas of one workload are worth to it: the late work that so many of them save."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autoscaler.core.fluid import serve_bin
from autoscaler.core.outlook import Outlook
from autoscaler.core.risk import LEVELS, MEDIAN
from autoscaler.core.spec import Spec
from forecasting.kernel import kernel
from forecasting.series import FloatArray

# A GPU that moves serves nobody for one load, and could be back one load after that at the earliest; a load more is
# what it moved for. Over two, half of which it loads, one that only shortens a queue of a day counted as much as one
# that would have another workload on time again: with that and half a replica-second of late work per one of queue,
# and as much more where it is short, 25.5 % was late in `tests/benchmarks/gpu_budgets.py`, 22.8 % with three loads and
# with `_late_work`'s root, 23.8 % with the root alone.
_HORIZON_LOADS = 3.0
# What is wanted though the forecast sees no use for it still comes before nothing.
_LEAST_WORTH = 1e-6
_MASS = np.diff(np.concatenate(([0.0], LEVELS, [1.0])))


def load_s(spec: Spec, lead_bins: int) -> float:
    """Seconds from order to ready that a decision plans with, at least a bin."""
    return max(1, lead_bins) * spec.bin_s


def firm_s(spec: Spec, lead_bins: int) -> float:
    """Seconds for which a replica that was meant to run is firm: half a load, and the last decision in any case."""
    return max(load_s(spec, lead_bins) / 2.0, spec.bin_s) + spec.bin_s / 2.0


def common_horizon_s(loads_s: Iterable[float]) -> float:
    """Seconds over which workloads that load for so long are compared."""
    return _HORIZON_LOADS * max(loads_s, default=0.0)


def saved_by(outlook: Outlook, spec: Spec, *, current: int, count: int, horizon_s: float) -> FloatArray:
    """Late work that 0, 1, ... `count` replicas save against none, replica-seconds per second of the horizon.

    The queue is followed from now on, once for each of the forecast's quantiles. Those replicas that are there serve
    demand as it is, with a bin of the peak until one load ahead at the end; then all of them serve a bin of what is
    forecast for that moment, and after it its median: taken to last, what is forecast for a bin in a hundred made a
    spare replica worth more than the queue of another workload, which was never worked off. A replica that would have
    to be ordered saves nothing for a load. Before anything is known, every replica is taken to be in use.

    Args:
        outlook: of the decision.
        spec: of the workload.
        current: replicas ready and loading.
        count: the most that are asked for.
        horizon_s: at least a bin more than `load_s`, the same for all that are compared.

    Returns:
        Shape (count + 1,), from 0 on, increasing; not concave: of the replicas that a queue waits for the last one
        saves most.
    """
    if math.isnan(float(outlook.needs[0, 0])):
        return np.arange(count + 1, dtype=np.float64)
    ahead = np.maximum.accumulate(np.maximum(outlook.needs[0], 0.0))
    until = np.maximum(np.maximum.accumulate(outlook.needs[1]), ahead)
    load = load_s(spec, outlook.lead_bins)
    late = _late_work(
        np.array([load - spec.bin_s, spec.bin_s, spec.bin_s, horizon_s - load - spec.bin_s]),
        np.stack(
            [
                np.full(len(_MASS), outlook.demand_replicas),
                _middles(until),
                _middles(ahead),
                np.full(len(_MASS), ahead[MEDIAN]),
            ]
        ),
        count,
        current,
        outlook.backlog_rs,
        spec.objective.max_wait_s,
    )
    # Rounding must not let a replica more be worth less.
    saved: FloatArray = np.maximum.accumulate(late[0] - late) / horizon_s
    saved += _LEAST_WORTH * np.arange(count + 1)
    return saved


def _middles(quantiles: FloatArray) -> FloatArray:
    """Demand in the middle of each stretch between quantiles, from 0 on, with the last one beyond them."""
    knots = np.concatenate(([0.0], quantiles, quantiles[-1:]))
    middles: FloatArray = (knots[1:] + knots[:-1]) / 2.0
    return middles


@kernel()
def _late_work(
    seconds: FloatArray, demand: FloatArray, count: int, current: int, backlog_rs: float, max_wait_s: float
) -> FloatArray:
    """Late work expected with 0, 1, ... `count` replicas, replica-seconds, shape (count + 1,).

    What still waits at the end makes late what comes behind it: all of it where that is what usually comes within the
    horizon, and the root of that share of it where more waits. The work that waits least is the soonest on time again,
    as Smith's rule has it (1956): among workloads that are late already, those come first. The share itself, without a
    root, leaves large queues worth nothing: three workloads whose peaks come in turn were late in 35 %, not 11 %.

    Args:
        seconds: of each of four stretches of time, may be 0; in the first two only `current` replicas serve.
        demand: in them, in replicas, shape (4, q), of probabilities _MASS.
        count: the most replicas that are asked for.
        current: replicas that there are.
        backlog_rs: work queued at the beginning.
        max_wait_s: the longest wait that is not late.
    """
    late = np.zeros(count + 1)
    usual_rs = demand[-1, 0] * seconds.sum()
    short = usual_rs / max(usual_rs, backlog_rs) if usual_rs > 0.0 else 0.0
    left_late = math.sqrt(short)
    for n in range(count + 1):
        for q in range(demand.shape[1]):
            queued_rs, late_rs = backlog_rs, 0.0
            for i in range(len(seconds)):
                if seconds[i] > 0.0:
                    serving = float(min(n, current) if i < 2 else n)
                    queued_rs, more_rs = serve_bin(
                        queued_rs, demand[i, q] * seconds[i], serving, seconds[i], max_wait_s
                    )
                    late_rs += more_rs
            late[n] += _MASS[q] * (late_rs + left_late * queued_rs)
    return late
