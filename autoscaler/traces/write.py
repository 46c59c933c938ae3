"""Write a trace, or any table of times and numbers, as CSV or Parquet; reading gives back exactly what was written."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from autoscaler.errors import UsageError
from autoscaler.files import write_aside
from autoscaler.traces.columns import NS_PER_S, IntArray, time_text
from autoscaler.traces.trace import BIN_SECONDS, Trace

NumberArray = npt.NDArray[np.float64] | npt.NDArray[np.int64]

# Rows that are text at one time: some megabytes, whatever the length of the trace.
_CHUNK_ROWS = 1 << 16
# Where rows are read back, the width of a bin is the difference of two rows' times.
_BINS_MIN = 2


def write_trace(trace: Trace, path: Path | str) -> None:
    """Write `trace` to `path`: Parquet for the suffix `.parquet`, else CSV (`.csv`, `.csv.gz` or no suffix).

    Raises:
        UsageError: the suffix is another, the directory can't be written to, the trace's start or bin width is not a
            whole number of microseconds, which the file's times are, or it has one bin only.
    """
    if len(trace) < _BINS_MIN:
        raise UsageError(
            f"{path}: would hold 1 bin of {trace.bin_s:g} s, and its width is read off the next one; take narrower bins"
            " or a longer time"
        )
    start_us, bin_us = (_whole_us(Path(path), name, getattr(trace, name)) for name in ("start_s", "bin_s"))
    time_ns = (start_us + bin_us * np.arange(len(trace), dtype=np.int64)) * 1000
    columns = dict(trace.demand)
    if trace.counted:
        # A unit of that name, however strange, keeps its column.
        columns.setdefault(BIN_SECONDS, np.full(len(trace), trace.bin_s))
    write_columns(Path(path), time_ns, columns, dated=trace.dated)


def write_columns(path: Path, time_ns: IntArray, numbers: Mapping[str, NumberArray], *, dated: bool) -> None:
    """Write `timestamp` and number columns, all of shape (n,); NaN becomes an empty cell or null.

    The format is by the suffix, as for `write_trace`; the file is written aside and renamed. Raises UsageError.
    """
    check_format(path)
    if path.suffix == ".parquet":
        write_aside(path, lambda aside: _write_parquet(aside, time_ns, numbers, dated))
    elif path.suffix == ".gz":
        write_aside(path, lambda aside: _write_gzip(aside, time_ns, numbers, dated))
    else:
        write_aside(path, lambda aside: _write_csv(aside, time_ns, numbers, dated))


def check_format(path: Path) -> None:
    """Raise UsageError where the suffix is none that is written: commands call it before the work."""
    if path.suffix not in {"", ".csv", ".parquet"} and not path.name.endswith(".csv.gz"):
        raise UsageError(f"{path}: the suffix '{path.suffix}' is unknown; allowed are .csv, .csv.gz and .parquet")


def number_text(value: float) -> str:
    """The shortest text that reads back as `value`: no decimals for a whole number, nothing for NaN."""
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _whole_us(path: Path, name: str, seconds: float) -> int:
    microseconds = round(seconds * 10**6)
    if microseconds / 10**6 != seconds:
        raise UsageError(f"{path}: {name} {seconds!r} is not a whole number of microseconds, which times in a file are")
    return microseconds


def _write_csv(path: Path, time_ns: IntArray, numbers: Mapping[str, NumberArray], dated: bool) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        _write_rows(stream, time_ns, numbers, dated)


def _write_gzip(path: Path, time_ns: IntArray, numbers: Mapping[str, NumberArray], dated: bool) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as stream:
        _write_rows(stream, time_ns, numbers, dated)


def _write_rows(stream: TextIO, time_ns: IntArray, numbers: Mapping[str, NumberArray], dated: bool) -> None:
    stream.write(",".join(["timestamp", *map(_quoted, numbers)]) + "\n")
    for start in range(0, len(time_ns), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        cells = (map(number_text, values[rows].astype(np.float64).tolist()) for values in numbers.values())
        stream.writelines(",".join(row) + "\n" for row in zip(_time_texts(time_ns[rows], dated), *cells, strict=True))


def _time_texts(time_ns: IntArray, dated: bool) -> list[str]:
    if dated and not (time_ns % NS_PER_S).any():
        # Bins of whole seconds, which are nearly all, take numpy's formatter: ten times as fast as one by one.
        texts: list[str] = np.datetime_as_string(time_ns.view("datetime64[ns]"), unit="s", timezone="UTC").tolist()
        return texts
    return [time_text(t, dated=dated) for t in time_ns.tolist()]


def _quoted(name: str) -> str:
    if any(character in name for character in ',"\r\n'):
        return '"' + name.replace('"', '""') + '"'
    return name


def _write_parquet(path: Path, time_ns: IntArray, numbers: Mapping[str, NumberArray], dated: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = pa.array(time_ns).cast(pa.timestamp("ns", "UTC")) if dated else pa.array(time_ns / 1e9)
    arrays = [times, *(pa.array(values, from_pandas=True) for values in numbers.values())]
    pq.write_table(pa.Table.from_arrays(arrays, names=["timestamp", *numbers]), path)
