"""Columns that can be read, but hardly hold what is needed: work per bin."""

from __future__ import annotations

import numpy as np

from autoscaler.traces.trace import Trace
from forecasting.series import FloatArray

# Independent counts never fall in 12 steps once in 13! (6e9) traces: below it, a trace that only rises proves nothing.
_STEPS_MIN = 12


def suspicions(trace: Trace) -> list[str]:
    """What looks wrong with the columns of `trace`: at most one sentence per unit, without the file's name.

    A cumulative counter never falls and rises in most bins; a rate is fractional in most. Neither is an error: a real
    demand may look like it.
    """
    found = ((unit, _suspicion(values[~np.isnan(values)])) for unit, values in trace.demand.items())
    return [f"column '{unit}' {text}" for unit, text in found if text]


def _suspicion(known: FloatArray) -> str:
    steps = np.diff(known)
    if len(steps) >= _STEPS_MIN and (steps >= 0).all() and (steps > 0).mean() > 0.5:
        return (
            "never falls, like a cumulative counter: counts per bin are needed; take increase() or the differences of"
            " neighbouring rows"
        )
    if len(known) and (known != np.rint(known)).mean() > 0.5:
        return (
            "is mostly fractional, like a rate: counts per bin are needed; multiply a rate by the bin's seconds"
            " (what increase() or headstart history gives is fractional too, and fine)"
        )
    return ""
