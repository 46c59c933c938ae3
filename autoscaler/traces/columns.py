"""Columns of a table: times as integers, numbers as floats, and where each row stands in its file.

Readers of CSV, Parquet and JSON lines produce `Columns`; the parsing of a single cell and the wording of what is wrong
with it are here, so that they are the same for all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoscaler.errors import UsageError, shown
from autoscaler.traces.trace import DATED_FROM_S
from forecasting.series import FloatArray

IntArray = npt.NDArray[np.int64]

NS_PER_S = 1_000_000_000
# Text that means a missing number, in lower case and without blanks around.
MISSING = frozenset({"", "nan", "+nan", "-nan", "null"})
# Whole nanoseconds in 64 bits reach to the year 2262; beyond, numbers are surely milliseconds or finer.
SECONDS_LIMIT = 9e9
# As much per bin comes from no service, but from a counter that broke: 1e200 ended in warnings of numpy and infinite
# sums, files further on.
NUMBER_MAX = 1e15
TIME_ALLOWED = "allowed are ISO-8601 dates such as 2025-03-01T00:05:00Z, or seconds since 1970 or some start"
NUMBER_ALLOWED = f"allowed are numbers from 0 to {NUMBER_MAX:g}, or nothing where it is missing"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?|\d\d(?!\.))(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)

# 12/1/2026 13:05 or 1.12.2026
_SPREADSHEET_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}(?!\d)", re.ASCII)
_COMMAS = re.compile(r"[+-]?[\d.,]+", re.ASCII)  # 5,5 or 1,234.5
# The column that is read where no unit is named.
_COUNTS = "requests"


class Clock(Enum):
    """How a time column writes its times; a file keeps to one way."""

    SECONDS = "seconds"
    NAIVE = "a date without an offset"
    OFFSET = "a date with an offset"


class CellError(ValueError):
    """A cell can't be used: `str(error)` says what is wrong with it and what is allowed."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A time column and some number columns of a file.

    Attributes:
        path: the file, for messages.
        time: name of the time column.
        clock: how the column writes its times.
        time_ns: nanoseconds, shape (n,), in the file's order.
        numbers: column name -> values, shape (n,), from 0 to NUMBER_MAX; NaN is missing.
        place: row index -> where it stands in the file, such as 'line 17'.
    """

    path: Path
    time: str
    clock: Clock
    time_ns: IntArray
    numbers: Mapping[str, FloatArray]
    place: Callable[[int], str]

    @property
    def dated(self) -> bool:
        """Whether times are dates or seconds since the epoch (UTC), or seconds from some start."""
        since_epoch = len(self.time_ns) > 0 and bool(self.time_ns.min() >= DATED_FROM_S * NS_PER_S)
        return self.clock is not Clock.SECONDS or since_epoch

    def time_text(self, row: int) -> str:
        """A row's time as the file may have it: no Z where the file states no offset."""
        text = time_text(int(self.time_ns[row]), dated=self.clock is not Clock.SECONDS)
        return text.removesuffix("Z") if self.clock is Clock.NAIVE else text

    def error(self, row: int, column: str, problem: str) -> UsageError:
        """The error that names the place of a cell."""
        return cell_error(self.path, self.place(row), column, problem)


def cell_error(path: Path, place: str, column: str, problem: str) -> UsageError:
    """The one line about a cell: file, place, column, what is wrong."""
    return UsageError(f"{path}: {place}, column '{column}': {problem}")


def parse_time(text: str) -> tuple[int, Clock]:
    """Nanoseconds of a time cell, and how it is written. A date without an offset is UTC. Raises CellError."""
    text = text.strip()
    if not text:
        raise CellError(f"the time is missing; {TIME_ALLOWED}")
    if _NUMBER.fullmatch(text):
        return seconds_to_ns(float(text)), Clock.SECONDS
    match = _DATE.fullmatch(text)
    if match is None:
        swapped = " (day and month could be swapped)" if _SPREADSHEET_DATE.match(text) else ""
        cells = "; in a spreadsheet, format the cells as yyyy-mm-dd hh:mm:ss" if swapped else ""
        raise CellError(f"{shown(text)} is not a time{swapped}; {TIME_ALLOWED}{cells}")
    date, time, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time or '00:00'}{offset or '+00:00'}")
    except ValueError as error:
        raise CellError(f"{shown(text)} is not a time ({error}); {TIME_ALLOWED}") from None
    seconds = (moment - _EPOCH) // _SECOND
    check_seconds(seconds, text)
    nanoseconds = int((fraction or "").ljust(9, "0"))
    return seconds * NS_PER_S + nanoseconds, Clock.OFFSET if offset else Clock.NAIVE


