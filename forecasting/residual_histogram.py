"""Conformal quantiles in constant memory: a histogram of standardised residuals that forgets.

Cells are even in asinh(z), so that one table holds z from 0.03 to 1,490 at 3 % resolution: the middle decides
the cost, the far tail the lateness. Weights grow instead of old ones decaying (one write per residual).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from forecasting.series import FloatArray

CELLS = 480
_REACH = 8.0
_WIDTH = 2.0 * _REACH / CELLS
# The z in the middle of each cell; 200 hyperbolic sines per tail were most of the time of a quantile.
_MIDDLES = np.sinh(-_REACH + (np.arange(CELLS) + 0.5) * _WIDTH)

# Above this level the tail that replicas are bought by is exponential instead of empirical. What the largest of some
# thousand residuals was is chance, and so was the fleet that it asked for: at equal lateness the smooth tail cost 7 %
# less over 17 shared cases. Intervals that are shown stay empirical: they are to hold what they say.
TAIL_LEVEL = 0.9

# A growing weight is folded back before float64 overflows at 1e308.
_WEIGHT_MAX = 1e200
_WEIGHT_MIN = 1e-300

# What is believed before residuals are seen: a normal of z with this deviation, worth so many residuals.
# z is a residual over the exponential of the mean log residual, which for a normal is 0.53 of its deviation.
PRIOR_DEVIATION = 1.9
_PRIOR_RESIDUALS = 20.0


def prior_histogram() -> FloatArray:
    """Histogram before any residual, shape (CELLS + 1,): the cells' weights, then the weight of the next one."""
    edges = np.sinh(np.linspace(-_REACH, _REACH, CELLS + 1)) / (PRIOR_DEVIATION * math.sqrt(2.0))
    cumulative = np.array([0.5 * (1.0 + math.erf(edge)) for edge in edges])
    return np.append(_PRIOR_RESIDUALS * np.diff(cumulative), 1.0)


@njit(cache=True)
def add_residual(histogram: FloatArray, z: float, growth: float) -> None:
    """Count one standardised residual; `growth` > 1 is the weight of a residual over that of the one before."""
    cell = int((math.asinh(z) + _REACH) / (2.0 * _REACH) * CELLS)
    weight = histogram[CELLS] * growth
    histogram[min(max(cell, 0), CELLS - 1)] += weight
    histogram[CELLS] = weight
    if weight > _WEIGHT_MAX:
        histogram /= weight


@njit(cache=True)
def empirical_quantiles(histogram: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    """Fill out, shape (q,), with the quantiles of z at increasing `levels`, interpolated within a cell."""
    total = 0.0
    for cell in range(CELLS):
        total += histogram[cell]
    below = 0.0
    i = 0
    for cell in range(CELLS):
        if i == len(levels):
            return
        weight = histogram[cell]
        while i < len(levels) and weight > 0.0 and below + weight >= levels[i] * total:
            out[i] = math.sinh(-_REACH + (cell + (levels[i] * total - below) / weight) * _WIDTH)
            i += 1
        below += weight
    # Rounding may leave the sum of all cells short of a level close to 1.
    out[i:] = math.sinh(_REACH)


@njit(cache=True)
def residual_quantiles(histogram: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    """Like `empirical_quantiles`, above TAIL_LEVEL exponential, with the mean excess of what was seen there.

    Peaks over a threshold (Pickands 1975), the case of shape 0: right for what a fleet costs, too narrow at 95 % and
    too wide at 99.9 % for residuals that are normal.
    """
    empirical_quantiles(histogram, np.minimum(levels, TAIL_LEVEL), out)
    first = np.searchsorted(levels, TAIL_LEVEL, side="right")
    if first == len(levels):
        return
    threshold = out[first]
    mean_excess = _mean_excess(histogram, threshold)
    for i in range(first, len(levels)):
        out[i] = threshold + mean_excess * math.log((1.0 - TAIL_LEVEL) / (1.0 - levels[i]))


@njit(cache=True)
def _mean_excess(histogram: FloatArray, threshold: float) -> float:
    """Mean of what residuals exceed `threshold` by; 0 where none does."""
    position = (math.asinh(threshold) + _REACH) / _WIDTH
    cell = min(int(position), CELLS - 1)
    above = histogram[cell] * (cell + 1 - position)
    excess = above * 0.5 * (math.sinh(-_REACH + (cell + 1) * _WIDTH) - threshold)
    for i in range(cell + 1, CELLS):
        above += histogram[i]
        excess += histogram[i] * (_MIDDLES[i] - threshold)
    return float(excess / max(above, _WEIGHT_MIN))
