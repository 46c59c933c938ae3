"""The best target in hindsight."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.registry import run_baseline
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.tune import TARGETS, best_target, frontier


@pytest.fixture(scope="module")
def setting(replica_setting):
    rng = np.random.default_rng(0)
    demand = 20 + 12 * np.sin(np.arange(1500) / 60) + rng.normal(0, 1, 1500)
    return replica_setting(np.maximum(demand, 0.0), bin_s=60.0, load_s=300.0, score_from_bin=500)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_best_target_keeps_the_limit_and_no_cheaper_one_tried_does(name, setting):
    family = FAMILIES[name]
    best = best_target(setting, family, 0.01)
    assert best.within_limit
    assert best.outcome.late_fraction <= 0.01
    coarse = frontier(setting, family)
    within = coarse.late_fraction <= 0.01
    assert best.outcome.replica_hours <= coarse.replica_hours[within].min()
    again = simulate(setting, family.plan(setting, best.target))
    assert again.replica_hours == best.outcome.replica_hours


def test_a_frontier_runs_from_no_late_work_to_far_too_much_by_rising_cost(setting):
    hpa = frontier(setting, FAMILIES["hpa"])
    assert (np.diff(hpa.replica_hours) >= 0).all()
    assert sorted(hpa.targets.tolist()) == TARGETS.tolist()
    assert hpa.late_fraction[-1] == 0.0
    assert hpa.late_fraction[0] > 0.9


def test_where_no_target_keeps_the_limit_the_least_late_one_is_returned_and_said_to_miss(replica_setting):
    # Bursts out of nothing: whoever waits to see them is late.
    demand = np.zeros(300)
    demand[::30] = 50.0
    bursts = replica_setting(demand, load_s=600.0, score_from_bin=100)
    best = best_target(bursts, FAMILIES["keda"], 0.01)
    assert not best.within_limit
    assert best.outcome.late_fraction == pytest.approx(frontier(bursts, FAMILIES["keda"]).late_fraction.min())
    row = run_baseline("keda-best", bursts)
    assert "none is so seldom late" in row.title
    assert row.settings["within_limit"] == 0


def test_a_frontier_that_is_known_is_not_computed_again(setting, monkeypatch):
    known = {"hpa": frontier(setting, FAMILIES["hpa"])}
    tried = []
    original = tune.frontier
    monkeypatch.setattr(tune, "frontier", lambda s, f, t=TARGETS: tried.append(len(t)) or original(s, f, t))
    row = run_baseline("hpa-best", setting, frontiers=known)
    assert tried == [tune.FINER_TARGETS + 1]
    assert row.outcome.replica_hours == run_baseline("hpa-best", setting).outcome.replica_hours
