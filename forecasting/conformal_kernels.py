"""Kernels of the conformal intervals: what new bins say of the forecasts that were made for them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from forecasting.kernel import kernel
from forecasting.residual_histogram import add_residual, empirical_quantiles
from forecasting.series import FloatArray
from forecasting.step_grid import IntArray

# The demand in a bin, and the largest from the next bin to it.
TARGETS = 2

# Share of the mean demand that doesn't matter: added before the logarithm, so that an idle bin is no infinite error.
_FLOOR_SHARE = 0.02
_FLOOR_UNKNOWN_RPS = 1.0

# Change per bin below this (in logs) is calm enough: a constant service must not divide by zero.
_CHANGE_FLOOR = 0.01

# A change weighs half as much after so many horizons as a new one: a volatility that lasts shows, a single bin doesn't.
_MEMORY_HORIZONS = 3.0
_MEMORY_BINS_MIN = 6.0

# Recent changes per bin count as so many residuals before residuals of the horizon itself are seen.
_PRIOR_RESIDUALS = 20.0


class Fading(NamedTuple):
    """What is known of the demand as a whole, and how fast the past fades.

    Attributes:
        floor: work per second that is added before the logarithm; NaN takes a share of the mean.
        growth: weight of a residual in its histogram over that of the one before.
        aging: weight that the size of past residuals keeps.
        peak_decay: share of the largest demand seen that is left after a bin.
    """

    floor: float
    growth: float
    aging: float
    peak_decay: float


class Learned(NamedTuple):
    """What `see_bins` learns; it writes to it.

    Attributes:
        totals: number and sum of the bins that were not missing, and the largest of them, slowly forgotten, shape (3,).
        changes: of log demand from bin to bin: weighted squares, and weights, per step of the grid, shape (k, 2).
        sizes: of residuals: weighted sum of log absolute ones, and weights, shape (k, TARGETS, 2).
        histograms: of standardised residuals, shape (k, TARGETS, CELLS + 1).
    """

    totals: FloatArray
    changes: FloatArray
    sizes: FloatArray
    histograms: FloatArray


@kernel()
def floor_of(fading: Fading, totals: FloatArray) -> float:
    """Work per second that is added before the logarithm."""
    if not math.isnan(fading.floor):
        return fading.floor
    return _FLOOR_SHARE * totals[1] / totals[0] if totals[1] > 0.0 else _FLOOR_UNKNOWN_RPS


@kernel()
def see_bins(
    values: FloatArray,
    first: int,
    said: FloatArray,
    origin: int,
    every: int,
    grid: IntArray,
    fading: Fading,
    learned: Learned,
) -> None:
    """Count the residuals of all forecasts whose target is a new bin; a missing target or window counts nothing.

    Args:
        values: bins before the new ones, then these, shape (n,), NaN where missing.
        first: index of the first new one.
        said: shape (m, k, 2 * TARGETS): forecast, its largest until then, and the spreads, which are written here at
            origins after a new bin; NaN where nothing was said.
        origin: index of the bin after which said[0] was said; its step 1 is the next bin.
        every: bins from one row of `said` to the next.
        grid: steps, shape (k,).
        fading: how the past fades.
        learned: before the new bins; written to.
    """
    # Taken out of the tuples here: in a loop, each look-up of an array counts a reference.
    totals, changes, sizes, histograms = learned
    floors = np.empty(len(values))
    change = np.full(len(values), math.nan)
    for t in range(first, len(values)):
        floors[t] = floor_of(fading, totals)
        if t > 0:
            change[t] = math.log((values[t] + floors[t]) / (values[t - 1] + floors[t]))
        totals[2] *= fading.peak_decay
        if not math.isnan(values[t]):
            totals[0] += 1.0
            totals[1] += values[t]
            totals[2] = max(totals[2], values[t])
    for i in range(len(grid)):
        decay = 0.5 ** (1.0 / max(_MEMORY_BINS_MIN, _MEMORY_HORIZONS * grid[i]))
        # Rows of `said` whose target, and whose origin, is the first new bin or the next one after it that has any.
        due = max(0, -((origin + grid[i] - first) // every))
        speaks = max(0, -((origin - first) // every))
        for t in range(first, len(values)):
            if not math.isnan(change[t]):
                changes[i, 0] = decay * changes[i, 0] + change[t] * change[t]
                changes[i, 1] = decay * changes[i, 1] + 1.0
            if due < len(said) and origin + due * every + grid[i] == t:
                _learn_outcome(values, t, grid[i], floors[t], said[due, i], fading, sizes[i], histograms[i])
                due += 1
            if speaks < len(said) and origin + speaks * every == t:
                spreads(changes[i], sizes[i], grid[i], said[speaks, i, TARGETS:])
                speaks += 1


@kernel()
def _learn_outcome(
    values: FloatArray,
    now: int,
    step: int,
    floor: float,
    row: FloatArray,
    fading: Fading,
    sizes: FloatArray,
    histograms: FloatArray,
) -> None:
    """Count the residuals of what was said, row (2 * TARGETS,), `step` bins before bin `now`.

    `sizes` (TARGETS, 2) and `histograms` (TARGETS, CELLS + 1), those of this step, are written to.
    """
    peak = values[now]
    # One missing bin leaves the peak unknown, and so does one that is not remembered.
    for t in range(now - step + 1, now):
        peak = math.nan if t < 0 or math.isnan(values[t]) or math.isnan(peak) else max(peak, values[t])
    for k in range(TARGETS):
        came = values[now] if k == 0 else peak
        if math.isnan(came) or math.isnan(row[k]):
            continue
        residual = math.log((came + floor) / (row[k] + floor))
        add_residual(histograms[k], residual / row[TARGETS + k], fading.growth)
        sizes[k, 0] = fading.aging * sizes[k, 0] + math.log(abs(residual) + _CHANGE_FLOOR)
        sizes[k, 1] = fading.aging * sizes[k, 1] + 1.0


@kernel()
def spreads(changes: FloatArray, sizes: FloatArray, step: int, out: FloatArray) -> None:
    """Fill out, shape (TARGETS,), with the size of a residual to expect at `step`, from what was `Learned` of it.

    It is the geometric mean of the recent change per bin, which grows with the step, and of recent residuals' size.
    """
    mean_square = changes[0] / changes[1] if changes[1] > 0.0 else 0.0
    change = math.log((_CHANGE_FLOOR + math.sqrt(mean_square)) * step**0.25)
    for k in range(TARGETS):
        total = sizes[k, 0] + _PRIOR_RESIDUALS * change
        out[k] = math.exp(0.5 * (change + total / (sizes[k, 1] + _PRIOR_RESIDUALS)))


@kernel()
def grid_quantiles(learned: Learned, grid: IntArray, target: int, levels: FloatArray) -> FloatArray:
    """Log ratios of a target to its forecast at increasing `levels` (q,), per step of the grid: shape (k, q)."""
    out = np.empty((len(grid), len(levels)))
    spread = np.empty(TARGETS)
    for i in range(len(grid)):
        empirical_quantiles(learned.histograms[i, target], levels, out[i])
        spreads(learned.changes[i], learned.sizes[i], grid[i], spread)
        for j in range(len(levels)):
            out[i, j] *= spread[target]
    return out
