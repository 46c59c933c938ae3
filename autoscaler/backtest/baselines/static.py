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
    """Replicas for the largest demand of all scored bins, shape (n,); before them enough for all. Hindsight.

    A history that was larger would else leave a queue to what is scored.
    """
    first = setting.score_from_bin
    rates = setting.arrivals_rs / setting.bin_s
    plan = np.full(len(setting), replicas_for(float(rates[first:].max(initial=0.0)), 1.0), dtype=np.int64)
    plan[:first] = replicas_for(float(rates.max(initial=0.0)), 1.0)
    return clamp(plan, setting.replicas_min, setting.replicas_max)
