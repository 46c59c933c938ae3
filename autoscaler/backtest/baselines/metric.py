"""What an autoscaler's metric shows at a moment: the mean demand over a window of complete bins."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from autoscaler.backtest.setting import IntArray
from autoscaler.core.plan_kernels import COUNT_MAX
from forecasting.series import FloatArray

# A time that is a whole multiple of another but for rounding counts as one: 1e-9 of a bin.
ROUNDING = 1e-9


def window_bins(window_s: float, bin_s: float) -> int:
    """Complete bins in a window; where bins are wider than the window, the last one stands for it."""
    return max(1, math.floor(window_s / bin_s + ROUNDING))


@njit(cache=True)
def trailing_mean(values: FloatArray, width: int) -> FloatArray:
    """Mean of the known values in the `width` bins before each bin, shape (n + 1,); NaN where none is known.

    Entry t is what a metric shows at the start of bin t. Each mean is summed afresh, so that after a burst zero demand
    is exactly zero and no rounding keeps a fleet awake.
    """
    means = np.full(len(values) + 1, np.nan)
    for t in range(1, len(values) + 1):
        total = 0.0
        known = 0
        for value in values[max(0, t - width) : t]:
            if not np.isnan(value):
                total += value
                known += 1
        if known > 0:
            means[t] = total / known
    return means


@njit(cache=True)
def rounds_until(t: int, bin_s: float, every_s: float) -> int:
    """How many of the rounds at 0, every_s, 2 every_s ... are at or before the start of bin t."""
    return math.floor(t * bin_s / every_s + ROUNDING) + 1


@njit(cache=True)
def rounds_before(t: int, bin_s: float, every_s: float) -> int:
    """How many of the rounds at 0, every_s, 2 every_s ... are before the start of bin t."""
    return math.ceil(t * bin_s / every_s - ROUNDING)


@njit(cache=True)
def replicas_for(demand_replicas: float, target: float) -> int:
    """Fewest replicas that carry `target` each, or less: ceil(demand / target), where 25.000000000000004 is 25."""
    return math.ceil(min(demand_replicas / target * (1.0 - 1e-12), COUNT_MAX))


def whole_replicas(demand_replicas: FloatArray) -> IntArray:
    """Fewest replicas that carry each demand at full use, as `replicas_for` counts them."""
    return np.ceil(np.minimum(demand_replicas * (1.0 - 1e-12), COUNT_MAX)).astype(np.int64)


def clamp(desired: IntArray, replicas_min: int, replicas_max: int) -> IntArray:
    """Keep a plan within the replicas that are allowed."""
    return np.clip(desired, replicas_min, replicas_max)
