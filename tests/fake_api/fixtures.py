"""A fake API server for each test, and a client of it. A conftest imports what it offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api.server import FakeApi

from autoscaler.kube.client import Kube
from autoscaler.kube.connect import connect


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        yield running


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> Path:
    written = tmp_path / "kubeconfig"
    written.write_text(api.kubeconfig(), encoding="utf-8")
    return written


@pytest.fixture
def kube(kubeconfig: Path) -> Iterator[Kube]:
    """Its calls time out after 0.5 s."""
    client = connect(kubeconfig, read_timeout_s=0.5)
    yield client
    client.close()
