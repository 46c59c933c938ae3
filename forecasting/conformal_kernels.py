"""Kernels of the conformal intervals: what a new bin says of the forecasts that were made for it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from forecasting.residual_histogram import add_residual, residual_quantiles
from forecasting.series import FloatArray
from forecasting.step_grid import IntArray

# The demand in a bin, and the largest from the next bin to it.
TARGETS = 2

# Change per bin below this (in logs) is calm enough: a constant service must not divide by zero.
_CHANGE_FLOOR = 0.01

# A change weighs half as much after so many horizons as a new one: a volatility that lasts shows, a single bin doesn't.
_MEMORY_HORIZONS = 3.0
_MEMORY_BINS_MIN = 6.0


@njit(cache=True)
def grid_forecasts(forecast: FloatArray, grid: IntArray, out: FloatArray) -> None:
    """Fill out[:, 0:2], shape (k, 3), with the forecast at each step of the grid and the largest one until then."""
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
def spreads(changes: FloatArray, grid: IntArray, out: FloatArray) -> None:
    """Fill out, shape (k,), with the size of a residual to expect: the recent change per bin, growing with the step."""
    for i in range(len(grid)):
        mean_square = changes[i, 0] / changes[i, 1] if changes[i, 1] > 0.0 else 0.0
        out[i] = (_CHANGE_FLOOR + math.sqrt(mean_square)) * grid[i] ** 0.25


@njit(cache=True)
def learn_outcomes(
    values: FloatArray, forecasts: FloatArray, grid: IntArray, floor: float, growth: float, histograms: FloatArray
) -> None:
    """Count the residuals of all forecasts whose step is the newest bin; a missing target or window counts nothing.

    Args:
        values: the latest bins, shape (n,), NaN where missing.
        forecasts: at the latest origins, shape (m, k, 3): forecast, its largest until then, spread; the last row's
            step 1 is the newest bin.
        grid: steps, shape (k,).
        floor: added to demand before the logarithm.
        growth: weight of a residual over that of the one before.
        histograms: written to, shape (k, TARGETS, CELLS + 1).
    """
    known = len(values)
    peak = values[known - 1]
    done = 1
    for i in range(len(grid)):
        step = grid[i]
        if step > known or step > len(forecasts):
            return
        for back in range(done, step):
            # NaN + anything is NaN: one missing bin leaves the peak of all longer windows unknown.
            peak = max(peak, values[known - 1 - back]) + 0.0 * values[known - 1 - back] + 0.0 * peak
        done = step
        row = forecasts[len(forecasts) - step, i]
        if not math.isnan(row[0]) and not math.isnan(values[known - 1]):
            z = math.log((values[known - 1] + floor) / (row[0] + floor)) / row[2]
            add_residual(histograms[i, 0], z, growth)
        if not math.isnan(row[1]) and not math.isnan(peak):
            add_residual(histograms[i, 1], math.log((peak + floor) / (row[1] + floor)) / row[2], growth)


@njit(cache=True)
def grid_quantiles(histograms: FloatArray, spread: FloatArray, levels: FloatArray) -> FloatArray:
    """Log ratios to the forecast at increasing `levels`, shape (k, q), from histograms (k, CELLS + 1)."""
    out = np.empty((len(histograms), len(levels)))
    for i in range(len(histograms)):
        residual_quantiles(histograms[i], levels, out[i])
        for j in range(len(levels)):
            out[i, j] *= spread[i]
    return out

