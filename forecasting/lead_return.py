"""What fell abruptly below the usual may come back at any moment: an outage upstream ends, and all is there again.

No model of ratios to the last value says so: after hours at nothing 99.99 % of its outcomes are next to nothing too. In
a trace of ServeGen 40 replicas' worth went within a bin and came back within one, two hours later; what was late then
was all that was late in a week, five times what was asked. So quantiles beyond the chance of a return are at least the
usual. That chance falls with the time without one: as if the logarithm of a duration were as likely to be anything,
what has lasted e bins lasts t more with probability e / (e + t); and in half of the cases it returns at all.
"""

from __future__ import annotations

import math

import numpy as np

from forecasting.clock import Days
from forecasting.clock_kernels import bins_back
from forecasting.kernel import inner
from forecasting.lead_features import SEASON_DAYS, IntArray, demand_at
from forecasting.lead_windows import mean_around, median_of
from forecasting.series import Float32Array, FloatArray

# The usual is the median of the same time on so many days at least.
_DAYS_MIN = 2
# In logs: fallen to a tenth of the usual, from half of it at least, within three bins.
_FALLEN = math.log(0.1)
_USUAL = math.log(0.5)
_ABRUPT_BINS = 3
_RETURNS = 0.5
# What returns is a tenth above the usual: it varies, and what waited comes on top.
_ABOVE = math.log(1.1)


@inner
def usual_at(log_demand: Float32Array, at: int, days: Days) -> float:
    """Log demand usual at bin `at`, from the known ones of the days before; NaN where they are too few.

    The median of them, or what was a week before where that is less: an early end on every Friday is no outage.
    """
    heights = np.empty(SEASON_DAYS)
    count = 0
    week_before = math.inf
    for k in range(1, SEASON_DAYS + 1):
        then = at - bins_back(days, at, k)
        if then < 1:
            break
        if then + 1 < len(log_demand):
            heights[count] = mean_around(log_demand, then, 1)
            if k == SEASON_DAYS:
                week_before = heights[count]
            count += 1
    return min(median_of(heights, count), week_before) if count >= _DAYS_MIN else math.nan


@inner
def fallen_for(log_demand: Float32Array, days: Days, ago: IntArray) -> int:
    """Bins since demand fell abruptly below the usual, the newest among them; 0 where it didn't, or a day ago.

    Args:
        log_demand: log of demand plus floor of the bins seen, gaps imputed, shape (n,), n >= 1.
        days: of the bins of `log_demand`.
        ago: how many bins ago, seen from the bin before the newest, demand was about the usual for the last time, and
            for the first time since then fallen; -1 where it wasn't. Shape (2,), brought up to the newest: looking
            back for both took 6 ms a bin after a day of seconds.
    """
    newest = len(log_demand) - 1
    for i in range(2):
        ago[i] += ago[i] >= 0
    usual = usual_at(log_demand, newest, days)
    # Comparisons are false where the usual isn't known.
    is_fallen = log_demand[newest] < usual + _FALLEN
    if is_fallen and ago[1] < 0:
        ago[1] = 0
    elif not log_demand[newest] < usual + _USUAL:
        ago[0], ago[1] = 0, -1
    if not is_fallen or ago[0] < 0 or ago[0] >= min(days.day, newest) or ago[0] - ago[1] > _ABRUPT_BINS:
        return 0
    # A rise that doesn't come, on a first Saturday, is no fall.
    fell = log_demand[newest - ago[0]] >= usual_at(log_demand, newest - ago[1], days) + _USUAL
    return ago[1] + 1 if fell else 0


@inner
def raise_for_return(
    log_demand: Float32Array,
    lead: int,
    days: Days,
    floor: float,
    fallen: int,
    levels: FloatArray,
    quantiles: FloatArray,
) -> None:
    """Raise quantiles at increasing `levels` (q,), shape (TARGETS, q), work per second, to the usual beyond its chance.

    Args:
        log_demand: log of demand plus floor of the bins seen, gaps imputed, shape (n,), n >= 1.
        lead: bins between the next bin and the target.
        days: of the bins of `log_demand`.
        floor: added to demand before the log.
        fallen: bins since the fall, see `fallen_for`.
        levels: of the quantiles.
        quantiles: written to.
    """
    if fallen == 0:
        return
    known = len(log_demand)
    chance = _RETURNS * (lead + 1) / (fallen + lead + 1)
    usual = usual_at(log_demand, known + lead, days)
    peak = usual
    for at in range(known, known + lead):
        peak = max(peak, usual_at(log_demand, at, days))
    if math.isnan(usual) or math.isnan(peak):
        return
    for i in range(len(levels)):
        if 1.0 - levels[i] < chance:
            quantiles[0, i] = max(quantiles[0, i], demand_at(usual + _ABOVE, floor))
            quantiles[1, i] = max(quantiles[1, i], demand_at(peak + _ABOVE, floor))
