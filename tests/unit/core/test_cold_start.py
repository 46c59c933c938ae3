"""While less than a day is known there are at least the replicas of an HPA; a forecast without a vote is told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.decide import choose, decide, outlook_of
from autoscaler.core.decision import Reason
from autoscaler.core.observation import Observation
from autoscaler.core.state import State

DAY = 144
NOTHING_DUE = np.zeros(0, dtype=np.int64)


def test_for_a_day_the_largest_demand_of_five_minutes_at_80_percent_is_the_least(spec_of, run_of):
    rng = np.random.default_rng(3)
    demand = rng.uniform(5.0, 20.0, DAY + 20)
    run = run_of(spec_of(), demand)
    for t in range(1, DAY):
        # The bins are of ten minutes: five of them are one bin.
        assert run.desired[t] >= math.ceil(demand[t - 1] / 0.8 - 1e-9)
    assert any(Reason.COLD_START in decision.reasons for decision in run.decisions[1:DAY])
    assert not any(Reason.COLD_START in decision.reasons for decision in run.decisions[DAY:])


def test_minutes_are_held_for_five(spec_of):
    spec = replace(spec_of(), bin_s=60.0)
    state = State.start(spec)
    least = []
    for t, demand in enumerate([8.0, 40.0, *[8.0] * 8]):
        decision, state = decide(spec, state, Observation(t * 60.0, {"requests": demand}, 1, NOTHING_DUE))
        least.append(outlook_of(spec, state).cold_replicas)
        assert decision.desired >= least[-1]
    # The first decision begins the history: what came before it is not known.
    assert least == [0, 50, 50, 50, 50, 50, 10, 10, 10, 10]


def test_once_anything_came_the_last_replica_stays_for_a_day(spec_of, run_of):
    demand = np.zeros(DAY + 20)
    nothing_yet = run_of(spec_of(), demand[:DAY])
    assert nothing_yet.desired[-1] == 0
    demand[20] = 0.01
    run = run_of(spec_of(), demand)
    assert min(run.desired[21:DAY]) == 1
    assert run.desired[-1] == 0


def test_the_maximum_still_holds_and_an_unknown_demand_asks_for_none(spec_of):
    spec = spec_of(replicas_max=7)
    state = State.start(spec)
    decision, state = decide(spec, state, Observation(0.0, {}, 3, NOTHING_DUE))
    assert (decision.desired, outlook_of(spec, state).cold_replicas) == (3, 0)
    decision, state = decide(spec, state, Observation(600.0, {"requests": 40.0}, 3, NOTHING_DUE))
    assert decision.desired == 7
    assert Reason.AT_MAX in decision.reasons


@pytest.mark.parametrize("trusted", [True, False])
def test_a_forecast_that_the_last_value_beat_is_told(trusted, spec_of, run_of):
    spec = spec_of()
    run = run_of(spec, np.full(2 * DAY, 10.0))
    forecasts = {unit: replace(forecast, trusted=trusted) for unit, forecast in run.state.forecasts.items()}
    outlook = outlook_of(spec, replace(run.state, forecasts=forecasts))
    decision = choose(spec, outlook, run.observations[-1])
    assert (Reason.NOT_TRUSTED in decision.reasons) == (not trusted)


def test_a_day_without_an_answer_is_no_day_of_history(spec_of, run_of):
    rng = np.random.default_rng(5)
    demand = rng.uniform(5.0, 20.0, DAY // 2)
    run = run_of(spec_of(), [*[math.nan] * (DAY + 10), *demand])
    for t in range(1, DAY // 2):
        assert run.desired[DAY + 10 + t] >= math.ceil(demand[t - 1] / 0.8 - 1e-9)
    assert run.state.bins_known == DAY // 2
    assert min(decision.risk_level for decision in run.decisions) >= 0.95
