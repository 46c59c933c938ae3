"""Read a demand trace from a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.columns import Clock, Columns, IntArray, listed_names
from autoscaler.traces.csv_columns import csv_column_names, read_csv_columns
from autoscaler.traces.log_columns import name_a_log
from autoscaler.traces.parquet_columns import parquet_column_names, read_parquet_columns
from autoscaler.traces.source import Content, sniff, trace_name
from autoscaler.traces.trace import BIN_SECONDS, Trace
from forecasting.series import FloatArray

TIME_COLUMN = "timestamp"
# Rows that are absent become missing bins, up to this many bins per row that is there: a stray date far ahead
# would otherwise ask for terabytes.
MAX_BINS_PER_ROW = 10
# When summer time ends, local times go back by an hour, less the bin between two rows.
_CLOCK_CHANGE_US = 3600 * 10**6


def read_trace(path: Path | str, units: Sequence[str] = ("requests",)) -> Trace:
    """Read the columns `units` of a trace: one row per bin, `timestamp` and the count per bin.

    `timestamp` is the bin's start: ISO-8601 (UTC without an offset), or seconds since the epoch or some start, to the
    microsecond.
    An empty cell, 'NaN' and 'null' are missing. The bin width is the most common difference of times; rows that are
    absent from its grid become missing bins. A column `bin_seconds` that holds that width states that the others are
    counts per bin.

    Raises:
        UsageError: one line that names the file, line and column of the first thing that can't be used.
    """
    path = Path(path)
    if not units or TIME_COLUMN in units:
        raise UsageError(f"{path}: a unit must be a column of counts, not '{TIME_COLUMN}'")
    wanted, names = list(dict.fromkeys(units)), column_names(path)
    _refuse_log(path, names, (TIME_COLUMN, *wanted))
    stated = [BIN_SECONDS] if names.count(BIN_SECONDS) == 1 and BIN_SECONDS not in wanted else []
    return _trace_of(read_columns(path, TIME_COLUMN, [*wanted, *stated]), wanted)


def read_columns(path: Path, time: str, numbers: Sequence[str]) -> Columns:
    """The columns `time` and `numbers` of a CSV or Parquet file, whichever it is by its content. Raises UsageError."""
    if _is_parquet(path):
        return read_parquet_columns(path, time, numbers)
    return read_csv_columns(path, time, numbers)


def column_names(path: Path) -> list[str]:
    """Names of all columns of a CSV or Parquet file. Raises UsageError."""
    return parquet_column_names(path) if _is_parquet(path) else csv_column_names(path)


def _is_parquet(path: Path) -> bool:
    content = sniff(path)
    if content is Content.JSON:
        raise UsageError(
            f"{path}: is JSON, not CSV or Parquet; `headstart trace import` reads the JSON lines of Mooncake"
        )
    return content is Content.PARQUET


def _refuse_log(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise UsageError for a log of requests; one that has all the `wanted` columns may be tokens per bin as well."""
    if name_a_log(names) and not set(names).issuperset(wanted):
        raise UsageError(
            f"{path}: has a row per request ({listed_names(names)}), not counts per bin; make counts of it with"
            " `headstart trace import`, or replay its requests with `headstart backtest --fidelity request`"
        )


def _trace_of(columns: Columns, units: Sequence[str]) -> Trace:
    path, rows = columns.path, len(columns.time_ns)
    if rows < 2:
        raise UsageError(f"{path}: has {rows} row(s) of data; at least 2 are needed to find the bin width")
    for unit in units:
        if np.isnan(columns.numbers[unit]).all():
            raise UsageError(f"{path}: column '{unit}' is missing in all {rows} rows; there is no demand to work with")
    # Times in floating seconds carry up to 120 ns of noise in 2025; a bin's start does not need nanoseconds.
    time_us = (columns.time_ns + 500) // 1000
    bin_us = _bin_width_us(columns, time_us)
    index = (time_us - time_us[0]) // bin_us
    bins = int(index[-1]) + 1
    if bins > MAX_BINS_PER_ROW * rows:
        _refuse_gap(columns, time_us, bins)
    demand = {unit: _on_grid(columns.numbers[unit], index, bins) for unit in units}
    bin_s = bin_us / 10**6
    stated_s = columns.numbers.get(BIN_SECONDS)
    counted = stated_s is not None and bool((stated_s == bin_s).all())
    misstated = "" if stated_s is None else _misstated(columns, stated_s, bin_s)
    return Trace(trace_name(path), int(time_us[0]) / 10**6, bin_s, demand, columns.dated, counted, misstated)


def _misstated(columns: Columns, stated_s: FloatArray, bin_s: float) -> str:
    """What to say where the column of widths doesn't have `bin_s`: bins were made wider, or rows were left out."""
    bad = np.flatnonzero(~np.isnan(stated_s) & (stated_s != bin_s))
    if not len(bad):
        return ""
    return (
        f"column '{BIN_SECONDS}' has {stated_s[bad[0]]:g} at {columns.place(int(bad[0]))}, and the rows are {bin_s:g} s"
        f" apart: each count is taken for {bin_s:g} s; where it is, write {bin_s:g} or remove the column, else give a"
        " row per bin"
    )


def _bin_width_us(columns: Columns, time_us: IntArray) -> int:
    """The most common difference of times, the smallest of several; every difference must be a multiple of it."""
    steps = np.diff(time_us)
    bad = np.flatnonzero(steps <= 0)
    if len(bad):
        raise _out_of_order(columns, int(bad[0]) + 1, int(steps[bad[0]]))
    widths, counts = np.unique(steps, return_counts=True)
    width = int(widths[np.argmax(counts)])
    bad = np.flatnonzero(steps % width)
    if len(bad):
        row = int(bad[0]) + 1
        raise columns.error(
            row,
            columns.time,
            f"{columns.time_text(row)} comes {int(steps[row - 1]) / 10**6:g} s after the row before, which is no"
            f" multiple of the bin width {width / 10**6:g} s (the most common difference); bins must be of equal width",
        )
    return width


def _out_of_order(columns: Columns, row: int, step_us: int) -> UsageError:
    """The error about a row that comes `step_us`, 0 or less, after the one before."""
    problem = "repeats the time of the row before; keep one row per bin"
    if step_us < 0:
        problem = "is earlier than the row before; sort the rows by time"
    if columns.clock is Clock.NAIVE and step_us >= -_CLOCK_CHANGE_US:
        problem += "; if these are local times, whose clock is set back once a year, write UTC"
    return columns.error(row, columns.time, f"{columns.time_text(row)} {problem}")


def _refuse_gap(columns: Columns, time_us: IntArray, bins: int) -> None:
    row = int(np.argmax(np.diff(time_us))) + 1
    raise columns.error(
        row,
        columns.time,
        f"{columns.time_text(row)} comes {int(time_us[row] - time_us[row - 1]) / 10**6:g} s after the row before;"
        f" with such gaps the {len(time_us)} rows would become {bins} bins, more than {MAX_BINS_PER_ROW} per row; cut"
        " the trace there",
    )


def _on_grid(values: FloatArray, index: IntArray, bins: int) -> FloatArray:
    if bins == len(values):
        return values
    placed = np.full(bins, np.nan)
    placed[index] = values
    return placed
