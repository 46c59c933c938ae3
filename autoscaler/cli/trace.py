"""`headstart trace`: import demand from public formats, describe it, generate it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli.counts import CountsArgument
from autoscaler.cli.output import progress, stderr_console, stdout_console
from autoscaler.cli.outs import check_outs, parse_out, print_document, said_of, writing
from autoscaler.cli.params import parse_positive_duration_s

if TYPE_CHECKING:
    from rich.table import Table

    from autoscaler.traces.describe import Description
    from autoscaler.traces.trace import Trace

app = typer.Typer(help="Import, describe and generate demand traces.")

OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        parser=parse_out,
        metavar="FILE",
        help="Where to write: .csv, .csv.gz or .parquet; or - for standard output.",
        show_default=False,
    ),
]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace as its publisher or your own export has it.")],
    *,
    out: OutOption,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="auto, azure-llm, mooncake, burstgpt, csv or parquet; auto looks inside."
        ),
    ] = "auto",
    bin_s: Annotated[
        float | None,
        typer.Option(
            "--bin",
            parser=parse_positive_duration_s,
            metavar="DURATION",
            help="Width of the bins: 60s (the default for logs), 5m. Counts per bin keep theirs, or are summed.",
            show_default=False,
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            metavar="COLUMN",
            help="A unit of work to keep: requests, prompt_tokens, output_tokens. Repeat for several."
            " Default: all of a log, requests of counts.",
        ),
    ] = None,
    requests: Annotated[
        bool, typer.Option("--requests", help="Keep one row per request, with its tokens, instead of counts per bin.")
    ] = False,
) -> None:
    """Read a public or your own format and write a trace that every command reads.

    Formats: azure-llm (Azure LLM 2023 and 2024), mooncake (JSON lines), burstgpt, and plain CSV or Parquet with
    'timestamp' and counts, or with 'timestamp', 'prompt_tokens' and 'output_tokens' per request.
    """
    from autoscaler.errors import UsageError
    from autoscaler.traces.formats import import_requests, import_trace
    from autoscaler.traces.requests import write_requests
    from autoscaler.traces.write import write_trace

    if requests and (bin_s is not None or unit):
        raise UsageError("--requests: keeps each request as it is; leave out --bin and --unit")
    check_outs({"--out": out}, source=file)
    with writing(out) as path, progress(f"importing {file.name}"):
        if requests:
            log = import_requests(file, format_)
            write_requests(log, path)
            said = f"{len(log):,} requests"
        else:
            trace = import_trace(file, format_, bin_s=bin_s, units=unit or ())
            write_trace(trace, path)
            said = _said(trace)
    stderr_console().print(f"{said_of(out)}: {said}")


@app.command("describe")
def describe(
    trace: CountsArgument,
    unit: Annotated[str, typer.Option("--unit", metavar="COLUMN", help="The column of counts.")] = "requests",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with unrounded figures.")] = False,
) -> None:
    """Say how high, how spiky and how predictable a trace is, before you backtest it."""
    import json
    from dataclasses import asdict

    from autoscaler.traces.describe import describe as describe_trace
    from autoscaler.traces.read import read_trace

    with progress(f"reading {trace.name}", quiet=as_json):
        description = describe_trace(read_trace(trace, (unit,)), unit)
    if as_json:
        print_document(json.dumps(asdict(description), indent=2))
    else:
        stdout_console().print(_table(description), crop=False)


@app.command("generate")
def generate(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What the demand is made of.")],
    out: OutOption,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=2**32 - 1, help="Instead of the recipe's own seed.", show_default=False),
    ] = None,
) -> None:
    """Make synthetic demand from a recipe: seasons, bursts, level shifts, outages. The same seed, the same bytes.

    Recipes to copy and change: data/chat.toml, data/code.toml and data/agents.toml in the repository; an installed
    Headstart has them in its folder autoscaler/bundled. What each key means is in data/README.md.
    """
    from autoscaler.traces.generate import generate as generate_trace
    from autoscaler.traces.recipe import load_recipe
    from autoscaler.traces.write import write_trace

    check_outs({"--out": out}, source=recipe)
    with writing(out) as path, progress(f"generating {recipe.stem}"):
        trace = generate_trace(load_recipe(recipe), seed)
        write_trace(trace, path)
    stderr_console().print(f"{said_of(out)}: {_said(trace)}")


def _said(trace: Trace) -> str:
    from autoscaler.report.words import count, duration

    return f"{count(len(trace))} bins of {duration(trace.bin_s)} with {', '.join(trace.demand)}"


def _table(description: Description) -> Table:
    from rich.table import Table

    from autoscaler.report.table import whole

    table = Table(title=f"{description.name}: {description.unit}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for section in _sections(description):
        for row in section:
            table.add_row(*row)
        table.add_section()
    return whole(table)


def _sections(d: Description) -> list[list[tuple[str, str, str]]]:
    """Rows of name, value and what it means, in groups."""
    from autoscaler.report.words import NOTHING, count, duration, share

    def number(value: float | None, unit: str = "") -> str:
        return NOTHING if value is None else f"{value:,.3g}{unit}" if abs(value) < 1000 else f"{count(value)}{unit}"

    def percent(value: float | None) -> str:
        return NOTHING if value is None else share(value)

    doubling = NOTHING if d.fastest_doubling_s is None else duration(d.fastest_doubling_s)
    window = duration(d.rise_window_s)
    return [
        [
            ("length", duration(d.span_s), f"{count(d.bins)} bins of {duration(d.bin_s)}"),
            ("missing", share(d.missing_share), "bins without a count, which are not zero"),
            ("zero", share(d.zero_share), "known bins in which nothing arrived"),
        ],
        [
            ("mean", number(d.mean_per_s, "/s"), f"{count(d.total)} in all"),
            ("median", number(d.median_per_s, "/s"), ""),
            ("p99", number(d.p99_per_s, "/s"), ""),
            (
                "peak",
                number(d.peak_per_s, "/s"),
                f"{number(d.peak_to_mean)} times the mean: what a static fleet pays for",
            ),
        ],
        [
            ("variation", number(d.variation), "standard deviation over mean"),
            ("dispersion", number(d.dispersion), "variance over mean; 1 for independent requests at a constant rate"),
            ("noise", number(d.noise_dispersion), "the same between neighbouring bins, seasons left out"),
            ("steepest rise", number(d.steepest_rise_per_s, "/s"), f"within {window}, about the load of a large model"),
            ("fastest doubling", doubling, "beyond chance, from a quarter of the mean up"),
        ],
        [
            ("day", number(d.day_correlation), "correlation with the day before; 1 repeats exactly"),
            ("week", number(d.week_correlation), "correlation with the week before"),
            ("as a bin ago", percent(d.bin_ago_wape), f"error of the forecast 'as {duration(d.bin_s)} ago' (WAPE)"),
            ("as yesterday", percent(d.day_ago_wape), "error of 'as at this time yesterday'"),
            ("as last week", percent(d.week_ago_wape), "error of 'as at this time last week'"),
        ],
    ]
