"""`headstart history`: what a Prometheus query counted in the past, as a trace."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli import prometheus_options as options
from autoscaler.cli.option_group import with_groups
from autoscaler.cli.output import progress
from autoscaler.cli.outs import check_outs, parse_out, said_of, writing
from autoscaler.cli.params import parse_positive_duration_s
from autoscaler.errors import UsageError, shown

if TYPE_CHECKING:
    from autoscaler.sources.connection import Connection
    from autoscaler.sources.history import History
    from autoscaler.traces.trace import Trace

# A server may take long for 14 days of a heavy query; each chunk of it has --prometheus-timeout.
_TIMEOUT_S = 900.0
_NAME_MAX = 60


def parse_end(given: str | float) -> float:
    """Seconds since the epoch of an ISO-8601 time, UTC without an offset."""
    from autoscaler.traces.columns import NS_PER_S, CellError, Clock, parse_time

    try:
        time_ns, clock = parse_time(str(given).strip())
    except CellError as error:
        raise typer.BadParameter(str(error)) from None
    if clock is Clock.SECONDS and time_ns < 10**8 * NS_PER_S:
        raise typer.BadParameter(f"{shown(given)} is no date; write it as 2025-03-01T00:05:00Z")
    return time_ns / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDemand:
    """What a server is asked for.

    Attributes:
        queries: unit -> PromQL for work per second.
    """

    queries: Mapping[str, str]
    days: float
    bin_s: float
    connection: Connection

    def ask(self, *, end_s: float | None = None, quiet: bool = False) -> History:
        """The history up to `end_s`, or now; its warnings go to standard error. Raises HeadstartError."""
        from autoscaler.sources.history import DAY_S, fetch_history
        from autoscaler.sources.prometheus import PrometheusSource

        first = " ".join(next(iter(self.queries.values())).split())
        name = first if len(first) <= _NAME_MAX else f"{first[: _NAME_MAX - 3]}..."
        stop_s = time.time() if end_s is None else end_s
        source = PrometheusSource(self.connection, history_timeout_s=_TIMEOUT_S, jitter_s=0.0)
        try:
            with progress(f"asking {self.connection.base_url}", quiet=quiet):
                found = fetch_history(
                    source,
                    self.queries,
                    name=name,
                    bin_s=self.bin_s,
                    stop_s=stop_s,
                    duration_s=self.days * DAY_S,
                )
        finally:
            source.close()
        for warning in found.warnings:
            typer.echo(f"warning: {warning}", err=True)
        return found

    def read(self, units: tuple[str, ...], *, quiet: bool) -> Trace:
        """The history as a trace, whose units are to be `units`; says what was got. Raises HeadstartError."""
        for unit in units:
            if unit not in self.queries:
                raise UsageError(f"--query: there is none for {unit}, which --capacity names; write it as {unit}=QUERY")
        for unit in self.queries:
            if unit not in units:
                raise UsageError(f"--capacity: is missing for {unit}, which --query names; write it as {unit}=NUMBER")
        found = self.ask(quiet=quiet)
        if not quiet:
            typer.echo(f"{self.connection.base_url}: {said(found)}", err=True)
        return found.trace


@with_groups
def history(
    *,
    prometheus: options.UrlOption = None,
    query: options.QueryOption = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            parser=parse_out,
            metavar="FILE",
            help="Where to write: .csv, .csv.gz or .parquet; or - for standard output.",
        ),
    ],
    unit: Annotated[
        str, typer.Option("--unit", metavar="NAME", help="What a query without UNIT= counts: the column's name.")
    ] = "requests",
    days: options.DaysOption = options.DEFAULT_DAYS,
    bin_s: Annotated[
        float,
        typer.Option(
            "--bin",
            parser=parse_positive_duration_s,
            metavar="DURATION",
            help="Width of the bins; as wide as the query looks back.",
            show_default=f"{options.DEFAULT_BIN_S:g}s",
        ),
    ] = options.DEFAULT_BIN_S,
    end_s: Annotated[
        float | None,
        typer.Option(
            "--end",
            parser=parse_end,
            metavar="TIME",
            help="Instead of now, as 2025-03-01T00:00:00Z.",
            show_default=False,
        ),
    ] = None,
    access: options.Access,
) -> None:
    """Write the past of a Prometheus query as a trace that every command reads.

    The query gives work per second, such as sum(rate(gateway_requests_total[1m])); the trace has work per bin, with the
    fractions that Prometheus extrapolates, and states the bins' width in a column bin_seconds. What the server doesn't
    know is missing, which is not zero.

    Example: headstart history --prometheus http://localhost:9090 --query 'sum(rate(http_requests_total[1m]))' -o d.csv
    """
    from autoscaler.traces.write import check_format, write_trace

    check_outs({"--out": out}, source=None)
    check_format(out)
    if not query:
        raise UsageError("--query: is missing; give PromQL for work per second, such as sum(rate(requests_total[1m]))")
    queries = options.queries_by_unit(query, unit)
    if end_s is not None and end_s > time.time() + bin_s:
        raise UsageError("--end: lies in the future; leave it out to end with now")
    connection = access.connection_to(prometheus)
    asked = PastDemand(queries=queries, days=days, bin_s=bin_s, connection=connection)
    found = asked.ask(end_s=end_s)
    with writing(out) as file:
        write_trace(replace(found.trace, counted=True), file)
    typer.echo(f"{said_of(out)}: {said(found)}", err=True)


def said(found: History) -> str:
    """What was got, in a sentence."""
    import numpy as np

    from autoscaler.report.words import count, duration, share

    trace = found.trace
    parts = [f"{count(len(trace))} bins of {duration(trace.bin_s)}"]
    for unit, values in trace.demand.items():
        rate = values / trace.bin_s
        parts.append(
            f"{unit}: mean {np.nanmean(rate):,.3g}/s, peak {np.nanmax(rate):,.3g}/s,"
            f" {share(float(np.isnan(values).mean()))} missing"
        )
    if trace.duration_s < found.asked_s:
        parts.append(f"the server knows {duration(trace.duration_s)} of the {duration(found.asked_s)} asked for")
    return "; ".join(parts)
