"""Between two decisions: a burst is answered before its bin is over, and nothing is ever released."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.decide import decide, decide_early
from autoscaler.core.decision import Reason
from autoscaler.core.observation import Observation

NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def steady(spec_of, run_of):
    spec = spec_of()
    return spec, run_of(spec, np.random.default_rng(0).normal(10.0, 0.5, 300))


def early(spec, run, rate, ready=11, due=NONE):
    at_s = run.state.next_start_s - 0.4 * spec.bin_s
    return decide_early(spec, run.state, Observation(at_s, {"requests": rate}, ready, due))


def test_a_burst_is_ordered_for_at_once(steady):
    decision, outlook = early(*steady, rate=40.0)
    assert decision.desired > 20
    assert outlook.early
    assert Reason.EARLY in decision.reasons
    assert Reason.ORDERED_AHEAD in decision.reasons


@given(rate=st.floats(0.0, 50.0), ready=st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_nothing_is_released(steady, rate, ready):
    decision, _ = early(*steady, rate=rate, ready=ready)
    assert decision.desired >= ready


def test_the_next_decision_is_as_if_nobody_had_looked(steady):
    spec, run = steady
    observation = Observation(run.state.next_start_s, {"requests": 12.0}, 11, NONE)
    before = decide(spec, run.state, observation)[0]
    early(spec, run, rate=500.0)
    assert decide(spec, run.state, observation)[0] == before
