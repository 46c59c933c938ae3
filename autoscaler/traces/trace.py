"""A demand trace: what arrived per bin, in one or several units of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autoscaler.errors import UsageError
from forecasting.series import FloatArray

BIN_SECONDS = "bin_seconds"
"""The column by which a file says how wide its bins are, and so that its other columns are counts per bin."""
# From 1973 on. What counts seconds from its own start would have to be three years long to be taken for these.
DATED_FROM_S = 1e8


@dataclass(frozen=True, slots=True)
class Trace:
    """Work per bin of equal width.

    Attributes:
        name: the file's stem, for tables.
        start_s: start of the first bin, seconds since the epoch (UTC) where `dated`, else as the file gives it.
        bin_s: width of a bin in seconds.
        demand: unit name -> work that arrived in each bin, shape (n,); NaN is missing, which is not zero.
        dated: whether times are wall-clock times, dates or seconds since the epoch, or seconds from some start.
        counted: whether it is stated that demand is counts per bin: fractional ones are no rate then. A file states it
            by the column BIN_SECONDS.
        misstated: where that column states another width than `bin_s`, a sentence that says so; else ''.
    """

    name: str
    start_s: float
    bin_s: float
    demand: Mapping[str, FloatArray]
    dated: bool
    counted: bool = False
    misstated: str = ""

    def __len__(self) -> int:
        return len(next(iter(self.demand.values())))

    @property
    def timestamps_s(self) -> FloatArray:
        """Start of each bin, shape (n,)."""
        return self.start_s + self.bin_s * np.arange(len(self), dtype=np.float64)

    @property
    def duration_s(self) -> float:
        """From the start of the first bin to the end of the last."""
        return self.bin_s * len(self)


_NEED_DATES = {"--schedule": "events have dates", "--time-zone": "clocks change on dates"}


def undated(option: str, trace_name: str) -> UsageError:
    """What to raise where `option`, one of those that need dates, is given and the trace has none."""
    return UsageError(
        f"{option}: {trace_name} counts seconds from some start, and {_NEED_DATES[option]}; "
        "give a trace with timestamps such as 2026-11-25T09:00:00Z"
    )
