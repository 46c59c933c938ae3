"""Columns out of a CSV file, plain or gzipped.

Arrow's streaming reader takes a file that is as it should be: 10 million rows in seconds, without a Python object per
cell. Where it stumbles, or a value is not allowed, the file is read again row by row: that reader is the definition of
what is accepted, and it knows the line of the first thing that isn't.
"""

from __future__ import annotations

import csv
import io
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.columns import (
    NS_PER_S,
    NUMBER_MAX,
    SECONDS_LIMIT,
    CellError,
    Clock,
    Columns,
    IntArray,
    cell_error,
    check_clock,
    check_names,
    parse_number,
    parse_time,
)
from autoscaler.traces.source import is_gzip, on_disk, open_bytes
from forecasting.series import FloatArray

# Large enough that a row never exceeds a block, small enough that a block's columns don't matter beside the arrays.
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the first lines tell: the columns, where the data starts, how times are written."""

    names: list[str]
    header_lines: int
    clock: Clock


def csv_column_names(path: Path) -> list[str]:
    """Names of the columns in a CSV file's header."""
    with _open_rows(path) as reader:
        return _header(path, reader)[0]


def read_csv_columns(path: Path, time: str, numbers: Sequence[str]) -> Columns:
    """Read the columns `time` and `numbers` of a CSV file; others are ignored.

    Raises:
        UsageError: with the line and column of the first cell that can't be used, or the line with too few or many.
    """
    layout = _layout(path, time, numbers)
    if layout is None:
        return Columns(path, time, Clock.SECONDS, np.empty(0, np.int64), {n: np.empty(0) for n in numbers}, str)
    read = _read_by_arrow(path, layout, time, numbers) or _read_by_row(path, layout, time, numbers)
    return Columns(path, time, layout.clock, *read, lambda row: f"line {_line_of_row(path, row)}")


