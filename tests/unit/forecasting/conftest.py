"""What the forecasting tests share: the bundled traces as series, and a walk along them that takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from autoscaler.traces.read import read_trace
from forecasting.append_log import AppendLog
from forecasting.at_leads import LeadForecaster
from forecasting.series import Series

DATA = Path(__file__).resolve().parents[3] / "data"

CENTRAL = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
BOUGHT_AT = np.array([0.99, 0.995, 0.999])


@dataclass(frozen=True)
class Walk:
    """What `headstart` said at every second bin of the later half of a trace, before it came.

    Attributes:
        last: the bin before each origin, shape (n,), work per second.
        came: what came in the two bins after it, shape (n, 2).
        moments: forecaster's quantiles at CENTRAL, steps 1 and 2: shape (n, 2, 7).
        peaks: of the largest demand until then, likewise.
        bought: the ensemble's own quantiles at levels `bought_at` one bin after the next, shape (n, TARGETS, 3).
    """

    last: np.ndarray
    came: np.ndarray
    moments: np.ndarray
    peaks: np.ndarray
    bought: np.ndarray
    bought_at: np.ndarray


@pytest.fixture(scope="session")
def bundled() -> Callable[[str], Series]:
    """The bundled trace of a name, in requests per second."""

    @cache
    def series(name: str) -> Series:
        trace = read_trace(DATA / f"{name}.csv")
        return Series.of(trace.demand["requests"] / trace.bin_s, bin_s=trace.bin_s, start_s=trace.start_s)

    return series


@pytest.fixture(scope="session")
def walk(bundled) -> Callable[[str], Walk]:
    """The walk along the bundled trace of a name."""

    @cache
    def walked(name: str) -> Walk:
        values = bundled(name).values
        first = len(values) // 2
        head = Series.of(values[:first], bin_s=bundled(name).bin_s, start_s=bundled(name).start_s)
        fitted, moments, peaks, bought = LeadForecaster(2).fit(head), [], [], []
        origins = np.arange(first, len(values) - 1, 2)
        for origin in origins:
            moments.append(fitted.quantiles(2, CENTRAL))
            peaks.append(fitted.peak_quantiles(2, CENTRAL))
            bought.append(fitted.ensembles[1].ensemble.at_lead(BOUGHT_AT))
            fitted = fitted.update(float(values[origin])).update(float(values[origin + 1]))
        came = np.column_stack([values[origins], values[origins + 1]])
        return Walk(values[origins - 1], came, np.array(moments), np.array(peaks), np.array(bought), BOUGHT_AT)

    return walked


@pytest.fixture
def arrays_of() -> Callable[[object], list[np.ndarray]]:
    """All numbers of a state as arrays, depth first."""
    return _arrays_of


def _arrays_of(state: object) -> list[np.ndarray]:
    if isinstance(state, AppendLog):
        return [state.rows, np.array([state.dropped])]
    if isinstance(state, np.ndarray):
        return [state]
    parts = [getattr(state, field.name) for field in fields(state)] if is_dataclass(state) else state
    if isinstance(parts, (list, tuple)):
        return [array for part in parts for array in _arrays_of(part)]
    return [np.array([parts])] if isinstance(parts, (int, float)) else []
