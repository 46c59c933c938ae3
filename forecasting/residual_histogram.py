"""Conformal quantiles in constant memory: a histogram of standardised residuals that forgets.

Cells are even in asinh(z), so that one table holds z from 0.03 to 1,490 at 3 % resolution: the middle decides
the cost, the far tail the lateness. Weights grow instead of old ones decaying (one write per residual).
"""

from __future__ import annotations

import math

import numpy as np

from forecasting.kernel import inner, kernel
from forecasting.series import FloatArray

CELLS = 480
_REACH = 8.0
_WIDTH = 2.0 * _REACH / CELLS
# Quantiles are looked for in blocks of cells, then in the cells of their own: 0.4 us where all cells in turn took 2.0.
_BLOCK = 16
BLOCKS = CELLS // _BLOCK
# The z in the middle of each cell; 200 hyperbolic sines per tail were most of the time of a quantile.
_MIDDLES = np.sinh(-_REACH + (np.arange(CELLS) + 0.5) * _WIDTH)

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


@inner
def add_residual(histogram: FloatArray, z: float, growth: float) -> int:
    """Count one standardised residual; `growth` > 1 is the weight of a residual over that of the one before.

    Returns the cell that changed, -1 where all did.
    """
    cell = min(max(int((math.asinh(z) + _REACH) / (2.0 * _REACH) * CELLS), 0), CELLS - 1)
    weight = histogram[CELLS] * growth
    histogram[cell] += weight
    histogram[CELLS] = weight
    if weight <= _WEIGHT_MAX:
        return cell
    for i in range(CELLS + 1):
        histogram[i] /= weight
    return -1


@inner
def _sum_block(histogram: FloatArray, block: int, blocks: FloatArray) -> None:
    first = block * _BLOCK
    # Two sums, since an add waits for the last one.
    even = odd = even_weighted = odd_weighted = 0.0
    for cell in range(first, first + _BLOCK, 2):
        even += histogram[cell]
        odd += histogram[cell + 1]
        even_weighted += histogram[cell] * _MIDDLES[cell]
        odd_weighted += histogram[cell + 1] * _MIDDLES[cell + 1]
    blocks[block, 0] = even + odd
    blocks[block, 1] = even_weighted + odd_weighted


@inner
def fill_blocks(histogram: FloatArray, blocks: FloatArray) -> None:
    """Fill blocks, shape (BLOCKS, 2), with the weight, and the weight times z, of each block of cells."""
    for block in range(BLOCKS):
        _sum_block(histogram, block, blocks)


@inner
def add_residual_in_blocks(histogram: FloatArray, blocks: FloatArray, z: float, growth: float) -> None:
    """`add_residual` that keeps `blocks` what `fill_blocks` would give, to the bit: it sums the changed block anew."""
    cell = add_residual(histogram, z, growth)
    if cell >= 0:
        _sum_block(histogram, cell // _BLOCK, blocks)
    else:
        fill_blocks(histogram, blocks)


@inner
def quantiles_until(
    histogram: FloatArray, blocks: FloatArray, levels: FloatArray, highest: float, out: FloatArray
) -> int:
    """Fill `out` up to the first of `levels` that is not below `highest`, as if it were `highest`; returns its index.

    Without such a level all are filled, and the index is past the last.
    """
    total = 0.0
    for block in range(BLOCKS):
        total += blocks[block, 0]
    wanted = min(levels[0], highest) * total
    below_block = 0.0
    i = 0
    for block in range(BLOCKS):
        below = below_block
        below_block += blocks[block, 0]
        if below_block < wanted:
            continue
        for cell in range(block * _BLOCK, (block + 1) * _BLOCK):
            weight = histogram[cell]
            while below + weight >= wanted and weight > 0.0:
                # A block's sum and the sum of its cells differ by rounding, so `below` may be past the level.
                out[i] = math.sinh(-_REACH + (cell + max((wanted - below) / weight, 0.0)) * _WIDTH)
                if levels[i] >= highest:
                    return i
                i += 1
                if i == len(levels):
                    return i
                wanted = min(levels[i], highest) * total
            below += weight
    # Rounding may leave the sum of all cells short of a level close to 1.
    for rest in range(i, len(levels)):
        out[rest] = math.sinh(_REACH)
    return len(levels)


@kernel()
def empirical_quantiles(histogram: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    """Fill out, shape (q,), with the quantiles of z at increasing `levels`, interpolated within a cell."""
    blocks = np.empty((BLOCKS, 2))
    fill_blocks(histogram, blocks)
    quantiles_until(histogram, blocks, levels, 1.0, out)


@inner
def mean_excess_over(histogram: FloatArray, blocks: FloatArray, threshold: float) -> float:
    """Mean of what residuals exceed `threshold` by; 0 where none does."""
    position = (math.asinh(threshold) + _REACH) / _WIDTH
    cell = min(int(position), CELLS - 1)
    above = histogram[cell] * (cell + 1 - position)
    # In its own cell they lie between the threshold and the cell's end.
    weighted = above * 0.5 * (math.sinh(-_REACH + (cell + 1) * _WIDTH) + threshold)
    block = cell // _BLOCK + 1
    for i in range(cell + 1, block * _BLOCK):
        above += histogram[i]
        weighted += histogram[i] * _MIDDLES[i]
    for i in range(block, BLOCKS):
        above += blocks[i, 0]
        weighted += blocks[i, 1]
    return float(max(weighted - threshold * above, 0.0) / max(above, _WEIGHT_MIN))
