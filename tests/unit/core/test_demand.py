"""What of the observed demand is believed, and what a clock that was set wrong does."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.core.decide import decide
from autoscaler.core.decision import Reason
from autoscaler.core.observation import Observation

BIN_S = 3600.0


@pytest.fixture
def spec(spec_of):
    return spec_of(bin_s=BIN_S, load_s=BIN_S)


@pytest.fixture
def steady(spec, run_of):
    """Three days of 5 replicas' worth of requests."""
    return run_of(spec, [5.0 + 0.2 * (t % 5) for t in range(72)])


def ahead(run, bins, demand):
    """The observation of a bin `bins` after the last one."""
    return run.fleet.observe(run.observations[-1].now_s + bins * BIN_S, {"requests": demand})


def test_one_absurd_bin_counts_as_a_missing_one(spec, steady):
    decision, _ = decide(spec, steady.state, ahead(steady, 1, 1e7))
    missing, _ = decide(spec, steady.state, ahead(steady, 1, np.nan))
    assert Reason.DEMAND_MISSING in decision.reasons
    assert decision == missing
    assert decision.current <= decision.desired <= decision.current + 1


def test_an_absurd_demand_that_comes_again_is_believed(spec, steady):
    _, state = decide(spec, steady.state, ahead(steady, 1, 1e5))
    decision, _ = decide(spec, state, ahead(steady, 2, 1e5))
    assert Reason.DEMAND_MISSING not in decision.reasons
    assert decision.desired > 1e4


def test_a_launch_from_nothing_is_not_absurd(spec, run_of):
    run = run_of(spec, [0.0] * 72)
    decision, _ = decide(spec, run.state, ahead(run, 1, 500.0))
    assert Reason.DEMAND_MISSING not in decision.reasons


@pytest.mark.parametrize("bins", [5_000, 10_000_000])
def test_a_clock_far_ahead_starts_anew_and_holds_and_the_right_time_is_taken_again(spec, steady, bins):
    decision, state = decide(spec, steady.state, ahead(steady, bins, 5.0))
    assert decision.desired == decision.current
    back = ahead(steady, 1, 5.0)
    decision, state = decide(spec, state, back)
    assert decision.desired == decision.current
    after = Observation(back.now_s + BIN_S, {"requests": 5.0}, back.ready, back.due_bins)
    decision, _ = decide(spec, state, after)
    assert Reason.NO_HISTORY not in decision.reasons


def test_a_load_that_is_overdue_counts_as_due_in_the_next_bin(spec, steady):
    now_s = steady.observations[-1].now_s + BIN_S
    seen = [Observation(now_s, {"requests": 5.0}, 3, np.array(due, dtype=np.int64)) for due in ([-4, 0, 1], [1, 1, 1])]
    first, second = (decide(spec, steady.state, observation)[0] for observation in seen)
    assert first == second
