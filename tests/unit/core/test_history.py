"""A state from history is the state that decisions bin by bin would have left."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.decide import look_ahead
from autoscaler.core.history import lengthened, replayed
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Part
from autoscaler.core.state import State

NONE = np.zeros(0, dtype=np.int64)


def one_by_one(spec, start_s, demand_rps):
    state = replace(State.start(spec, start_s=start_s), next_start_s=start_s + spec.bin_s)
    for t in range(len(next(iter(demand_rps.values())))):
        demand = {unit: float(values[t]) for unit, values in demand_rps.items()}
        state = look_ahead(spec, state, Observation(start_s + (t + 1) * spec.bin_s, demand, 0, NONE))
    return state


def demand_of(bins, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    demand = scale * (10 + 8 * np.sin(2 * np.pi * np.arange(bins) / 144)) * rng.uniform(0.8, 1.2, bins)
    demand[rng.random(bins) < 0.03] = np.nan
    return demand


def assert_equal(one, other):
    assert one.next_start_s == other.next_start_s
    assert one.bins == other.bins
    assert one.unseen == other.unseen
    assert one.risk == other.risk or (math.isnan(one.risk.late_share) and math.isnan(other.risk.late_share))
    np.testing.assert_array_equal(one.needs, other.needs)
    np.testing.assert_array_equal(one.trials.due, other.trials.due)
    np.testing.assert_array_equal(one.trials.ready, other.trials.ready)
    if one.trials.results is not None:
        np.testing.assert_allclose(one.trials.results, other.trials.results, rtol=1e-12)
    for unit in one.forecasts:
        np.testing.assert_array_equal(one.forecasts[unit].quantiles, other.forecasts[unit].quantiles)


@pytest.mark.parametrize("bins", [1, 5, 100, 144, 145, 500])
def test_history_at_once_is_history_bin_by_bin(spec_of, bins):
    spec = spec_of()
    demand = {"requests": demand_of(bins, seed=bins)}
    assert_equal(replayed(spec, start_s=600.0, demand_rps=demand), one_by_one(spec, 600.0, demand))


def test_several_units_and_a_start_that_is_unknown(spec_of):
    spec = spec_of(capacity_rps={"requests": 1.0, "tokens": 50.0})
    demand = {"requests": demand_of(300, seed=1), "tokens": demand_of(300, seed=2, scale=60.0)}
    demand["tokens"][:40] = np.nan
    assert_equal(replayed(spec, start_s=0.0, demand_rps=demand), one_by_one(spec, 0.0, demand))


def test_absurd_bins_of_history_are_missing(spec_of):
    spec = spec_of()
    broken, clean = demand_of(400, seed=3), demand_of(400, seed=3)
    broken[300], clean[300] = 1e12, np.nan
    broken[310], clean[310] = -5.0, np.nan
    broken[320], clean[320] = np.inf, np.nan
    assert_equal(
        replayed(spec, start_s=0.0, demand_rps={"requests": broken}),
        replayed(spec, start_s=0.0, demand_rps={"requests": clean}),
    )
    assert_equal(
        replayed(spec, start_s=0.0, demand_rps={"requests": broken}), one_by_one(spec, 0.0, {"requests": broken})
    )


@pytest.mark.parametrize("times", [940.0, 980.0, 1_020.0])
def test_what_is_absurd_is_so_by_a_peak_that_fades_in_history_too(times, spec_of):
    spec = spec_of()
    demand = np.full(300, 10.0)
    demand[150], demand[160] = 1e4, np.nan
    demand[280] = times * 1e4
    assert_equal(
        replayed(spec, start_s=0.0, demand_rps={"requests": demand}), one_by_one(spec, 0.0, {"requests": demand})
    )


@pytest.mark.parametrize("part", Part)
def test_a_part_of_the_policy_that_is_left_out_is_left_out_of_history_too(part, spec_of):
    spec = spec_of(without=frozenset({part}))
    demand = {"requests": demand_of(400, seed=4)}
    assert_equal(replayed(spec, start_s=0.0, demand_rps=demand), one_by_one(spec, 0.0, demand))


@pytest.mark.parametrize("days", [1, 6, 40])
def test_days_without_an_answer_do_not_make_less_caution_enough(days, spec_of):
    spec = spec_of()
    rng = np.random.default_rng(6)
    known = demand_of(144 * 10, seed=6) + 30.0 * (rng.random(144 * 10) < 0.01)
    before = replayed(spec, start_s=0.0, demand_rps={"requests": known})
    longer = np.concatenate([known, np.full(144 * days, np.nan)])
    after = replayed(spec, start_s=0.0, demand_rps={"requests": longer})
    assert after.risk == before.risk
    assert_equal(after, one_by_one(spec, 0.0, {"requests": longer}))


@pytest.mark.parametrize("cut", [3, 100, 144 * 4, 144 * 7 + 70])
def test_a_state_that_is_lengthened_is_that_of_the_whole_history(cut, spec_of):
    spec = spec_of()
    demand = demand_of(144 * 8, seed=3)
    begun = replayed(spec, start_s=600.0, demand_rps={"requests": demand[:cut]})
    whole = lengthened(spec, begun, {"requests": demand[cut:]})
    assert_equal(whole, replayed(spec, start_s=600.0, demand_rps={"requests": demand}))


def test_nothing_known_leaves_a_state_that_holds(spec_of):
    state = replayed(spec_of(), start_s=0.0, demand_rps={"requests": np.full(50, np.nan)})
    assert np.isnan(state.needs).all()
    assert state.trials.results is None
