"""Walking a point model along bins that it was not fitted to, with its forecasts at a few steps on the way.

What intervals are learned from. Models whose loop is a kernel walk in it: 10,000 bins in a millisecond, where update
and forecast bin by bin take hundreds.
"""

from __future__ import annotations

import numpy as np

from forecasting.holt_winters import FittedHoltWinters, HoltWinters
from forecasting.profile import FittedProfile
from forecasting.protocol import FittedPoint, PointModel
from forecasting.series import FloatArray, Series
from forecasting.step_grid import IntArray, at_grid


def walk(fitted: FittedPoint, values: FloatArray, grid: IntArray, every: int = 1) -> tuple[FittedPoint, FloatArray]:
    """The model after more bins, and what it forecasts on the way.

    Args:
        fitted: the model before values[0].
        values: work per second, shape (n,), NaN where missing.
        grid: steps ahead, increasing, shape (k,).
        every: bins from one forecast to the next; the first is made after so many.

    Returns:
        The model after all bins, and, shape (n // every, k, 2), the forecast at each step and the largest until it.
    """
    if isinstance(fitted, FittedHoltWinters | FittedProfile):
        return fitted.walk(values, grid, every)
    ahead = np.empty((len(values) // every, len(grid), 2))
    for i, value in enumerate(values, start=1):
        fitted = fitted.update(float(value))
        if i % every == 0:
            at_grid(fitted.forecast(int(grid[-1])), grid, ahead[i // every - 1])
    return fitted, ahead


def fit_and_walk(
    model: PointModel, series: Series, first: int, grid: IntArray, every: int
) -> tuple[FittedPoint, FloatArray]:
    """The model fitted to all of `series`, and the forecasts of one that knew the bins before `first`, as it walked on.

    `first` is half of the bins or later. Holt-Winters estimates its states on the earlier half in any case.
    """
    if isinstance(model, HoltWinters):
        return model.fit_and_walk(series, first, grid, every)
    head = Series.of(series.values[:first], bin_s=series.bin_s, start_s=series.start_s, max_bins=series.log.rows_max)
    _, ahead = walk(model.fit(head), series.values[first:].copy(), grid, every)
    return model.fit(series), ahead
