"""The risk level: which candidates there are, and which one is taken."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.core.plan_kernels import replay
from autoscaler.core.risk import (
    KEEP_LEVELS,
    LEVELS,
    LOW,
    MEDIAN,
    ORDER_LEVELS,
    Risk,
    cheapest_within,
    replay_candidates,
)


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


@pytest.fixture(scope="module")
def logged():
    """Needs as they are logged: quantiles of a demand that was forecast badly."""
    rng = np.random.default_rng(1)
    demand = 5 + 4 * np.sin(np.arange(300) / 20) + rng.random(300)
    errors = np.exp(np.sort(rng.normal(0, 0.2, (300, 2, len(LEVELS))), axis=2))
    return np.roll(demand, -3)[:, None, None] * errors, demand, rng.random(300) < 0.05


def test_each_candidate_is_replayed_at_its_own_levels(logged):
    needs, demand, missing = logged
    rest = (3, 60.0, 10.0, 75.0, 0, 1000)
    results = replay_candidates(needs, demand, missing, ORDER_LEVELS, KEEP_LEVELS, *rest)
    for i in (0, 5, len(ORDER_LEVELS) - 1):
        own = replay(
            needs[:, 0, ORDER_LEVELS[i]], needs[:, 1, KEEP_LEVELS[i]], needs[:, 0, MEDIAN], demand, missing, *rest
        )
        assert results[i].tolist() == pytest.approx(own)
    in_python = replay_candidates.py_func(needs, demand, missing, ORDER_LEVELS[:2], KEEP_LEVELS[:2], *rest)
    np.testing.assert_allclose(results[:2], in_python)


def test_more_caution_costs_more_and_is_late_less(logged):
    needs, demand, missing = logged
    same = ORDER_LEVELS == KEEP_LEVELS
    results = replay_candidates(
        needs, demand, missing, ORDER_LEVELS[same], KEEP_LEVELS[same], 3, 60.0, 10.0, 75.0, 0, 1000
    )
    assert results[0, 0] < 0.8 * results[-1, 0]
    assert results[0, 1] > results[-1, 1]
