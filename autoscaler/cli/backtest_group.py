"""`headstart backtest-group`: several models on one number of GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli import backtest_options as options
from autoscaler.cli.backtest import command_line
from autoscaler.cli.gaps import warn_of_gaps
from autoscaler.cli.output import progress, table_console
from autoscaler.cli.outs import check_outs, json_text, parse_out, print_document, tell_written, write_text
from autoscaler.cli.params import ScoreFromOption

if TYPE_CHECKING:
    from autoscaler.backtest.group import Group, GroupOutcome

_HtmlOutOption = Annotated[
    Path | None,
    typer.Option(
        "--html-out",
        parser=parse_out,
        metavar="FILE",
        help=f"The report, one page.{options.DASH_TOLD}",
        rich_help_panel=options.OUTPUTS,
    ),
]


def backtest_group(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="YAML with `gpus` and `models`: name, trace, capacity, loadLatency, and unit, objective,"
            " gpusPerReplica, priority, minReplicas, maxReplicas, timeZone, schedule.",
            show_default=False,
        ),
    ],
    *,
    score_from: ScoreFromOption = 0.5,
    json_out: options.JsonOutOption = None,
    html_out: _HtmlOutOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Replay several traces that share GPUs: who gets them, and how much waits, while not every wish fits.

    Headstart gives GPUs to minimums first, then by priority, and among equals to the replicas that save most late work.
    Beside it: first come, first served; an equal part each; and no limit at all.

    Example: headstart backtest-group data/group.yaml --html-out report.html
    """
    from autoscaler.backtest.group import DIVISIONS, run_group
    from autoscaler.backtest.group_file import read_group, remarks, traces_of

    outputs = {"--json-out": json_out, "--html-out": html_out}
    piped = check_outs(outputs, source=file, as_json=as_json)
    for trace in traces_of(file):
        check_outs(outputs, source=trace)
    with progress(f"reading {file.name}", quiet=as_json):
        group = read_group(file, score_from=score_from)
    for remark in remarks(group):
        typer.echo(f"{file}: warning: {remark}", err=True)
    for model in group.models:
        warn_of_gaps(model.setting, place=f"{file}: ")
    outcomes = []
    for name in DIVISIONS:
        with progress(f"replaying {file.name}: {name}", quiet=as_json) as report:
            outcomes.append(run_group(group, name, report))
    try:
        _write(group, outcomes, name=file.name, json_out=json_out, html_out=html_out)
    finally:
        _print(group, outcomes, as_json=as_json, beside=piped)
    tell_written(outputs)


def _write(
    group: Group, outcomes: Sequence[GroupOutcome], *, name: str, json_out: Path | None, html_out: Path | None
) -> None:
    """Write what was asked for; `name` is the group's."""
    from autoscaler.report.group_page import group_page
    from autoscaler.report.group_table import group_json

    if json_out is not None:
        write_text(json_text(group_json(group, outcomes, command=command_line())), json_out)
    if html_out is not None:
        write_text(group_page(group, outcomes, name=name, command=command_line()), html_out)


def _print(group: Group, outcomes: Sequence[GroupOutcome], *, as_json: bool, beside: bool) -> None:
    """Print the table; or JSON. See `table_console` for `beside`."""
    from autoscaler.report.group_table import group_json, group_table

    if as_json:
        print_document(json_text(group_json(group, outcomes, command=command_line())))
    else:
        table_console(beside=beside).print(group_table(group, outcomes), crop=False)
