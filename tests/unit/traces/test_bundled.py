"""Bundled traces are found by name, in a wheel and in a checkout."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from autoscaler.errors import UsageError
from autoscaler.traces import bundled
from autoscaler.traces.recipe import Bursts, Day, Noise, Outage, Peak, Recipe, Shift, Tokens

README = Path(__file__).resolve().parents[3] / "data" / "README.md"


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


def test_the_readme_beside_the_recipes_names_every_key_of_theirs_and_no_other() -> None:
    tables = {"[day]": Day, "[[day.peaks]]": Peak, "[[shifts]]": Shift, "[bursts]": Bursts}
    tables |= {"[noise]": Noise, "[tokens]": Tokens, "[[outages]]": Outage}
    rows = re.findall(r"^\| (`.*?) \|", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    told: dict[str, set[str]] = {}
    for names in (re.findall(r"`(.*?)`", row) for row in rows):
        table = names.pop(0) if names[0].startswith("[") else ""
        if table or names[0] in {field.name for field in fields(Recipe)}:
            told.setdefault(table, set()).update(names)
    inner = {"day", "shifts", "bursts", "noise", "tokens", "outages"}  # those have tables
    assert told.pop("") == {field.name for field in fields(Recipe)} - inner
    assert told == {name: {field.name for field in fields(part)} - {"peaks"} for name, part in tables.items()}
