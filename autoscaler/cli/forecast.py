"""`headstart forecast`: how well each model forecasts a trace, per horizon, against the naive ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli.counts import CountsArgument
from autoscaler.cli.output import progress, table_console
from autoscaler.cli.outs import check_outs, parse_png_out, print_document, tell_written, writing
from autoscaler.cli.params import ScoreFromOption, TimeZoneOption, is_typed, parse_days, parse_positive_duration_s

if TYPE_CHECKING:
    from rich.table import Table

    from autoscaler.report.forecast_accuracy import AccuracyReport
    from autoscaler.traces.trace import Trace
    from forecasting.evaluate import HorizonAccuracy
    from forecasting.protocol import Forecaster, PointModel
    from forecasting.registry import ModelSetting

# Statsmodels estimates for seconds per fit, boosted trees grow for a second per day and horizon: for those who ask.
_NOT_BY_DEFAULT = ("boosted", "ets")
_PICTURE_DAYS = 3.0
# 14 days of minutes: all default models walk over them in less than a minute on two cores. Headstart takes most of it.
_BINS_MAX = 20_160
_DAY_S = 86_400.0
# Its error stands in the table beside the reference that it nearly is, with its usual error taken off.
_REFERENCE = "last-value"


def forecast(
    context: typer.Context,
    trace: CountsArgument,
    *,
    unit: Annotated[str, typer.Option("--unit", metavar="COLUMN", help="The column of counts.")] = "requests",
    horizons: Annotated[
        str,
        typer.Option("--horizons", metavar="DURATIONS", help="How far ahead, separated by commas; at least a bin."),
    ] = "1m,10m,1h",
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="A model to measure; repeat for several. An unknown name lists all.",
            show_default="all but boosted and ets",
        ),
    ] = None,
    score_from: ScoreFromOption = 0.5,
    days: Annotated[
        float | None,
        typer.Option(
            "--days",
            parser=parse_days,
            metavar="NUMBER",
            help="Use the latest days only; as many as the trace has, or more, for all.",
            show_default="the latest 20,160 bins: 14 days of minutes",
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            parser=parse_png_out,
            metavar="FILE",
            help="Draw the last three days with the best model's forecast of them.",
            show_default=False,
        ),
    ] = None,
    png_horizon_s: Annotated[
        float | None,
        typer.Option(
            "--png-horizon",
            parser=parse_positive_duration_s,
            metavar="DURATION",
            help="The horizon to draw, one of --horizons.",
            show_default="the second, or the only one",
        ),
    ] = None,
    time_zone: TimeZoneOption = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with unrounded figures.")] = False,
) -> None:
    """Measure how well models forecast a trace: error per horizon, against the naive ones, and coverage.

    Each model walks over the scored part as it would run live: a forecast sees earlier bins only. The raw last value
    that it is compared with is the latest count as it stands; the model last-value adds the error it usually makes.
    """
    from dataclasses import replace

    from autoscaler.report.forecast_accuracy import latest, measure
    from autoscaler.traces.read import read_trace
    from autoscaler.traces.trace import undated
    from forecasting.clock import UTC_ZONE
    from forecasting.registry import ModelSetting

    piped = check_outs({"--png": png}, source=trace, as_json=as_json)
    horizons_s = _horizons_s(horizons)
    drawn = _drawn_horizon(horizons_s, png_horizon_s)
    with progress(f"reading {trace.name}", quiet=as_json):
        whole = read_trace(trace, (unit,))
    if time_zone != UTC_ZONE and not whole.dated:
        raise undated("--time-zone", whole.name)
    demand = latest(whole, _BINS_MAX if days is None else math.ceil(days * _DAY_S / whole.bin_s))
    if is_typed(context, "horizons"):
        _warn_of_rounding(horizons_s, demand.bin_s)
    steps = sorted({_steps(horizon_s, demand.bin_s) for horizon_s in horizons_s})
    drawn_step = _steps(drawn, demand.bin_s)
    setting = ModelSetting(
        bin_s=demand.bin_s, lead_s=drawn, horizon_s=max(horizons_s), steps=tuple(steps), time_zone=time_zone
    )
    models = _models(model, setting)
    with progress("forecasting", quiet=as_json) as report_progress:
        report = measure(demand, unit, models, steps, score_from=score_from, on_progress=report_progress)
    report = replace(report, bins_left_out=len(whole) - len(demand))
    try:
        if png is not None:
            _draw(demand, unit, models[report.best_at(steps.index(drawn_step))], drawn_step, png)
    finally:
        _print(report, as_json=as_json, beside=piped)
    tell_written({"--png": png})


def _print(report: AccuracyReport, *, as_json: bool, beside: bool) -> None:
    """A table per horizon; or JSON. See `table_console` for `beside`."""
    import json

    if as_json:
        print_document(json.dumps(_to_json(report), indent=2))
        return
    console = table_console(beside=beside)
    for horizon, row in enumerate(report.accuracies[0].rows):
        console.print(_title(report, row), style="italic", highlight=False)
        console.print(_table(report, horizon), crop=False)


def _horizons_s(text: str) -> list[float]:
    return [_duration_s("--horizons", part.strip()) for part in text.split(",")]


def _duration_s(option: str, text: str) -> float:
    from autoscaler.errors import UsageError

    try:
        return parse_positive_duration_s(text)
    except typer.BadParameter as error:
        raise UsageError(f"{option}: {error.message}") from None


def _drawn_horizon(horizons_s: list[float], asked_s: float | None) -> float:
    """The horizon to draw and to tune models to. Raises UsageError for one that isn't measured."""
    from autoscaler.errors import UsageError

    if asked_s is None:
        return horizons_s[min(1, len(horizons_s) - 1)]
    if asked_s not in horizons_s:
        raise UsageError(f"--png-horizon: {asked_s:g}s is not one of --horizons; add it there")
    return asked_s


