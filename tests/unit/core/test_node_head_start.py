"""Placeholders: the longer lead's wish beyond the replicas', never negative, never fewer for want of data."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.decide import decide
from autoscaler.core.decision import Reason
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import Ahead, decide_placeholders, node_and_load
from autoscaler.core.observation import Observation
from autoscaler.core.state import State

BIN_S = 600.0


@pytest.fixture(scope="session")
def placed(spec_of):
    """Decides bin by bin: a load of one bin on a ready node, a node that takes three."""

    def run(demand, *, most=100, **bounds):
        spec = spec_of(bin_s=BIN_S, load_s=BIN_S, **bounds)
        longer = node_and_load(LoadLatency.constant(3 * BIN_S), spec.load_latency)
        ahead = Ahead(replace(spec, load_latency=longer), State.start(replace(spec, load_latency=longer)))
        state, ready, loading, told = State.start(spec), 0, 0, []
        for t, seen in enumerate([math.nan, *demand]):
            observation = Observation(t * BIN_S, {"requests": seen}, ready, np.ones(loading, dtype=np.int64))
            decision, state = decide(spec, state, observation)
            placeholders, ahead = decide_placeholders(ahead, observation, decision, most=most)
            told.append((decision, placeholders))
            # What was ordered now serves in the next bin.
            ready, loading = decision.desired, 0
        return told

    return run


def test_the_longer_lead_is_that_of_a_node_and_a_load():
    longer = node_and_load(LoadLatency.constant(240.0), LoadLatency.empirical([60.0, 90.0, 120.0], label="seen"))
    assert longer.quantiles_s == (300.0, 330.0, 360.0)
    assert longer.label == "240s and seen"


def test_a_rise_that_comes_every_day_finds_nodes_and_a_level_needs_none(placed):
    day = [2.0] * 100 + [12.0] * 44
    told = placed(day * 7)
    last_day = told[-144:]
    before_rise = [placeholders.desired for _, placeholders in last_day[96:100]]
    # What is ordered for the rise one load ahead takes the place of what was there one node earlier.
    assert max(before_rise) >= 5
    at_night = [placeholders.desired for _, placeholders in last_day[40:80]]
    assert sum(at_night) / len(at_night) <= 2


def test_placeholders_and_replicas_are_what_the_longer_lead_wants(placed):
    for decision, placeholders in placed(([2.0] * 100 + [12.0] * 44) * 4):
        if Reason.NO_HISTORY not in decision.reasons:
            replicas = max(decision.desired, decision.current)
            assert placeholders.desired == max(0, placeholders.replicas_ahead - replicas)


known = st.tuples(st.floats(0, 60), st.integers(1, 25)).map(lambda run: [run[0]] * run[1])
unknown = st.integers(1, 25).map(lambda bins: [math.nan] * bins)
traces = st.lists(known | unknown, min_size=1, max_size=8).map(lambda runs: [seen for run in runs for seen in run])


@settings(max_examples=40)
@given(trace=traces, most=st.integers(0, 12), replicas_max=st.integers(1, 40))
def test_never_negative_never_beyond_what_is_allowed_never_fewer_without_data(trace, most, replicas_max, placed):
    told = placed(trace, most=most, replicas_max=replicas_max)
    before = 0
    for seen, (_, placeholders) in zip([math.nan, *trace], told, strict=True):
        assert 0 <= placeholders.desired <= most
        assert placeholders.before == before
        if math.isnan(seen):
            assert placeholders.held
            assert placeholders.desired >= before
        before = placeholders.desired


def test_fewer_are_allowed_at_once(placed, spec_of):
    spec = spec_of(bin_s=BIN_S, load_s=4 * BIN_S)
    ahead = Ahead(spec, State.start(spec), placeholders=7)
    observation = Observation(0.0, {"requests": math.nan}, 1, np.zeros(0, dtype=np.int64))
    decision, _ = decide(spec, State.start(spec), observation)
    placeholders, ahead = decide_placeholders(ahead, observation, decision, most=3)
    assert (placeholders.before, placeholders.desired, ahead.placeholders) == (7, 3, 3)