def seconds_to_ns(seconds: float) -> int:
    """Whole nanoseconds of a time in seconds. Raises CellError where it is not finite or too large to be seconds."""
    check_seconds(seconds, f"{seconds:.17g}")
    return round(seconds * NS_PER_S)


def check_seconds(seconds: float, text: str) -> None:
    """Raise CellError where `seconds`, written as `text`, can't be held in 64 bits of nanoseconds."""
    if not abs(seconds) < SECONDS_LIMIT:
        raise CellError(f"{shown(text)} is out of range; {TIME_ALLOWED} (milliseconds must be divided by 1000)")


def check_clock(clock: Clock, first: Clock, text: str) -> None:
    """Raise CellError where a time is written in another way than the first of its column."""
    if clock is not first:
        raise CellError(f"{shown(text)} is {clock.value}, but the column starts with {first.value}; write all one way")


def parse_number(text: str) -> float:
    """Value of a number cell; NaN where it is missing. Raises CellError."""
    text = text.strip()
    if text.lower() in MISSING:
        return float("nan")
    if not _NUMBER.fullmatch(text):
        comma = "; write decimals with '.', and nothing between thousands" if _COMMAS.fullmatch(text) else ""
        raise CellError(f"{shown(text)} is not a number; {NUMBER_ALLOWED}{comma}")
    value = float(text)
    check_number(value, text)
    return value


def check_number(value: float, text: str) -> None:
    """Raise CellError where `value`, written as `text`, is negative or above NUMBER_MAX."""
    if value < 0:
        raise CellError(f"{shown(text)} is negative; {NUMBER_ALLOWED}")
    # Not by numpy: a whole number of JSON may have hundreds of digits.
    if value == math.inf:
        raise CellError(f"{shown(text)} is infinite; {NUMBER_ALLOWED}")
    if value > NUMBER_MAX:
        raise CellError(f"{shown(text)} is too large; {NUMBER_ALLOWED}")


def check_names(path: Path, place: str, names: Sequence[str], time: str, numbers: Sequence[str]) -> None:
    """Raise UsageError where a wanted column is absent or there twice."""
    for wanted in (time, *numbers):
        count = names.count(wanted)
        if count == 0:
            there = f"there are: {listed_names(names)}{_advice(names, wanted, time, numbers)}"
            raise UsageError(f"{path}: {place} names no column '{wanted}'; {there}")
        if count > 1:
            raise UsageError(f"{path}: {place} names column '{wanted}' {count} times; keep one of them")


def _advice(names: Sequence[str], wanted: str, time: str, numbers: Sequence[str]) -> str:
    """What to do about a column that is absent from `names`, where that can be told."""
    advice = ""
    separator = next((s for s in (";", "\t") if len(names) == 1 and s in names[0]), None)
    alike = next((name for name in names if name.strip().lower() == wanted.strip().lower()), None)
    if separator:
        advice = f"; separate columns by ',' instead of {separator!r}"
        advice += ", and decimals by '.'" if separator == ";" else ""
    elif alike is not None:
        advice = f"; write {shown(alike)} as {shown(wanted)}"
    elif names and (names[0].startswith("#") or _NUMBER.fullmatch(names[0]) or _DATE.fullmatch(names[0])):
        advice = "; the first line must name the columns"
    elif wanted == time and _COUNTS in numbers and _COUNTS not in names:
        advice = f"; rename the column of times to {time!r}, and that of counts to {_COUNTS!r}, or name it with --unit"
    elif wanted == time:
        advice = f"; rename the column of times to {time!r}"
    elif wanted == _COUNTS:
        advice = f"; rename the column of counts to {_COUNTS!r}, or name it with --unit"
    # Bytes that are no UTF-8 are read as halves of surrogate pairs.
    if any("\udc80" <= character <= "\udcff" for character in "".join(names)):
        advice += "; save the file as UTF-8"
    return advice


def listed_names(names: Sequence[str]) -> str:
    """Column names for a message: the first dozen, on one line whatever is in them."""
    return ", ".join(shown(name)[1:-1] for name in names[:12]) + (", ..." if len(names) > 12 else "")


def time_text(time_ns: int, *, dated: bool) -> str:
    """A time as a file has it: ISO-8601 with Z, or seconds; as many decimals as it needs."""
    seconds, nanoseconds = divmod(time_ns, NS_PER_S)
    decimals = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    if dated:
        return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{decimals}Z"
    if seconds < 0 and nanoseconds:
        # -1.25 s is divmod'ed to (-2, 0.75 s).
        return f"-{time_text(-time_ns, dated=False)}"
    return f"{seconds}{decimals}"
