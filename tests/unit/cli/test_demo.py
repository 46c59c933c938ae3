"""`headstart demo`: a table, a report and what to try next, from what is installed alone."""

from __future__ import annotations

import pytest

from autoscaler.cli import app as command_line


@pytest.mark.timeout(180)
def test_the_demo_writes_its_report_and_says_the_number_and_what_is_next(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_line.run(["demo", "--out", "report.html"]) == 0
    printed = capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text().lower().startswith("<!doctype html>")
    for text in ("GPU-hours", "Headstart", "Optimum in hindsight", "headstart backtest", "report.html", "$"):
        assert text in printed


def test_a_report_that_cannot_be_written_is_said_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("autoscaler.backtest.run.run_backtest", lambda *_, **__: pytest.fail("work was begun"))
    assert command_line.run(["demo", "--out", str(tmp_path / "nowhere" / "r.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
