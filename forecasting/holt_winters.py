"""Multi-seasonal additive Holt-Winters as a point model; the recursion is in `holt_winters_kernels`."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from forecasting.errors import ModelError
from forecasting.holt_winters_kernels import Smoothing, States, hw_filter, hw_forecast, hw_search, hw_walk
from forecasting.periods import detect_periods
from forecasting.protocol import check_steps
from forecasting.series import FloatArray, Series
from forecasting.step_grid import IntArray
from forecasting.transform import Transform, TransformName

# The search's grid. Trends are tried at half-lives of the damping from 7 bins to 70: an undamped one runs away over
# the hundreds of steps that a daily horizon has.
_ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_BETAS = (0.0, 0.01, 0.05, 0.2)
_PHIS = (0.9, 0.98, 0.99)
_GAMMAS = (0.0, 0.01, 0.03, 0.1, 0.25)
# Where the search starts: 0.2, 0, 0.98, and 0.03 for each gamma.
_FIRST = (4, 0, 1)
_FIRST_GAMMA = 2


@dataclass(frozen=True, slots=True)
class HoltWinters:
    """Level, damped trend and additive seasons on a transformed scale, smoothing parameters from a grid.

    Attributes:
        periods: bins per season, increasing; None detects them when it is fitted, () is none.
        transform: scale on which the seasons add up; "sqrt" suits counts and tolerates idle bins.
        parameters: (alpha, beta, phi, gamma per period) to use as they are; None searches them.
        name: short name for tables.
    """

    periods: tuple[int, ...] | None = None
    transform: TransformName = "sqrt"
    parameters: tuple[float, ...] | None = None
    name: str = "holt-winters"

    def __post_init__(self) -> None:
        periods = self.periods or ()
        if any(period < 2 for period in periods) or any(a >= b for a, b in itertools.pairwise(periods)):
            raise ModelError(f"periods must increase and be at least 2 bins each, got {self.periods}")
        if self.parameters is None:
            return
        if self.periods is None or len(self.parameters) != 3 + len(periods):
            raise ModelError("parameters need given periods: alpha, beta, phi, then one gamma per period")
        if not all(0.0 <= parameter <= 1.0 for parameter in self.parameters):
            raise ModelError(f"each smoothing parameter must be in 0..1, got {self.parameters}")

    def fit(self, series: Series) -> FittedHoltWinters:
        """Choose periods, initial states and parameters from `series`, and stand at its end.

        A season that `series` doesn't hold twice is left out of a search: one cycle can't be told from chance.
        """
        start, values = self._started(series)
        return start.after(values)

    def fit_and_walk(
        self, series: Series, first: int, grid: IntArray, every: int
    ) -> tuple[FittedHoltWinters, FloatArray]:
        """`fit`, and what it forecasts on the way: see `forecasting.walk`.

        Initial states are those of the earlier half; only the smoothing was chosen on the whole, from a coarse grid.
        """
        start, values = self._started(series)
        return start.after(values[:first]).walk(series.values[first:].copy(), grid, every)

    def _started(self, series: Series) -> tuple[FittedHoltWinters, FloatArray]:
        """The states before the first bin of `series`, and its bins on the transformed scale."""
        periods = detect_periods(series) if self.periods is None else self.periods
        transform = Transform.of(self.transform, series.values)
        values = transform.forward(series.values)
        if self.parameters is None:
            periods = tuple(period for period in periods if 2 * period <= len(series))
            start, score_from = initial_states(values, periods)
            smoothing = search_smoothing(values, periods, start, score_from)
        else:
            start, _ = initial_states(values, periods)
            smoothing = _smoothing(self.parameters, periods)
        return FittedHoltWinters(transform, smoothing, 0, start), values


@dataclass(frozen=True, slots=True)
class FittedHoltWinters:
    """States on the transformed scale before bin `next_bin`; the level is NaN until a bin is known."""

    transform: Transform
    smoothing: Smoothing = field(repr=False)
    next_bin: int
    states: States = field(repr=False)

    def update(self, value: float) -> Self:
        """See one more bin; a missing one moves the states on by their own forecast."""
        return self.after(self.transform.forward(np.array([value])))

    def after(self, values: FloatArray) -> Self:
        """The states after more bins, already transformed, shape (n,)."""
        states = self._states_before(values)
        level, trend = hw_filter(values, self.smoothing, self.next_bin, states, np.empty(len(values)))
        return self._moved(len(values), level, trend, states)

    def walk(self, values: FloatArray, grid: IntArray, every: int = 1) -> tuple[Self, FloatArray]:
        """The states after more bins, work per second, and forecasts on the way: see `forecasting.walk`."""
        values = self.transform.forward(values)
        states = self._states_before(values)
        ahead = np.empty((len(values) // every, len(grid), 2))
        level, trend = hw_walk(values, self.smoothing, self.next_bin, states, grid, every, ahead)
        return self._moved(len(values), level, trend, states), self.transform.inverse(ahead)

    def forecast(self, steps: int) -> FloatArray:
        """Median at steps 1..steps, shape (steps,), work per second."""
        check_steps(steps)
        forecast = np.empty(steps)
        hw_forecast(self.smoothing, self.next_bin, self.states, forecast)
        return self.transform.inverse(forecast)

    def _states_before(self, values: FloatArray) -> States:
        """A copy that a kernel may write to, with the first known of `values` as the level where there is none."""
        level, trend, seasons = self.states
        if math.isnan(level):
            known = values[~np.isnan(values)]
            level = float(known[0]) if len(known) else math.nan
        return States(level, trend, seasons.copy())

    def _moved(self, bins: int, level: float, trend: float, states: States) -> Self:
        return type(self)(self.transform, self.smoothing, self.next_bin + bins, States(level, trend, states.seasons))


def initial_states(values: FloatArray, periods: tuple[int, ...]) -> tuple[States, int]:
    """States before the first bin, without a trend, and the bins that they come from: half of transformed `values`.

    The later half stays unseen, to choose the smoothing on: seasons from all of it would need no smoothing at all.
    The shortest season is the mean of each phase around the mean of all, the next one what that leaves, and so on;
    a phase that was never seen has none. The level is the mean of the first longest cycle, without the seasons.
    """
    half = (len(values) + 1) // 2
    values = values[:half]
    known = ~np.isnan(values)
    if not known.any():
        return States(math.nan, 0.0, np.zeros(sum(periods))), half
    mean = float(values[known].mean())
    rest = values - mean
    seasons = [np.empty(0)]
    for period in periods:
        phase = np.arange(len(values)) % period
        total = np.bincount(phase[known], weights=rest[known], minlength=period)
        count = np.bincount(phase[known], minlength=period)
        season = total / np.maximum(count, 1)
        season[count > 0] -= season[count > 0].mean()
        rest = rest - season[phase]
        seasons.append(season)
    first_cycle = rest[: max(periods, default=1)]
    first = first_cycle[~np.isnan(first_cycle)]
    start = first.mean() if len(first) else rest[known][0]
    return States(mean + float(start), 0.0, np.concatenate(seasons)), half


def search_smoothing(values: FloatArray, periods: tuple[int, ...], start: States, score_from: int) -> Smoothing:
    """The smoothing of the least squared one-step error on values[score_from:], by coordinate search.

    `values` (n,) are transformed, `start` holds the states before the first of them.
    """
    first = np.array((*_FIRST, *(_FIRST_GAMMA for _ in periods)), dtype=np.int64)
    grid = (np.array(_ALPHAS), np.array(_BETAS), np.array(_PHIS), np.array(_GAMMAS))
    best = hw_search(values, first, grid, np.array(periods, dtype=np.int64), score_from, start)
    return _smoothing(tuple(float(parameter) for parameter in best), periods)


def _smoothing(parameters: tuple[float, ...], periods: tuple[int, ...]) -> Smoothing:
    alpha, beta, phi, *gammas = parameters
    return Smoothing(alpha, beta, phi, np.array(gammas, dtype=np.float64), np.array(periods, dtype=np.int64))
