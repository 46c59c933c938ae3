"""A regular time series with missing values that grows by appending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.append_log import AppendLog
from forecasting.errors import SeriesError

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
RealArray = FloatArray | Float32Array


@dataclass(frozen=True, slots=True)
class Series:
    """Work per second in bins of equal width; NaN is a missing bin, which is not zero.

    Immutable for its holder: `append` returns a new series and leaves the old one as it was.

    Attributes:
        bin_s: width of a bin in seconds.
        first_start_s: start of the first bin ever seen, in seconds since the epoch or the trace's start.
        log: the bins kept.
    """

    bin_s: float
    first_start_s: float
    log: AppendLog

    @classmethod
    def of(cls, values: npt.ArrayLike, *, bin_s: float, start_s: float = 0.0, max_bins: int | None = None) -> Self:
        """Copy `values` (n bins, NaN = missing) into a new series. Raises SeriesError on bad input.

        With `max_bins` only the newest bins are kept, now and after each append.
        """
        array = np.array(values, dtype=np.float64)
        if array.ndim != 1:
            raise SeriesError(f"a series has one dimension, got an array of shape {array.shape}")
        if not (np.isfinite(bin_s) and bin_s > 0):
            raise SeriesError(f"bin_s must be a positive number of seconds, got {bin_s}")
        bad = np.flatnonzero((array < 0) | np.isinf(array))
        if len(bad):
            raise SeriesError(f"work per second must be finite and not negative, bin {bad[0]} has {array[bad[0]]}")
        return cls(bin_s, start_s, AppendLog.of(array, rows_max=max_bins))

    def __len__(self) -> int:
        return len(self.log)

    @property
    def values(self) -> FloatArray:
        """The bins kept, oldest first: a read-only view of shape (n,)."""
        view = self.log.rows
        view.flags.writeable = False
        return view

    @property
    def start_s(self) -> float:
        """Start of the first bin kept."""
        return self.first_start_s + self.log.dropped * self.bin_s

    @property
    def end_s(self) -> float:
        """End of the last bin: the start of the next one."""
        return self.start_s + len(self) * self.bin_s

    def append(self, value: float) -> Self:
        """The series with one more bin; `value` is work per second, NaN where it is missing."""
        if value < 0 or np.isinf(value):
            raise SeriesError(f"work per second must be finite and not negative, got {value}")
        return type(self)(self.bin_s, self.first_start_s, self.log.append(value))


def linear_fill(values: FloatArray) -> FloatArray:
    """Copy of `values` (n,) with missing bins interpolated linearly; the ends take the nearest known bin.

    This looks ahead: it is for what a simulated cluster serves, never for what a policy sees.
    All missing gives all NaN.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        return values.copy()
    return np.interp(np.arange(len(values)), known, values[known])
