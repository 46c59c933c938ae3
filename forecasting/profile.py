"""The seasonal profile: what a bin of the day (or week) usually is of the level, times the level of now."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from forecasting.clock import DAY_S, UTC_ZONE, Clock, Days, clock_of, days_of
from forecasting.errors import ModelError
from forecasting.periods import periods_to_try
from forecasting.profile_kernels import Shape, State, profile_filter, profile_forecast, profile_walk
from forecasting.protocol import check_steps
from forecasting.series import FloatArray, Series
from forecasting.step_grid import IntArray

# Slots per season at most: five minutes of a day, half an hour of a week. Finer ones see too little per cycle.
_MAX_SLOTS = (288, 336)
_SLOW_HALF_LIFE_S = DAY_S

# What is tried where the user doesn't say. Traces differ: steady ones want 5 minutes (error 13 % below 10 minutes),
# noisy ones an hour (5 % below); a service that moves in steps never reverts, one with bursts does so within hours.
_LEVEL_HALF_LIVES_S = (60.0, 150.0, 300.0, 600.0, 1_200.0, 2_400.0, 4_800.0)
_REVERSION_HALF_LIVES_S = (6 * 3_600.0, DAY_S, 7 * DAY_S)
_DEFAULT_LEVEL_HALF_LIFE_S = 600.0
_DEFAULT_REVERSION_HALF_LIFE_S = DAY_S
# The level's half-life is scored at the lead and at so many leads: what suits one bin ahead can be all noise at six.
_LEADS_BEYOND = 6.0
_REVERSION_HORIZONS_S = (3_600.0, 6 * 3_600.0, DAY_S)
# The latest bins, 28 days of minutes, of which the later half is scored: 10 million would take seconds per half-life.
_TUNED_BINS = 40_320


@dataclass(frozen=True, slots=True)
class SeasonalProfile:
    """Robust seasonal profile times level; without a season, a level that reverts to its slow mean.

    A season is followed as far as it came true out of sample, so one that isn't there fades to no season.

    Attributes:
        periods: bins per season, increasing, at most two (a longer one stands on the shorter until it was seen
            twice); None is what `periods_to_try` finds when it is fitted, () is none.
        level_half_life_s: seconds in which a bin loses half its weight in the level of now; None takes the one of
            the least error `lead_s` ahead when it is fitted.
        reversion_half_life_s: seconds ahead at which half of the level's distance to its slow mean is left; None
            takes the one of the least error an hour to a day ahead when it is fitted.
        lead_s: horizon in seconds that the level is tuned to; the load of a model is the one that matters.
        name: short name for tables.
        time_zone: IANA name of the zone whose clocks seasons of whole days follow; ModelError where there is none.
    """

    periods: tuple[int, ...] | None = None
    level_half_life_s: float | None = None
    reversion_half_life_s: float | None = None
    lead_s: float = 600.0
    name: str = "seasonal-profile"
    time_zone: str = UTC_ZONE

    def __post_init__(self) -> None:
        clock_of(self.time_zone)
        lengths_s = (self.level_half_life_s, self.reversion_half_life_s, self.lead_s)
        if any(length_s is not None and not length_s > 0 for length_s in lengths_s):
            raise ModelError(f"half-lives and lead must be positive numbers of seconds, got {lengths_s}")
        periods = self.periods or ()
        ordered = all(first < second for first, second in itertools.pairwise(periods))
        if len(periods) > len(_MAX_SLOTS) or not ordered or any(period < 2 for period in periods):
            raise ModelError(f"periods must increase, be at most two and at least 2 bins each, got {self.periods}")

    def fit(self, series: Series) -> FittedProfile:
        """Learn from `series` and stand at its end."""
        periods = periods_to_try(series) if self.periods is None else self.periods
        recent = Series.of(series.values, bin_s=series.bin_s, start_s=series.start_s, max_bins=_TUNED_BINS)
        level_s, fitted, trail = self._tuned(recent, periods)
        reversion_s = self._tuned_reversion_s(recent, trail)
        if len(series) > len(recent):
            fitted, _ = _filtered(series, periods, level_s, clock_of(self.time_zone))
        return replace(fitted, reversion=0.5 ** (series.bin_s / reversion_s))

    def _tuned(self, series: Series, periods: tuple[int, ...]) -> tuple[float, FittedProfile, FloatArray]:
        """Half-life of the level: the one given, else that of the least error on `series`; what it learns of it."""
        if self.level_half_life_s is not None:
            return self.level_half_life_s, *_filtered(series, periods, self.level_half_life_s, clock_of(self.time_zone))
        horizons_s = (self.lead_s, _LEADS_BEYOND * self.lead_s)
        tried = [_filtered(series, periods, tried_s, clock_of(self.time_zone)) for tried_s in _LEVEL_HALF_LIVES_S]
        errors = [_errors(series, trail, horizons_s, _DEFAULT_REVERSION_HALF_LIFE_S) for _, trail in tried]
        best = _least(errors, _LEVEL_HALF_LIVES_S.index(_DEFAULT_LEVEL_HALF_LIFE_S))
        return _LEVEL_HALF_LIVES_S[best], *tried[best]

    def _tuned_reversion_s(self, series: Series, trail: FloatArray) -> float:
        """Half-life of the level's reversion: the one given, else that of the least error on `series`."""
        if self.reversion_half_life_s is not None:
            return self.reversion_half_life_s
        errors = [_errors(series, trail, _REVERSION_HORIZONS_S, tried_s) for tried_s in _REVERSION_HALF_LIVES_S]
        return _REVERSION_HALF_LIVES_S[_least(errors, _REVERSION_HALF_LIVES_S.index(_DEFAULT_REVERSION_HALF_LIFE_S))]


