"""What every test may use: the shared real traces, and deterministic property tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Derandomised: a red run is red again when it is run again. No deadline: the first call of a kernel compiles it.
settings.register_profile("headstart", derandomize=True, deadline=None)
settings.load_profile("headstart")


@pytest.fixture(scope="session")
def shared_traces() -> Path:
    """The folder of real traces: `$HEADSTART_TRACES`, else `../shared/traces` beside the checkout.

    They are not part of the repository, so a test that needs them is skipped where they are absent; under CI, which
    always has them, it fails instead.
    """
    beside_checkout = Path(__file__).resolve().parents[2] / "shared" / "traces"
    traces = Path(os.environ.get("HEADSTART_TRACES") or beside_checkout)
    if not traces.is_dir():
        reason = f"no real traces at {traces}; set HEADSTART_TRACES to their folder"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return traces


@pytest.fixture(autouse=True)
def any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width that whoever runs the tests happens to have doesn't count."""
    monkeypatch.delenv("COLUMNS", raising=False)
