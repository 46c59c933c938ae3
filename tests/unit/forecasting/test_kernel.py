"""Inner kernels: called by kernels, from Python at a price, and by ours never."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from forecasting.kernel import inner, kernel
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.series import Series


@inner
def doubled(value: float) -> float:
    return 2.0 * value


@kernel()
def quadrupled(value: float) -> float:
    return float(doubled(doubled(value)))


def test_an_inner_kernel_answers_kernels_and_python_alike():
    assert quadrupled(1.5) == 6.0
    assert doubled(1.5) == 3.0
    assert doubled.py_func(1.5) == 3.0


def test_a_literal_is_compiled_as_any_integer():
    @njit  # not kept: from the disk it would come compiled
    def both(value: int) -> float:
        return float(doubled(1) + doubled(value))

    before = len(doubled.signatures)
    assert both(2) == 6.0
    assert len(doubled.signatures) == before + 1


def test_a_forecast_calls_no_inner_kernel_from_python(monkeypatch):
    def refuse(made, *_):
        pytest.fail(f"{made.__name__} is called from Python, where it is compiled anew: make it a kernel")

    monkeypatch.setattr(type(doubled), "__call__", refuse)
    demand = 10.0 + np.sin(np.arange(400) / 7.0)
    demand[150:160] = math.nan
    start = LeadEnsemble.start(lead=3, bin_s=600.0, floor=0.1, time_zone="Europe/Berlin")
    fitted = start.fit(Series.of(demand, bin_s=600.0)).update(9.0)
    assert np.isfinite(fitted.at_lead([0.5, 0.99])).all()
