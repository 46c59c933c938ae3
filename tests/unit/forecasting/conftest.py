"""What the forecasting tests share: the bundled traces as series."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from autoscaler.traces.read import read_trace
from forecasting.series import Series

DATA = Path(__file__).resolve().parents[3] / "data"


@pytest.fixture(scope="session")
def bundled() -> Callable[[str], Series]:
    """The bundled trace of a name, in requests per second."""

    @cache
    def series(name: str) -> Series:
        trace = read_trace(DATA / f"{name}.csv")
        return Series.of(trace.demand["requests"] / trace.bin_s, bin_s=trace.bin_s, start_s=trace.start_s)

    return series
