"""The loops of the seasonal profile: what one more bin teaches, and the profile's factor at a bin.

A season of P bins is a table of slots: the ratio of demand to its own mean over the P bins around it. Window and
table are updated in O(1) per bin; a ratio is learned half a period late, when the mean around its bin is known,
because against a trailing mean every growing service would seem to peak in the evening.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.clock import Days
from forecasting.clock_kernels import bin_by_clock
from forecasting.kernel import inner, kernel
from forecasting.series import Float32Array, FloatArray
from forecasting.step_grid import IntArray, at_grid

BoolArray = npt.NDArray[np.bool_]

# Weight of the shorter season (of no season, for the first) beside the cycles seen of this one.
_PRIOR_CYCLES = 0.5
# How far a new season is trusted before it has been put to the test, and for how much of a period that counts.
_PRIOR_TRUST = 0.5
_PRIOR_TRUST_PERIODS = 0.25
# Cycles after which evidence has lost half its weight.
_EVIDENCE_CYCLES = 4.0
# A slot moves by at least this share of what it sees per cycle, so that a habit that changes is unlearned in 5 cycles.
_MIN_GAIN = 0.2
# Ratios beyond so many typical deviations move a slot no further: a news spike isn't a habit.
_CLIP_DEVIATIONS = 3.0
# Share of the slow level in the fast one at low factors; it halves where the mean square of the recent factors passes
# _LOW_FACTOR_SQUARED. At night, when the factor is near 0 and demand tells nothing of the level, the slow one takes
# over: 0.1 requests at a factor of 0.01 are no level of 10. By day its share is 0.1 %.
_SLOW_SHARE = 0.02
_LOW_FACTOR_SQUARED = 0.05
# Missing bins age the level's weights down to this one, so that the first bins after an outage set it anew.
_MIN_LEVEL_WEIGHT = 0.01

WINDOW_SUM, COVARIANCE, VARIANCE, WEIGHT, DEVIATION = range(5)
# Demand beyond it has no float32.
_LARGEST = 1e38


class Shape(NamedTuple):
    """What stays as it is.

    Attributes:
        periods: bins per season, increasing, shape (k,).
        lengths: likewise, not rounded, of seasons of whole days, which go by the clock; 0 of others, shape (k,).
        slots: slots per season, shape (k,).
        decays: factors by which the weights of the fast and the slow level shrink per bin, shape (2,).
        days: of the bins.
    """

    periods: IntArray
    lengths: FloatArray
    slots: IntArray
    decays: FloatArray
    days: Days


class State(NamedTuple):
    """What is learned; the kernels write it in place.

    Attributes:
        seen: bins since the first known one, shape (1,).
        ring: the last bins of the longest season, gaps filled with the model's own forecast; float32 halves 80 kB.
        known: which bins of the ring were not filled, same shape.
        ratios: the seasons' slots behind one another, 1 is the mean, shape (sum of slots,).
        cycles: how often each slot was seen, in cycles, same shape.
        evidence: per season: sum over its window; decayed covariance, variance and weight of the test of the season
            on what it had not learned yet; typical deviation from it; shape (k, 5).
        levels: fast and slow: decayed sums of factor * demand, of factor^2, of 1, shape (2, 3). Their first over
            their second is the least-squares level: a bin with a factor near 0 has next to no say.
    """

    seen: IntArray
    ring: Float32Array
    known: BoolArray
    ratios: FloatArray
    cycles: FloatArray
    evidence: FloatArray
    levels: FloatArray


@inner
def slot_ratio(state: State, start: int, slots: int, phase: float) -> tuple[float, float]:
    """(ratio, cycles seen) at `phase` in 0..1 of the season at `start`, linear between the middles of its slots."""
    position = phase * slots - 0.5
    lower = math.floor(position)
    share = position - lower
    first = start + lower % slots
    second = start + (lower + 1) % slots
    ratios, cycles = state.ratios, state.cycles
    ratio = (1.0 - share) * ratios[first] + share * ratios[second]
    return ratio, (1.0 - share) * cycles[first] + share * cycles[second]


@inner
def phase_of(bin_index: int, period: int, length: float, days: Days) -> float:
    """Where in a season the middle of a bin is, in 0..1; see `Shape` for `period` and `length`."""
    at = bin_by_clock(days, bin_index) if length > 0.0 else bin_index
    if length > 0.0 and length != period:
        return float((at + 0.5) % length / length)
    return (at % period + 0.5) / period


@inner
def season_trust(evidence: FloatArray, period: int) -> float:
    """How far a season is followed, 0..1: the share of its swing that came true in cycles it had not learned from."""
    weight = evidence[WEIGHT]
    prior = _PRIOR_TRUST_PERIODS * period
    measured = evidence[COVARIANCE] / evidence[VARIANCE] if evidence[VARIANCE] > 0.0 else _PRIOR_TRUST
    trust = (weight * measured + prior * _PRIOR_TRUST) / (weight + prior)
    return float(min(max(trust, 0.0), 1.0))


@inner
def season_factor(bin_index: int, seasons: int, shape: Shape, state: State) -> float:
    """Demand over its level at `bin_index`, by the first `seasons` of the seasons.

    The first season counts once a cycle was seen, a longer one after two: until then the shorter stands for it.
    """
    factor = 1.0
    start = 0
    for i in range(seasons):
        period = shape.periods[i]
        if state.seen[0] < period * (1 if i == 0 else 2):
            break
        ratio, cycles = slot_ratio(
            state, start, shape.slots[i], phase_of(bin_index, period, shape.lengths[i], shape.days)
        )
        trust = season_trust(state.evidence[i], period) * cycles / (cycles + _PRIOR_CYCLES)
        factor += trust * (ratio - factor)
        start += shape.slots[i]
    return factor


@inner
def current_levels(levels: FloatArray) -> tuple[float, float]:
    """(fast, slow) level, work per second, each the decayed least squares of demand on factors; NaN before any.

    The fast one is drawn to the slow one at low factors.
    """
    # Not unpacked from rows: that takes twice as long to compile.
    fast_demand, fast_factors, fast_weight = levels[0, 0], levels[0, 1], levels[0, 2]
    if levels[1, 1] <= 0.0:
        return np.nan, np.nan
    slow = levels[1, 0] / levels[1, 1]
    pull = _SLOW_SHARE * fast_weight * _LOW_FACTOR_SQUARED / (_LOW_FACTOR_SQUARED + fast_factors / fast_weight)
    return (fast_demand + pull * slow) / (fast_factors + pull), slow


@kernel(nogil=True)
def profile_filter(values: FloatArray, first_bin: int, shape: Shape, state: State, trail: FloatArray) -> None:
    """See `values` (n,), the first of which is bin `first_bin`.

    A missing bin stands in the windows as the model's own forecast and teaches nothing. `trail` (n, 3) receives the
    factor at each bin, known before it, and the fast and slow level after it.
    """
    # Taken out of the tuples here: in a loop, each look-up of an array counts a reference.
    periods = shape.periods
    seen, ring, known, _, _, evidence, levels = state
    seasons, bins = len(periods), len(ring)
    for t in range(len(values)):
        at = seen[0]
        row = trail[t]
        missing = math.isnan(values[t])
        if missing and at == 0:
            row[0] = row[1] = row[2] = math.nan
            continue
        factor = season_factor(first_bin + t, seasons, shape, state)
        filled = np.float32(min(current_levels(levels)[0] * factor if missing else values[t], _LARGEST))
        _move_levels(values[t], factor, shape.decays, levels)
        for i in range(seasons):
            # What enters the sum is what will leave it, to the bit.
            evidence[i, WINDOW_SUM] += filled
            if at >= periods[i]:
                evidence[i, WINDOW_SUM] -= ring[(at - periods[i]) % bins]
        ring[at % bins] = filled
        known[at % bins] = not missing
        seen[0] = at + 1
        row[0] = factor
        row[1], row[2] = current_levels(levels)
        _learn_ratios(first_bin + t, shape, state)


@kernel()
def profile_forecast(steps: int, next_bin: int, reversion: float, shape: Shape, state: State) -> FloatArray:
    """Forecast at steps 1..steps, shape (steps,): the level, on its way back to the slow one, times the factor.

    `reversion` is the share of the distance between the levels that is left after a step.
    """
    forecast = np.empty(steps)
    level, slow = current_levels(state.levels)
    for h in range(steps):
        level = slow + reversion * (level - slow)
        forecast[h] = level * max(season_factor(next_bin + h, len(shape.periods), shape, state), 0.0)
    return forecast


@kernel(nogil=True)
def profile_walk(
    values: FloatArray,
    first_bin: int,
    grid: IntArray,
    every: int,
    reversion: float,
    shape: Shape,
    state: State,
    ahead: FloatArray,
) -> None:
    """See `values` (n,) as `profile_filter` does, and say after every so many bins what is forecast.

    `ahead`, shape (n // every, k, 2), receives the forecast at each step of `grid` (k,) and the largest until then.
    """
    trail = np.empty((every, 3))
    for origin in range(0, len(values), every):
        bins = values[origin : origin + every]
        profile_filter(bins, first_bin + origin, shape, state, trail)
        if len(bins) == every:
            forecast = profile_forecast(grid[-1], first_bin + origin + every, reversion, shape, state)
            at_grid(forecast, grid, ahead[origin // every])


@inner
def _move_levels(value: float, factor: float, decays: FloatArray, levels: FloatArray) -> None:
    known = not math.isnan(value)
    for i in range(2):
        if known or levels[i, 2] > _MIN_LEVEL_WEIGHT:
            for j in range(3):
                levels[i, j] *= decays[i]
        if known:
            levels[i, 0] += factor * value
            levels[i, 1] += factor * factor
            levels[i, 2] += 1.0


@inner
def _learn_ratios(now: int, shape: Shape, state: State) -> None:
    """After bin `now`: learn, per season, the ratio of the bin in the middle of its window.

    The first cycle is learned as a whole, against one mean, when it is complete.
    """
    seen = state.seen[0]
    bins = len(state.ring)
    for i in range(len(shape.periods)):
        period = shape.periods[i]
        mean = max(state.evidence[i, WINDOW_SUM], 0.0) / period
        middle = seen - period + period // 2
        first, stop = (seen - period, seen) if seen == period else (middle, middle + 1)
        if mean > 0.0 and (seen == period or middle >= period):
            for j in range(first, stop):
                if state.known[j % bins]:
                    _learn_ratio(state.ring[j % bins] / mean, now + 1 - seen + j, i, shape, state)


@inner
def _learn_ratio(ratio: float, bin_index: int, season: int, shape: Shape, state: State) -> None:
    """Put the season to the test with one ratio, against what holds without it; then learn the ratio."""
    period, slots = shape.periods[season], shape.slots[season]
    start = 0
    for before in range(season):
        start += shape.slots[before]
    evidence = state.evidence[season]
    phase = phase_of(bin_index, period, shape.lengths[season], shape.days)
    expected, cycles = slot_ratio(state, start, slots, phase)
    limit = np.inf
    if cycles >= 0.75:
        deviation = abs(ratio - expected)
        evidence[DEVIATION] += (deviation - evidence[DEVIATION]) / min(evidence[WEIGHT] + 1.0, float(period))
        limit = _CLIP_DEVIATIONS * evidence[DEVIATION]
        fade = 0.5 ** (1.0 / (_EVIDENCE_CYCLES * period))
        without = season_factor(bin_index, season, shape, state)
        swing = cycles / (cycles + _PRIOR_CYCLES) * (expected - without)
        came = expected - without + min(max(ratio - expected, -limit), limit)
        evidence[COVARIANCE] = fade * evidence[COVARIANCE] + swing * came
        evidence[VARIANCE] = fade * evidence[VARIANCE] + swing * swing
        evidence[WEIGHT] = fade * evidence[WEIGHT] + 1.0
    slot = start + int(phase * slots)
    share = slots / period
    state.cycles[slot] = min(state.cycles[slot] + share, 1.0 / _MIN_GAIN)
    state.ratios[slot] += share / state.cycles[slot] * min(max(ratio - state.ratios[slot], -limit), limit)
