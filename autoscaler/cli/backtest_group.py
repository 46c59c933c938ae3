"""`headstart backtest-group`: several models on one number of GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoscaler.cli.gaps import warn_of_gaps
from autoscaler.cli.output import progress, stdout_console
from autoscaler.cli.outs import check_outs, print_document
from autoscaler.cli.params import ScoreFromOption


def backtest_group(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="YAML with `gpus` and `models`: name, trace, capacity, loadLatency, and unit, objective,"
            " gpusPerReplica, priority, minReplicas, maxReplicas.",
            show_default=False,
        ),
    ],
    *,
    score_from: ScoreFromOption = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Replay several traces that share GPUs: who gets them, and how much waits, while not every wish fits.

    Headstart gives GPUs to minimums first, then by priority, and among equals to the replicas that save most late work.
    Beside it: first come, first served; an equal part each; and no limit at all.

    Example: headstart backtest-group data/group.yaml
    """
    import json

    from autoscaler.backtest.group import DIVISIONS, run_group
    from autoscaler.backtest.group_file import read_group, remarks
    from autoscaler.report.group_table import group_json, group_table

    check_outs({}, source=file, as_json=as_json)
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
    if as_json:
        print_document(json.dumps(group_json(group, outcomes), indent=2, allow_nan=False))
    else:
        stdout_console().print(group_table(group, outcomes))
