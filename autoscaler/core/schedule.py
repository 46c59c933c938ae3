"""Known events: when more demand is expected than the forecast can know, or replicas are to be ready whatever it says.

An event only ever adds. What is expected in a window is a multiple of what would come without it. That is forecast
from demand outside of such windows: a surge that has begun, or that came in the same window yesterday, is not
multiplied once more, since the forecast that has seen it counts beside it, unmultiplied, and the larger of the two is
the need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoscaler.core.cron import DAY_S, check_cron, check_time_zone, windows_of_day
from autoscaler.core.risk import MEDIAN
from autoscaler.errors import UsageError
from forecasting.series import FloatArray

BoolArray = npt.NDArray[np.bool_]

EXPECT_MAX = 100.0
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


@dataclass(frozen=True, slots=True)
class Decisions:
    """When decisions are made, at the starts of consecutive bins.

    Attributes:
        first_s: the first one's time, seconds since the epoch.
        bin_s: width of a bin.
        lead_bins: bins from order to ready.
    """

    first_s: float
    bin_s: float
    lead_bins: int

    def made_s(self, count: int) -> FloatArray:
        """When each is made, shape (count,)."""
        return self.first_s + self.bin_s * np.arange(count, dtype=np.float64)

    @property
    def reach_s(self) -> float:
        """From a decision to the end of the first bin that a replica ordered by it serves."""
        return (self.lead_bins + 1) * self.bin_s


def expects_more(schedule: Sequence[Event]) -> bool:
    """Whether an event multiplies the forecast."""
    return any(event.expect > 1.0 for event in schedule)


def without_surges(schedule: Sequence[Event], demand: FloatArray, *, start_s: float, bin_s: float) -> FloatArray:
    """Demand per bin from `start_s` on, shape (n,), NaN where a surge was expected: what the multiple is of."""
    starts_s = start_s + bin_s * np.arange(len(demand), dtype=np.float64)
    expected = np.zeros(len(demand), dtype=np.bool_)
    for event in schedule:
        if event.expect > 1.0:
            expected |= event.within(starts_s, starts_s + bin_s)
    return np.where(expected, np.nan, demand)


def raised(schedule: Sequence[Event], needs: FloatArray, calm: FloatArray, decisions: Decisions) -> FloatArray:
    """Forecast needs with what the events expect: never less than `needs`. Where events overlap the largest counts.

    Args:
        schedule: the events.
        needs: forecasts in replicas, a row per decision, shape (n, 2, levels): of demand one lead ahead, and of the
            peak from then to there.
        calm: likewise, of demand without surges.
        decisions: when they were made.
    """
    made_s = decisions.made_s(len(needs))
    stops_s = made_s + decisions.reach_s
    factors = np.ones((len(needs), 2))
    for event in schedule:
        if event.expect > 1.0:
            for target, firsts_s in enumerate((stops_s - decisions.bin_s, made_s)):
                within = event.within(firsts_s, stops_s)
                factors[:, target] = np.maximum(factors[:, target], np.where(within, event.expect, 1.0))
    expected: FloatArray = np.where(factors > 1.0, factors, np.nan)[:, :, None] * calm
    return np.fmax(needs, expected)


def as_tried(schedule: Sequence[Event], needs: FloatArray, usual: FloatArray, decisions: Decisions) -> FloatArray:
    """Needs as the self-backtest takes them: see `raised`, of whose `needs` these are the result, for the arguments.

    Replicas that events ask for are ordered one lead before a window, and kept until its end. The median, by which the
    queue grows until a replica ordered now serves, is the usual one: replicas that are to be ready bring no demand,
    and a surge comes at once.
    """
    if not schedule:
        return needs
    made_s = decisions.made_s(len(needs))
    least = np.full(len(needs), -np.inf)
    for event in schedule:
        if event.at_least:
            within = event.within(made_s, made_s + decisions.reach_s)
            least = np.maximum(least, np.where(within, float(event.at_least), -np.inf))
    tried: FloatArray = np.maximum(needs, least[:, None, None])
    # A decision that was missed has no needs, though forecasts went on.
    tried[:, :, : MEDIAN + 1] = np.minimum(needs, usual)[:, :, : MEDIAN + 1]
    return tried


def coming(schedule: Sequence[Event], decisions: Decisions) -> tuple[Event, ...]:
    """The events with a window between the first decision and the end of the first bin that its order serves."""
    now_s, stop_s = decisions.first_s, decisions.first_s + decisions.reach_s
    return tuple(event for event in schedule if any(True for _ in event.windows(now_s, stop_s)))


def asking(schedule: Sequence[Event], decisions: Decisions) -> tuple[int, tuple[str, ...]]:
    """Replicas to have from the first decision on, as in `floored`, and the names of the events that ask for them."""
    events = coming(schedule, decisions)
    least = max((event.at_least for event in events), default=0)
    return least, tuple(event.name for event in events if least and event.at_least == least)
