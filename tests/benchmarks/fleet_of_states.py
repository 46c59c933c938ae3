"""A process that decides for a fleet, tick by tick, and prints what it took: `fleet_of_states.py OBJECTS DAYS TICKS`.

In a process of its own, so that its memory is what a controller's would be. A history of `DAYS` days of minutes is
rebuilt for each of HISTORIES objects as after a restart; the others are copies of these, in memory of their own, that
go on with demand of their own.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from autoscaler.core.decide import decide
from autoscaler.core.history import replayed
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State

BIN_S = 60.0
DAY = 1_440
# A history of two weeks takes a third of a second to rebuild: half an hour for 5,000.
HISTORIES = 100
SPEC = Spec(BIN_S, {"requests": 3.2}, Objective(10.0, 0.01), LoadLatency.constant(600.0))
NONE_DUE = np.zeros(0, dtype=np.int64)


def demand(number: int, bins: int) -> np.ndarray:
    """Minutes of one service: a day and a week of its own size, height and phase, and noise that lasts an hour."""
    rng = np.random.default_rng(number)
    at = np.arange(bins)
    noise = np.convolve(rng.normal(0.0, 0.03, bins + 200), 0.95 ** np.arange(200))[200 : 200 + bins]
    day = rng.uniform(0.2, 0.8) * np.sin(2 * np.pi * (at / DAY + rng.random()))
    week = rng.uniform(0.0, 0.2) * np.sin(2 * np.pi * at / (7 * DAY))
    return rng.uniform(8.0, 200.0) * np.maximum(1.0 + day + week, 0.05) * np.exp(noise)


def history(number: int, days: int, ticks: int) -> tuple[State, np.ndarray]:
    """The state after its past, and what comes, one bin per tick."""
    values = demand(number, days * DAY + ticks)
    past, coming = np.split(values, [days * DAY])
    return replayed(SPEC, start_s=0.0, demand_rps={"requests": past}), coming


def tick(states: list[State], came: np.ndarray) -> tuple[float, float]:
    """Decide for all, and say how long it took, and how much of one core, seconds."""
    began_s, used_s = time.perf_counter(), time.process_time()
    for i, state in enumerate(states):
        assert state.next_start_s is not None
        seen = Observation(state.next_start_s, {"requests": float(came[i])}, 20, NONE_DUE)
        decision, states[i] = decide(SPEC, state, seen)
        assert decision.desired > 0
    return time.perf_counter() - began_s, time.process_time() - used_s


def rss_mib() -> tuple[float, float]:
    """Resident memory now, and at most until now."""
    sizes = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", Path("/proc/self/status").read_text()))
    return int(sizes["VmRSS"]) / 1024, int(sizes["VmHWM"]) / 1024


def run(objects: int, days: int, ticks: int) -> dict[str, float | list[float]]:
    """Build the fleet and decide for it."""
    warm, coming = history(0, 2, 1)
    tick([warm], coming)  # loads or compiles the kernels
    base_mib, _ = rss_mib()
    states: list[State] = []
    came = np.empty((objects, ticks))
    for first in range(min(HISTORIES, objects)):
        state, coming = history(first, days, ticks)
        for number in range(first, objects, HISTORIES):
            states.append(copy.deepcopy(state))
            came[len(states) - 1] = coming * (1.0 + 0.1 * np.sin(number))
    took_s = np.array([tick(states, each) for each in came.T])
    now_mib, most_mib = rss_mib()
    return {
        "base_mib": base_mib,
        "rss_mib": now_mib,
        "rss_peak_mib": most_mib,
        "kib_per_object": (now_mib - base_mib) * 1024 / objects,
        "tick_s": took_s[:, 0].tolist(),
        "tick_cpu_s": took_s[:, 1].tolist(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(*map(int, sys.argv[1:]))) + "\n")