@contextmanager
def _open_rows(path: Path) -> Iterator[Any]:
    """A csv.reader of the file (the type has no public name); it counts physical lines."""
    # Bytes that are no UTF-8 matter only in cells that are wanted: there they are no number, and shown escaped.
    with (
        open_bytes(path) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        yield csv.reader(text, strict=True)


def _header(path: Path, reader: Any) -> tuple[list[str], int]:
    try:
        names: list[str] = next((row for row in reader if row), [])
    except csv.Error as error:
        raise UsageError(f"{path}: line {reader.line_num}: {error}; the first line must name the columns") from error
    return [name.strip() for name in names], reader.line_num


def _layout(path: Path, time: str, numbers: Sequence[str]) -> _Layout | None:
    """Header and first row of data; None where there is no row."""
    with _open_rows(path) as reader:
        names, header_lines = _header(path, reader)
        check_names(path, f"line {header_lines}", names, time, numbers)
        first = next(_data_rows(path, reader, names), None)
        if first is None:
            return None
        try:
            _, clock = parse_time(first[names.index(time)])
        except CellError as error:
            raise cell_error(path, f"line {reader.line_num}", time, str(error)) from None
    return _Layout(names, header_lines, clock)


def _data_rows(path: Path, reader: Any, names: list[str]) -> Iterator[list[str]]:
    """Rows after the header that are not blank, each with one cell per name."""
    try:
        for row in reader:
            if len(row) == len(names):
                yield row
            elif row:
                raise UsageError(
                    f"{path}: line {reader.line_num}: has {_counted(len(row), 'cell')}, but the header names"
                    f" {_counted(len(names), 'column')}; complete the line or remove it"
                )
    except csv.Error as error:
        raise UsageError(f"{path}: line {reader.line_num}: {error}; correct the line's quotes") from error


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _line_of_row(path: Path, row: int) -> int:
    with _open_rows(path) as reader:
        names, _ = _header(path, reader)
        next(islice(_data_rows(path, reader, names), row, None))
        line: int = reader.line_num
        return line


def _read_by_row(
    path: Path, layout: _Layout, time: str, numbers: Sequence[str]
) -> tuple[IntArray, dict[str, FloatArray]]:
    times, values = array("q"), {name: array("d") for name in numbers}
    cells = [(layout.names.index(name), name, values[name]) for name in numbers]
    time_cell = layout.names.index(time)
    with _open_rows(path) as reader:
        _header(path, reader)
        column = time
        try:
            for row in _data_rows(path, reader, layout.names):
                column = time
                time_ns, clock = parse_time(row[time_cell])
                check_clock(clock, layout.clock, row[time_cell])
                times.append(time_ns)
                for cell, column, target in cells:  # noqa: B007 (column is for the message)
                    target.append(parse_number(row[cell]))
        except CellError as error:
            raise cell_error(path, f"line {reader.line_num}", column, str(error)) from None
    return np.array(times, np.int64), {name: np.array(target, np.float64) for name, target in values.items()}


def _read_by_arrow(
    path: Path, layout: _Layout, time: str, numbers: Sequence[str]
) -> tuple[IntArray, dict[str, FloatArray]] | None:
    """The same as `_read_by_row`, fast; None where the file needs that one's leniency or its message."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    # Columns that are not wanted may have any name, so all go by position.
    keys = [str(i) for i in range(len(layout.names))]
    time_key, number_keys = keys[layout.names.index(time)], {name: keys[layout.names.index(name)] for name in numbers}
    time_type = {
        Clock.SECONDS: pa.float64(),
        Clock.NAIVE: pa.timestamp("ns"),
        Clock.OFFSET: pa.timestamp("ns", "UTC"),
    }[layout.clock]
    times: list[IntArray] = []
    values: dict[str, list[FloatArray]] = {name: [] for name in numbers}
    try:
        batches = pacsv.open_csv(
            _arrow_stream(path),
            read_options=pacsv.ReadOptions(column_names=keys, skip_rows=layout.header_lines, block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types={time_key: time_type} | dict.fromkeys(number_keys.values(), pa.float64()),
                include_columns=list(dict.fromkeys([time_key, *number_keys.values()])),
                null_values=["", "nan", "NaN", "NAN", "null", "Null", "NULL"],
            ),
        )
        for batch in batches:
            time_ns = _time_ns(batch.column(time_key), layout.clock)
            columns = {name: _numbers(batch.column(key)) for name, key in number_keys.items()}
            if time_ns is None or any((c < 0).any() or (c > NUMBER_MAX).any() for c in columns.values()):
                return None
            times.append(time_ns)
            for name, column in columns.items():
                values[name].append(column)
    except (pa.ArrowInvalid, OSError):
        return None
    return np.concatenate(times), {name: np.concatenate(parts) for name, parts in values.items()}


def _arrow_stream(path: Path) -> Any:
    """The file's bytes, read by Arrow itself.

    A thread of Arrow reads ahead of the batches that are taken. Through a file of Python's it would need the
    interpreter: where a bad cell ends the command early, that aborted the process ('terminate called without an active
    exception') after its line had been printed.
    """
    import pyarrow as pa

    # As bytes: Arrow encodes a name itself, and can't where the name is no UTF-8.
    file = pa.OSFile(os.fsencode(on_disk(path)))
    return pa.CompressedInputStream(file, "gzip") if is_gzip(path) else file


def _time_ns(column: Any, clock: Clock) -> IntArray | None:
    if column.null_count:
        return None
    if clock is not Clock.SECONDS:
        nanoseconds: IntArray = column.cast("int64").to_numpy()
        return nanoseconds
    seconds = _numbers(column)
    if not (np.abs(seconds) < SECONDS_LIMIT).all():
        return None
    return np.rint(seconds * NS_PER_S).astype(np.int64)


def _numbers(column: Any) -> FloatArray:
    """A float column as an array; null becomes NaN. A copy, so that the batch's other memory can go."""
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)
