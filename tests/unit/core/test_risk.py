"""The risk: which candidates there are, which one is taken, and the level that a price of late work finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.plan_kernels import whole
from autoscaler.core.risk import CANDIDATES, LEVELS, LOW, MEDIAN, Risk, cheapest_within, is_due


def results_with(**rows):
    """All candidates dear and late but those given as {index: (replicas, late)}."""
    results = np.tile([100.0, 0.9], (len(CANDIDATES), 1))
    for key, row in rows.items():
        results[int(key[1:])] = row
    return results


def taken(results, late_budget=0.01, days=1e9):
    """The index of the candidate that is taken, by default after results beyond doubt."""
    chosen = cheapest_within(results, late_budget, days=days)
    index = np.flatnonzero((chosen.fixed_level == CANDIDATES.levels) & (chosen.late_price == CANDIDATES.prices))
    assert chosen.late_share == results[index[0], 1]
    return int(index[0])


def test_levels_and_candidates_are_well_formed():
    assert (np.diff(LEVELS) > 0).all()
    assert LEVELS[0] > 0
    assert LEVELS[-1] < 1
    assert LEVELS[MEDIAN] == 0.5
    assert LEVELS[LOW] == 0.05
    fixed = CANDIDATES.levels >= 0
    assert not CANDIDATES.prices[fixed].any()
    assert (np.diff(CANDIDATES.prices[~fixed]) > 0).all()
    assert CANDIDATES.levels[fixed].tolist() == list(range(4, len(LEVELS)))
    assert Risk().fixed_level in CANDIDATES.levels
    assert math.isnan(Risk().late_share)


def test_the_cheapest_within_the_budget_is_taken():
    assert taken(results_with(_3=(9.0, 0.001), _20=(8.0, 0.002), _9=(5.0, 0.2))) == 20


def test_the_budget_is_kept_by_a_margin():
    assert taken(results_with(_3=(9.0, 0.001), _7=(8.0, 0.0099))) == 3


def test_where_none_keeps_the_budget_the_least_late_is_taken():
    assert taken(results_with(_3=(9.0, 0.3), _7=(8.0, 0.5), _9=(5.0, 0.6))) == 3


def test_a_larger_budget_never_costs_more():
    rng = np.random.default_rng(0)
    results = np.column_stack([rng.uniform(5, 10, len(CANDIDATES)), rng.uniform(0, 0.1, len(CANDIDATES))])
    for days in (0.1, 7.0, 28.0):
        costs = [results[taken(results, budget, days), 0] for budget in (0.001, 0.003, 0.01, 0.03, 0.1)]
        assert costs == sorted(costs, reverse=True)


def by_level(late):
    """The more cautious the dearer, prices dearest, and late by `late(level)`."""
    levels = LEVELS[CANDIDATES.levels]
    fixed = CANDIDATES.levels >= 0
    replicas = np.where(fixed, 10.0 + np.arange(len(CANDIDATES)), 100.0)
    return np.column_stack([replicas, np.where(fixed, late(levels), 1.0)])


def level_taken(results, late_budget, days):
    return LEVELS[CANDIDATES.levels[taken(results, late_budget, days)]]


@pytest.mark.parametrize(("late_budget", "level"), [(0.05, 0.97), (0.01, 0.995), (0.001, 0.9995)])
def test_an_hour_without_late_work_is_no_reason_to_doubt_what_a_quantile_promises(late_budget, level):
    assert level_taken(by_level(np.zeros_like), late_budget, days=1 / 24) == level


@pytest.mark.parametrize(
    ("bin_s", "hours", "per_day"), [(60.0, 1, 24), (60.0, 24, 4), (3_600.0, 1, 24), (600.0, 30, 4)]
)
def test_the_risk_is_chosen_each_hour_of_the_first_day_and_then_four_times_a_day(bin_s, hours, per_day):
    bins = round(hours * 3_600 / bin_s)
    starts_s = np.arange(0.0, 86_400.0, bin_s)
    due_s = [start_s for start_s in starts_s if is_due(bins, start_s, bin_s)]
    assert due_s == np.arange(0.0, 86_400.0, 86_400.0 / per_day).tolist()


@pytest.mark.parametrize(
    ("bin_s", "bins", "due"), [(60.0, 0, False), (60.0, 59, False), (60.0, 60, True), (7_200.0, 0, False)]
)
def test_before_an_hour_is_known_nothing_is_chosen(bin_s, bins, due):
    assert is_due(bins, 0.0, bin_s) == due


def test_four_weeks_without_late_work_are_one():
    assert level_taken(by_level(np.zeros_like), 0.01, days=28.0) == 0.98


@pytest.mark.parametrize("days", [0.1, 1.0, 28.0])
def test_an_early_burst_that_none_could_avoid_makes_none_more_cautious(days):
    level = level_taken(by_level(np.zeros_like), 0.01, 0.1)
    assert level_taken(by_level(lambda levels: np.full_like(levels, 0.3)), 0.01, days) == level


def test_late_work_that_others_avoided_is_a_reason():
    late = by_level(lambda levels: np.where(levels < 0.998, 0.05, 0.0))
    assert level_taken(late, 0.01, days=1.0) == 0.998


def test_what_candidates_promise_is_what_exceeds_their_quantile_or_what_a_price_is_worth():
    assert CANDIDATES.nominal_late[:3] == pytest.approx([0.2, 0.15, 0.1])
    assert CANDIDATES.nominal_late[[17, -1]] == pytest.approx([1 / 5, 1 / 20_000])


needs_at_lead = st.lists(st.floats(0.0, 1e6), min_size=len(LEVELS), max_size=len(LEVELS)).map(
    lambda needs: np.sort(np.array(needs))
)


@given(needs=needs_at_lead, price=st.floats(1e-3, 1e6))
def test_a_price_finds_the_level_of_the_least_cost(needs, price):
    level = Risk(-1, price).level(needs)
    mass = np.diff(LEVELS, prepend=0.0)
    costs = [whole(needs[i]) + price * float((mass * needs)[i + 1 :].sum()) for i in range(MEDIAN, len(LEVELS))]
    assert level >= MEDIAN
    assert costs[level - MEDIAN] == pytest.approx(min(costs))


@given(needs=needs_at_lead, price=st.floats(1e-3, 1e5), factor=st.floats(1.0, 100.0))
def test_a_higher_price_never_orders_less(needs, price, factor):
    lower, higher = (needs[Risk(-1, late_price).level(needs)] for late_price in (price, price * factor))
    assert whole(lower) <= whole(higher)


def test_where_demand_is_certain_a_price_buys_what_it_is_and_where_it_is_not_it_weighs():
    certain = np.linspace(9.9, 10.0, len(LEVELS))
    assert math.ceil(certain[Risk(-1, 50.0).level(certain)]) == 10
    unsure = np.geomspace(5.0, 500.0, len(LEVELS))
    levels = [Risk(-1, price).level(unsure) for price in CANDIDATES.prices[17:]]
    assert levels == sorted(levels)
    assert levels[0] < 8 < levels[-1]


def test_a_forecast_that_is_not_known_has_some_level():
    assert 0 <= Risk(-1, 50.0).level(np.full(len(LEVELS), math.nan)) < len(LEVELS)
