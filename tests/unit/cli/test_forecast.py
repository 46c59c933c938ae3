"""`headstart forecast`: tables, figures for machines, a picture, and one line for each mistake."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from matplotlib.figure import Figure

from autoscaler.cli import app as command_line
from autoscaler.report.forecast_accuracy import LEVELS, AccuracyReport, latest
from autoscaler.report.forecast_picture import draw_forecast, write_forecast_png
from autoscaler.traces.trace import Trace
from forecasting.evaluate import Accuracy, HorizonAccuracy, RollingForecasts

BINS = 24 * 12


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """An hourly trace that grows by 3,600 requests per hour and bin: 1 per second and bin."""
    path = tmp_path / "ramp.csv"
    path.write_text("timestamp,requests\n" + "".join(f"{3600 * i},{3600 * (10 + i)}\n" for i in range(BINS)))
    return path


def run(*arguments: object) -> int:
    return command_line.run(["forecast", *map(str, arguments)])


def test_figures_are_per_second_and_horizons_end_on_the_right_bin(ramp, capsys):
    assert run(ramp, "--horizons", "1h,6h", "--model", "last-value", "--model", "window-mean", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in report["models"]] == ["last-value", "window-mean"]
    rows = report["models"][0]["horizons"]
    assert [(row["steps"], row["ahead_s"]) for row in rows] == [(1, 3600.0), (6, 21600.0)]
    # The last value itself misses by 1 and 6; the model's interval has learned that it always does.
    assert [row["mae"] / (1.0 - row["skill"]) for row in rows] == pytest.approx([1.0, 6.0])
    assert all(0.5 < row["skill"] < 1.0 for row in rows)
    assert report["score_from_bin"] == BINS // 2


def test_seasons_follow_the_clocks_of_a_time_zone(tmp_path, capsys):
    """Work from nine to five in Berlin, over the end of summer time: in UTC it moves by an hour."""
    start = datetime(2026, 10, 5, tzinfo=ZoneInfo("UTC"))
    times = [start + timedelta(hours=i) for i in range(24 * 27)]
    busy = [9 <= time.astimezone(ZoneInfo("Europe/Berlin")).hour < 17 for time in times]
    path = tmp_path / "office.csv"
    rows = (
        f"{time:%Y-%m-%dT%H:%M:%SZ},{36_000 if at_work else 3_600}\n" for time, at_work in zip(times, busy, strict=True)
    )
    path.write_text("timestamp,requests\n" + "".join(rows))
    errors = {}
    for zone in ("UTC", "Europe/Berlin"):
        assert (
            run(path, "--horizons", "2h", "--model", "headstart", "--score-from", "77%", "--time-zone", zone, "--json")
            == 0
        )
        errors[zone] = json.loads(capsys.readouterr().out)["models"][0]["horizons"][0]["mae"]
    assert errors["Europe/Berlin"] < 0.5 * errors["UTC"]


def test_a_time_zone_needs_dates(ramp, capsys):
    assert run(ramp, "--time-zone", "Europe/Berlin") == 2
    assert capsys.readouterr().err.startswith("headstart: --time-zone: ramp counts seconds from some start")


def test_a_table_per_horizon_names_every_model(ramp, capsys):
    assert run(ramp, "--horizons", "2h,1d") == 0
    printed = capsys.readouterr().out
    assert "requests 2 h ahead" in printed
    assert "requests 24 h ahead" in printed
    for name in ("last-value", "same-time-yesterday", "seasonal-profile", "holt-winters"):
        assert printed.count(name) == 2
    assert "nan" not in printed


def test_the_header_tells_which_forecasts_are_counted(ramp, capsys):
    assert run(ramp, "--horizons", "3h", "--model", "last-value", "--model", "window-mean") == 0
    printed = capsys.readouterr().out
    # Of 144 origins the last two have no third bin ahead.
    header = printed.splitlines()[0].rstrip()
    assert header == "ramp: requests 3 h ahead; 142 forecasts, one every bin of the later half"
    assert "against raw" in printed
    cells = next(line for line in printed.splitlines() if line.startswith("last-value")).replace(" %", "%").split()
    assert cells[2] == "-"


def test_a_table_fits_into_80_columns_uncut(ramp, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(ramp, "--horizons", "2h") == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= 80
    assert run(ramp, "--horizons", "3h", "--model", "last-value", "--score-from", "25%") == 0
    assert "one every bin of the last 75 %" in capsys.readouterr().out
    assert run(ramp, "--horizons", "3h", "--model", "last-value", "--score-from", "0") == 0
    assert "one every bin of all" in capsys.readouterr().out


def test_only_the_latest_days_are_used_where_asked(ramp, capsys):
    assert run(ramp, "--horizons", "1h", "--model", "last-value", "--days", "5") == 0
    assert capsys.readouterr().out.startswith("ramp, the latest 5 days: requests 60 min ahead; 60 forecasts, ")
    assert run(ramp, "--horizons", "1h", "--model", "last-value", "--days", "5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["bins"], report["bins_left_out"]) == (120, BINS - 120)
    assert run(ramp, "--horizons", "1h", "--model", "last-value", "--days", "400") == 0
    assert capsys.readouterr().out.startswith("ramp: ")


def test_a_long_trace_is_cut_to_its_latest_bins_by_default(ramp, monkeypatch, capsys):
    monkeypatch.setattr("autoscaler.cli.forecast._BINS_MAX", 48)
    assert run(ramp, "--horizons", "1h", "--model", "last-value") == 0
    assert capsys.readouterr().out.startswith("ramp, the latest 2 days: ")


def test_the_latest_bins_keep_their_times():
    trace = Trace("t", 1000.0, 60.0, {"requests": np.arange(10.0)}, True)
    cut = latest(trace, 3)
    assert (cut.start_s, cut.demand["requests"].tolist()) == (1420.0, [7.0, 8.0, 9.0])
    assert latest(trace, 10).start_s == latest(trace, 11).start_s == 1000.0


def test_horizons_below_a_bin_are_a_bin(ramp, capsys):
    assert run(ramp, "--horizons", "1m,10m,1h", "--model", "last-value", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["models"][0]["horizons"]) == 1


@pytest.mark.parametrize(
    ("horizons", "told"),
    [
        (["--horizons", "7m,90m,3h"], [(420, 3600), (5400, 7200)]),
        (["--horizons", "2h"], []),
        ([], []),
    ],
)
def test_horizons_that_are_no_whole_number_of_bins_are_told(ramp, horizons, told, capsys):
    assert run(ramp, *horizons, "--model", "last-value") == 0
    assert capsys.readouterr().err.splitlines() == [
        f"warning: --horizons: {asked} s is no multiple of the bins of 3600 s; {used} s is measured"
        for asked, used in told
    ]


def test_a_picture_is_written_whole(ramp, tmp_path, capsys):
    full = ("--png", "/dev/full") if Path("/dev/full").exists() else ()
    assert run(ramp, "--horizons", "1h", "--model", "last-value", *full) == (1 if full else 0)
    assert "last-value" in capsys.readouterr().out
    picture = tmp_path / "forecast.png"
    assert run(ramp, "--horizons", "1h,3h", "--model", "last-value", "--png", picture) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert f"wrote {picture}" in capsys.readouterr().err


def test_a_picture_has_intervals_and_gaps(tmp_path):
    origins = np.arange(100, 148)
    demand = np.where(origins % 10 == 0, np.nan, 5.0)
    forecasts = RollingForecasts(
        name="any",
        bin_s=3600.0,
        origins=origins,
        horizons=np.array([2]),
        levels=np.array(LEVELS),
        quantiles=np.tile(np.linspace(2.0, 8.0, len(LEVELS)), (48, 1, 1)),
        actual=demand[:, None],
        last=demand,
    )
    path = tmp_path / "band.png"
    write_forecast_png(forecasts, path, title="a $ in a name", unit="requests", start_s=1.7e9)
    assert path.stat().st_size > 10_000


def test_a_picture_says_how_far_a_band_goes_that_is_cut_and_that_times_are_utc():
    def drawn(highest: float, start_s: float) -> tuple[str, list[str]]:
        quantiles = np.tile(np.linspace(2.0, 8.0, len(LEVELS)), (48, 1, 1))
        quantiles[20, 0, -1] = highest
        forecasts = RollingForecasts(
            name="any",
            bin_s=3600.0,
            origins=np.arange(100, 148),
            horizons=np.array([1]),
            levels=np.array(LEVELS),
            quantiles=quantiles,
            actual=np.full((48, 1), 6.0),
            last=np.full(48, 6.0),
        )
        figure = Figure()
        draw_forecast(figure, forecasts, title="any", unit="requests", start_s=start_s)
        (axes,) = figure.axes
        return axes.get_xlabel(), [text.get_text() for text in axes.get_legend().get_texts()]

    axis, legend = drawn(80.0, 1.7e9)
    assert axis == "UTC"
    assert "goes on beyond the edge, up to 80.0" in legend
    axis, legend = drawn(8.5, 0.0)
    assert axis == "days from the start of the trace"
    assert not any("beyond the edge" in text for text in legend)


def test_the_best_model_is_one_with_intervals_where_there_is_one():
    def accuracy(name: str, mae: float, coverage: dict[float, float]) -> Accuracy:
        return Accuracy(name, (HorizonAccuracy(1, 60.0, 9, mae, 0.1, 0.1, coverage, 0.0),))

    point, wide, narrow = accuracy("a", 1.0, {}), accuracy("b", 3.0, {0.9: 0.9}), accuracy("c", 2.0, {0.9: 0.9})
    report = AccuracyReport("t", "requests", 60.0, 100, 50, 1, 10, (point, wide, narrow))
    assert report.best_at(0) == 2
    assert AccuracyReport("t", "requests", 60.0, 100, 50, 1, 10, (point,)).best_at(0) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "prophet"], "--model: there is no model 'prophet'; choose from last-value, "),
        (["--horizons", "soon"], "--horizons: 'soon' is not a duration; "),
        (["--horizons", "0s"], "--horizons: '0s' is no time at all; "),
        (["--horizons", "30d"], "--horizons: 2.592e+06s is longer than the scored part of ramp, 518400s; "),
        (["--horizons", "1h", "--png-horizon", "2h"], "--png-horizon: 7200s is not one of --horizons; "),
        (["--png", "/nowhere/at/all.png"], "/nowhere/at/all.png: the directory /nowhere/at does not exist; "),
    ],
)
def test_a_mistake_is_one_line(ramp, arguments, message, capsys):
    assert run(ramp, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {message}")
    assert printed.err.count("\n") == 1


def test_nothing_to_score_against_is_refused(tmp_path, capsys):
    path = tmp_path / "gone.csv"
    path.write_text("timestamp,requests\n" + "".join(f"{60 * i},{i if i < 90 else ''}\n" for i in range(200)))
    assert run(path, "--horizons", "1m") == 2
    assert capsys.readouterr().err.startswith("headstart: --score-from: all bins that are scored of gone are missing;")


def test_a_horizon_without_outcomes_has_no_figures(tmp_path, capsys):
    path = tmp_path / "gaps.csv"
    known = {*range(100), 101}
    path.write_text("timestamp,requests\n" + "".join(f"{60 * i},{i if i in known else ''}\n" for i in range(200)))
    assert run(path, "--horizons", "1m,1h", "--model", "last-value") == 0
    assert "nan" not in capsys.readouterr().out


def test_a_trace_that_is_all_missing_is_refused(tmp_path, capsys):
    path = tmp_path / "gone.csv"
    path.write_text("timestamp,requests\n0,\n60,\n120,\n180,\n")
    assert run(path) == 2
    assert "missing" in capsys.readouterr().err
