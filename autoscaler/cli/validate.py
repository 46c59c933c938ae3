"""`headstart validate`: say of each file what it is, or what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoscaler.cli.output import progress

if TYPE_CHECKING:
    from autoscaler.traces.trace import Trace


def validate(
    traces: Annotated[list[Path], typer.Argument(metavar="TRACE...", help="CSV or Parquet files.", show_default=False)],
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="COLUMN", help="The column of counts; repeat for several. Default: requests."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object per file.")] = False,
) -> None:
    """Check that traces can be used: one line per file; the exit code is 2 if any is bad.

    A column that reads well but looks like a cumulative counter or a rate is a warning on standard error.
    """
    import json

    from autoscaler.errors import UsageError
    from autoscaler.traces.read import read_trace

    found: list[dict[str, Any]] = []
    for path in traces:
        try:
            with progress(f"reading {path.name}", quiet=as_json):
                facts = _facts(path, read_trace(path, unit or ("requests",)))
            line = _line(facts)
        except UsageError as error:
            facts = {"file": str(path), "usable": False, "error": str(error)}
            line = str(error)
        found.append(facts)
        if not as_json:
            typer.echo(line, err=not facts["usable"])
            for warning in facts.get("warnings", ()):
                typer.echo(f"{path}: warning: {warning}", err=True)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    if not all(facts["usable"] for facts in found):
        raise typer.Exit(2)


def _facts(path: Path, trace: Trace) -> dict[str, Any]:
    import numpy as np

    from autoscaler.traces.suspect import suspicions

    return {
        "file": str(path),
        "usable": True,
        "bins": len(trace),
        "bin_s": trace.bin_s,
        "span_s": trace.duration_s,
        "start_s": trace.start_s,
        "dated": trace.dated,
        "missing": {unit: int(np.isnan(values).sum()) for unit, values in trace.demand.items()},
        "mean_per_s": {unit: float(np.nanmean(values)) / trace.bin_s for unit, values in trace.demand.items()},
        "peak_per_s": {unit: float(np.nanmax(values)) / trace.bin_s for unit, values in trace.demand.items()},
        "warnings": suspicions(trace),
    }


def _line(facts: dict[str, Any]) -> str:
    from autoscaler.report.words import count, duration
    from autoscaler.traces.columns import NS_PER_S, time_text

    start = time_text(round(facts["start_s"] * NS_PER_S), dated=facts["dated"])
    units = ", ".join(
        f"{unit} ({count(missing) if missing else 'none'} missing, mean {facts['mean_per_s'][unit]:,.3g}/s, peak"
        f" {facts['peak_per_s'][unit]:,.3g}/s)"
        for unit, missing in facts["missing"].items()
    )
    return (
        f"{facts['file']}: {count(facts['bins'])} bins of {duration(facts['bin_s'])}, {duration(facts['span_s'])} from"
        f" {start}{'' if facts['dated'] else ' s'}; {units}"
    )
