"""A setting that no cluster could have is refused in one line that names the option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.backtest.from_trace import Scenario, first_scored_bin, remarks, setting_of, with_calendar
from autoscaler.core.event import Event
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace

TRACE = Trace("mine", 0.0, 60.0, {"requests": np.full(100, 600.0)}, dated=False)
SCENARIO = Scenario(
    capacity_rps={"requests": 2.0},
    load_latency=LoadLatency.constant(600.0),
    max_wait_s=10.0,
    late_budget=0.01,
    score_from=0.5,
)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"load_latency": LoadLatency.constant(6001.0)}, "mine: the trace covers 6000 s, less than one load of 6001 s"),
        ({"load_latency": LoadLatency.lognormal(120.0, 80.0)}, "--load-latency: a load of .* is longer than 30 days"),
        ({"drain_s": 1e14}, r"--drain: 1e\+14 s is longer than the trace"),
        ({"replicas_max": 10**9}, "--max-replicas: 1000000000 is too many; it must be at most 10,000,000"),
        ({"replicas_min": 5, "replicas_max": 4}, "--min-replicas 5 is above --max-replicas 4"),
        ({"capacity_rps": {"requests": 1e-300}}, "--capacity: the trace's peak would need 1e[+]301 replicas"),
    ],
)
def test_what_cannot_be_meant_is_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        setting_of(TRACE, replace(SCENARIO, **changed))


def test_a_setting_counts_work_in_replica_seconds():
    setting = setting_of(TRACE, SCENARIO)
    np.testing.assert_array_equal(setting.arrivals_rs, 300.0)
    np.testing.assert_array_equal(setting.observed_replicas, 5.0)
    assert setting.score_from_bin == 50


@pytest.mark.parametrize(
    ("interval_s", "given", "said"),
    [
        (400.0, True, ["--interval: 400 s is no multiple of the bins of 60 s; Headstart decides every 420 s"]),
        (20.0, True, ["--interval: 20 s is no multiple of the bins of 60 s; Headstart decides every 60 s"]),
        (300.0, True, []),
        (20.0, False, []),
    ],
)
def test_an_interval_that_is_not_used_as_given_is_told(interval_s, given, said):
    setting = setting_of(TRACE, replace(SCENARIO, interval_s=interval_s))
    assert list(remarks(setting, interval_given=given)) == said


def test_events_that_never_come_are_told():
    events = (
        Event("before", 60.0, at_s=-60.0, at_least=2),
        Event("at the start", 61.0, at_s=-60.0, at_least=2),
        Event("at the end", 60.0, at_s=5_999.0, at_least=2),
        Event("after", 60.0, at_s=6_000.0, at_least=2),
        Event("daily", 60.0, cron="30 1 * * *", at_least=2),
        Event("at night", 60.0, cron="30 3 * * *", at_least=2),
    )
    setting = with_calendar(setting_of(TRACE, SCENARIO), events, "UTC", dated=True)
    told = list(remarks(setting, interval_given=False))
    assert [line.split(": ")[1].partition(" doesn't come within ")[0] for line in told] == [
        "before",
        "after",
        "at night",
    ]
    assert told[0].endswith("within mine, from 1970-01-01T00:00:00Z to 1970-01-01T01:40:00Z; it changes nothing")


def test_events_that_leave_no_demand_without_them_are_told():
    """1.3x in all hours was silently nothing: a multiple of what is never seen."""
    covering = [Event("a", 3_600.0, cron="0 * * * *", expect=1.3), Event("b", 3_600.0, cron="0 0 * * *", expect=1.3)]
    settings = (with_calendar(setting_of(TRACE, SCENARIO), (event,), "UTC", dated=True) for event in covering)
    told = [list(remarks(setting, interval_given=False)) for setting in settings]
    assert [len(lines) for lines in told] == [1, 0]
    assert told[0][0].startswith("--schedule: events that expect more cover all of mine: ")


@pytest.mark.parametrize(("share", "bins", "expected"), [(0.0, 10, 0), (0.29, 100, 29), (0.999, 10, 9), (1 / 3, 9, 3)])
def test_scoring_begins_in_whole_bins(share, bins, expected):
    assert first_scored_bin(share, bins) == expected
