"""Rows that are only ever appended, shared between the values that hold them.

A holder sees a fixed number of rows; appending gives a new holder and leaves the old as it was. Both share one
buffer, so appending costs O(row) amortised instead of a copy of the history: 20,160 rows for 14 days at a
minute a bin. When two holders branch from the same point, the second one to append copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

# A full buffer is copied into one with a 32nd more rows: a thousand workloads' histories have to fit in a GiB, and
# 32 rows of 8 bytes copied per row appended are 10 ns. Of the dozen rows of a lead, 2 more: 8 were 11 kB a workload.
_SPARE_SHARE = 32
_SPARE_ROWS_MIN = 2


@dataclass(slots=True)
class _Buffer:
    """Storage shared by holders; only rows from `used` on may be written."""

    rows: npt.NDArray[Any]
    used: int


@dataclass(frozen=True, slots=True)
class AppendLog:
    """An immutable view of appended rows, of float64 where nothing else is said.

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
    def of(cls, rows: npt.ArrayLike, *, rows_max: int | None = None, dtype: npt.DTypeLike = np.float64) -> Self:
        """Copy `rows`, shape (n, ...), into a new log, keeping the last `rows_max`."""
        given = np.asarray(rows, dtype=dtype)
        dropped = 0 if rows_max is None else max(0, len(given) - rows_max)
        array = given[dropped:].copy()
        return cls(rows_max, dropped, _Buffer(array, len(array)), 0, len(array))

    @classmethod
    def empty(
        cls, row_shape: tuple[int, ...] = (), *, rows_max: int | None = None, dtype: npt.DTypeLike = np.float64
    ) -> Self:
        """A log without rows; each row will have `row_shape`."""
        return cls.of(np.empty((0, *row_shape), dtype=dtype), rows_max=rows_max, dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled are the rows kept, without the rest of the buffer."""
        return _restored, (self.rows_max, self.dropped, self.rows)

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def rows(self) -> npt.NDArray[Any]:
        """The rows kept, oldest first, shape (n, ...): a view that must not be written to."""
        return self._buffer.rows[self._first : self._stop]

    def append(self, row: npt.ArrayLike) -> Self:
        """The log with one more row."""
        grown, window = self.grow(1)
        window[-1] = row
        return grown

    def extend(self, rows: npt.NDArray[Any]) -> Self:
        """The log with more rows, shape (n, ...), which are copied."""
        if self.rows_max is not None and len(rows) >= self.rows_max:
            fresh = self.of(rows, rows_max=self.rows_max, dtype=self._buffer.rows.dtype)
            dropped = self.dropped + len(self) + fresh.dropped
            return type(self)(self.rows_max, dropped, fresh._buffer, 0, len(fresh))
        grown, window = self.grow(len(rows))
        window[len(self) :] = rows
        return grown

    def grow(self, rows: int) -> tuple[Self, npt.NDArray[Any]]:
        """The log with so many more rows, and a window, shape (n + rows, ...), whose last `rows` the caller must fill.

        The window starts with all rows kept so far, also those that the longer log forgets.
        """
        buffer, first, stop = self._buffer, self._first, self._stop
        if buffer.used != stop or stop + rows > len(buffer.rows):
            buffer = _with_room(self.rows, rows)
            first, stop = 0, len(self)
        buffer.used = stop + rows
        window = buffer.rows[first : stop + rows]
        forget = 0 if self.rows_max is None else max(0, len(window) - self.rows_max)
        return type(self)(self.rows_max, self.dropped + forget, buffer, first + forget, stop + rows), window


def _with_room(kept: npt.NDArray[Any], more: int) -> _Buffer:
    needed = len(kept) + more
    spare = max(_SPARE_ROWS_MIN, needed // _SPARE_SHARE)
    rows = np.empty((needed + spare, *kept.shape[1:]), dtype=kept.dtype)
    rows[: len(kept)] = kept
    return _Buffer(rows, len(kept))


def _restored(rows_max: int | None, dropped: int, rows: npt.NDArray[Any]) -> AppendLog:
    # With room, since a log that is taken up again grows: the buffers of 5,000 that all grew at once left holes of
    # 100 kB an object.
    return AppendLog(rows_max, dropped, _with_room(rows, 0), 0, len(rows))
