"""The clairvoyant optimum: exact against every plan there is, on small traces where no work may wait."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.baselines import optimum
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.cluster import bins_of, new_state, outcome, simulate
from autoscaler.core.load_latency import LoadLatency


def cheapest_without_late_work(setting, replicas_max):
    """Replica-hours of the best of all plans with up to `replicas_max` replicas."""
    best = np.inf
    for plan in itertools.product(range(replicas_max + 1), repeat=len(setting)):
        desired = np.array(plan, dtype=np.int64)
        state = new_state(setting, replicas_max=replicas_max)
        cluster_steps.run_plan(state, desired)
        if state.late_rs.sum() == 0.0 and state.backlog_rs[0] == 0.0:
            best = min(best, outcome(setting, state, desired).replica_hours)
    return best


@pytest.mark.parametrize("load_bins", [0, 1, 2])
@pytest.mark.parametrize("drain_s", [0.0, 45.0, 60.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_plan_without_late_work_is_cheaper(load_bins, drain_s, seed, replica_setting):
    rng = np.random.default_rng([seed, load_bins, int(drain_s)])
    demand = np.where(rng.random(8) < 0.5, 0.0, rng.random(8) * 2)
    demand[:load_bins] = 0.0  # no plan can serve what comes before the first load is done
    setting = replica_setting(demand, load_s=60.0 * load_bins, drain_s=drain_s, max_wait_s=0.0)
    found = simulate(setting, plan_optimum(setting))
    assert bins_of(setting, found).late_rs.sum() == 0.0
    assert found.replica_hours == pytest.approx(cheapest_without_late_work(setting, 2))


def test_a_gap_as_long_as_a_load_is_bridged_and_a_longer_one_is_not(replica_setting):
    bridged = replica_setting([0, 0, 3, 1, 1, 3, 1, 1], load_s=120.0)
    assert plan_optimum(bridged).tolist() == [3, 3, 3, 3, 3, 3, 1, 1]
    released = replica_setting([0, 0, 3, 1, 1, 1, 3, 1], load_s=120.0)
    assert plan_optimum(released).tolist() == [3, 3, 3, 1, 3, 3, 3, 1]


@pytest.mark.parametrize("load_s", [0.0, 60.0, 300.0, 6000.0])
def test_levels_together_leave_no_bin_short_on_a_long_random_trace(load_s, replica_setting):
    rng = np.random.default_rng(1)
    demand = np.maximum(0.0, 40 * np.sin(np.arange(4000) / 90) + rng.normal(0, 6, 4000))
    setting = replica_setting(demand, load_s=load_s, score_from_bin=1000, max_wait_s=0.0)
    found = simulate(setting, plan_optimum(setting))
    assert found.late_bins == 0
    assert (bins_of(setting, found).ready[1000:] >= demand[1000:]).all()
    # Each level by itself, bin by bin, as the definition says.
    need = np.ceil(demand).astype(np.int64)
    load_bins = int(load_s // 60)
    extra = np.ceil(demand[:load_bins].sum() / (1000 - load_bins)) if load_bins else 0
    need[load_bins:1000] += int(extra)
    held = np.zeros(len(need), dtype=np.int64)
    for level in range(1, need.max() + 1):
        busy = np.flatnonzero(need >= level)
        starts_new = np.diff(busy, prepend=-(10**9)) - 1 > load_bins
        for at, fresh, before in zip(busy, starts_new, np.concatenate([[0], busy[:-1]]), strict=True):
            held[max(0, at - load_bins) if fresh else before + 1 : at + 1] += 1
    np.testing.assert_array_equal(plan_optimum(setting), held)


def test_work_that_came_before_any_replica_could_serve_is_worked_off_before_the_scored_bins(replica_setting):
    setting = replica_setting(np.full(100, 7.0), load_s=600.0, score_from_bin=50)
    found = simulate(setting, plan_optimum(setting))
    assert bins_of(setting, found).late_rs[:10].sum() > 0
    assert found.late_fraction == 0.0
    assert plan_optimum(setting)[60:].tolist() == [7] * 40


def test_rounding_above_a_whole_number_needs_no_further_replica(replica_setting):
    demand = np.full(6, 3.0000000000000004)
    assert plan_optimum(replica_setting(demand)).tolist() == [3] * 6
    assert simulate(replica_setting(demand), plan_optimum(replica_setting(demand))).late_bins == 0
    strict = replica_setting(demand, max_wait_s=0.0)
    assert simulate(strict, plan_optimum(strict)).late_bins == 0


@pytest.mark.parametrize("bin_s", [5.0, 10.0, 20.0])
def test_work_waits_for_as_long_as_is_not_late_whatever_the_width_of_bins(bin_s, replica_setting):
    # More than one replica's work in every second bin: one does it, and what waits for the next does so for 2 to 8 s.
    setting = replica_setting([0.0, 1.4] * 50, bin_s=bin_s, load_s=4 * bin_s, max_wait_s=10.0, score_from_bin=10)
    found = simulate(setting, plan_optimum(setting))
    assert found.late_fraction == 0.0
    assert plan_optimum(setting)[10:].tolist() == [1] * 90


@pytest.mark.parametrize("others", [{"load": LoadLatency.lognormal(30.0, 0.8)}, {"start_failure_share": 0.3}])
def test_in_bins_of_seconds_a_plan_that_loads_make_late_is_not_the_optimum(others, replica_setting):
    rng = np.random.default_rng(7)
    demand = np.where(np.arange(2_000) // 100 % 2, 6.0, 1.0) * rng.random(2_000)
    setting = replica_setting(demand, bin_s=1.0, load_s=30.0, max_wait_s=10.0, score_from_bin=500, **others)
    assert simulate(setting, plan_optimum(setting)).late_fraction == 0.0


def test_where_waiting_is_dearer_work_is_served_within_its_bin(replica_setting):
    # Fleets of 33 and more go in steps of 1/32 where work waits: 130 are 132 then.
    demand = np.zeros(400)
    demand[::40] = 130.0
    setting = replica_setting(demand, load_s=60.0, score_from_bin=100, max_wait_s=1e-3)
    strict = replica_setting(demand, load_s=60.0, score_from_bin=100, max_wait_s=0.0)
    np.testing.assert_array_equal(plan_optimum(setting), plan_optimum(strict))


def test_where_the_allowed_replicas_are_too_few_work_is_served_as_soon_as_they_can(replica_setting):
    setting = replica_setting([0, 0, 5, 9, 0, 0, 3, 0], load_s=60.0, replicas_max=6)
    assert plan_optimum(setting).tolist() == [0, 5, 6, 6, 0, 3, 3, 0]


def test_bounds_hold(replica_setting):
    setting = replica_setting([0, 5, 9, 0, 0, 0], replicas_min=1, replicas_max=6)
    assert plan_optimum(setting).tolist() == [1, 5, 6, 1, 1, 1]


def test_the_kernel_equals_its_python_form(replica_setting, without_numba):
    rng = np.random.default_rng(3)
    setting = replica_setting(rng.random(300) * 30, load_s=240.0, drain_s=100.0)
    compiled = plan_optimum(setting)
    without_numba(optimum)
    np.testing.assert_array_equal(plan_optimum(setting), compiled)
