"""Reading a trace of counts at the command line: what its numbers make suspect is said, and it is read all the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autoscaler.traces.trace import Trace

CountsArgument = Annotated[
    Path,
    typer.Argument(metavar="TRACE", help="CSV or Parquet with 'timestamp' and counts per bin; - is standard input."),
]


def read_counts(path: Path, units: Sequence[str]) -> Trace:
    """The columns `units` of a trace; a rate or a counter that passes for counts is told on standard error."""
    from autoscaler.traces.read import read_trace
    from autoscaler.traces.suspect import suspicions

    trace = read_trace(path, units)
    for suspicion in suspicions(trace):
        typer.echo(f"{path}: warning: {suspicion}", err=True)
    return trace
