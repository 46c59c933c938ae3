"""After a time in which nobody saw the queue nothing is released for one load, unless the queue is measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decide import decide
from autoscaler.core.decision import Reason
from autoscaler.core.observation import Observation
from autoscaler.core.unseen import Unseen, short_gap_bins

NAN = math.nan
LEAD = 3
STEADY, QUIET = [10.0] * 300, [2.0] * 40


def plainly(missing, lead_bins):
    """Bin by bin, in plain words."""
    gap = hold = 0
    for each in missing:
        hold = max(0, hold - 1)
        if not each and gap > max(2, lead_bins):
            hold = lead_bins
        gap = gap + 1 if each else 0
    return Unseen(gap, hold)


runs = st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=8)


@given(first=runs, then=runs, lead_bins=st.integers(0, 6))
def test_many_bins_at_once_are_bins_one_by_one(first, then, lead_bins):
    def bins(of):
        return np.array([missing for missing, count in of for _ in range(count)], dtype=np.bool_)

    unseen = Unseen()
    for part in (bins(first), bins(then)):
        unseen = unseen.after(part, lead_bins=lead_bins) if len(part) else unseen
    assert unseen == plainly(np.concatenate((bins(first), bins(then))), lead_bins)
    one_by_one = Unseen()
    for each in np.concatenate((bins(first), bins(then))):
        one_by_one = one_by_one.after(np.array([each]), lead_bins=lead_bins)
    assert one_by_one == unseen


@pytest.mark.parametrize(("bins", "lead_bins", "long"), [(2, 0, False), (3, 0, True), (5, 5, False), (6, 5, True)])
def test_a_gap_is_long_beyond_a_load_and_beyond_two_bins(bins, lead_bins, long):
    assert (bins > short_gap_bins(lead_bins)) == long


def held_after(run, before):
    """Reasons and replicas of the decisions after the first `before`."""
    return [(Reason.QUEUE_UNKNOWN in decision.reasons, decision.desired) for decision in run.decisions[before:]]


@pytest.mark.parametrize("gap_bins", [LEAD, LEAD + 1, 20])
def test_after_a_gap_longer_than_a_load_nothing_is_released_for_one(spec_of, run_of, gap_bins):
    run = run_of(spec_of(late_budget=0.1), [*STEADY, *[NAN] * gap_bins, *QUIET])
    told = held_after(run, len(STEADY) + gap_bins + 1)
    stood = run.decisions[len(STEADY) + gap_bins].desired
    if gap_bins <= LEAD:
        assert not any(held for held, _ in told)
        assert told[0][1] < stood
    else:
        assert [held for held, _ in told[: LEAD + 1]] == [True] * LEAD + [False]
        assert [desired for _, desired in told[:LEAD]] == [stood] * LEAD
        assert told[LEAD][1] < stood


def test_bins_that_were_skipped_are_a_gap(spec_of, run_of):
    run = run_of(spec_of(), [*STEADY, *QUIET], jumps=[*[1] * (len(STEADY)), LEAD + 2])
    assert Reason.QUEUE_UNKNOWN in run.decisions[len(STEADY) + 1].reasons


def test_after_a_silence_too_long_to_catch_up_on_it_is_the_same(spec_of, run_of):
    run = run_of(spec_of(), [*STEADY, *QUIET], jumps=[*[1] * (len(STEADY)), 5_000])
    stood = run.decisions[len(STEADY)].desired
    assert Reason.NO_HISTORY in run.decisions[len(STEADY) + 1].reasons
    assert run.desired[len(STEADY) + 1 : len(STEADY) + 1 + LEAD] == [stood] * LEAD
    assert run.desired[len(STEADY) + 1 + LEAD] < stood


def test_bins_of_another_width_cover_the_same_times():
    assert Unseen(4, 3).in_bins_of(60.0, before_s=600.0) == Unseen(40, 30)
    assert Unseen(4, 3).in_bins_of(600.0, before_s=240.0) == Unseen(2, 2)


def test_a_queue_that_is_measured_is_seen(spec_of, run_of):
    run = run_of(spec_of(late_budget=0.1), [*STEADY, *[NAN] * 20, *QUIET], queue_rs=0.0)
    assert not any(Reason.QUEUE_UNKNOWN in decision.reasons for decision in run.decisions)
    assert run.decisions[len(STEADY) + 21].desired < run.decisions[len(STEADY) + 20].desired


def test_more_is_ordered_all_the_same_and_the_maximum_holds(spec_of, run_of):
    spec = spec_of(replicas_max=30)
    run = run_of(spec, [*STEADY, *[NAN] * 20, 25.0, 60.0])
    assert Reason.QUEUE_UNKNOWN in run.decisions[-1].reasons
    assert run.decisions[-2].desired > run.decisions[-2].current
    assert run.decisions[-1].desired == 30


def test_a_driver_that_was_away_says_so_and_what_is_measured_or_assumed_is_not_held(spec_of, run_of):
    spec = spec_of()
    state = run_of(spec, STEADY).state

    def seen(**others):
        now_s = state.next_start_s
        return decide(spec, state, Observation(now_s, {"requests": 2.0}, 40, np.zeros(0, dtype=np.int64), **others))

    free, _ = seen()
    assert free.desired < 40
    held, after = seen(queue_unseen=True)
    assert held.desired == 40
    assert held.reasons[:2] == (Reason.QUEUE_UNKNOWN, Reason.STEADY)
    assert after.unseen == Unseen(0, LEAD)
    assert seen(queue_unseen=True, backlog_rs=0.0)[0].desired < 40
    assert seen(queue_unseen=True, fleet_assumed=True)[0].desired == free.desired


def test_where_gaps_are_the_rule_known_bins_release_again(spec_of, run_of):
    bins = np.arange(4 * 144)
    demand = 12 + 8 * np.sin(2 * np.pi * bins / 144)
    sparse = np.where((bins > 144) & (bins % 5 != 0), NAN, demand)
    run = run_of(spec_of(), sparse)
    known = [decision for decision, seen in zip(run.decisions[1:], sparse, strict=True) if not math.isnan(seen)]
    later = known[-2 * 28 :]
    assert sum(decision.desired < decision.current for decision in later) >= 10
    assert not any(Reason.QUEUE_UNKNOWN in decision.reasons for decision in later)


def test_a_dozen_gaps_within_a_day_are_still_held(spec_of, run_of):
    crashing = [NAN, NAN, NAN, NAN, 10.0] * 12
    run = run_of(spec_of(), [*STEADY, *crashing])
    known = [
        decision
        for decision, seen in zip(run.decisions[len(STEADY) + 1 :], crashing, strict=True)
        if not math.isnan(seen)
    ]
    assert all(Reason.QUEUE_UNKNOWN in decision.reasons for decision in known)