@dataclass(frozen=True, slots=True)
class FittedProfile:
    """What was learned before bin `next_bin`; `reversion` is the share of the distance between levels left per bin."""

    shape: Shape = field(repr=False)
    reversion: float
    next_bin: int
    state: State = field(repr=False)

    def update(self, value: float) -> Self:
        """See one more bin; a missing one teaches nothing."""
        return self.after(np.array([value]), np.empty((1, 3)))

    def after(self, values: FloatArray, trail: FloatArray) -> Self:
        """The state after more bins, shape (n,), work per second; `trail` (n, 3) is as in `profile_filter`."""
        state = _copied(self.state)
        profile_filter(values, self.next_bin, self.shape, state, trail)
        return replace(self, next_bin=self.next_bin + len(values), state=state)

    def walk(self, values: FloatArray, grid: IntArray, every: int = 1) -> tuple[Self, FloatArray]:
        """The state after more bins, work per second, and forecasts on the way: see `forecasting.walk`."""
        state = _copied(self.state)
        ahead = np.empty((len(values) // every, len(grid), 2))
        profile_walk(values, self.next_bin, grid, every, self.reversion, self.shape, state, ahead)
        return replace(self, next_bin=self.next_bin + len(values), state=state), ahead

    def forecast(self, steps: int) -> FloatArray:
        """Median at steps 1..steps, shape (steps,), work per second; NaN before a bin is known."""
        check_steps(steps)
        return profile_forecast(steps, self.next_bin, self.reversion, self.shape, self.state)


def _copied(state: State) -> State:
    return State(
        state.seen.copy(),
        state.ring.copy(),
        state.known.copy(),
        state.ratios.copy(),
        state.cycles.copy(),
        state.evidence.copy(),
        state.levels.copy(),
    )


def _filtered(
    series: Series, periods: tuple[int, ...], level_half_life_s: float, clock: Clock
) -> tuple[FittedProfile, FloatArray]:
    """What `series` teaches, without reversion yet, and the trail (n, 3) that led there."""
    days = days_of(clock, start_s=series.start_s, bin_s=series.bin_s)
    slots = [min(period, most) for period, most in zip(periods, _MAX_SLOTS, strict=False)]
    # A tenth of a bin is the last bin alone; less would divide by zero.
    half_lives_s = np.maximum([level_half_life_s, _SLOW_HALF_LIFE_S], 0.1 * series.bin_s)
    shape = Shape(
        periods=np.array(periods, dtype=np.int64),
        lengths=np.array([_bins_of_whole_days(period, days) for period in periods], dtype=np.float64),
        slots=np.array(slots, dtype=np.int64),
        decays=0.5 ** (series.bin_s / half_lives_s),
        days=days,
    )
    longest = max(periods, default=1)
    state = State(
        seen=np.zeros(1, dtype=np.int64),
        ring=np.zeros(longest, dtype=np.float32),
        known=np.zeros(longest, dtype=np.bool_),
        ratios=np.ones(sum(slots)),
        cycles=np.zeros(sum(slots)),
        evidence=np.zeros((len(periods), 5)),
        levels=np.zeros((2, 3)),
    )
    trail = np.empty((len(series), 3))
    # A copy, because numba would compile the kernel once more for an array that is read-only.
    return FittedProfile(shape, 1.0, 0, state).after(series.values.copy(), trail), trail


def _bins_of_whole_days(period: int, days: Days) -> float:
    """Bins of the whole days that a season of `period` bins stands for; 0 where it stands for none.

    Of 25 minutes a day has 57.6: in 58 the season was off by hours after weeks.
    """
    if days.day == 1:
        return float(period)
    count = round(period * days.bin_s / DAY_S)
    length = count * DAY_S / days.bin_s
    return length if round(length) == period else 0.0


def _errors(
    series: Series, trail: FloatArray, horizons_s: Sequence[float], reversion_half_life_s: float
) -> list[float]:
    """Mean absolute error at each horizon on the later half of `series`; NaN where it is shorter than a horizon."""
    values = series.values
    factor, fast, slow = trail.T
    first = len(values) // 2
    errors = []
    for horizon_s in horizons_s:
        steps = max(1, round(horizon_s / series.bin_s))
        if steps >= len(values):
            errors.append(math.nan)
            continue
        left = 0.5 ** (steps * series.bin_s / reversion_half_life_s)
        origin = slice(max(first - steps, 0), len(values) - steps)
        target = slice(origin.start + steps, len(values))
        level = slow[origin] + left * (fast[origin] - slow[origin])
        error = np.abs(values[target] - level * np.maximum(factor[target], 0.0))
        error = error[~np.isnan(error)]
        errors.append(float(error.mean()) if len(error) else math.nan)
    return errors


def _least(errors: list[list[float]], default: int) -> int:
    """The row (a candidate) with the least errors over the columns (horizons), each in units of the default's.

    The default's, where an error is unknown because the history is shorter than a horizon.
    """
    # Beside no error at all, as of constant demand, the last place of a large number is infinitely more.
    with np.errstate(over="ignore"):
        relative = np.array(errors) / np.maximum(errors[default], np.finfo(np.float64).tiny)
    total = relative.sum(axis=1)
    return default if np.isnan(total).any() else int(np.argmin(total))
