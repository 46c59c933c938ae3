"""Settings in replica units for the simulated cluster and the baselines, kernels without numba, shared results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

from autoscaler.backtest.setting import Setting
from autoscaler.core.load_latency import LoadLatency

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SettingFactory = Callable[..., Setting]


@pytest.fixture(scope="session")
def replica_setting() -> SettingFactory:
    """Makes a setting from demand in replicas per bin: what a policy sees, and, filled, what arrives."""

    def make(
        demand, *, bin_s=60.0, load_s=0.0, load=None, score_from_bin=0, max_wait_s=10.0, late_budget=0.01, **others
    ):
        demand = np.asarray(demand, dtype=np.float64)
        known = ~np.isnan(demand)
        filled = np.interp(np.arange(len(demand)), np.flatnonzero(known), demand[known])
        return Setting(
            trace_name="test",
            start_s=0.0,
            bin_s=bin_s,
            demand_rps={"requests": demand},
            capacity_rps={"requests": 1.0},
            arrivals_rs=filled * bin_s,
            load_latency=load or LoadLatency.constant(load_s),
            max_wait_s=max_wait_s,
            late_budget=late_budget,
            score_from_bin=score_from_bin,
            **others,
        )

    return make


@pytest.fixture
def without_numba(monkeypatch) -> Callable[..., None]:
    """Replaces every kernel of the modules by the Python function that it was made from."""

    def replace(*modules: ModuleType) -> None:
        for module in modules:
            for name, value in list(vars(module).items()):
                if isinstance(value, CPUDispatcher):
                    monkeypatch.setattr(module, name, value.py_func)

    return replace
