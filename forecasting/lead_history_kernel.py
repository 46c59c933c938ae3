"""The loop of the lead history: what each bin adds to what the lead models look at."""

from __future__ import annotations

import math

import numpy as np

from forecasting.clock import Days
from forecasting.clock_kernels import ahead_at, all_back
from forecasting.kernel import inner, kernel
from forecasting.lead_features import (
    FEATURES,
    SEASON_DAYS,
    BoolArray,
    IntArray,
    lead_features,
    seasonal_height,
    seasonal_step,
    see_newest,
    targets_between,
)
from forecasting.series import Float32Array, FloatArray

# Largest demand seen, forgotten at half in 14 days: forecasts stay below 1.28 times it (0.25 in logs). Without a
# bound one extreme quantile after a 60-fold jump asked for 14 times the optimum's replicas.
_PEAK_HALF_LIFE_DAYS = 14.0
HEADROOM_LOG = 0.25
# Medians of steps don't add up to what is usual: after a day without demand, in bins of a minute that vary by 30 %,
# what is imputed was between a third of the usual and twice as much. What it is off by after half a day fades then.
_ASTRAY_S = 12 * 3600.0
_USUAL_HALF_LIFE_S = 2 * 3600.0


@inner
def smallest(values: Float32Array) -> float:
    """Least of `values`, shape (n,), n >= 1, without NaN: numpy's `min` takes 0.4 s to compile."""
    least = values[0]
    for i in range(1, len(values)):
        least = min(least, values[i])
    return float(least)


@inner
def imputed(log_demand: Float32Array, back: IntArray, peak_log: float, gap_s: float, bin_s: float) -> float:
    """Log demand of a missing bin: the one before, moved as the same time on earlier days moved, see `seasonal_step`.

    Not outside what was seen: yesterday's fall from 1,000 to 10 would leave next to nothing of today's 20. Half a
    day into a gap, `gap_s` seconds, it goes over to what is usual.
    """
    moved = log_demand[len(log_demand) - 1] + seasonal_step(log_demand, back)
    if gap_s >= _ASTRAY_S:
        usual, before = seasonal_height(log_demand, back, 0), seasonal_height(log_demand, back, 1)
        if not math.isnan(before):
            moved = usual + 0.5 ** (bin_s / _USUAL_HALF_LIFE_S) * (log_demand[len(log_demand) - 1] - before)
    return float(min(max(moved, smallest(log_demand)), peak_log))


@inner
def peak_after(peak_log: float, log_demand: float, day: int) -> float:
    """Largest log demand, slowly forgotten, after one more bin of a day that has so many."""
    return max(peak_log - math.log(2.0) / (_PEAK_HALF_LIFE_DAYS * day), log_demand)


@kernel(nogil=True)
def see_bins(
    demand: FloatArray,
    lead: int,
    days: Days,
    floor: float,
    kept: int,
    bins: int,
    origins: int,
    missing_at: int,
    gap: int,
    next_start_s: float,
    peak_log: float,
    log_demand: Float32Array,
    running: FloatArray,
    missing: BoolArray,
    features: FloatArray,
    matured: BoolArray,
    targets: FloatArray,
    bounds: FloatArray,
) -> tuple[int, int, float, float]:
    """See n bins, of which the first is known or some bin before is; writes the arrays from `log_demand` on.

    Args:
        demand: work per second, NaN where missing, shape (n,).
        lead: bins between the next bin and the target.
        days: of the rows of `log_demand`.
        floor: demand that doesn't matter.
        kept: bins that features look back on.
        bins: bins seen before, missing ones included.
        origins: rows of features kept so far.
        missing_at: index of the latest missing bin.
        gap: bins missing in a row before these.
        next_start_s: start of the first of these bins.
        peak_log: largest log demand so far, slowly forgotten.
        log_demand: remembered bins, then room for n, shape (m + n,).
        running: sums over the last of them, see LeadHistory, shape (RUNNING,).
        missing: receives which of these bins are, shape (n,).
        features: receives n rows, see LeadBins.
        matured: likewise.
        targets: likewise.
        bounds: likewise.

    Returns:
        missing_at, gap, next_start_s and peak_log after them.
    """
    known = len(log_demand) - len(demand)
    day = days.day
    back = np.empty(SEASON_DAYS, dtype=np.int64)
    for i in range(len(demand)):
        missing[i] = math.isnan(demand[i])
        if missing[i]:
            all_back(days, known, back)
            before = log_demand[max(0, known - kept) : known]
            log_demand[known] = imputed(before, back, peak_log, gap * days.bin_s, days.bin_s)
            missing_at = bins + i
            gap += 1
        else:
            gap = 0
            log_demand[known] = math.log(demand[i] + floor)
        peak_log = peak_after(peak_log, log_demand[known], day)
        bounds[i] = peak_log + HEADROOM_LOG
        known += 1
        see_newest(log_demand, known, lead, day, kept, running)
        next_start_s += days.bin_s
        seen = log_demand[max(0, known - kept) : known]
        all_back(days, known + lead, back)
        target_s = next_start_s + lead * days.bin_s
        target_s += ahead_at(days.clock, target_s)
        features[i, FEATURES] = lead_features(seen, running, lead, day, back, target_s, features[i, :FEATURES])
        matured[i] = origins + i > lead and missing_at < bins + i - lead
        if matured[i]:
            targets[i, 0], targets[i, 1] = targets_between(seen, lead + 1)
    return missing_at, gap, next_start_s, peak_log
