"""Known events in a backtest: the plan has their replicas ready, the others know of none, and dates are needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.backtest.from_trace import Scenario, setting_of, with_calendar
from autoscaler.backtest.headstart import replay_headstart
from autoscaler.core.event import Event
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace

START_S = 1_764_028_800.0  # 2025-11-25 00:00:00 UTC
SCENARIO = Scenario(
    capacity_rps={"requests": 1.0},
    load_latency=LoadLatency.constant(1_800.0),
    max_wait_s=10.0,
    late_budget=0.01,
    score_from=0.5,
)


def setting():
    demand = np.full(288, 4.0 * 600.0)
    demand[200:212] *= 3.0
    return setting_of(Trace("surge", START_S, 600.0, {"requests": demand}, dated=True), SCENARIO)


def test_a_surge_that_is_known_is_served_in_time():
    surge = Event("surge", 7_200.0, at_s=START_S + 200 * 600.0, expect=3.0)
    known = with_calendar(setting(), (surge,), "UTC", dated=True)
    told, blind = replay_headstart(known), replay_headstart(setting())
    assert told.outcome.late_fraction == 0.0
    assert blind.outcome.late_fraction > 0.05
    assert told.reasons[197].startswith("Scheduled OrderedAhead")
    assert np.array_equal(told.outcome.desired[:197], blind.outcome.desired[:197])


def test_events_need_dates():
    event = Event("x", 60.0, at_s=0.0, at_least=2)
    with pytest.raises(UsageError, match="--schedule: surge counts seconds from some start, and events have dates"):
        with_calendar(setting(), (event,), "UTC", dated=False)
    assert with_calendar(setting(), (), "UTC", dated=False).schedule == ()


def test_more_replicas_than_are_allowed_are_refused():
    event = Event("x", 60.0, at_s=0.0, at_least=20)
    with pytest.raises(UsageError, match="x asks for at least 20 replicas, more than --max-replicas 10"):
        with_calendar(replace(setting(), replicas_max=10), (event,), "UTC", dated=True)
