"""How long a fresh process takes to its first decision, after two days of minutes: imports, kernels, history."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(300)

PROGRAM = """
import numpy as np
from autoscaler.core.decide import decide
from autoscaler.core.history import replayed
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Objective, Spec

bins = 2_880
spec = Spec(60.0, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(600.0))
demand = np.random.default_rng(0).poisson(5.0, bins).astype(np.float64)
state = replayed(spec, start_s=0.0, demand_rps={"requests": demand})
decide(spec, state, Observation((bins + 1) * 60.0, {"requests": 5.0}, 9, np.zeros(0, dtype=np.int64)))
"""


def first_decision(cache):
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env={**os.environ, "NUMBA_CACHE_DIR": str(cache)})


@pytest.mark.benchmark(group="first decision of a process")
def test_with_kernels_to_compile(benchmark, tmp_path):
    benchmark.pedantic(first_decision, args=(tmp_path,), rounds=1)


@pytest.mark.benchmark(group="first decision of a process")
def test_with_kernels_at_hand(benchmark, tmp_path):
    first_decision(tmp_path)
    benchmark.pedantic(first_decision, args=(tmp_path,), rounds=5)
