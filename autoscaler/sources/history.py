"""Past demand from a metrics source as a trace."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autoscaler.errors import HeadstartError, UsageError
from autoscaler.sources.failures import short
from autoscaler.sources.presets import served_metric, served_warning
from autoscaler.sources.ranges import MetricsSource, RangeAnswer, RangeRequest
from autoscaler.traces.trace import Trace

DAY_S = 86_400.0
# Ten years of minutes, eight bytes each: a mistyped unit is likelier.
_BINS_MAX = 5_000_000
_RATE_WINDOW = re.compile(r"\b(?:rate|increase|irate)\s*\([^\[\]]*\[(\d+)(ms|s|m|h|d)\]")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": DAY_S}


@dataclass(frozen=True, slots=True)
class History:
    """What a server still knows.

    Attributes:
        trace: work per bin, from the first bin that any query has a value for.
        asked_s: the time that was asked for; longer than the trace where the server doesn't keep so much.
        warnings: one line each, for the user.
    """

    trace: Trace
    asked_s: float
    warnings: tuple[str, ...]


def fetch_history(
    source: MetricsSource, queries: Mapping[str, str], *, name: str, bin_s: float, stop_s: float, duration_s: float
) -> History:
    """The work that arrived in each bin of `duration_s` up to `stop_s`, by queries for work per second.

    A query's value at the end of a bin, times the bin's width, is the bin's work: a rate looks back. Bins are aligned
    to multiples of their width since the epoch; one that isn't over at `stop_s` is left out.

    Args:
        source: where to ask.
        queries: unit -> query.
        name: of the trace.
        bin_s: width of a bin in seconds, to the millisecond.
        stop_s: seconds since the epoch.
        duration_s: at least one bin.

    Raises:
        SourceError: a query was not answered.
        HeadstartError: the server has nothing at all for a query.
        UsageError: there are no bins, or too many.
    """
    bin_ms = round(bin_s * 1000)
    if bin_ms < 1 or bin_ms / 1000 != bin_s:
        raise UsageError(f"--bin: {bin_s:g} s is not a whole number of milliseconds")
    bins = math.floor(duration_s * 1000 / bin_ms)
    if not 1 <= bins <= _BINS_MAX:
        most = f"1 to {_BINS_MAX:,} bins, at most {_BINS_MAX * bin_s / DAY_S:.4g} days of such"
        raise UsageError(f"--days: {duration_s / DAY_S:g} days have {bins:,} bins of {bin_s:g} s; it must be {most}")
    last_ms = math.floor(stop_s * 1000) // bin_ms * bin_ms
    first_ms = last_ms - (bins - 1) * bin_ms
    requests = {unit: RangeRequest(query, first_ms / 1000, last_ms / 1000, bin_s) for unit, query in queries.items()}
    answers = source.fetch(list(requests.values()))
    demand, warnings = {}, []
    for unit, request in requests.items():
        answer = answers[request]
        if not isinstance(answer, RangeAnswer):
            raise answer
        demand[unit] = answer.values * bin_s
        warnings += [*_doubts(unit, request.query, bin_s), *(f"{unit}: the server warns: {w}" for w in answer.warnings)]
        negative = demand[unit] < 0
        if negative.any():
            demand[unit][negative] = np.nan
            warnings.append(f"{unit}: {int(negative.sum())} negative values are left out; work can't be negative")
        if np.isnan(demand[unit]).all():
            why = f" ({answer.warnings[0]})" if answer.warnings else "; try it in the server's own page"
            raise HeadstartError(f"{unit}: the query {short(request.query)} has no value in all {bins} bins{why}")
    skipped = min(int(np.argmax(~np.isnan(values))) for values in demand.values())
    trace = Trace(
        name=name,
        start_s=(first_ms + (skipped - 1) * bin_ms) / 1000,
        bin_s=bin_s,
        demand={unit: values[skipped:] for unit, values in demand.items()},
        dated=True,
    )
    return History(trace, bins * bin_s, tuple(warnings))


def _doubts(unit: str, query: str, bin_s: float) -> list[str]:
    """What looks wrong with `query` for counting what arrives in bins of `bin_s`."""
    metric = served_metric(query)
    doubts = [] if metric is None else [f"{unit}: {served_warning(metric)}"]
    windows_s = [float(number) * _UNITS_S[unit_s] for number, unit_s in _RATE_WINDOW.findall(query)]
    if windows_s and max(windows_s) < bin_s:
        doubts.append(
            f"{unit}: the query looks back {max(windows_s):g} s and bins are {bin_s:g} s wide: most of each bin isn't"
            " seen; widen its window to the bin"
        )
    return doubts