def _steps(horizon_s: float, bin_s: float) -> int:
    return max(1, round(horizon_s / bin_s))


def _warn_of_rounding(horizons_s: list[float], bin_s: float) -> None:
    """Say on standard error which horizons are no whole number of bins, and what is measured instead."""
    for horizon_s in horizons_s:
        measured_s = _steps(horizon_s, bin_s) * bin_s
        if not math.isclose(measured_s, horizon_s):
            told = f"{horizon_s:g} s is no multiple of the bins of {bin_s:g} s; {measured_s:g} s is measured"
            typer.echo(f"warning: --horizons: {told}", err=True)


def _models(names: list[str] | None, setting: ModelSetting) -> list[Forecaster]:
    from autoscaler.errors import UsageError
    from forecasting.errors import ModelError
    from forecasting.registry import forecaster, model_names

    every = [name for name in model_names() if name not in _NOT_BY_DEFAULT]
    try:
        return [forecaster(name, setting) for name in names or every]
    except ModelError as error:
        raise UsageError(f"--model: {error}") from error


def _draw(trace: Trace, unit: str, model: Forecaster | PointModel, horizon: int, path: Path) -> None:
    from autoscaler.report.forecast_accuracy import forecasts_to_show
    from autoscaler.report.forecast_picture import write_forecast_png
    from autoscaler.report.words import duration

    with progress("drawing"):
        forecasts = forecasts_to_show(trace, unit, model, horizon, days=_PICTURE_DAYS)
        title = f"{trace.name}: demand, and its forecast {duration(horizon * trace.bin_s)} ahead by {model.name}"
        with writing(path) as file:
            write_forecast_png(forecasts, file, title=title, unit=unit, start_s=trace.start_s if trace.dated else 0.0)


def _table(report: AccuracyReport, horizon: int) -> Table:
    from rich.table import Table

    from autoscaler.report.table import whole
    from autoscaler.report.words import NOTHING, share

    rows = [(accuracy.name, accuracy.rows[horizon]) for accuracy in report.accuracies]
    intervals = sorted({interval for _, row in rows for interval in row.coverage})
    # Headers of two lines and no box: all of it fits into 80 columns.
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("model")
    for header in ("error", "against raw\nlast value", "mean\nerror /s", "pinball\n/s"):
        table.add_column(header, justify="right")
    for interval in intervals:
        table.add_column(f"inside\n{share(interval)}", justify="right")
    best = report.best_at(horizon)
    for index, (name, row) in enumerate(rows):
        against = NOTHING if name == _REFERENCE else _against(row)
        errors = (f"{error:,.4g}" if math.isfinite(error) else NOTHING for error in (row.mae, row.pinball))
        cells = [name, share(row.wape), against, *errors]
        cells += [share(row.coverage[interval]) if interval in row.coverage else NOTHING for interval in intervals]
        table.add_row(*cells, style="bold" if index == best else "")
    return whole(table)


def _title(report: AccuracyReport, row: HorizonAccuracy) -> str:
    """What the table is about, and which forecasts it counts: 'chat: requests 10 min ahead; 982 forecasts, ...'."""
    from autoscaler.report.words import duration, share

    used = f", the latest {duration(report.bins * report.bin_s)}" if report.bins_left_out else ""
    every = "bin" if report.every == 1 else f"{report.every} bins"
    scored = report.bins - report.score_from_bin
    part = "the later half" if abs(2 * scored - report.bins) <= 1 else f"the last {share(scored / report.bins)}"
    return (
        f"{report.trace}{used}: {report.unit} {duration(row.ahead_s)} ahead; {row.count:,} forecasts, one every {every}"
        f" of {part if report.score_from_bin else 'all'}"
    )


def _against(row: HorizonAccuracy) -> str:
    """Change of the error against the last value's: '-31.2 %' is a third less."""
    from autoscaler.report.words import NOTHING

    return f"{0.0 - 100 * row.skill:+.1f} %" if math.isfinite(row.skill) else NOTHING


def _to_json(report: AccuracyReport) -> dict[str, object]:
    from dataclasses import asdict

    values = asdict(report)
    values["models"] = [
        {"name": accuracy["name"], "horizons": [_row_to_json(row) for row in accuracy["rows"]]}
        for accuracy in values.pop("accuracies")
    ]
    return values


def _row_to_json(row: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN: what could not be measured is null."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
