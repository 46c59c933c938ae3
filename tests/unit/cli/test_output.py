"""Progress is for people who wait at a terminal; tables print what they are given."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console
from rich.table import Table

from autoscaler.cli import output


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error as a terminal, and a bar that does not wait two seconds."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, force_interactive=True, width=100)
    monkeypatch.setattr(output, "stderr_console", lambda: console)
    monkeypatch.setattr(output, "PROGRESS_AFTER_S", 0.0)
    return written


def test_a_bar_shows_up_on_a_terminal_and_is_cleared(terminal: io.StringIO) -> None:
    with output.progress("Replaying") as report:
        report(1, 4)
        give_up_s = time.monotonic() + 10
        while "Replaying" not in terminal.getvalue() and time.monotonic() < give_up_s:
            time.sleep(0.01)
    assert "Replaying" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_quick_work_and_machines_see_no_bar(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with output.progress("Replaying", quiet=True) as report:
        report(1, 4)
    monkeypatch.setattr(output, "PROGRESS_AFTER_S", 60.0)
    with output.progress("Replaying") as report:
        report(4, 4)
    assert terminal.getvalue() == ""


def test_a_pipe_sees_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "PROGRESS_AFTER_S", 0.0)
    with output.progress("Replaying") as report:
        report(1, 4)
    assert capsys.readouterr() == ("", "")


def test_the_bar_goes_when_the_work_fails(terminal: io.StringIO) -> None:
    with pytest.raises(ZeroDivisionError), output.progress("Replaying"):
        raise ZeroDivisionError


def test_a_piped_table_is_wide_and_prints_names_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table("policy", *(f"a column of some width {i}" for i in range(5)))
    table.add_row("[red]:fire:", *"12345")
    output.stdout_console().print(table)
    printed = capsys.readouterr().out
    assert "[red]:fire:" in printed
    assert len(printed.splitlines()) == 5
