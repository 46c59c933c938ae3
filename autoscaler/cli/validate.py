"""`headstart validate`: say of each file what it is, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoscaler.cli.output import progress
from autoscaler.cli.outs import print_document
from autoscaler.cli.validate_objects import is_yaml, object_facts

if TYPE_CHECKING:
    from autoscaler.traces.trace import Trace


def validate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Traces (CSV or Parquet; - is standard input), or PredictiveAutoscalers (.yaml, .yml, or a folder of"
            " them).",
            show_default=False,
        ),
    ],
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="COLUMN", help="The column of counts; repeat for several. Default: requests."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list with one object per trace, and per object or mistake in YAML.")
    ] = False,
) -> None:
    """Check that files can be used: one line per trace or object; the exit code is 2 if any is bad.

    What can be used but may not be meant is a warning on standard error: a column that looks like a cumulative counter,
    an object that sets replicas itself.
    """
    import json

    found: list[dict[str, Any]] = []
    for path in files:
        for facts in _checked(path, tuple(unit or ("requests",)), quiet=as_json):
            found.append({name: value for name, value in facts.items() if name != "text"})
            if not as_json:
                typer.echo(facts["text"], err=not facts["usable"] or "skipped" in facts)
                for warning in facts.get("warnings", ()):
                    place = f"{path}" if "line" not in facts else f"{facts['file']}:{facts['line']}"
                    typer.echo(f"{place}: warning: {warning}", err=True)
    if as_json:
        print_document(json.dumps(found, indent=2))
    if not all(facts["usable"] for facts in found):
        raise typer.Exit(2)


def _checked(path: Path, units: tuple[str, ...], *, quiet: bool) -> Iterator[dict[str, Any]]:
    """Facts of a trace, or of each object in YAML; `text` is the line to print."""
    from autoscaler.errors import UsageError

    try:
        if is_yaml(path):
            yield from object_facts(path)
            return
        from autoscaler.traces.read import read_trace

        with progress(f"reading {path.name}", quiet=quiet):
            facts = _facts(path, read_trace(path, units))
        yield facts | {"text": _line(facts)}
    except UsageError as error:
        yield {"file": str(path), "usable": False, "error": str(error), "text": str(error)}


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
