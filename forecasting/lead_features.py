"""What the lead models look at: scale-free features of the demand known when a replica would be ordered.

All are differences of log demand to a short-term level, so that a model learned at 10 requests per second holds at
1,000. The target bin is `lead` bins after the next one: where a replica ordered now begins to serve.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecasting.clock import DAY_S
from forecasting.kernel import inner, kernel
from forecasting.lead_rhythm import hourly_changes, size_at_this_time
from forecasting.lead_windows import max_between, mean_around, mean_before, median_of
from forecasting.series import Float32Array, FloatArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

SEASON_DAYS = 7
# Days of demand that are kept: models are fitted to two weeks, and a day more tells what came before a rise back then.
KEPT_DAYS = 15
FEATURES = 33
# Over how many windows the changes from bin to bin are summed up, and what is: with the sum over a day.
CHANGE_WINDOWS = 3
RUNNING = 1 + CHANGE_WINDOWS
# Which of them know the time: the same time on earlier days, the time of day, and the minute of the hour.
SEASONAL_FEATURES = frozenset((*range(10, 21), *range(22, 32)))

# Logs are kept as float32, whose last place is at most a millionth for demand up to e^32.
_ROUNDING = 1e-6


@inner
def change_width(window: int, lead: int, day: int, kept: int) -> int:
    """Bins whose changes count in one of CHANGE_WINDOWS: a lead, six of them, a day; never more than are kept."""
    width = max(3, lead) if window == 0 else 6 * max(2, lead) if window == 1 else day
    return int(min(width, kept - 1))


@inner
def see_newest(log_demand: Float32Array, known: int, lead: int, day: int, kept: int, running: FloatArray) -> None:
    """Bring `running`, see LeadHistory, up to date with bin `known` - 1 of log_demand.

    Every change counts. Of samples, one in five of a day of minutes, the two edges of a burst came and went from bin to
    bin for a day, and 9 of 16 replicas with them.
    """
    newest = known - 1
    running[0] += log_demand[newest]
    if newest >= day:
        running[0] -= log_demand[newest - day]
    if newest == 0:
        return
    for window in range(CHANGE_WINDOWS):
        change = log_demand[newest] - log_demand[newest - 1]
        running[1 + window] += change * change
        gone = newest - change_width(window, lead, day, kept)
        if gone >= 1:
            change = log_demand[gone] - log_demand[gone - 1]
            running[1 + window] -= change * change


@inner
def log_change(running: FloatArray, window: int, known: int, lead: int, day: int) -> float:
    """Log of the root mean square change from bin to bin over one of CHANGE_WINDOWS, of `known` bins."""
    changes = max(1, min(change_width(window, lead, day, known), known - 1))
    # Rounding may leave less than nothing of what came and went.
    return math.log(0.01 + math.sqrt(max(0.0, running[1 + window]) / changes))


@inner
def seasonal_ratios(log_demand: Float32Array, lead: int, back: IntArray, level: float, out: FloatArray) -> None:
    """Fill out[0:8] with what the same time on earlier days says of the target bin and of the peak until then.

    Each is relative to `level` directly ("as high as then") or to that day's own level ("as much higher as then").
    A day that is not in the history says nothing: 0. Neither does one whose target is still to come: leads of a day
    and more. `back`, shape (SEASON_DAYS,), is how many bins ago the same time was, see `clock.all_back`.
    """
    known = len(log_demand)
    half = max(1, lead // 2)
    rises = np.empty(SEASON_DAYS)
    peaks = np.empty(SEASON_DAYS)
    heights = np.empty(SEASON_DAYS)
    days = 0
    out[:8] = 0.0
    for k in range(1, SEASON_DAYS + 1):
        origin = known - back[k - 1]
        if origin < 1:
            break
        target = origin + lead
        if target >= known:
            continue
        then = mean_before(log_demand, origin, 2 * half + 1)
        height = mean_around(log_demand, target, half)
        rises[days] = height - then
        heights[days] = height - level
        peaks[days] = max_between(log_demand, origin, min(known, target + 1)) - then
        days += 1
        if k == 1:
            out[0] = rises[0]
            out[1] = heights[0]
            out[2] = peaks[0]
        if k == SEASON_DAYS:
            out[3] = rises[days - 1]
            out[4] = heights[days - 1]
    out[5] = median_of(rises, days)
    out[6] = median_of(heights, days)
    out[7] = median_of(peaks, days)


@inner
def seasonal_step(log_demand: Float32Array, back: IntArray) -> float:
    """How much the next bin's log demand usually differs from the last one's: the median over earlier days.

    Their next bin was so many bins before, shape (SEASON_DAYS,).
    """
    known = len(log_demand)
    steps = np.empty(SEASON_DAYS)
    days = 0
    for k in range(1, SEASON_DAYS + 1):
        index = known - back[k - 1]
        if index < 1:
            break
        steps[days] = mean_around(log_demand, index, 1) - mean_around(log_demand, index - 1, 1)
        days += 1
    return median_of(steps, days)


@inner
def seasonal_height(log_demand: Float32Array, back: IntArray, ago: int) -> float:
    """What log demand usually is so many bins before the next one: the median over earlier days; NaN before two."""
    heights = np.empty(SEASON_DAYS)
    days = 0
    for k in range(SEASON_DAYS):
        index = len(log_demand) - back[k] - ago
        if index < 1:
            break
        heights[days] = mean_around(log_demand, index, 1)
        days += 1
    return median_of(heights, days) if days > 1 else math.nan


@kernel()
def targets_between(log_demand: Float32Array, width: int) -> tuple[float, float]:
    """Log demand of the last bin, and the peak of the last `width` bins."""
    known = len(log_demand)
    return log_demand[known - 1], max_between(log_demand, known - width, known)


@inner
def lead_features(
    log_demand: Float32Array,
    running: FloatArray,
    lead: int,
    day: int,
    back: IntArray,
    target_s: float,
    out: FloatArray,
) -> float:
    """Fill `out`, shape (FEATURES,), and return the level that the targets are measured against.

    Args:
        log_demand: log of demand plus floor in the known bins, shape (n,), n >= 1, without NaN.
        running: sums over its last bins, see LeadHistory, shape (RUNNING,).
        lead: bins between the next bin and the target.
        day: bins in a day, at least 1.
        back: how many bins before the target bin the same time on earlier days was, shape (SEASON_DAYS,).
        target_s: when the target bin starts by the clock, in seconds: for the time of day and of the hour.
        out: written to.
    """
    known = len(log_demand)
    short = max(1, lead // 3)
    level = mean_before(log_demand, known, max(1, lead // 4))
    out[0] = log_demand[known - 1] - level
    out[1] = mean_before(log_demand, known, 2 * short) - level
    out[2] = mean_before(log_demand, known, 6 * short) - level
    out[3] = mean_before(log_demand, known, 24 * short) - level
    out[4] = running[0] / min(day, known) - level
    out[5] = max_between(log_demand, max(0, known - max(2, lead)), known) - level
    out[6] = max_between(log_demand, max(0, known - 6 * max(2, lead)), known) - level
    for window in range(CHANGE_WINDOWS):
        out[7 + window] = log_change(running, window, known, lead, day)
    seasonal_ratios(log_demand, lead, back, level, out[10:18])
    out[18] = abs(out[11])
    out[19] = abs(out[16])
    out[20] = abs(out[10] - out[15])
    out[21] = abs(out[1])
    angle = 2.0 * math.pi * (target_s % DAY_S) / DAY_S
    out[22] = math.sin(angle)
    out[23] = math.cos(angle)
    out[24] = math.sin(2.0 * angle)
    out[25] = math.cos(2.0 * angle)
    hour = 2.0 * math.pi * (target_s % 3600.0) / 3600.0
    out[26] = math.sin(hour)
    out[27] = math.cos(hour)
    hourly_changes(log_demand, lead, day // 24 if day % 24 == 0 else 0, out[7], out[28:31])
    out[31] = size_at_this_time(log_demand, lead, back, out[7])
    out[32] = 1.0
    return level


@kernel()
def demand_at(log_demand: float, floor: float) -> float:
    """Work per second from log(demand + floor), which a float32 holds to a millionth of the floor: less is nothing."""
    demand = math.exp(log_demand) - floor
    return demand if demand > _ROUNDING * floor else 0.0


@kernel()
def demand_of(log_demand: Float32Array, missing: BoolArray, floor: float) -> FloatArray:
    """Work per second from log(demand + floor), NaN where it is missing, shape (n,)."""
    demand = np.empty(len(log_demand))
    for i in range(len(demand)):
        # As float64 first: the exponential of a float32 is one.
        demand[i] = log_demand[i]
        demand[i] = math.nan if missing[i] else demand_at(demand[i], floor)
    return demand
