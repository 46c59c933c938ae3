"""The clairvoyant plan and the bound below it where work may wait for several bins, against every plan there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.baselines import optimum, optimum_bound, patient_optimum
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.baselines.optimum_bound import least_replica_hours
from autoscaler.backtest.baselines.patient_optimum import smallest_static
from autoscaler.backtest.benchmark.gap import best_static
from autoscaler.backtest.cluster import bins_of, new_state, simulate
from autoscaler.core.load_latency import LoadLatency

REPLICAS_MAX = 3


def cheapest_without_late_work(setting):
    """Replica-hours of the best of all plans with up to REPLICAS_MAX replicas; infinite where all are late."""
    best = np.inf
    for plan in itertools.product(range(setting.replicas_min, REPLICAS_MAX + 1), repeat=len(setting)):
        state = new_state(setting, replicas_max=REPLICAS_MAX)
        cluster_steps.run_plan(state, np.array(plan, dtype=np.int32))
        if state.late_rs[setting.score_from_bin :].sum() == 0.0:
            best = min(best, float(state.paid[setting.score_from_bin :].sum()))
    return best * setting.bin_s / 3600.0


# Halves and thirds, so that queues often lie exactly on a limit.
works = st.one_of(st.just(0.0), st.integers(1, 6).map(lambda n: n / 2), st.integers(1, 8).map(lambda n: n / 3))
small_cases = st.fixed_dictionaries(
    {
        "demand": st.lists(works, min_size=4, max_size=5),
        "load": st.sampled_from([[0.0], [1.0], [2.0], [1.0, 2.0]]).map(
            lambda loads: LoadLatency.empirical(loads, label="loads")
        ),
        "max_wait_s": st.sampled_from([1.5, 2.0, 4.0]),
        "score_from_bin": st.integers(0, 3),
        "drain_s": st.sampled_from([0.0, 1.0, 1.5]),
        "replicas_min": st.integers(0, 1),
        "start_failure_share": st.sampled_from([0.0, 0.3]),
    }
)


@given(case=small_cases)
@settings(max_examples=60)
def test_no_plan_of_the_simulated_cluster_without_late_work_is_cheaper_than_the_bound(case, replica_setting):
    setting = replica_setting(bin_s=1.0, **case)
    assert least_replica_hours(setting) <= cheapest_without_late_work(setting) + 1e-12


@pytest.mark.parametrize("load_s", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_on_small_traces_bound_and_plan_are_the_cheapest_plan_there_is(load_s, seed, replica_setting):
    rng = np.random.default_rng([seed, int(load_s)])
    demand = np.where(rng.random(6) < 0.3, 0.0, rng.random(6) * 3)
    demand[: int(load_s)] = 0.0
    setting = replica_setting(demand, bin_s=1.0, load_s=load_s, max_wait_s=2.0)
    found = simulate(setting, plan_optimum(setting))
    assert found.late_fraction == 0.0
    cheapest = cheapest_without_late_work(setting)
    assert found.replica_hours == pytest.approx(cheapest)
    assert least_replica_hours(setting) == pytest.approx(cheapest)


def bursts(replica_setting, n=2400, **others):
    """Seconds of a Poisson stream with bursts: about 6 replicas, 20 at times."""
    rng = np.random.default_rng(5)
    rate = np.where(np.arange(n) % 400 < 60, 20.0, 5.0)
    return replica_setting(rng.poisson(rate * 0.8) / 0.8, bin_s=1.0, score_from_bin=n // 2, **others)


@pytest.mark.parametrize("drain_s", [0.0, 12.5])
@pytest.mark.parametrize("load_s", [0.0, 30.0, 120.0, 600.0])
def test_the_plan_is_never_late_and_costs_little_more_than_the_bound(load_s, drain_s, replica_setting):
    setting = bursts(replica_setting, load_s=load_s, drain_s=drain_s)
    found = simulate(setting, plan_optimum(setting))
    assert found.late_bins == 0
    bound = least_replica_hours(setting)
    assert bound <= found.replica_hours <= 1.04 * bound
    assert found.replica_hours <= best_static(setting, 0.0).outcome.replica_hours


def test_coarser_relaxations_only_lower_the_bound(replica_setting, monkeypatch):
    setting = bursts(replica_setting, load_s=120.0)
    exact = least_replica_hours(setting)
    monkeypatch.setattr(optimum_bound, "_DEAREST_MAX", 100)  # less than one load
    fewer_payments = least_replica_hours(setting)
    monkeypatch.setattr(optimum_bound, "_FLEETS_ABOVE", -4)  # too few to be in time
    assert 0.5 * exact < least_replica_hours(setting) < fewer_payments < exact


def test_a_steady_stream_needs_a_replica_for_each_of_its_replica_seconds(replica_setting):
    setting = replica_setting(np.full(1000, 4.0), bin_s=1.0, load_s=30.0, score_from_bin=500)
    assert simulate(setting, plan_optimum(setting)).replica_hours == pytest.approx(4 * 500 / 3600)
    # Ten seconds of its work may be queued at the end.
    assert 4 * 480 / 3600 < least_replica_hours(setting) <= 4 * 500 / 3600


def test_a_burst_shorter_than_the_wait_needs_a_fraction_of_its_height(replica_setting):
    demand = np.zeros(200)
    demand[150:152] = 5.0
    setting = replica_setting(demand, bin_s=1.0, load_s=20.0, score_from_bin=100, max_wait_s=10.0)
    plan = plan_optimum(setting)
    assert plan.max() == 1
    assert bins_of(setting, simulate(setting, plan)).late_rs.sum() == 0.0


def test_with_too_few_replicas_allowed_all_of_them_serve_and_work_is_late(replica_setting):
    setting = bursts(replica_setting, load_s=30.0, replicas_max=8)
    plan = plan_optimum(setting)
    assert plan.max() == 8
    assert simulate(setting, plan).late_bins > 0


def test_bounds_hold_and_are_in_the_bound(replica_setting):
    setting = replica_setting(np.full(300, 0.5), bin_s=1.0, load_s=30.0, score_from_bin=100, replicas_min=3)
    assert plan_optimum(setting).tolist() == [3] * 300
    assert least_replica_hours(setting) == pytest.approx(3 * 200 / 3600)


def test_work_that_came_before_any_replica_could_serve_is_worked_off_before_the_scored_bins(replica_setting):
    setting = replica_setting(np.full(600, 7.0), bin_s=1.0, load_s=60.0, score_from_bin=300)
    found = simulate(setting, plan_optimum(setting))
    assert bins_of(setting, found).late_rs[:60].sum() > 0
    assert found.late_fraction == 0.0
    assert found.replica_hours == pytest.approx(7 * 300 / 3600)


@pytest.mark.parametrize("demand", [np.zeros(50), np.full(5, 2.0)])
def test_a_trace_without_work_and_one_shorter_than_a_load_have_a_plan_and_a_bound(demand, replica_setting):
    setting = replica_setting(demand, bin_s=1.0, load_s=8.0)
    assert plan_optimum(setting).shape == demand.shape
    assert least_replica_hours(setting) == 0.0


def test_the_smallest_static_fleet_is_late_with_one_replica_less(replica_setting):
    setting = bursts(replica_setting)
    size = smallest_static(setting.arrivals_rs, 10.0, queued=30.0, counted_from=100)
    for replicas, late in ((size, False), (size - 1, True)):
        queued = 30.0
        found = []
        for work in setting.arrivals_rs.tolist():
            after = max(0.0, queued + work - replicas)
            found.append(work > 0 and max(queued, after) > 10.0 * replicas)
            queued = after
        assert any(found[100:]) == late


def test_large_fleets_go_in_steps_and_are_still_in_time(replica_setting):
    rng = np.random.default_rng(2)
    rate = np.where(np.arange(900) % 300 < 60, 900.0, 300.0)
    setting = replica_setting(rng.poisson(rate), bin_s=1.0, load_s=60.0, score_from_bin=450)
    found = simulate(setting, plan_optimum(setting))
    assert found.late_bins == 0
    assert found.replica_hours < 0.9 * best_static(setting, 0.0).outcome.replica_hours


def test_the_kernels_equal_their_python_form(replica_setting, without_numba):
    rng = np.random.default_rng(3)
    setting = replica_setting(rng.random(80) * 4, bin_s=1.0, load_s=8.0, drain_s=2.5, score_from_bin=40)
    compiled = plan_optimum(setting), least_replica_hours(setting)
    without_numba(optimum, patient_optimum, optimum_bound)
    np.testing.assert_array_equal(plan_optimum(setting), compiled[0])
    assert least_replica_hours(setting) == compiled[1]
