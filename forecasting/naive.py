"""Naive models, as first-class ones: what every other model must beat, and what it falls back on.

All of them skip a missing bin. None of them reads it as zero: a scrape outage is not an idle service.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from forecasting.errors import ModelError
from forecasting.kernel import kernel
from forecasting.protocol import check_steps
from forecasting.series import FloatArray, Series


def last_known(values: FloatArray) -> float:
    """The last value of `values` (n,) that is not missing; NaN when there is none."""
    known = np.flatnonzero(~np.isnan(values))
    return float(values[known[-1]]) if len(known) else math.nan


@dataclass(frozen=True, slots=True)
class LastValue:
    """Tomorrow is like now: the last known value at every step."""

    name: str = "last-value"

    def fit(self, series: Series) -> FittedLastValue:
        """Stand at the end of `series`."""
        return FittedLastValue(last_known(series.values))


@dataclass(frozen=True, slots=True)
class FittedLastValue:
    """The last known value, work per second; NaN before there is one."""

    last: float

    def update(self, value: float) -> Self:
        """See one more bin."""
        return self if math.isnan(value) else type(self)(value)

    def forecast(self, steps: int) -> FloatArray:
        """The same value at steps 1..steps, shape (steps,)."""
        check_steps(steps)
        return np.full(steps, self.last)


@dataclass(frozen=True, slots=True)
class WindowMean:
    """The mean of the known bins in the last `window_s` seconds (at least one bin), at every step."""

    window_s: float = 600.0
    name: str = "window-mean"

    def __post_init__(self) -> None:
        _check_positive("window_s", self.window_s)

    def fit(self, series: Series) -> FittedWindowMean:
        """Stand at the end of `series`."""
        window = max(1, round(self.window_s / series.bin_s))
        return FittedWindowMean(_tail(series, window), last_known(series.values))


@dataclass(frozen=True, slots=True)
class FittedWindowMean:
    """The bins of the window, and the last known value for a window without any."""

    window: Series
    last: float

    def update(self, value: float) -> Self:
        """See one more bin."""
        return type(self)(self.window.append(value), self.last if math.isnan(value) else value)

    def forecast(self, steps: int) -> FloatArray:
        """The window's mean at steps 1..steps, shape (steps,)."""
        check_steps(steps)
        values = self.window.values
        known = values[~np.isnan(values)]
        return np.full(steps, known.mean() if len(known) else self.last)


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """The same bin of the last period; the last known value where that one is missing or was not yet seen."""

    period_bins: int
    name: str = "seasonal-naive"

    def __post_init__(self) -> None:
        if self.period_bins < 1:
            raise ModelError(f"period_bins must be at least 1, got {self.period_bins}")

    def fit(self, series: Series) -> FittedSeasonalNaive:
        """Stand at the end of `series`."""
        return FittedSeasonalNaive(self.period_bins, _tail(series, self.period_bins), last_known(series.values))


@dataclass(frozen=True, slots=True)
class FittedSeasonalNaive:
    """The last period, and the last known value."""

    period_bins: int
    period: Series
    last: float

    def update(self, value: float) -> Self:
        """See one more bin."""
        last = self.last if math.isnan(value) else value
        return type(self)(self.period_bins, self.period.append(value), last)

    def forecast(self, steps: int) -> FloatArray:
        """Step h is what bin n + h - 1 was one period (or as many as it takes to be known) ago, shape (steps,)."""
        check_steps(steps)
        cycle = np.full(self.period_bins, self.last)
        seen = self.period.values
        cycle[self.period_bins - len(seen) :] = np.where(np.isnan(seen), self.last, seen)
        return cycle[np.arange(steps) % self.period_bins]


@dataclass(frozen=True, slots=True)
class ExponentialLevel:
    """A mean whose weights halve every `half_life_s` seconds, at every step.

    A missing bin ages the weights of those before it, so that the first value after an outage counts for more.
    """

    half_life_s: float = 600.0
    name: str = "exponential-level"

    def __post_init__(self) -> None:
        _check_positive("half_life_s", self.half_life_s)

    def fit(self, series: Series) -> FittedExponentialLevel:
        """Stand at the end of `series`."""
        decay = 0.5 ** (series.bin_s / self.half_life_s)
        level, weight = exponential_level(series.values, decay, math.nan, 0.0)
        return FittedExponentialLevel(decay, float(level), float(weight))


@dataclass(frozen=True, slots=True)
class FittedExponentialLevel:
    """The level (work per second) and the sum of the weights behind it."""

    decay: float
    level: float
    weight: float

    def update(self, value: float) -> Self:
        """See one more bin."""
        level, weight = exponential_level(np.array([value]), self.decay, self.level, self.weight)
        return type(self)(self.decay, float(level), float(weight))

    def forecast(self, steps: int) -> FloatArray:
        """The level at steps 1..steps, shape (steps,)."""
        check_steps(steps)
        return np.full(steps, self.level)


@kernel()
def exponential_level(values: FloatArray, decay: float, level: float, weight: float) -> tuple[float, float]:
    """(level, sum of weights) after `values` (n,), from those before it (NaN, 0 where there are none)."""
    for value in values:
        weight *= decay
        if not np.isnan(value):
            before = 0.0 if np.isnan(level) else level
            weight += 1.0
            level = before + (value - before) / weight
    return level, weight


def _tail(series: Series, bins: int) -> Series:
    """The last `bins` bins, and no more than that as it grows."""
    return Series.of(series.values[-bins:], bin_s=series.bin_s, start_s=series.end_s, max_bins=bins)


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ModelError(f"{name} must be a positive number of seconds, got {value}")
