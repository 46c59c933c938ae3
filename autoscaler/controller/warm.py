"""Kernels made ready before the first decision: compiled, or read from their cache."""

from __future__ import annotations

import numpy as np

from autoscaler.core.decide import decide
from autoscaler.core.gpu_kernels import best_replicas
from autoscaler.core.history import replayed
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Objective, Spec

# Three days of half hours: seasons are tried, risk is chosen, replicas load.
_BINS = 150


def warm_kernels() -> None:
    """Make one small history and two decisions. A minute the first time after an installation, else a second."""
    spec = Spec(1_800.0, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(3_600.0))
    demand = 5.0 + np.sin(np.arange(_BINS) * 2.0 * np.pi / 48.0)
    state = replayed(spec, start_s=0.0, demand_rps={"requests": demand})
    assert state.next_start_s is not None, "a replayed state knows its time"
    for at_s in (state.next_start_s, state.next_start_s + spec.bin_s):
        # The second one knows what served before it, and moves the queue on.
        _, state = decide(spec, state, Observation(at_s, {"requests": 5.0}, 3, np.array([1, 2])))
    best_replicas(1, np.array([1, 2]), np.array([1.0, 0.5]))
