"""What replicas are worth: late work by the queue, for those that run and those that would have to load."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.gpu_worth import common_horizon_s, firm_s, load_s, saved_by
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.outlook import Outlook
from autoscaler.core.risk import LEVELS
from autoscaler.core.spec import Objective, Spec

BIN_S = 60.0
LEAD_BINS = 10
HORIZON_S = 1_800.0
SPEC = Spec(BIN_S, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(LEAD_BINS * BIN_S))


def outlook(ahead, until=None, *, now=0.0, backlog_rs=0.0) -> Outlook:
    rows = np.array([ahead, ahead if until is None else until])
    return Outlook(rows, 5, 0.0, math.nan, LEAD_BINS, BIN_S, now, backlog_rs, missing=False)


def steps(seen, *, current=0, count=8):
    """What each further replica saves."""
    return np.diff(saved_by(seen, SPEC, current=current, count=count, horizon_s=HORIZON_S))


def certain(replicas):
    return np.full(len(LEVELS), float(replicas))


def test_of_certain_demand_the_last_replica_that_serves_it_saves_most():
    """Two of four replicas leave everything late: the queue grows until nothing is served in time."""
    saved = steps(outlook(certain(4.0), now=4.0), current=4)
    assert saved.argmax() == 3
    assert saved[3] > 2 * saved[0]
    assert (saved[5:] < 0.05).all()


def test_a_replica_that_runs_saves_more_than_one_that_would_load_first():
    seen = outlook(certain(4.0), now=4.0)
    running, ordered = (saved_by(seen, SPEC, current=n, count=4, horizon_s=HORIZON_S)[4] for n in (4, 0))
    assert running > 2 * ordered > 0


def test_a_surplus_that_the_peak_until_then_wants_is_worth_more_than_ordering_it():
    seen = outlook(certain(2.0), certain(5.0), now=2.0)
    kept, ordered = steps(seen, current=5), steps(seen, current=2)
    assert kept[4] > 2 * ordered[4]


def test_a_queue_makes_replicas_beyond_demand_worth_something():
    without, queued = (steps(outlook(certain(2.0), now=2.0, backlog_rs=rs), current=2) for rs in (0.0, 6_000.0))
    assert (queued[2:] > 3 * without[2:]).all()


def test_one_bin_that_may_be_high_counts_for_one_and_not_for_the_whole_horizon():
    spread = np.where(LEVELS > 0.7, 6.0, 1.0)
    longer = outlook(spread, now=1.0)
    per_load = steps(longer, current=2)[2:6].sum()
    short = Spec(BIN_S * LEAD_BINS, SPEC.capacity_rps, SPEC.objective, SPEC.load_latency)
    one_bin = Outlook(longer.needs, 5, 0.0, math.nan, 1, BIN_S, 1.0, 0.0, missing=False)
    assert np.diff(saved_by(one_bin, short, current=2, count=6, horizon_s=HORIZON_S))[2:].sum() > 1.5 * per_load


def test_before_anything_is_known_every_replica_is_in_use():
    assert (steps(outlook(np.full(len(LEVELS), math.nan))) == 1.0).all()


def test_all_are_compared_over_three_times_the_longest_load():
    assert load_s(SPEC, LEAD_BINS) == 600.0
    assert common_horizon_s([600.0, 180.0]) == HORIZON_S


def test_gpus_that_shorten_a_hopeless_queue_are_worth_less_than_as_many_that_bring_another_on_time():
    """Of a model with a day of work queued 92 GPUs stayed, while one that began to lack 15 fell behind for 20 hours."""
    hopeless = outlook(certain(47.0), now=47.0, backlog_rs=47.0 * 86_400.0)
    running = saved_by(hopeless, SPEC, current=23, count=60, horizon_s=HORIZON_S)
    rising = saved_by(
        outlook(certain(20.0), now=8.0, backlog_rs=1_000.0), SPEC, current=5, count=25, horizon_s=HORIZON_S
    )
    assert rising[25] - rising[5] > running[23] - running[3]


def test_what_was_meant_to_run_is_firm_for_half_a_load_and_until_the_next_decision_at_least():
    assert 300.0 < firm_s(SPEC, LEAD_BINS) < 360.0
    assert BIN_S < firm_s(SPEC, 1) < 2 * BIN_S


@given(
    st.lists(st.floats(0, 1e6), min_size=2 * len(LEVELS), max_size=2 * len(LEVELS)),
    st.integers(0, 30),
    st.integers(0, 30),
    st.floats(0, 1e9),
    st.floats(0, 1e6),
)
@settings(max_examples=100, deadline=None)
def test_more_replicas_never_save_less_whatever_the_quantiles(needs, current, count, backlog_rs, now):
    ahead, until = np.array(needs).reshape(2, -1)
    saved = saved_by(
        outlook(ahead, until, now=now, backlog_rs=backlog_rs), SPEC, current=current, count=count, horizon_s=HORIZON_S
    )
    assert saved.shape == (count + 1,)
    assert saved[0] == pytest.approx(0.0)
    assert np.isfinite(saved).all()
    assert (np.diff(saved) > 0).all()
