"""Where the results of models that share GPUs go, and what is refused before the long work begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoscaler.backtest.group import DIVISIONS
from autoscaler.cli import app as command_line

GROUP = "gpus: 5\nmodels:\n" + "".join(
    f"- {{name: {name}, trace: {name}.csv, capacity: 1, loadLatency: 60s, maxReplicas: {most}}}\n"
    for name, most in (("a", 3), ("b", 2))
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two traces that need three replicas now and then, and the group of both."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        rows = (f"{60 * t},{150 if t % 20 else 170}\n" for t in range(120))
        Path(f"{name}.csv").write_text("timestamp,requests\n" + "".join(rows))
    Path("group.yaml").write_text(GROUP)
    return tmp_path


@pytest.fixture
def no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.backtest.group.run_group", lambda *_: pytest.fail("work was begun"))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


GIVEN = {"a.csv", "b.csv", "group.yaml"}


def test_the_results_and_the_page_are_written_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["backtest-group", "group.yaml", "--json-out", "r.json", "--html-out", "r.html"]
    assert command_line.run(given) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("division ")
    assert "b: demand needs up to 3 replicas, and the maximum is 2" in printed.out
    assert printed.err == "wrote r.json\nwrote r.html\n"
    assert files(folder) == {*GIVEN, "r.json", "r.html"}
    found = json.loads((folder / "r.json").read_text())
    assert set(found["divisions"]) == set(DIVISIONS)
    assert found["command"].startswith("headstart")
    page = (folder / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "Headstart backtest of group.yaml: 2 models, 5 GPUs" in page


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_the_table_is_printed_though_the_page_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run(["backtest-group", "group.yaml", "--html-out", "/dev/full"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("division ")
    assert printed.err == "headstart: /dev/full: can't be written: No space left on device\n"


def test_the_results_can_be_piped_with_the_table_on_standard_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run(["backtest-group", "group.yaml", "--json-out", "-"]) == 0
    piped = capsys.readouterr()
    assert piped.err.startswith("division ")
    assert command_line.run(["backtest-group", "group.yaml", "--json"]) == 0
    assert capsys.readouterr() == (piped.out, "")
    assert set(json.loads(piped.out)["divisions"]["headstart"]["models"]) == {"a", "b"}
    assert files(folder) == GIVEN


def test_the_page_can_be_piped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["backtest-group", "group.yaml", "--html-out", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")
    assert files(folder) == GIVEN


@pytest.mark.parametrize(
    ("outputs", "line"),
    [
        (["--json-out", "no/r.json"], "no/r.json: the directory no does not exist"),
        (["--html-out", "."], ".: is a directory"),
        (["--json-out", "group.yaml"], "--json-out and the input are the same file, group.yaml"),
        (["--html-out", "b.csv"], "--html-out and the input are the same file, b.csv"),
        (["--json-out", "r", "--html-out", "./r"], "--html-out and --json-out are the same file, r"),
        (["--json-out", "-", "--html-out", "-"], "--json-out and --html-out both go to standard output"),
        (["--json", "--html-out", "-"], "--html-out and --json both go to standard output"),
    ],
)
def test_an_output_that_cannot_be_is_one_line_before_any_work(
    outputs: list[str], line: str, folder: Path, no_replay: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert command_line.run(["backtest-group", "group.yaml", *outputs]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {line}")
    assert printed.err.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
