"""A fall to nothing in full traffic is doubted for five minutes, and then it is one; so is a rise beyond all."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.belief import Lately, believable_only
from autoscaler.core.decide import look_ahead
from autoscaler.core.decision import Reason
from autoscaler.core.history import replayed
from autoscaler.core.observation import Observation
from autoscaler.core.state import State
from forecasting.lead_history import LeadHistory

NAN = math.nan
HOURS_3 = 180


@pytest.fixture(scope="module")
def spec(spec_of):
    return spec_of(bin_s=60.0, load_s=180.0)


def traffic(bins, seed=0):
    return np.random.default_rng(seed).uniform(18.0, 22.0, bins)


def doubted(values, *, bin_s=60.0, history=None, lately=None):
    history = history or LeadHistory.start(lead=3, bin_s=bin_s, floor=0.5)
    believed, _ = believable_only(np.asarray(values, np.float64), history, lately or Lately(), 1.0)
    return np.flatnonzero(np.isnan(believed)).tolist()


def test_five_minutes_of_nothing_in_full_traffic_release_nothing(spec, run_of):
    run = run_of(spec, [*traffic(HOURS_3), *[0.0] * 5, *traffic(5, seed=1)])
    assert min(run.desired[HOURS_3 + 1 : HOURS_3 + 6]) >= run.desired[HOURS_3]
    assert min(run.desired[HOURS_3:]) >= 22
    assert all(Reason.DEMAND_MISSING in decision.reasons for decision in run.decisions[HOURS_3 + 1 : HOURS_3 + 6])


def test_what_stays_at_nothing_is_believed_and_released(spec, run_of):
    run = run_of(spec, [*traffic(HOURS_3), *[0.0] * 30])
    assert Reason.DEMAND_MISSING not in run.decisions[HOURS_3 + 6].reasons
    assert run.desired[-1] < 5


def test_each_fall_is_doubted_for_five_minutes():
    values = [*traffic(HOURS_3), *[0.0] * 3, *traffic(4), *[0.0] * 7, 20.0, 0.0]
    # The last one isn't: twice it was nothing, so that nothing is nothing odd.
    assert doubted(values) == [*range(180, 183), *range(187, 192)]


def test_a_rise_beyond_all_is_doubted_for_five_minutes_and_then_it_is_one():
    day = traffic(1440).tolist()
    assert doubted([*day, *[1e8] * 3, *traffic(4), *[1e8] * 7]) == [*range(1440, 1443), *range(1447, 1452)]
    assert doubted([*day, NAN, 1e8, NAN, *[1e8] * 5]) == [*range(1440, 1447)]
    assert doubted([*day[::10], 1e8, 1e8], bin_s=600.0) == [144]


def test_missing_bins_are_no_proof_of_a_fall():
    values = [*traffic(HOURS_3), *[NAN] * 20, *[0.0] * 7]
    assert [i for i in doubted(values) if i >= 200] == list(range(200, 205))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([*[0.3] * HOURS_3, 0.0], id="below half a replica"),
        pytest.param([*[20.0] * 60, 0.0], id="an hour"),
        pytest.param([*[20.0, 20.0, 0.0] * 60, 0.0], id="often nothing"),
        pytest.param([*[20.0] * HOURS_3, 0.1], id="little"),
        pytest.param([*(20.0 * 0.5 ** np.arange(HOURS_3)), 0.0], id="falling"),
    ],
)
def test_what_may_well_be_is_believed(values):
    assert not [i for i in doubted(values) if i == len(values) - 1]


def test_a_bin_that_lasts_longer_is_believed():
    assert doubted([*[20.0] * 100, 0.0], bin_s=300.0) == [100]
    assert doubted([*[20.0] * 100, 0.0], bin_s=600.0) == []
    assert doubted([*[20.0] * 100, 0.0], bin_s=30 * 86_400.0) == []


@pytest.mark.parametrize("cut", [170, 182, 195])
def test_history_doubts_what_decisions_doubted(spec, cut):
    demand = np.concatenate([traffic(HOURS_3), [0.0, NAN, 0.0, 0.0], traffic(10), np.zeros(20)])
    state = replace(State.start(spec), next_start_s=60.0)
    for t, value in enumerate(demand[:cut]):
        observed = Observation((t + 1) * 60.0, {"requests": float(value)}, 0, np.zeros(0, dtype=np.int64))
        state = look_ahead(spec, state, observed)
    at_once = replayed(spec, start_s=0.0, demand_rps={"requests": demand[:cut]})
    assert at_once.lately == state.lately
    np.testing.assert_array_equal(at_once.needs, state.needs)
