"""Columns out of a Parquet file, read batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.columns import (
    NS_PER_S,
    NUMBER_MAX,
    SECONDS_LIMIT,
    TIME_ALLOWED,
    CellError,
    Clock,
    Columns,
    IntArray,
    cell_error,
    check_clock,
    check_names,
    check_number,
    parse_time,
    seconds_to_ns,
)
from autoscaler.traces.source import on_disk
from forecasting.series import FloatArray

_BATCH_ROWS = 1 << 18
_TICKS_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def parquet_column_names(path: Path) -> list[str]:
    """Names of the columns of a Parquet file."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def read_parquet_columns(path: Path, time: str, numbers: Sequence[str]) -> Columns:
    """Read the columns `time` and `numbers` of a Parquet file; others are ignored.

    Times may be timestamps (with or without zone), dates, seconds as numbers, or ISO-8601 text; numbers are integers,
    floats or decimals; null is missing.

    Raises:
        UsageError: with the row (counted from 1) and column of the first cell that can't be used.
    """
    with _open(path) as file:
        schema = file.schema_arrow
        check_names(path, "its schema", schema.names, time, numbers)
        for name in numbers:
            _check_number_type(path, name, schema.field(name).type)
        reader = _Reader(path, time, list(numbers))
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys([time, *numbers]))):
            reader.add(batch)
    return reader.columns()


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without a buffer of a whole row group, whose size is the writer's choice. The name as bytes, since Arrow can't
        # encode one that is no UTF-8.
        with pa.OSFile(os.fsencode(on_disk(path))) as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"{path}: can't be read, it may be damaged or cut short ({reason}); fetch or write it again"
        ) from error


def _check_number_type(path: Path, column: str, kind: Any) -> None:
    import pyarrow as pa

    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise UsageError(f"{path}: column '{column}' holds {kind}; allowed are integers, floats and decimals from 0 up")


class _Reader:
    """Collects batches; knows how many rows came before, for messages."""

    def __init__(self, path: Path, time: str, numbers: list[str]) -> None:
        self._path = path
        self._time = time
        self._rows = 0
        self._clock: Clock | None = None
        self._times: list[IntArray] = []
        self._numbers: dict[str, list[FloatArray]] = {name: [] for name in numbers}

    def add(self, batch: Any) -> None:
        self._times.append(self._read_times(batch.column(self._time)))
        for name, parts in self._numbers.items():
            values = _floats(batch.column(name))
            bad = np.flatnonzero((values < 0) | (values > NUMBER_MAX))
            if len(bad):
                self._check(int(bad[0]), name, check_number, float(values[bad[0]]), str(values[bad[0]]))
            parts.append(values)
        self._rows += batch.num_rows

    def columns(self) -> Columns:
        times = np.concatenate(self._times) if self._times else np.empty(0, np.int64)
        numbers = {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in self._numbers.items()}
        clock = self._clock or Clock.SECONDS
        return Columns(self._path, self._time, clock, times, numbers, lambda row: f"row {row + 1}")

    def _check(self, row: int, column: str, check: Any, *arguments: Any) -> Any:
        try:
            return check(*arguments)
        except CellError as error:
            raise cell_error(self._path, f"row {self._rows + row + 1}", column, str(error)) from None

    def _read_times(self, column: Any) -> IntArray:
        import pyarrow as pa

        if column.null_count:
            row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
            self._check(row, self._time, parse_time, "")
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._read_text_times(column)
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return self._read_dates(column)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            self._clock = Clock.SECONDS
            seconds = _floats(column)
            self._check_seconds(seconds)
            return np.rint(seconds * NS_PER_S).astype(np.int64)
        raise UsageError(f"{self._path}: column '{self._time}' holds {kind}; {TIME_ALLOWED}")

    def _read_dates(self, column: Any) -> IntArray:
        import pyarrow as pa

        zone = getattr(column.type, "tz", None)
        self._clock = Clock.OFFSET if zone else Clock.NAIVE
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"))
        # In the file's own unit, which reaches further than nanoseconds.
        ticks, ticks_per_s = column.cast("int64").to_numpy(), _TICKS_PER_S[column.type.unit]
        self._check_seconds(ticks / ticks_per_s)
        nanoseconds: IntArray = column.cast(pa.timestamp("ns", zone)).cast("int64").to_numpy()
        return nanoseconds

    def _check_seconds(self, seconds: FloatArray) -> None:
        bad = np.flatnonzero(~(np.abs(seconds) < SECONDS_LIMIT))
        if len(bad):
            self._check(int(bad[0]), self._time, seconds_to_ns, float(seconds[bad[0]]))

    def _read_text_times(self, column: Any) -> IntArray:
        times = np.empty(len(column), dtype=np.int64)
        for row, text in enumerate(column.to_pylist()):
            times[row], clock = self._check(row, self._time, parse_time, text)
            self._clock = self._clock or clock
            self._check(row, self._time, check_clock, clock, self._clock, text)
        return times


def _floats(column: Any) -> FloatArray:
    """A column of numbers as an array; null becomes NaN. Whole numbers beyond 2^53 are rounded, not refused here."""
    return np.array(column.cast("float64", safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
