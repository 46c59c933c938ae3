"""Calibrated intervals around any point model, from how wrong it was at each horizon.

Conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005) on rolling origins:
log ratios of what came to what was forecast, over the size to expect of them now, are counted per horizon, and their
quantiles make the intervals. That size follows the recent change of the demand and recent residuals. Old residuals
fade, so that coverage comes back after the service has changed (the aim of Gibbs and Candes, "Adaptive Conformal
Inference Under Distribution Shift", 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.append_log import AppendLog
from forecasting.conformal_kernels import (
    TARGETS,
    add_changes,
    grid_forecasts,
    grid_quantiles,
    learn_outcomes,
    spreads,
)
from forecasting.protocol import FittedPoint, PointModel, check_levels, check_steps
from forecasting.residual_histogram import prior_histogram
from forecasting.series import FloatArray, Series
from forecasting.step_grid import IntArray, interpolate_steps, step_grid

_DAY_S = 86_400.0

# Residuals halve in weight in three days, their size in a quarter of one. Twice as slow, the central 50 % held 61 % of
# what came after a regime had calmed down; twice as fast, the 90 % held 85 %, for want of last week's Monday.
_HALF_LIFE_S = 3.0 * _DAY_S
_SIZE_HALF_LIFE_S = 0.25 * _DAY_S
# Share of the mean demand that doesn't matter: added before the logarithm, so that an idle bin is no infinite error.
_FLOOR_SHARE = 0.02

# A fit takes residuals from its later half, at most so many bins and origins: 14 days of minutes take a second.
_ROLLED_BINS = 20_160
_ROLLED_ORIGINS = 4_000

# Quantiles stay below 1.28 times the largest demand seen, which halves in 14 days: after a start from next to nothing,
# as every Monday morning, the same ratio on top of a busy hour would be 100 times all that ever came.
_HEADROOM = 1.28
_PEAK_HALF_LIFE_S = 14.0 * _DAY_S


@dataclass(frozen=True, slots=True)
class Conformal:
    """A forecaster from a point model.

    Attributes:
        point_model: the model of the middle.
        steps_max: the longest step that residuals are kept for; beyond it, intervals are as wide as there.
        floor: work per second that doesn't matter; None takes 2 % of the mean demand.
    """

    point_model: PointModel
    steps_max: int
    floor: float | None = None

    def __post_init__(self) -> None:
        check_steps(self.steps_max)

    @property
    def name(self) -> str:
        """The point model's."""
        return self.point_model.name

    def fit(self, series: Series) -> FittedConformal:
        """Learn the model on the older half of `series`, its residuals on the rest, then the model on all of it."""
        values = series.values
        first = max(len(values) // 2, len(values) - _ROLLED_BINS)
        every = 1 + (len(values) - first) // _ROLLED_ORIGINS
        growth = 2.0 ** (series.bin_s / _HALF_LIFE_S)
        head = Series.of(values[:first], bin_s=series.bin_s, start_s=series.start_s, max_bins=series.log.rows_max)
        rolled = self._start(head, growth**every)
        for i, value in enumerate(values[first:], start=1):
            rolled = rolled.after(float(value), rolled.point.update(float(value)), speaks=i % every == 0)
        if first < len(values):
            rolled = replace(rolled, point=self.point_model.fit(series))
        return replace(rolled, growth=growth)

    def _start(self, series: Series, growth: float) -> FittedConformal:
        """The model fitted to `series`, without a residual yet."""
        ages_s = series.bin_s * np.arange(len(series), 0, -1)
        known = ~np.isnan(series.values)
        grid = step_grid(self.steps_max)
        changes = np.zeros((len(grid), 2))
        fitted = FittedConformal(
            point=self.point_model.fit(series),
            grid=grid,
            floor_given=self.floor,
            growth=growth,
            known_bins=int(known.sum()),
            known_sum=float(series.values[known].sum()),
            peak=float((series.values * 0.5 ** (ages_s / _PEAK_HALF_LIFE_S))[known].max(initial=0.0)),
            peak_decay=0.5 ** (series.bin_s / _PEAK_HALF_LIFE_S),
            changes=changes,
            sizes=np.zeros((len(grid), TARGETS, 2)),
            aging=0.5 ** (series.bin_s / _SIZE_HALF_LIFE_S),
            histograms=np.tile(prior_histogram(), (len(grid), TARGETS, 1)),
            values=AppendLog.of(series.values, rows_max=self.steps_max),
            forecasts=AppendLog.empty((len(grid), 2 * TARGETS), rows_max=self.steps_max),
        )
        add_changes(series.values, fitted.floor, grid, changes)
        return fitted.standing(speaks=True)


@dataclass(frozen=True, slots=True)
class FittedConformal:
    """A fitted point model and its residuals. Fields are arrays that must not be written to.

    Attributes:
        point: the point model.
        grid: steps that residuals are kept for, shape (k,).
        floor_given: as in Conformal.
        growth: weight of a residual over that of the one before.
        known_bins, known_sum: number and sum of the bins that were not missing.
        peak: the largest demand seen, slowly forgotten.
        peak_decay: share of it that is left after a bin.
        aging: weight that the size of past residuals keeps per bin.
        changes, sizes: recent changes of the demand, and of residuals' size, per horizon: see conformal_kernels.
        histograms: of standardised residuals, shape (k, TARGETS, CELLS + 1).
        values: the latest bins.
        forecasts: what was said at the latest origins, see conformal_kernels; NaN where nothing was.
    """

    point: FittedPoint
    grid: IntArray
    floor_given: float | None
    growth: float
    known_bins: int
    known_sum: float
    peak: float
    peak_decay: float
    aging: float
    changes: FloatArray = field(repr=False)
    sizes: FloatArray = field(repr=False)
    histograms: FloatArray = field(repr=False)
    values: AppendLog = field(repr=False)
    forecasts: AppendLog = field(repr=False)

    @property
    def floor(self) -> float:
        """Work per second that is added before the logarithm."""
        if self.floor_given is not None:
            return self.floor_given
        return _FLOOR_SHARE * self.known_sum / self.known_bins if self.known_sum > 0 else 1.0

    def update(self, value: float) -> Self:
        """See one more bin; a missing one is no residual. Takes as long as a forecast of `steps_max` steps."""
        return self.after(value, self.point.update(value), speaks=True)

    def after(self, value: float, point: FittedPoint, *, speaks: bool) -> Self:
        """The state after one more bin, which `point` has seen; one that doesn't speak has nothing to learn from."""
        values = self.values.append(value)
        histograms, changes, sizes = self.histograms.copy(), self.changes.copy(), self.sizes.copy()
        learn_outcomes(
            values.rows, self.forecasts.rows, self.grid, self.floor, self.growth, self.aging, histograms, sizes
        )
        add_changes(values.rows[-2:], self.floor, self.grid, changes)
        missing = math.isnan(value)
        return replace(
            self,
            point=point,
            known_bins=self.known_bins + (not missing),
            known_sum=self.known_sum + (0.0 if missing else value),
            peak=max(self.peak_decay * self.peak, 0.0 if missing else value),
            changes=changes,
            sizes=sizes,
            histograms=histograms,
            values=values,
        ).standing(speaks=speaks)

    def standing(self, *, speaks: bool) -> Self:
        """The state with its forecast from here written down, or with none."""
        row = np.full((len(self.grid), 2 * TARGETS), math.nan)
        if speaks:
            grid_forecasts(self.point.forecast(int(self.grid[-1])), self.grid, row)
            spreads(self.changes, self.sizes, self.grid, row[:, TARGETS:])
        return replace(self, forecasts=self.forecasts.append(row))

    def quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """See FittedForecaster."""
        return self._around(self.point.forecast(steps), 0, check_levels(levels))

    def peak_quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """See FittedForecaster; a longer window's are not below a shorter one's."""
        largest = np.maximum.accumulate(self.point.forecast(steps))
        return np.maximum.accumulate(self._around(largest, 1, check_levels(levels)), axis=0)

    def _around(self, middle: FloatArray, target: int, levels: FloatArray) -> FloatArray:
        """Quantiles of `target` around `middle`, shape (steps,): shape (steps, q)."""
        spread = np.empty((len(self.grid), TARGETS))
        spreads(self.changes, self.sizes, self.grid, spread)
        ratios = grid_quantiles(self.histograms, spread, target, levels)
        logs = np.log(middle + self.floor)[:, None] + interpolate_steps(self.grid, ratios, len(middle))
        bound = math.log(_HEADROOM * self.peak + self.floor)
        return np.maximum(np.exp(np.minimum(logs, bound)) - self.floor, 0.0)
