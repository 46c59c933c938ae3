"""A regular time series with missing values that grows by appending.

`Series` is immutable for its holder: `append` returns a new one and leaves the old as it was. The
buffer behind them is shared, so an append costs O(1) amortised instead of a copy of the history
(20,160 bins at one a minute for 14 days; copying them on each tick would cost more than the decision).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.errors import SeriesError

FloatArray = npt.NDArray[np.float64]

_MIN_BUFFER_BINS = 64


@dataclass(slots=True)
class _Buffer:
    """Storage shared by a series and those appended to it; only bins past `used` may be written."""

    values: FloatArray
    used: int


@dataclass(frozen=True, slots=True)
class Series:
    """Work per second in bins of equal width; NaN is a missing bin, which is not zero.

    Attributes:
        bin_s: width of a bin in seconds.
        start_s: start of the first bin that is kept, in seconds since the epoch or the trace's start.
        max_bins: bins kept; older ones are forgotten, so that a year of ticks stays bounded. None keeps all.
    """

    bin_s: float
    start_s: float
    max_bins: int | None
    _buffer: _Buffer = field(repr=False)
    _first: int
    _stop: int

    @classmethod
    def of(cls, values: npt.ArrayLike, *, bin_s: float, start_s: float = 0.0, max_bins: int | None = None) -> Self:
        """Copy `values` (n bins, NaN = missing) into a new series. Raises SeriesError on bad input."""
        array = np.array(values, dtype=np.float64)
        if array.ndim != 1:
            raise SeriesError(f"a series has one dimension, got an array of shape {array.shape}")
        if not (np.isfinite(bin_s) and bin_s > 0):
            raise SeriesError(f"bin_s must be a positive number of seconds, got {bin_s}")
        _check_values(array)
        if max_bins is not None and len(array) > max_bins:
            start_s += (len(array) - max_bins) * bin_s
            array = array[len(array) - max_bins :].copy()
        return cls(bin_s, start_s, max_bins, _Buffer(array, len(array)), 0, len(array))

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def values(self) -> FloatArray:
        """The bins kept, oldest first: a read-only view of shape (n,)."""
        view = self._buffer.values[self._first : self._stop]
        view.flags.writeable = False
        return view

    @property
    def end_s(self) -> float:
        """End of the last bin: the start of the next one."""
        return self.start_s + len(self) * self.bin_s

    def append(self, value: float) -> Self:
        """The series with one more bin; `value` is work per second, NaN where it is missing."""
        if value < 0 or np.isinf(value):
            raise SeriesError(f"work per second must be finite and not negative, got {value}")
        buffer = self._buffer
        if buffer.used != self._stop or buffer.used == len(buffer.values):
            buffer = self._grown()
            first, stop = 0, len(self)
        else:
            first, stop = self._first, self._stop
        buffer.values[stop] = value
        buffer.used = stop + 1
        start_s = self.start_s
        if self.max_bins is not None and stop + 1 - first > self.max_bins:
            first += 1
            start_s += self.bin_s
        return type(self)(self.bin_s, start_s, self.max_bins, buffer, first, stop + 1)

    def _grown(self) -> _Buffer:
        values = np.empty(max(_MIN_BUFFER_BINS, 2 * len(self)), dtype=np.float64)
        values[: len(self)] = self._buffer.values[self._first : self._stop]
        return _Buffer(values, len(self))


def _check_values(array: FloatArray) -> None:
    bad = np.flatnonzero((array < 0) | np.isinf(array))
    if len(bad):
        raise SeriesError(f"work per second must be finite and not negative, bin {bad[0]} has {array[bad[0]]}")


def linear_fill(values: FloatArray) -> FloatArray:
    """Copy of `values` (n,) with missing bins interpolated linearly; the ends take the nearest known bin.

    This looks ahead: it is for what a simulated cluster serves, never for what a policy sees.
    All missing gives all NaN.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        return values.copy()
    return np.interp(np.arange(len(values)), known, values[known])
