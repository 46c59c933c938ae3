"""Calibrated intervals around any point model, from how wrong it was at each horizon.

Conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005) on rolling origins:
log ratios of what came to what was forecast, over the size to expect of them now, are counted per horizon, and their
quantiles make the intervals. That size follows the recent change of the demand and recent residuals. Old residuals
fade, so that coverage comes back after the service has changed (the aim of Gibbs and Candes, "Adaptive Conformal
Inference Under Distribution Shift", 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.append_log import AppendLog
from forecasting.conformal_kernels import TARGETS, Fading, Learned, floor_of, grid_quantiles, see_bins
from forecasting.protocol import FittedPoint, PointModel, check_levels, check_steps
from forecasting.residual_histogram import prior_histogram
from forecasting.series import FloatArray, Series
from forecasting.step_grid import IntArray, interpolate_steps, step_grid
from forecasting.walk import fit_and_walk, walk

_DAY_S = 86_400.0

# Residuals halve in weight in three days, their size in a quarter of one. Twice as slow, the central 50 % held 61 % of
# what came after a regime had calmed down; twice as fast, the 90 % held 85 %, for want of last week's Monday.
_HALF_LIFE_S = 3.0 * _DAY_S
_SIZE_HALF_LIFE_S = 0.25 * _DAY_S

# A fit takes residuals from its later half, at most so many bins, at about so many origins: more are each other's
# neighbours, and 1 % of a thousand is ten.
_ROLLED_BINS = 20_160
_ROLLED_ORIGINS = 1_000

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
        """Fit the model, and learn its residuals on the later half of `series` as one that knew the earlier half."""
        values = series.values.copy()
        first = max((len(values) + 1) // 2, len(values) - _ROLLED_BINS)
        every = max(1, math.ceil((len(values) - first) / _ROLLED_ORIGINS))
        grid = step_grid(self.steps_max)
        point, ahead = fit_and_walk(self.point_model, series, first, grid, every)
        fading = Fading(
            floor=math.nan if self.floor is None else self.floor,
            growth=2.0 ** (series.bin_s / _HALF_LIFE_S),
            aging=0.5 ** (series.bin_s / _SIZE_HALF_LIFE_S),
            peak_decay=0.5 ** (series.bin_s / _PEAK_HALF_LIFE_S),
        )
        learned = _nothing_learned(len(grid))
        said = np.full((len(ahead), len(grid), 2 * TARGETS), math.nan)
        said[:, :, :TARGETS] = ahead
        # Each origin stands for all bins until the next.
        learned.histograms[:, :, :-1] /= every
        sparse = fading._replace(growth=fading.growth**every, aging=fading.aging**every)
        see_bins(values, 0, said, first + every - 1, every, grid, sparse, learned)
        learned.histograms[:, :, :-1] *= every
        learned.sizes[:] *= every
        due = np.full((self.steps_max, *said.shape[1:]), math.nan)
        ages = len(values) - first - every * np.arange(1, len(said) + 1)
        due[-1 - ages[ages < self.steps_max]] = said[ages < self.steps_max]
        return FittedConformal(
            point=point,
            grid=grid,
            fading=fading,
            learned=learned,
            values=AppendLog.of(values, rows_max=self.steps_max),
            said=AppendLog.of(due, rows_max=self.steps_max),
        )


def _nothing_learned(steps: int) -> Learned:
    """Before the first bin, for so many steps of the grid."""
    return Learned(
        totals=np.zeros(3),
        changes=np.zeros((steps, 2)),
        sizes=np.zeros((steps, TARGETS, 2)),
        histograms=np.tile(prior_histogram(), (steps, TARGETS, 1)),
    )


@dataclass(frozen=True, slots=True)
class FittedConformal:
    """A fitted point model and its residuals. Fields are arrays that must not be written to.

    Attributes:
        point: the point model.
        grid: steps that residuals are kept for, shape (k,).
        fading: how fast the past fades.
        learned: recent changes of the demand, and residuals.
        values: the latest bins.
        said: what was said after each of them, see conformal_kernels; NaN where nothing was.
    """

    point: FittedPoint
    grid: IntArray
    fading: Fading
    learned: Learned = field(repr=False)
    values: AppendLog = field(repr=False)
    said: AppendLog = field(repr=False)

    def update(self, value: float) -> Self:
        """See one more bin; a missing one is no residual. Takes as long as a forecast of `steps_max` steps."""
        point, ahead = walk(self.point, np.array([value]), self.grid)
        values, bins = self.values.grow(1)
        bins[-1] = value
        said, rows = self.said.grow(1)
        rows[-1, :, :TARGETS] = ahead[0]
        totals, changes, sizes, histograms = self.learned
        learned = Learned(totals.copy(), changes.copy(), sizes.copy(), histograms.copy())
        see_bins(bins, len(bins) - 1, rows, len(bins) - len(rows), 1, self.grid, self.fading, learned)
        return type(self)(point, self.grid, self.fading, learned, values, said)

    def quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """See FittedForecaster."""
        return self._around(self.point.forecast(steps), 0, check_levels(levels))

    def peak_quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """See FittedForecaster; a longer window's are not below a shorter one's."""
        largest = np.maximum.accumulate(self.point.forecast(steps))
        return np.maximum.accumulate(self._around(largest, 1, check_levels(levels)), axis=0)

    def _around(self, middle: FloatArray, target: int, levels: FloatArray) -> FloatArray:
        """Quantiles of `target` around `middle`, shape (steps,): shape (steps, q)."""
        ratios = grid_quantiles(self.learned, self.grid, target, levels)
        floor = floor_of(self.fading, self.learned.totals)
        logs = np.log(middle + floor)[:, None] + interpolate_steps(self.grid, ratios, len(middle))
        bound = math.log(_HEADROOM * self.learned.totals[2] + floor)
        return np.maximum(np.exp(np.minimum(logs, bound)) - floor, 0.0)
