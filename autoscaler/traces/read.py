"""Read a demand trace from a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.columns import Columns, IntArray, time_text
from autoscaler.traces.csv_columns import csv_column_names, read_csv_columns
from autoscaler.traces.parquet_columns import parquet_column_names, read_parquet_columns
from autoscaler.traces.source import Content, sniff, trace_name
from autoscaler.traces.trace import Trace
from forecasting.series import FloatArray

TIME_COLUMN = "timestamp"
# Rows that are absent become missing bins, up to this many bins per row that is there: a stray date far ahead
# would otherwise ask for terabytes.
MAX_BINS_PER_ROW = 10


def read_trace(path: Path | str, units: Sequence[str] = ("requests",)) -> Trace:
    """Read the columns `units` of a trace: one row per bin, `timestamp` and the count per bin.

    `timestamp` is the bin's start: ISO-8601 (UTC without an offset) or seconds from some start, to the microsecond.
    An empty cell, 'NaN' and 'null' are missing. The bin width is the most common difference of times; rows that are
    absent from its grid become missing bins.

    Raises:
        UsageError: one line that names the file, line and column of the first thing that can't be used.
    """
    path = Path(path)
    if not units or TIME_COLUMN in units:
        raise UsageError(f"{path}: a unit must be a column of counts, not '{TIME_COLUMN}'")
    return _trace_of(read_columns(path, TIME_COLUMN, list(dict.fromkeys(units))))


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


def _trace_of(columns: Columns) -> Trace:
    path, rows = columns.path, len(columns.time_ns)
    if rows < 2:
        raise UsageError(f"{path}: has {rows} row(s) of data; at least 2 are needed to find the bin width")
    for unit, values in columns.numbers.items():
        if np.isnan(values).all():
            raise UsageError(f"{path}: column '{unit}' is missing in all {rows} rows; there is no demand to work with")
    # Times in floating seconds carry up to 120 ns of noise in 2025; a bin's start does not need nanoseconds.
    time_us = (columns.time_ns + 500) // 1000
    bin_us = _bin_width_us(columns, time_us)
    index = (time_us - time_us[0]) // bin_us
    bins = int(index[-1]) + 1
    if bins > MAX_BINS_PER_ROW * rows:
        _refuse_gap(columns, time_us, bins)
    demand = {unit: _on_grid(values, index, bins) for unit, values in columns.numbers.items()}
    return Trace(trace_name(path), int(time_us[0]) / 10**6, bin_us / 10**6, demand, columns.dated)


def _bin_width_us(columns: Columns, time_us: IntArray) -> int:
    """The most common difference of times, the smallest of several; every difference must be a multiple of it."""
    steps = np.diff(time_us)
    bad = np.flatnonzero(steps <= 0)
    if len(bad):
        row = int(bad[0]) + 1
        text = time_text(int(columns.time_ns[row]), dated=columns.dated)
        problem = "repeats the time of the row before; keep one row per bin"
        if steps[row - 1] < 0:
            problem = "is earlier than the row before; sort the rows by time"
        raise columns.error(row, columns.time, f"{text} {problem}")
    widths, counts = np.unique(steps, return_counts=True)
    width = int(widths[np.argmax(counts)])
    bad = np.flatnonzero(steps % width)
    if len(bad):
        row = int(bad[0]) + 1
        text = time_text(int(columns.time_ns[row]), dated=columns.dated)
        raise columns.error(
            row,
            columns.time,
            f"{text} comes {int(steps[row - 1]) / 10**6:g} s after the row before, which is no multiple of the bin"
            f" width {width / 10**6:g} s (the most common difference); bins must be of equal width",
        )
    return width


def _refuse_gap(columns: Columns, time_us: IntArray, bins: int) -> None:
    row = int(np.argmax(np.diff(time_us))) + 1
    text = time_text(int(columns.time_ns[row]), dated=columns.dated)
    raise columns.error(
        row,
        columns.time,
        f"{text} comes {int(time_us[row] - time_us[row - 1]) / 10**6:g} s after the row before; with such gaps the"
        f" {len(time_us)} rows would become {bins} bins, more than {MAX_BINS_PER_ROW} per row; cut the trace there",
    )


def _on_grid(values: FloatArray, index: IntArray, bins: int) -> FloatArray:
    if bins == len(values):
        return values
    placed = np.full(bins, np.nan)
    placed[index] = values
    return placed
