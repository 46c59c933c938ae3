"""Ticks shorter than an object's interval: a burst is written at the next tick, not at the end of its bin."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from autoscaler.core.decision import Reason
from autoscaler.sources.ranges import RangeAnswer

BIN_S = 600.0
TICK_S = 150.0
BINS = 200
BURST = 190


@pytest.fixture
def run(start_run):
    demand = np.full(BINS, 10.0)
    demand[BURST:] = 60.0
    run = start_run(demand)
    run.controller._tick_s = TICK_S
    world = run.world

    def rates_now(requests):
        """The rate of the moment, also within a bin."""
        answers = {}
        for request in requests:
            ends_s = request.start_s + request.step_s * np.arange(request.points)
            bins = np.ceil(ends_s / BIN_S).astype(int) - 1
            inside = (bins >= 0) & (bins < BINS)
            answers[request] = RangeAnswer(np.where(inside, demand[np.clip(bins, 0, BINS - 1)], np.nan))
        return answers

    world.fetch = rates_now
    return run


def tick(run, at_s):
    run.clock.wait_until(at_s, Event())
    run.world._now_s = at_s
    run.controller.tick()
    return len(run.world.target(None).pods)


def test_a_burst_is_answered_within_a_tick(run):
    for k in range(round(BURST * BIN_S / TICK_S) + 1):
        before = tick(run, k * TICK_S)
    bins = run.workload.state.bins
    assert before < 20
    assert tick(run, BURST * BIN_S + TICK_S) > 50
    assert Reason.EARLY in run.workload.decision.reasons
    assert run.workload.state.bins == bins


def test_between_intervals_missing_demand_does_nothing(run):
    for k in range(round(BURST * BIN_S / TICK_S) + 1):
        before = tick(run, k * TICK_S)
    run.world.fetch = lambda requests: {each: RangeAnswer(np.full(each.points, np.nan)) for each in requests}
    decision = run.workload.decision
    assert tick(run, BURST * BIN_S + TICK_S) == before
    assert run.workload.decision is decision
    assert run.workload.metrics_reason == ""
