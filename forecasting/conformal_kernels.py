"""Kernels of the conformal intervals: what a new bin says of the forecasts that were made for it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from forecasting.residual_histogram import add_residual, empirical_quantiles
from forecasting.series import FloatArray
from forecasting.step_grid import IntArray

# The demand in a bin, and the largest from the next bin to it.
TARGETS = 2

# Change per bin below this (in logs) is calm enough: a constant service must not divide by zero.
_CHANGE_FLOOR = 0.01

# A change weighs half as much after so many horizons as a new one: a volatility that lasts shows, a single bin doesn't.
_MEMORY_HORIZONS = 3.0
_MEMORY_BINS_MIN = 6.0

# Recent changes per bin count as so many residuals before residuals of the horizon itself are seen.
_PRIOR_RESIDUALS = 20.0


@njit(cache=True)
def grid_forecasts(forecast: FloatArray, grid: IntArray, out: FloatArray) -> None:
    """Fill out[:, :TARGETS], shape (k, TARGETS), with the forecast at each step of the grid and the peak until then."""
    largest = forecast[0]
    done = 0
    for i in range(len(grid)):
        for step in range(done, grid[i]):
            largest = max(largest, forecast[step])
        done = grid[i]
        out[i, 0] = forecast[grid[i] - 1]
        out[i, 1] = largest


@njit(cache=True)
def add_changes(values: FloatArray, floor: float, grid: IntArray, changes: FloatArray) -> None:
    """Age and add the changes of log demand between neighbours in `values` (n,); none where either is missing.

    `changes`, shape (k, 2), is written to: weighted squares, and weights, per step of the grid.
    """
    for j in range(1, len(values)):
        change = math.log((values[j] + floor) / (values[j - 1] + floor))
        if math.isnan(change):
            continue
        for i in range(len(grid)):
            decay = 0.5 ** (1.0 / max(_MEMORY_BINS_MIN, _MEMORY_HORIZONS * grid[i]))
            changes[i, 0] = decay * changes[i, 0] + change * change
            changes[i, 1] = decay * changes[i, 1] + 1.0


@njit(cache=True)
def spreads(changes: FloatArray, sizes: FloatArray, grid: IntArray, out: FloatArray) -> None:
    """Fill out, shape (k, TARGETS), with the size of a residual to expect.

    It is the geometric mean of the recent change per bin, which grows with the step, and of recent residuals' size.
    """
    for i in range(len(grid)):
        mean_square = changes[i, 0] / changes[i, 1] if changes[i, 1] > 0.0 else 0.0
        change = math.log((_CHANGE_FLOOR + math.sqrt(mean_square)) * grid[i] ** 0.25)
        for k in range(TARGETS):
            total = sizes[i, k, 0] + _PRIOR_RESIDUALS * change
            out[i, k] = math.exp(0.5 * (change + total / (sizes[i, k, 1] + _PRIOR_RESIDUALS)))


@njit(cache=True)
def learn_outcomes(
    values: FloatArray,
    forecasts: FloatArray,
    grid: IntArray,
    floor: float,
    growth: float,
    aging: float,
    histograms: FloatArray,
    sizes: FloatArray,
) -> None:
    """Count the residuals of all forecasts whose step is the newest bin; a missing target or window counts nothing.

    Args:
        values: the latest bins, shape (n,), NaN where missing.
        forecasts: at the latest origins, shape (m, k, 2 * TARGETS): forecast, its largest until then, their spreads;
            the last row's step 1 is the newest bin.
        grid: steps, shape (k,).
        floor: added to demand before the logarithm.
        growth: weight of a residual in its histogram over that of the one before.
        aging: weight that the size of past residuals keeps.
        histograms: written to, shape (k, TARGETS, CELLS + 1).
        sizes: written to, shape (k, TARGETS, 2): weighted sum of log absolute residuals, and weights.
    """
    known = len(values)
    peak = values[known - 1]
    done = 1
    for i in range(len(grid)):
        step = grid[i]
        if step > known or step > len(forecasts):
            return
        for back in range(done, step):
            before = values[known - 1 - back]
            # One missing bin leaves the peak of all longer windows unknown.
            peak = math.nan if math.isnan(before) or math.isnan(peak) else max(peak, before)
        done = step
        row = forecasts[len(forecasts) - step, i]
        for k in range(TARGETS):
            came = values[known - 1] if k == 0 else peak
            if math.isnan(came) or math.isnan(row[k]):
                continue
            residual = math.log((came + floor) / (row[k] + floor))
            add_residual(histograms[i, k], residual / row[TARGETS + k], growth)
            sizes[i, k, 0] = aging * sizes[i, k, 0] + math.log(abs(residual) + _CHANGE_FLOOR)
            sizes[i, k, 1] = aging * sizes[i, k, 1] + 1.0


@njit(cache=True)
def grid_quantiles(histograms: FloatArray, spread: FloatArray, target: int, levels: FloatArray) -> FloatArray:
    """Log ratios of a target to its forecast at increasing `levels` (q,), per step of the grid: shape (k, q).

    `histograms` (k, TARGETS, CELLS + 1) and `spread` (k, TARGETS) are as above.
    """
    out = np.empty((len(histograms), len(levels)))
    for i in range(len(histograms)):
        empirical_quantiles(histograms[i, target], levels, out[i])
        for j in range(len(levels)):
            out[i, j] *= spread[i, target]
    return out
