"""Bins that nobody knows are told of in the same words by every command that replays a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.cli import app as command_line

BINS = 120
GROUP = "gpus: 9\nmodels:\n" + "".join(
    f"- {{name: {name}, trace: {name}.csv, capacity: 1, loadLatency: 60s}}\n" for name in ("holes", "whole")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trace whose last quarter but for a bin is missing, a whole one, and a group of both."""
    for name, known in (("holes", 90), ("whole", BINS)):
        rows = (f"{60 * t},{100 if t < known or t == BINS - 1 else ''}\n" for t in range(BINS))
        (tmp_path / f"{name}.csv").write_text("timestamp,requests\n" + "".join(rows))
    (tmp_path / "group.yaml").write_text(GROUP)
    return tmp_path


def warned(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert command_line.run([*map(str, arguments)]) == 0
    return capsys.readouterr().err


def test_commands_that_replay_a_trace_warn_of_its_gaps_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = "48.3 % of the scored bins are missing in holes; they are filled linearly, and what is told of them is a"
    options = ("--capacity", 1, "--load-latency", "60s")
    backtest = ("--against", "none", "--policy", "hpa")
    assert warned(capsys, "backtest", folder / "holes.csv", *options, *backtest) == f"warning: {filled} guess\n"
    group = folder / "group.yaml"
    assert warned(capsys, "backtest-group", group) == f"{group}: warning: {filled} guess\n"
    simulated = warned(capsys, "run", "--simulate", folder / "holes.csv", *options, "--speed", "max")
    assert simulated == (
        "warning: 24.2 % of the scored bins are missing in holes; nothing arrives in them, and what is told of them is"
        " a guess\n"
    )


def test_a_whole_trace_is_no_matter(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = folder / "group.yaml"
    group.write_text(GROUP.replace("trace: holes", "trace: whole"))
    assert warned(capsys, "backtest-group", group) == ""
    options = ("--capacity", 1, "--load-latency", "60s", "--speed", "max")
    assert warned(capsys, "run", "--simulate", folder / "whole.csv", *options) == ""
