"""Bundled traces are found by name, in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.errors import UsageError
from autoscaler.traces import bundled


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one trace of each ending and a recipe beside them, and nothing installed."""
    (tmp_path / "data").mkdir()
    for name in ("evening.csv.gz", "steps.csv", "recipe.toml"):
        (tmp_path / "data" / name).touch()
    package = tmp_path / "autoscaler"
    package.mkdir()
    monkeypatch.setattr(bundled, "_PACKAGE", package)
    return package


def test_a_checkout_reads_its_data_folder(package: Path) -> None:
    assert bundled.bundled_names() == ["evening", "steps"]
    assert bundled.bundled_trace_path("evening") == package.parent / "data" / "evening.csv.gz"


def test_an_installed_wheel_reads_its_own_copy(package: Path) -> None:
    (package / "bundled").mkdir()
    (package / "bundled" / "news.csv").touch()
    assert bundled.bundled_names() == ["news"]


def test_an_unknown_name_is_answered_with_the_known_ones(package: Path) -> None:
    with pytest.raises(UsageError, match="^'morning' is not a bundled trace; there are: evening, steps$"):
        bundled.bundled_trace_path("morning")


def test_there_are_traces_to_demonstrate_with() -> None:
    assert len(bundled.bundled_names()) >= 2
    assert all(bundled.bundled_trace_path(name).stat().st_size > 0 for name in bundled.bundled_names())
