"""Fleets that never shrink: sized for the largest demand so far, or for the peak, known in hindsight."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoscaler.backtest.baselines.metric import clamp, replicas_for
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray


def plan_static(setting: Setting) -> IntArray:
    """Replicas for the largest demand seen before each bin, shape (n,)."""
    desired = np.zeros(len(setting), dtype=np.int64)
    _high_water(setting.observed_replicas, desired)
    return clamp(desired, setting.replicas_min, setting.replicas_max)


def plan_static_peak(setting: Setting) -> IntArray:
    """Replicas for the largest demand of all scored bins, from the first bin on, shape (n,). Hindsight."""
    peak = replicas_for(float(setting.arrivals_rs[setting.score_from_bin :].max(initial=0.0)) / setting.bin_s, 1.0)
    return clamp(np.full(len(setting), peak, dtype=np.int64), setting.replicas_min, setting.replicas_max)


@njit(cache=True)
def _high_water(demand: FloatArray, desired: IntArray) -> None:
    """Fill the plan; a missing bin raises nothing."""
    highest = 0.0
    for t in range(len(desired)):
        desired[t] = replicas_for(highest, 1.0)
        if demand[t] > highest:
            highest = demand[t]
