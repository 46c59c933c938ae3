"""The risk level: which candidates there are, and which one is taken."""

from __future__ import annotations

import numpy as np

from autoscaler.core.risk import KEEP_LEVELS, LEVELS, LOW, MEDIAN, ORDER_LEVELS, Risk, cheapest_within


def results_with(**rows):
    """All candidates dear and late but those given as {index: (replicas, late)}."""
    results = np.tile([100.0, 0.9], (len(ORDER_LEVELS), 1))
    for key, row in rows.items():
        results[int(key[1:])] = row
    return results


def taken(results, late_budget=0.01):
    chosen = cheapest_within(results, late_budget)
    index = np.flatnonzero((chosen.order == ORDER_LEVELS) & (chosen.keep == KEEP_LEVELS))
    assert chosen.late_share == results[index[0], 1]
    return int(index[0])


def test_levels_and_candidates_are_well_formed():
    assert (np.diff(LEVELS) > 0).all()
    assert LEVELS[0] > 0
    assert LEVELS[-1] < 1
    assert LEVELS[MEDIAN] == 0.5
    assert LEVELS[LOW] == 0.05
    pairs = list(zip(ORDER_LEVELS.tolist(), KEEP_LEVELS.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    for levels in (ORDER_LEVELS, KEEP_LEVELS):
        assert levels.min() >= MEDIAN
        assert levels.max() == len(LEVELS) - 1
    assert (Risk().order, Risk().keep) in pairs
    assert np.isnan(Risk().late_share)


def test_the_cheapest_within_the_budget_is_taken():
    assert taken(results_with(_3=(9.0, 0.001), _7=(8.0, 0.002), _9=(5.0, 0.2))) == 7


def test_the_budget_is_kept_by_a_margin():
    assert taken(results_with(_3=(9.0, 0.001), _7=(8.0, 0.0099))) == 3


def test_where_none_keeps_the_budget_the_least_late_is_taken():
    assert taken(results_with(_3=(9.0, 0.3), _7=(8.0, 0.5), _9=(5.0, 0.6))) == 3


def test_among_the_equally_late_the_cheaper_is_taken():
    assert taken(results_with(_3=(9.0, 0.3), _7=(8.0, 0.301))) == 7


def test_a_larger_budget_never_costs_more():
    rng = np.random.default_rng(0)
    results = np.column_stack([rng.uniform(5, 10, len(ORDER_LEVELS)), rng.uniform(0, 0.1, len(ORDER_LEVELS))])
    costs = [results[taken(results, budget), 0] for budget in (0.001, 0.003, 0.01, 0.03, 0.1)]
    assert costs == sorted(costs, reverse=True)
