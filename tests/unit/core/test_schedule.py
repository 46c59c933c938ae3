"""Known events: replicas are ready at their start, and there are never fewer than without them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.decide import decide, decide_early, look_ahead, outlook_of
from autoscaler.core.decision import Reason
from autoscaler.core.event import Event
from autoscaler.core.history import replayed
from autoscaler.core.observation import Observation
from autoscaler.core.schedule import Decisions, as_tried, coming, expecting, raised, without_surges
from autoscaler.core.state import State
from autoscaler.errors import UsageError

NONE = np.zeros(0, dtype=np.int64)
DAY = 144  # bins
BIN_S = 600.0


def flat(days, level=4.0):
    return np.full(round(days * DAY), level)


def launch(bin_, *, bins=6, **what):
    """An event from the start of a bin on."""
    return Event(name="launch", at_s=bin_ * BIN_S, duration_s=bins * BIN_S, **what)


def needs_of(run, spec):
    """Quantiles as of the last decision."""
    return outlook_of(spec, run.state).needs


def test_replicas_asked_for_are_ready_at_the_start_and_go_at_the_end(spec_of, run_of):
    at, lead = 200, 3
    spec = spec_of(schedule=(launch(at, at_least=20),))
    run = run_of(spec, flat(2))
    ready = [observation.ready for observation in run.observations]
    # By then the queue of the start, when nothing was ready, is worked off.
    assert max(ready[12:at]) <= 10
    assert min(ready[at : at + 6]) == 20
    assert run.desired[at - lead] == 20
    assert run.desired[at - lead - 1] < 10
    assert run.desired[at + 5] == 20
    assert run.desired[at + 6] < 10
    assert run.decisions[at - lead].reasons[:2] == (Reason.SCHEDULED, Reason.ORDERED_AHEAD)
    assert run.decisions[at].scheduled == ("launch",)
    assert Reason.SCHEDULED not in run.decisions[at + 6].reasons


def test_an_expected_surge_finds_its_replicas_ready(spec_of, run_of):
    at, lead = 300, 3
    demand = flat(3)
    demand[at : at + 6] *= 3.0
    spec = spec_of(schedule=(launch(at, expect=3.0),))
    run, alone = run_of(spec, demand), run_of(spec_of(), demand)
    ready = [observation.ready for observation in run.observations]
    assert min(ready[at : at + 6]) >= 12
    assert alone.observations[at].ready < 12
    assert run.decisions[at - lead - 1].desired < 12
    assert run.decisions[at - lead].median_at_lead == pytest.approx(12.0, rel=0.05)
    assert run.decisions[at - lead].reasons[0] is Reason.SCHEDULED
    assert run.decisions[at - lead].scheduled == ("launch",)


def test_a_surge_that_was_seen_is_not_multiplied_again(spec_of, run_of):
    at = 300
    demand = flat(3)
    demand[at : at + 40] *= 3.0
    run = run_of(spec_of(schedule=(launch(at, bins=40, expect=3.0),)), demand)
    assert max(run.desired[at : at + 41]) <= 16


def test_a_daily_surge_is_not_multiplied_by_the_season_that_it_made(spec_of, run_of):
    day = 48
    demand = np.full(9 * day, 4.0)
    for start in range(20, len(demand), day):
        demand[start : start + 4] *= 3.0
    daily = Event(name="daily", cron="0 10 * * *", duration_s=7200.0, expect=3.0)
    run = run_of(spec_of(bin_s=1800.0, load_s=5400.0, schedule=(daily,)), demand)
    # Multiplied twice it would be 36. A queue that the season foretells doubles an order at most.
    assert 12 <= max(run.desired[8 * day :]) <= 24
    ready = [observation.ready for observation in run.observations]
    assert min(ready[8 * day + 20 : 8 * day + 24]) >= 12


def test_a_surge_that_comes_late_finds_its_replicas_still_there(spec_of, run_of):
    at = 300
    demand = flat(3)
    demand[at + 9 : at + 12] *= 3.0
    run = run_of(spec_of(schedule=(launch(at, bins=12, expect=3.0),)), demand)
    assert min(observation.ready for observation in run.observations[at : at + 12]) >= 12


def test_what_comes_in_a_window_does_not_spoil_what_is_multiplied(spec_of, run_of):
    at = 300
    demand = flat(4)
    demand[at : at + 6] *= 10.0
    again = Event(name="again", at_s=(at + DAY) * BIN_S, duration_s=3600.0, expect=2.0)
    run = run_of(spec_of(schedule=(launch(at, expect=10.0), again)), demand[: at + DAY])
    calm = run.state.calm["requests"].quantiles
    assert calm[0, 1] == pytest.approx(4.0, rel=0.05)


def test_nothing_is_ordered_for_an_event_before_its_lead_or_after_its_end(spec_of, run_of):
    spec = spec_of(schedule=(launch(250, expect=5.0), launch(260, at_least=50)))
    run, alone = run_of(spec, flat(2)), run_of(spec_of(), flat(2))
    assert run.desired[: 250 - 3] == alone.desired[: 250 - 3]
    assert run.desired[-10:] == alone.desired[-10:]


def test_no_demand_ever_seen_still_has_the_replicas_asked_for(spec_of, run_of):
    run = run_of(spec_of(schedule=(launch(5, at_least=7),)), [math.nan] * 20)
    assert run.observations[5].ready == 7
    assert Reason.NO_HISTORY in run.decisions[5].reasons
    assert run.decisions[2].scheduled == ("launch",)


def test_of_surges_that_overlap_the_largest_is_named():
    small, large = (Event(f"x{size:g}", 7_200.0, at_s=0.0, expect=size) for size in (2.0, 5.0))
    soon = Event("soon", 600.0, at_s=600.0, expect=9.0)
    asked = Event("asked", 600.0, at_s=0.0, at_least=3)
    schedule = (small, large, soon, asked)
    assert expecting(schedule, Decisions(0.0, 60.0, 3)) == ("x5",)
    # A bin that a replica ordered now serves first is in it, and the hour before it is not.
    assert expecting(schedule, Decisions(480.0, 60.0, 3)) == ("soon",)
    # It counts for the peak; at the lead it is over.
    assert expecting(schedule, Decisions(1_140.0, 60.0, 3)) == ("x5", "soon")
    assert expecting((asked,), Decisions(0.0, 60.0, 3)) == ()


def test_a_multiple_of_what_was_never_seen_is_none(spec_of, run_of):
    run = run_of(spec_of(schedule=(launch(5, expect=7.0),)), [math.nan] * 20)
    assert set(run.desired) == {1}
    assert not any(decision.scheduled for decision in run.decisions)


def test_the_maximum_holds(spec_of, run_of):
    run = run_of(spec_of(replicas_max=9, schedule=(launch(150, at_least=50), launch(170, expect=90.0))), flat(1.5))
    assert max(run.desired) == 9
    assert Reason.AT_MAX in run.decisions[170].reasons


def test_a_look_between_two_decisions_sees_the_event_too(spec_of, run_of):
    spec = spec_of(schedule=(Event(name="soon", at_s=292 * BIN_S + 60.0, duration_s=600.0, expect=4.0),))
    run = run_of(spec, flat(2))
    at_s = 288 * BIN_S + 120.0
    state = run.state
    assert state.next_start_s == 289 * BIN_S
    early, _ = decide_early(spec, state, Observation(at_s, {"requests": 4.0}, 4, NONE))
    assert early.desired >= 16
    assert early.reasons[0] is Reason.SCHEDULED


@pytest.mark.parametrize("bins", [100, 433])
def test_a_history_with_events_at_once_is_the_same_bin_by_bin(spec_of, bins):
    events = (
        Event(name="noon", cron="30 12 * * *", time_zone="Europe/Berlin", duration_s=5400.0, expect=2.5),
        Event(name="odd", at_s=40_123.0, duration_s=4_000.0, expect=4.0),
        Event(name="floor", cron="0 6 * * *", duration_s=9_000.0, at_least=15),
    )
    spec = spec_of(schedule=events)
    rng = np.random.default_rng(bins)
    demand = rng.uniform(2.0, 6.0, bins)
    demand[rng.random(bins) < 0.05] = np.nan
    at_once = replayed(spec, start_s=600.0, demand_rps={"requests": demand})
    state = replace(State.start(spec, start_s=600.0), next_start_s=600.0 + BIN_S)
    for t, value in enumerate(demand):
        state = look_ahead(spec, state, Observation(600.0 + (t + 1) * BIN_S, {"requests": float(value)}, 0, NONE))
    np.testing.assert_array_equal(at_once.needs, state.needs)
    np.testing.assert_array_equal(at_once.calm["requests"].quantiles, state.calm["requests"].quantiles)
    np.testing.assert_array_equal(at_once.trials.due, state.trials.due)
    assert at_once.risk == state.risk


def test_the_self_backtest_pays_for_what_events_ask_for(spec_of):
    demand = {"requests": flat(3)}
    alone = replayed(spec_of(), start_s=0.0, demand_rps=demand)
    floor = Event(name="floor", cron="0 0 * * *", duration_s=86_400.0, at_least=40)
    held = replayed(spec_of(schedule=(floor,)), start_s=0.0, demand_rps=demand)
    assert alone.trials.results is not None
    assert held.trials.results is not None
    assert alone.trials.results[:, 0].max() < 10
    assert held.trials.results[:, 0] == pytest.approx(40.0)


def test_of_events_that_overlap_the_largest_counts():
    events = (launch(10, expect=2.0), launch(12, expect=3.0))
    needs = np.full((20, 2, 4), 1.0)
    calm = np.full((20, 2, 4), 5.0)
    more = raised(events, needs, calm, Decisions(0.0, BIN_S, 2))
    # Made at bin t the first row is about bin t + 2, the second about bins t to t + 2.
    assert more[:, 0, 0].tolist() == [1.0] * 8 + [10.0] * 2 + [15.0] * 6 + [1.0] * 4
    assert more[:, 1, 0].tolist() == [1.0] * 8 + [10.0] * 2 + [15.0] * 8 + [1.0] * 2


def test_a_window_off_the_bins_counts_from_the_bin_that_it_starts_in():
    event = Event(name="odd", at_s=1_250.0, duration_s=100.0, at_least=3)
    needs = np.zeros((5, 2, 6))
    least = as_tried((event,), needs, needs, Decisions(0.0, BIN_S, 1))[:, 0]
    assert least[:, -1].tolist() == [0.0, 3.0, 3.0, 0.0, 0.0]
    assert not least[:, :2].any()
    assert [bool(coming((event,), Decisions(t * BIN_S, BIN_S, 1))) for t in range(5)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    surge = replace(event, at_least=0, expect=2.0)
    assert np.isnan(without_surges((surge,), np.ones(5), start_s=0.0, bin_s=BIN_S)).tolist() == [0, 0, 1, 0, 0]


WINDOWS = st.builds(
    Event,
    name=st.just("event"),
    at_s=st.floats(0.0, 2.0 * 86_400.0),
    duration_s=st.floats(1.0, 86_400.0),
    expect=st.floats(1.01, 50.0),
) | st.builds(
    Event,
    name=st.just("event"),
    cron=st.sampled_from(["0 * * * *", "30 2 * * *", "*/20 8-10 * * *", "0 0 1 1 *"]),
    time_zone=st.sampled_from(["UTC", "America/New_York"]),
    duration_s=st.floats(1.0, 7_200.0),
    at_least=st.integers(1, 60),
)


@settings(deadline=None, max_examples=12)
@given(schedule=st.lists(WINDOWS, min_size=1, max_size=4).map(tuple), seed=st.integers(0, 9), gap=st.booleans())
def test_there_are_never_fewer_replicas_than_without_events(spec_of, run_of, schedule, seed, gap):
    rng = np.random.default_rng(seed)
    demand = rng.gamma(2.0, 3.0, 72) * np.where(rng.random(72) < 0.1, 8.0, 1.0)
    if gap:
        demand[30:45] = np.nan
    # A load of eight bins: the first self-backtest, from which on the risk may be another, is after the run's end.
    alone = spec_of(load_s=4_800.0)
    spec = replace(alone, schedule=schedule)
    run = run_of(spec, demand)
    state = State.start(spec)
    for observation, with_events in zip(run.observations, run.decisions, strict=True):
        without, _ = decide(alone, replace(state, calm={}), observation)
        assert with_events.desired >= without.desired
        assert not with_events.high_at_lead < without.high_at_lead
        assert not with_events.peak_until_lead < without.peak_until_lead
        _, state = decide(spec, state, observation)


@settings(deadline=None, max_examples=6)
@given(schedule=st.lists(WINDOWS, min_size=1, max_size=3).map(tuple), cut=st.integers(1, 59))
def test_what_comes_later_changes_no_decision(spec_of, run_of, schedule, cut):
    demand = np.random.default_rng(cut).gamma(2.0, 3.0, 60)
    spec = spec_of(schedule=schedule)
    assert run_of(spec, demand[:cut]).desired == run_of(spec, demand).desired[: cut + 1]


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        ({"duration_s": 0.0}, "duration must be above 0"),
        ({"duration_s": 32 * 86_400.0}, "duration must be above 0 and at most 2.6784e"),
        ({"cron": "0 0 * * *"}, "exactly one of at and cron"),
        ({"at_s": None}, "exactly one of at and cron"),
        ({"at_s": math.inf}, "exactly one of at and cron"),
        ({"at_least": 3}, "exactly one of expect and atLeast"),
        ({"expect": 1.0}, "exactly one of expect and atLeast"),
        ({"expect": 0.5}, "expect must be above 1 and at most 100"),
        ({"at_s": None, "cron": "61 * * * *"}, "bad minute"),
        ({"at_s": None, "cron": "1 * * * *", "time_zone": "Nowhere"}, "IANA time zone"),
    ],
)
def test_what_cannot_be_meant_is_refused(others, problem):
    stated = {"name": "x", "at_s": 0.0, "duration_s": 60.0, "expect": 2.0}
    with pytest.raises(UsageError, match=problem):
        Event(**(stated | others))
