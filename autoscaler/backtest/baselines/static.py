"""Fleets that never shrink: sized for the largest demand so far, or for the peak, known in hindsight."""

from __future__ import annotations

import numpy as np

from autoscaler.backtest.baselines.metric import clamp, replicas_for, whole_replicas
from autoscaler.backtest.setting import IntArray, Setting


def plan_static(setting: Setting) -> IntArray:
    """Replicas for the largest demand seen before each bin, shape (n,)."""
    # fmax passes missing bins over.
    highest = np.fmax.accumulate(np.concatenate([[0.0], setting.observed_replicas[:-1]]))
    return clamp(whole_replicas(highest), setting.replicas_min, setting.replicas_max)


def plan_static_peak(setting: Setting) -> IntArray:
    """Replicas for the largest demand of all scored bins, from the first bin on, shape (n,). Hindsight."""
    peak = replicas_for(float(setting.arrivals_rs[setting.score_from_bin :].max(initial=0.0)) / setting.bin_s, 1.0)
    return clamp(np.full(len(setting), peak, dtype=np.int64), setting.replicas_min, setting.replicas_max)
