"""The self-backtest: which risk level would have kept the late budget at the least cost over the last weeks.

The controller logs what it forecast at a grid of levels. A few times a day it replays those weeks through the very
arithmetic of its decisions at each candidate, and takes the cheapest that stayed within the budget by a margin.
Nobody has to tune a quantile, and 'asked for 1 %' comes out near 1 % whether forecasts are good or bad.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from autoscaler.core.plan_kernels import IntArray, replay
from forecasting.lead_ensemble import LEAD_LEVELS
from forecasting.lead_features import DAY_S
from forecasting.series import FloatArray

LEVELS = LEAD_LEVELS
LOW, MEDIAN = 0, 1
_LOWEST_ORDER = 4
# The level for keeping a replica may differ from that for ordering one by so many steps of the grid: near budgets of
# 1 % the cheapest pair had them apart on three of four shared traces, and all pairs are six times the replays.
_KEEP_OFFSETS = (-2, 0, 2)

# Before the first replay: 99 % for both.
_DEFAULT_LEVEL = 12

SELECTIONS_PER_DAY = 4
# Before a day is over, replays come every half hour, or ten loads, and don't go below 95 %: the night that was
# seen says little about the morning.
_FIRST_LOADS = 10
_FIRST_S = 1_800.0
FIRST_LOWEST_ORDER = 8
WINDOW_DAYS = 28
# The replay's lateness is itself an estimate from few bursts. Aiming at 0.6 of the budget kept it in 12 of 17 shared
# cases, aiming at 0.7 in 10, for 2 % more GPU-hours.
_BUDGET_MARGIN = 0.6
# Where no candidate keeps the budget, lateness within 2 % of the least counts as equal, and the cheaper one wins.
_LATE_TIE = 1.02


def _candidates() -> tuple[IntArray, IntArray]:
    top = len(LEVELS) - 1
    pairs = {
        (order, min(max(order + offset, MEDIAN), top))
        for order in range(_LOWEST_ORDER, top + 1)
        for offset in _KEEP_OFFSETS
    }
    ordered = np.array(sorted(pairs), dtype=np.int64)
    return ordered[:, 0].copy(), ordered[:, 1].copy()


ORDER_LEVELS, KEEP_LEVELS = _candidates()


def is_due(bins: int, bin_s: float, lead_bins: int) -> bool:
    """Whether the risk level is chosen anew after so many bins of history."""
    day_bins = max(1, round(DAY_S / bin_s))
    if bins >= day_bins:
        return bins % max(1, day_bins // SELECTIONS_PER_DAY) == 0
    first_bins = max(_FIRST_LOADS * lead_bins, math.ceil(_FIRST_S / bin_s))
    return bins > 0 and bins % first_bins == 0


@dataclass(frozen=True, slots=True)
class Risk:
    """The chosen risk: indices into LEVELS, and the late share that the replay gave (NaN before one)."""

    order: int = _DEFAULT_LEVEL
    keep: int = _DEFAULT_LEVEL
    late_share: float = float("nan")


@njit(cache=True)
def replay_candidates(
    needs: FloatArray,
    demand: FloatArray,
    missing: npt.NDArray[np.bool_],
    orders: IntArray,
    keeps: IntArray,
    lead: int,
    bin_s: float,
    max_wait_s: float,
    drain_s: float,
    replicas_min: int,
    replicas_max: int,
) -> FloatArray:
    """Replay each candidate: mean replicas and late share, shape (candidates, 2).

    Args:
        needs: logged needs in replicas, shape (n, 2, levels): one lead ahead, and the peak until then.
        demand: what came, in replicas, shape (n,).
        missing: which of it is imputed.
        orders: level index for ordering per candidate.
        keeps: level index for keeping per candidate.
        lead: bins from order to ready.
        bin_s: width of a bin.
        max_wait_s: the longest wait that is not late.
        drain_s: time in which a backlog is to be worked off.
        replicas_min: fewest replicas.
        replicas_max: most replicas.
    """
    results = np.empty((len(orders), 2))
    for i in range(len(orders)):
        results[i] = replay(
            needs[:, 0, orders[i]],
            needs[:, 1, keeps[i]],
            needs[:, 0, MEDIAN],
            demand,
            missing,
            lead,
            bin_s,
            max_wait_s,
            drain_s,
            replicas_min,
            replicas_max,
        )
    return results


def cheapest_within(results: FloatArray, late_budget: float, *, lowest_order: int = 0) -> Risk:
    """The candidate that cost least within the margin of the budget; where none is within, the least late one.

    Args:
        results: from `replay_candidates`.
        late_budget: share of the work that may be late.
        lowest_order: index of the lowest level for ordering that is allowed.
    """
    allowed = lowest_order <= ORDER_LEVELS
    replicas = results[:, 0]
    late = np.where(allowed, results[:, 1], np.inf)
    within = late <= max(_BUDGET_MARGIN * late_budget, _LATE_TIE * late.min())
    best = int(np.where(within, replicas, np.inf).argmin())
    return Risk(int(ORDER_LEVELS[best]), int(KEEP_LEVELS[best]), float(late[best]))
