"""What the user states: an objective, what a replica sustains, how long it loads, and bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.core.cron import check_time_zone
from autoscaler.core.event import Event
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from forecasting.clock import UTC_ZONE
from forecasting.lead_members import DEFAULT_MEMBERS


@dataclass(frozen=True, slots=True)
class Objective:
    """At most `late_budget` of the work may wait longer than `max_wait_s` for a replica."""

    max_wait_s: float
    late_budget: float

    def __post_init__(self) -> None:
        """Refuse what can't be meant."""
        if not (math.isfinite(self.max_wait_s) and self.max_wait_s >= 0):
            raise UsageError(f"max wait must be a number of seconds >= 0, got {self.max_wait_s:g}")
        if not 0 < self.late_budget < 1:
            raise UsageError(f"late budget must be above 0 and below 1 (1% is 0.01), got {self.late_budget:g}")


class Part(StrEnum):
    """A part of the policy that can be left out, to see what it is worth."""

    BUDGET_CONTROLLER = "budget-controller"
    RENT_OR_BUY = "rent-or-buy"


@dataclass(frozen=True, slots=True)
class Spec:
    """One workload to scale.

    Attributes:
        bin_s: width of a bin of demand, and time from one decision to the next, in seconds.
        capacity_rps: unit of work -> work per second that one replica sustains. With several units (requests, prompt
            tokens, generated tokens) the need is the largest over them.
        objective: what may be late.
        load_latency: from order to ready: what is believed until enough loads were observed.
        replicas_min: fewest replicas.
        replicas_max: most replicas.
        members: the forecast's members, see forecasting.lead_members.
        without: parts of the policy left out: without BUDGET_CONTROLLER the risk stays at 99 %, without RENT_OR_BUY a
            replica is released once neither the need one load ahead nor the last bin wants it.
        schedule: known events.
        time_zone: IANA name of the zone whose clocks the seasons of demand follow.
    """

    bin_s: float
    capacity_rps: Mapping[str, float]
    objective: Objective
    load_latency: LoadLatency
    replicas_min: int = 0
    replicas_max: int = 100_000
    members: tuple[str, ...] = DEFAULT_MEMBERS
    without: frozenset[Part] = frozenset()
    schedule: tuple[Event, ...] = ()
    time_zone: str = UTC_ZONE

    def __post_init__(self) -> None:
        """Refuse what can't be meant."""
        if not (math.isfinite(self.bin_s) and self.bin_s > 0):
            raise UsageError(f"a bin must be a positive number of seconds, got {self.bin_s:g}")
        if not self.capacity_rps:
            raise UsageError("capacity is missing: give the work per second that one replica sustains")
        for unit, capacity in self.capacity_rps.items():
            if not (math.isfinite(capacity) and capacity > 0):
                raise UsageError(f"capacity for {unit} must be a positive number per second, got {capacity:g}")
        check_time_zone(self.time_zone)
        if not 0 <= self.replicas_min <= self.replicas_max:
            raise UsageError(
                f"replicas must be 0 <= min <= max, got min {self.replicas_min} and max {self.replicas_max}"
            )
