"""A known event: what the user states of it, and the windows of time that it covers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoscaler.core.cron import DAY_S, check_cron, check_time_zone, windows_of_day
from autoscaler.errors import UsageError
from forecasting.series import FloatArray

BoolArray = npt.NDArray[np.bool_]

EXPECT_MAX = 100.0
# Of events that expect more at all times, so that `outside_surges` is nowhere.
NEVER_OUTSIDE = "of what demand is without them nothing is known, and they change nothing; atLeast needs no such demand"
DURATION_MAX_S = 31.0 * DAY_S


@dataclass(frozen=True, slots=True)
class Event:
    """Something known to come.

    Attributes:
        name: for people.
        duration_s: how long it lasts from each of its starts.
        at_s: its only start, seconds since the epoch; None where it comes again and again.
        cron: else its starts, five cron fields.
        time_zone: IANA name of the zone that `cron` is in.
        expect: so many times the demand that would come without it; 1 for none to speak of.
        at_least: replicas to be ready, whatever demand is; 0 for none.
    """

    name: str
    duration_s: float
    at_s: float | None = None
    cron: str = ""
    time_zone: str = "UTC"
    expect: float = 1.0
    at_least: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't be meant."""
        where = f"event {self.name!r:.60}"
        if not 0 < self.duration_s <= DURATION_MAX_S:
            raise UsageError(f"{where}: duration must be above 0 and at most {DURATION_MAX_S:g} s")
        if (self.at_s is None) == (not self.cron) or not math.isfinite(self.at_s or 0.0):
            raise UsageError(f"{where}: must have exactly one of at and cron")
        if (self.expect == 1.0) == (self.at_least == 0):
            raise UsageError(f"{where}: must have exactly one of expect and atLeast")
        if not (1.0 <= self.expect <= EXPECT_MAX and self.at_least >= 0):
            raise UsageError(f"{where}: expect must be above 1 and at most {EXPECT_MAX:g}, atLeast at least 1")
        if self.cron:
            check_cron(self.cron)
            check_time_zone(self.time_zone)

    def windows(self, first_s: float, stop_s: float) -> Iterator[tuple[float, float]]:
        """Start and end of the windows that overlap the time from `first_s` to before `stop_s`, oldest first."""
        for start_s, end_s in self._near(first_s, stop_s):
            if start_s < stop_s and first_s < end_s:
                yield start_s, end_s

    def _near(self, first_s: float, stop_s: float) -> Iterator[tuple[float, float]]:
        if self.at_s is not None:
            yield self.at_s, self.at_s + self.duration_s
            return
        for day in range(math.floor((first_s - self.duration_s) / DAY_S), math.floor(stop_s / DAY_S) + 1):
            yield from windows_of_day(self.cron, self.time_zone, self.duration_s, day)

    def within(self, firsts_s: FloatArray, stops_s: FloatArray) -> BoolArray:
        """Which of these stretches of time have a part of a window in them, shape (n,); both ends never decrease."""
        hit = np.zeros(len(firsts_s), dtype=np.bool_)
        if len(hit):
            for start_s, end_s in self.windows(float(firsts_s[0]), float(stops_s[-1])):
                hit |= (start_s < stops_s) & (firsts_s < end_s)
        return hit


def outside_surges(schedule: Sequence[Event], bins: int, *, start_s: float, bin_s: float) -> BoolArray:
    """In which of the bins from `start_s` on no event expects a surge, shape (bins,)."""
    starts_s = start_s + bin_s * np.arange(bins, dtype=np.float64)
    expected = np.zeros(bins, dtype=np.bool_)
    for event in schedule:
        if event.expect > 1.0:
            expected |= event.within(starts_s, starts_s + bin_s)
    return ~expected
