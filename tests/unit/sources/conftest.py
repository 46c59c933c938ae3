"""A fake Prometheus for each test, and a source that asks it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fake_prometheus import FakePrometheus

from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource


@pytest.fixture
def server() -> Iterator[FakePrometheus]:
    serving = FakePrometheus()
    yield serving
    serving.close()


@pytest.fixture
def source(server: FakePrometheus) -> Iterator[PrometheusSource]:
    asking = PrometheusSource(Connection(url=server.url), jitter_s=0.0)
    yield asking
    asking.close()
