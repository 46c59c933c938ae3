"""Kernels made ready before the first decision: compiled, or read from their cache."""

from __future__ import annotations

from threading import Event, get_ident

import numpy as np
from numba.core.event import Event as CompilerEvent
from numba.core.event import Listener, install_listener

from autoscaler.core.decide import decide, outlook_of
from autoscaler.core.gpu_kernels import EXACT_GPUS, best_counts
from autoscaler.core.gpu_worth import saved_by
from autoscaler.core.history import replayed
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Objective, Spec

# Three days of half hours: seasons are tried, risk is chosen, replicas load.
_BINS = 150
# Numba tells of each pass of its compiler over each function: of some 3,000, the longest takes 0.7 s.
_COMPILING = "numba:run_pass"


def warm_kernels(stop: Event | None = None) -> None:
    """Make one small history and two decisions. A minute the first time after an installation, else a second.

    Ends within a pass of the compiler once `stop` is set: a process that is to end would be killed before all are warm.
    """
    try:
        with install_listener(_COMPILING, _Ending(stop or Event())):
            _decide()
    except _Ended:
        return


def _decide() -> None:
    spec = Spec(1_800.0, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(3_600.0))
    demand = 5.0 + np.sin(np.arange(_BINS) * 2.0 * np.pi / 48.0)
    state = replayed(spec, start_s=0.0, demand_rps={"requests": demand})
    assert state.next_start_s is not None, "a replayed state knows its time"
    for at_s in (state.next_start_s, state.next_start_s + spec.bin_s):
        # The second one knows what served before it, and moves the queue on.
        _, state = decide(spec, state, Observation(at_s, {"requests": 5.0}, 3, np.array([1, 2])))
    saved = saved_by(outlook_of(spec, state), spec, current=3, count=4, horizon_s=4 * spec.bin_s)
    best_counts(EXACT_GPUS + 1, np.array([1]), np.array([0, len(saved)]), saved)


class _Ended(BaseException):
    """Leaves the compiler, which takes an Exception for a function that it can't compile."""


class _Ending(Listener):
    """Leaves the compiler before its next pass once `stop` is set, in the thread that warms kernels only."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._thread = get_ident()

    def on_start(self, event: CompilerEvent) -> None:  # noqa: ARG002 - it doesn't matter which
        if self._stop.is_set() and get_ident() == self._thread:
            raise _Ended

    def on_end(self, event: CompilerEvent) -> None:
        """Nothing."""
