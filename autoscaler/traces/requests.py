"""Logs with one row per request, and their sums per bin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.columns import NS_PER_S, Columns, IntArray
from autoscaler.traces.log_columns import TOKEN_COLUMNS
from autoscaler.traces.read import TIME_COLUMN, read_columns
from autoscaler.traces.source import trace_name
from autoscaler.traces.trace import Trace
from autoscaler.traces.write import write_columns
from forecasting.series import FloatArray

# A bin a thousand times narrower than the gaps between requests helps nobody and would fill the memory.
_MAX_BINS = 100_000_000


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Requests in the order of their arrival.

    Attributes:
        name: the file's stem, for tables.
        start_s: what `arrival_s` counts from: the whole second at or before the first arrival, since the epoch (UTC)
            where `dated`, else on the file's own clock.
        arrival_s: seconds from `start_s`, shape (n,), not decreasing.
        prompt_tokens: tokens of each prompt, shape (n,).
        output_tokens: tokens generated for each request, shape (n,).
        dated: whether times are wall-clock times, dates or seconds since the epoch, or seconds from some start.
    """

    name: str
    start_s: float
    arrival_s: FloatArray
    prompt_tokens: IntArray
    output_tokens: IntArray
    dated: bool

    def __len__(self) -> int:
        return len(self.arrival_s)


def read_requests(path: Path | str) -> RequestLog:
    """Read a CSV or Parquet file with `timestamp`, `prompt_tokens`, `output_tokens`, one row per request, in any order.

    Raises:
        UsageError: one line that names the file, line and column of the first cell that can't be used.
    """
    return log_of(read_columns(Path(path), TIME_COLUMN, TOKEN_COLUMNS), *TOKEN_COLUMNS)


def write_requests(log: RequestLog, path: Path | str) -> None:
    """Write `log` as CSV or Parquet, by the suffix, for `read_requests`; times to the nanosecond."""
    time_ns = round(log.start_s) * NS_PER_S + np.rint(log.arrival_s * NS_PER_S).astype(np.int64)
    tokens = {"prompt_tokens": log.prompt_tokens, "output_tokens": log.output_tokens}
    write_columns(Path(path), time_ns, tokens, dated=log.dated)


def log_of(columns: Columns, prompt: str, output: str) -> RequestLog:
    """The log whose tokens are in the columns `prompt` and `output`, sorted by time; equal times keep their order.

    Raises:
        UsageError: there is no row, or tokens are missing or not whole.
    """
    if not len(columns.time_ns):
        raise UsageError(f"{columns.path}: has no row of data; at least one request is needed")
    for name in (prompt, output):
        values = columns.numbers[name]
        bad = np.flatnonzero(values != np.floor(values))
        if len(bad):
            value = values[bad[0]]
            problem = "is missing" if np.isnan(value) else f"is {value:g}"
            raise columns.error(int(bad[0]), name, f"{problem}; allowed are whole numbers of tokens, 0 to 1e15")
    order = np.argsort(columns.time_ns, kind="stable")
    time_ns = columns.time_ns[order]
    start_s = int(time_ns[0]) // NS_PER_S
    return RequestLog(
        name=trace_name(columns.path),
        start_s=float(start_s),
        arrival_s=(time_ns - start_s * NS_PER_S) / NS_PER_S,
        prompt_tokens=columns.numbers[prompt][order].astype(np.int64),
        output_tokens=columns.numbers[output][order].astype(np.int64),
        dated=columns.dated,
    )


def bin_requests(log: RequestLog, bin_s: float) -> Trace:
    """Requests, prompt and output tokens that arrived per bin of `bin_s` seconds, the first starting at `start_s`.

    Where nothing arrived is zero; the last bin is the last arrival's, and may be cut short by the end of the log.

    Raises:
        UsageError: `bin_s` is not positive, or the log would become more than 100 million bins.
    """
    if not (np.isfinite(bin_s) and bin_s * NS_PER_S >= 1):
        raise UsageError(f"a bin of {bin_s:g} s is impossible; it must be a positive number of seconds")
    if log.arrival_s[-1] / bin_s >= _MAX_BINS:
        raise UsageError(
            f"{log.name}: bins of {bin_s:g} s over {log.arrival_s[-1]:g} s are more than {_MAX_BINS}; take wider bins"
        )
    # In whole nanoseconds: 0.3 s belongs to bin 3 of 0.1 s, though 0.3 / 0.1 is below 3.
    bins = np.rint(log.arrival_s * NS_PER_S).astype(np.int64) // round(bin_s * NS_PER_S)
    demand = {
        "requests": np.bincount(bins).astype(np.float64),
        "prompt_tokens": np.bincount(bins, log.prompt_tokens).astype(np.float64),
        "output_tokens": np.bincount(bins, log.output_tokens).astype(np.float64),
    }
    return Trace(log.name, log.start_s, float(bin_s), demand, log.dated)
