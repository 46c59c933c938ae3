"""Rows that are only ever appended, shared between the values that hold them.

A holder sees a fixed number of rows; appending gives a new holder and leaves the old as it was. Both share one
buffer, so appending costs O(row) amortised instead of a copy of the history: 20,160 rows for 14 days at a
minute a bin. When two holders branch from the same point, the second one to append copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

_MIN_BUFFER_ROWS = 64


@dataclass(slots=True)
class _Buffer:
    """Storage shared by holders; only rows from `used` on may be written."""

    rows: npt.NDArray[np.float64]
    used: int


@dataclass(frozen=True, slots=True)
class AppendLog:
    """An immutable view of appended rows of float64.

    Attributes:
        rows_max: rows kept; older ones are forgotten, so that a year of ticks stays bounded. None keeps all.
        dropped: rows forgotten so far.
    """

    rows_max: int | None
    dropped: int
    _buffer: _Buffer = field(repr=False)
    _first: int
    _stop: int

    @classmethod
    def of(cls, rows: npt.ArrayLike, *, rows_max: int | None = None) -> Self:
        """Copy `rows`, shape (n, ...), into a new log, keeping the last `rows_max`."""
        array = np.array(rows, dtype=np.float64)
        first = 0 if rows_max is None else max(0, len(array) - rows_max)
        return cls(rows_max, first, _Buffer(array, len(array)), first, len(array))

    @classmethod
    def empty(cls, row_shape: tuple[int, ...] = (), *, rows_max: int | None = None) -> Self:
        """A log without rows; each row will have `row_shape`."""
        return cls.of(np.empty((0, *row_shape)), rows_max=rows_max)

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """The rows kept, oldest first, shape (n, ...): a view that must not be written to."""
        return self._buffer.rows[self._first : self._stop]

    def append(self, row: npt.ArrayLike) -> Self:
        """The log with one more row."""
        buffer, first, stop = self._buffer, self._first, self._stop
        if buffer.used != stop or stop == len(buffer.rows):
            buffer = self._copied()
            first, stop = 0, len(self)
        buffer.rows[stop] = row
        buffer.used = stop + 1
        forget = int(self.rows_max is not None and stop + 1 - first > self.rows_max)
        return type(self)(self.rows_max, self.dropped + forget, buffer, first + forget, stop + 1)

    def _copied(self) -> _Buffer:
        kept = self.rows
        rows = np.empty((max(_MIN_BUFFER_ROWS, 2 * len(kept)), *kept.shape[1:]), dtype=np.float64)
        rows[: len(kept)] = kept
        return _Buffer(rows, len(kept))
