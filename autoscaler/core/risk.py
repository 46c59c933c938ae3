"""The self-backtest: which risk level would have kept the late budget at the least cost over the last weeks.

Candidates run along on what really came (trials.py). A few times a day the cheapest that stayed within the budget by a
margin over the last weeks is taken.
Nobody has to tune a quantile, and 'asked for 1 %' comes out near 1 % whether forecasts are good or bad.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autoscaler.core.plan_kernels import IntArray
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


def is_due(bins: int, now_s: float, bin_s: float, lead_bins: int) -> bool:
    """Whether the risk level is chosen anew in the bin that starts now, after so many bins of history.

    After the first day it is at fixed times of the clock: two controllers that started apart agree.
    """
    day_bins = max(1, round(DAY_S / bin_s))
    if bins >= day_bins:
        return round(now_s / bin_s) % max(1, day_bins // SELECTIONS_PER_DAY) == 0
    first_bins = max(_FIRST_LOADS * lead_bins, math.ceil(_FIRST_S / bin_s))
    return bins > 0 and bins % first_bins == 0


@dataclass(frozen=True, slots=True)
class Risk:
    """The chosen risk: indices into LEVELS, and the late share that the replay gave (NaN before one)."""

    order: int = _DEFAULT_LEVEL
    keep: int = _DEFAULT_LEVEL
    late_share: float = float("nan")


def cheapest_within(results: FloatArray, late_budget: float, *, lowest_order: int = 0) -> Risk:
    """The candidate that cost least within the margin of the budget; where none is within, the least late one.

    Args:
        results: mean replicas and late share per candidate, shape (candidates, 2).
        late_budget: share of the work that may be late.
        lowest_order: index of the lowest level for ordering that is allowed.
    """
    allowed = lowest_order <= ORDER_LEVELS
    replicas = results[:, 0]
    late = np.where(allowed, results[:, 1], np.inf)
    within = late <= max(_BUDGET_MARGIN * late_budget, _LATE_TIE * late.min())
    best = int(np.where(within, replicas, np.inf).argmin())
    return Risk(int(ORDER_LEVELS[best]), int(KEEP_LEVELS[best]), float(late[best]))
