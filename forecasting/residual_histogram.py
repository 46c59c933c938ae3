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

# A growing weight is folded back before float64 overflows at 1e308.
_WEIGHT_MAX = 1e200

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
def residual_quantiles(histogram: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    """Fill out, shape (q,), with the quantiles of z at increasing `levels`, interpolated within a cell."""
    total = 0.0
    for cell in range(CELLS):
        total += histogram[cell]
    width = 2.0 * _REACH / CELLS
    below = 0.0
    i = 0
    for cell in range(CELLS):
        weight = histogram[cell]
        while i < len(levels) and below + weight >= levels[i] * total and weight > 0.0:
            share = (levels[i] * total - below) / weight
            out[i] = math.sinh(-_REACH + (cell + share) * width)
            i += 1
        below += weight
    while i < len(levels):
        out[i] = math.sinh(_REACH)
        i += 1
