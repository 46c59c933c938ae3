"""`headstart backtest` with `--schedule` and `--time-zone`: a plan by them; or one line that says what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autoscaler.cli.app import run

EVENT = "- {name: launch, at: '2026-03-02T17:00:00+01:00', duration: 1h, atLeast: 20}\n"


def trace(folder: Path, *, dated: bool) -> Path:
    stamps = [f"2026-03-02T{hour:02}:{minute:02}:00Z" if dated else str(hour * 3600 + minute * 60)
              for hour in range(24) for minute in range(0, 60, 10)]  # fmt: skip
    file = folder / "trace.csv"
    file.write_text("timestamp,requests\n" + "".join(f"{stamp},1800\n" for stamp in stamps))
    return file


def backtest(folder: Path, events: str, *, dated: bool = True, interval: str | None = None) -> int:
    (folder / "events.yaml").write_text(events)
    arguments = [
        "--capacity",
        "1",
        "--load-latency",
        "20m",
        "--against",
        "none",
        "--plan-out",
        str(folder / "plan.csv"),
    ]
    arguments += ["--interval", interval] if interval else []
    return run(["backtest", str(trace(folder, dated=dated)), *arguments, "--schedule", str(folder / "events.yaml")])


def test_the_plan_has_the_replicas_one_load_before(tmp_path):
    assert backtest(tmp_path, EVENT) == 0
    rows = [line.split(",") for line in (tmp_path / "plan.csv").read_text().splitlines()[1:]]
    desired = {row[0][11:16]: int(row[-1]) for row in rows}
    assert (desired["15:30"], desired["15:40"], desired["16:50"], desired["17:00"]) == (4, 20, 20, 4)


def test_what_changes_nothing_is_a_warning(tmp_path, capsys):
    assert backtest(tmp_path, EVENT.replace("2026-03-02", "2027-03-02"), interval="400s") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert [line.partition(";")[0] for line in warnings] == [
        "warning: --interval: 400 s is no multiple of the bins of 600 s",
        "warning: --schedule: launch doesn't come within trace, from 2026-03-02T00:00:00Z to 2026-03-03T00:00:00Z",
    ]


def test_what_is_as_asked_is_no_warning(tmp_path, capsys):
    assert backtest(tmp_path, EVENT) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("events", "dated", "said"),
    [
        (EVENT.replace("1h", "1"), True, "events.yaml:1: schedule[0].duration: must be a duration such as 90s"),
        (EVENT, False, "--schedule: trace counts seconds from some start, and events have dates"),
        (
            EVENT.replace("atLeast: 20", "atLeast: 100001"),
            True,
            "schedule[0].atLeast: must be at most 100000, got 100001",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, capsys, events, dated, said):
    assert backtest(tmp_path, events, dated=dated) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_seconds_since_the_epoch_are_dates(tmp_path, capsys):
    start_s = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
    rows = "".join(f"{start_s + 300 * at},60\n" for at in range(288))
    (tmp_path / "epoch.csv").write_text("timestamp,requests\n" + rows)
    (tmp_path / "events.yaml").write_text(EVENT)
    given = ["--schedule", str(tmp_path / "events.yaml"), "--time-zone", "Europe/Berlin", "--against", "none"]
    trace_file = str(tmp_path / "epoch.csv")
    assert run(["backtest", trace_file, "--capacity", "1", "--load-latency", "10m", *given]) == 0
    assert "counts seconds" not in capsys.readouterr().err


def week_of_work(folder: Path, *, dated: bool = True) -> Path:
    """Three weeks of half hours around the 30th of March 2025, with work from eight to six in Berlin."""
    path = folder / "work.csv"
    rows = []
    for at in range(21 * 48):
        start = datetime.fromtimestamp(1_742_169_600 + 1_800 * at, UTC)  # 17 March, a Monday
        local = start.astimezone(ZoneInfo("Europe/Berlin"))
        count = 18_000 if local.weekday() < 5 and 8 <= local.hour < 18 else 900
        rows.append(f"{start:%Y-%m-%dT%H:%M:%SZ},{count}\n" if dated else f"{1_800 * at},{count}\n")
    path.write_text("timestamp,requests\n" + "".join(rows))
    return path


def cost_and_lateness(folder: Path, time_zone: str) -> tuple[float, float]:
    out = folder / "result.json"
    asked = ["--capacity", "1", "--load-latency", "30m", "--against", "none", "--score-from", "66%"]
    trace_file = str(week_of_work(folder))
    assert run(["backtest", trace_file, *asked, "--time-zone", time_zone, "--json-out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["settings"]["time_zone"] == time_zone
    headstart = found["policies"]["headstart"]
    return headstart["replica_hours"], headstart["late_fraction"]


def test_the_monday_after_the_clocks_changed_is_seen_coming_in_its_time_zone(tmp_path):
    by_clock, by_utc = cost_and_lateness(tmp_path, "Europe/Berlin"), cost_and_lateness(tmp_path, "UTC")
    assert by_clock[0] < 0.95 * by_utc[0]
    assert by_clock[1] <= by_utc[1]


@pytest.mark.parametrize(
    ("dated", "time_zone", "said"),
    [
        (False, "Europe/Berlin", "--time-zone: work counts seconds from some start, and clocks change on dates; give"),
        (True, "Berlin", "--time-zone: must be an IANA time zone such as Europe/Berlin, got 'Berlin'"),
        (True, "", "--time-zone: must be an IANA time zone such as Europe/Berlin, got ''"),
    ],
)
def test_a_time_zone_that_can_not_be_meant_is_one_line(tmp_path, capsys, dated, time_zone, said):
    trace_file = str(week_of_work(tmp_path, dated=dated))
    assert run(["backtest", trace_file, "--capacity", "1", "--load-latency", "30m", "--time-zone", time_zone]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
