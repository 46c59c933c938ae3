"""Known events: when more demand is expected than the forecast can know, or replicas are to be ready whatever it says.

An event only ever adds. What is expected in a window is a multiple of what would come without it. That is forecast
from demand outside of such windows: a surge that has begun, or that came in the same window yesterday, is not
multiplied once more, since the forecast that has seen it counts beside it, unmultiplied, and the larger of the two is
the need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoscaler.core.event import Event, outside_surges
from autoscaler.core.risk import MEDIAN
from forecasting.series import FloatArray


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
    return np.where(outside_surges(schedule, len(demand), start_s=start_s, bin_s=bin_s), demand, np.nan)


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


def expecting(schedule: Sequence[Event], decisions: Decisions) -> tuple[str, ...]:
    """Names of the events whose multiple counts in `raised`, of one lead ahead or of the peak until then."""
    last_bin = Decisions(decisions.first_s + decisions.reach_s - decisions.bin_s, decisions.bin_s, 0)
    names: set[str] = set()
    for counted in (decisions, last_bin):
        events = [event for event in coming(schedule, counted) if event.expect > 1.0]
        most = max((event.expect for event in events), default=1.0)
        names.update(event.name for event in events if event.expect == most)
    return tuple(event.name for event in schedule if event.name in names)


def asking(schedule: Sequence[Event], decisions: Decisions) -> tuple[int, tuple[str, ...]]:
    """Replicas to have from the first decision on, as in `floored`, and the names of the events that ask for them."""
    events = coming(schedule, decisions)
    least = max((event.at_least for event in events), default=0)
    return least, tuple(event.name for event in events if least and event.at_least == least)
