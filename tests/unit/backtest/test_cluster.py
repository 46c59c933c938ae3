"""The simulated cluster: when replicas serve and are paid for, what is late, and that no work is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.cluster import (
    SimulatedCluster,
    bins_of,
    expected_remaining_bins,
    order_load_bins,
    simulate,
)
from autoscaler.backtest.result import Bins
from autoscaler.core.load_latency import LoadLatency


def plan(*desired):
    return np.array(desired, dtype=np.int64)


def random_case(seed, replica_setting):
    """A short random trace and plan under random loads, failing starts and a drain."""
    rng = np.random.default_rng(seed)
    demand = rng.integers(0, 8, 60) * rng.random(60)
    setting = replica_setting(
        demand,
        load=LoadLatency.empirical([0.0, 50.0, 200.0, 700.0], label="loads"),
        start_failure_share=0.3,
        drain_s=float(rng.integers(0, 200)),
        seed=seed,
        score_from_bin=20,
    )
    return setting, rng.integers(0, 9, 60)


BINS = ("ready", "paid", "late_rs", "served_rs")


def run(setting, desired):
    """The bins of a whole plan."""
    return bins_of(setting, simulate(setting, desired))


def step_through(setting, desired):
    """The outcome of a driver that goes bin by bin, holding the bins that its own cluster went through."""
    cluster = SimulatedCluster(setting)
    for wanted in desired:
        cluster.begin_bin()
        cluster.scale_and_serve(int(wanted))
    return replace(cluster.outcome(), counted=Bins(*(getattr(cluster._state, field) for field in BINS)))


def assert_same(setting, one, other):
    for field in ("desired", "replica_hours", "late_fraction", "late_bins", "mean_utilisation"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)
    for field in BINS:
        mine, its = (getattr(bins_of(setting, outcome), field) for outcome in (one, other))
        np.testing.assert_array_equal(mine, its, err_msg=field)


def test_on_a_ramp_each_replica_serves_exactly_one_load_after_its_order_and_is_paid_from_it(replica_setting):
    ramp = np.arange(1, 21)
    bins = run(replica_setting(ramp, load_s=180.0), ramp)
    assert bins.ready.tolist() == [0, 0, 0, *range(1, 18)]
    assert bins.paid.tolist() == ramp.tolist()


@pytest.mark.parametrize(("load_s", "first"), [(0.0, 1), (0.1, 2), (60.0, 2), (60.000000000001, 2), (61.0, 3)])
def test_a_load_takes_whole_bins_and_none_at_all_serves_at_once(load_s, first, replica_setting):
    bins = run(replica_setting(np.ones(6), load_s=load_s), plan(0, 1, 1, 1, 1, 1))
    assert bins.ready.tolist() == [0] * first + [1] * (6 - first)


def test_surplus_replicas_leave_at_once_and_loading_ones_first(replica_setting):
    bins = run(replica_setting(np.ones(7), load_s=120.0), plan(2, 2, 2, 5, 2, 1, 1))
    assert bins.ready.tolist() == [0, 0, 2, 2, 2, 1, 1]
    assert bins.paid.tolist() == [2, 2, 2, 5, 2, 1, 1]


def test_of_the_loading_replicas_the_latest_due_leaves_first(replica_setting):
    bins = run(replica_setting(np.ones(6), load_s=120.0), plan(1, 2, 1, 1, 1, 1))
    assert bins.ready.tolist() == [0, 0, 1, 1, 1, 1]
    # Ordered first, due last: a slow load leaves although a faster one was ordered after it.
    setting = replica_setting(np.ones(12), load=LoadLatency.empirical([120.0, 600.0], label="x"), seed=1)
    loads = order_load_bins(setting.load_latency, 60.0, 0.0, setting.seed)[:2].tolist()
    bins = run(setting, plan(1, 2, *[1] * 10))
    assert int(np.argmax(bins.ready)) == min(loads[0], 1 + loads[1])


def test_a_released_ready_replica_is_paid_for_while_it_drains_but_takes_no_work(replica_setting):
    bins = run(replica_setting(np.ones(6), drain_s=90.0), plan(3, 1, 1, 1, 0, 0))
    assert bins.ready.tolist() == [3, 1, 1, 1, 0, 0]
    assert bins.paid.tolist() == [3, 3, 2, 1, 1, 0.5]


def test_a_loading_replica_that_is_released_does_not_drain(replica_setting):
    bins = run(replica_setting(np.ones(4), load_s=120.0, drain_s=90.0), plan(3, 1, 1, 1))
    assert bins.paid.tolist() == [3, 1, 1, 1]


def test_the_kth_order_gets_the_kth_draw(replica_setting):
    setting = replica_setting(np.ones(40), load=LoadLatency.empirical([60.0, 180.0, 300.0], label="loads"), seed=3)
    loads = order_load_bins(setting.load_latency, 60.0, 0.0, 3)
    bins = run(setting, np.arange(1, 41))
    serves_from = np.sort(np.arange(40) + loads[:40])
    expected = np.searchsorted(serves_from, np.arange(40), side="right")
    assert bins.ready.tolist() == expected.tolist()
    assert set(loads.tolist()) == {1, 3, 5}
    assert not np.array_equal(loads, order_load_bins(setting.load_latency, 60.0, 0.0, 4))


def test_a_failed_start_loads_a_second_time_and_is_paid_for():
    load = LoadLatency.constant(90.0)
    loads = order_load_bins(load, 60.0, 0.25, 0)
    assert set(loads.tolist()) == {2, 3}  # 90 s, and 180 s
    assert np.mean(loads == 3) == pytest.approx(0.25, abs=0.01)


@given(seed=st.integers(0, 10_000))
def test_bin_by_bin_and_as_a_whole_plan_are_the_same(seed, replica_setting):
    setting, desired = random_case(seed, replica_setting)
    assert_same(setting, step_through(setting, desired), simulate(setting, desired))


def test_the_kernels_equal_their_python_form(replica_setting, without_numba):
    setting, desired = random_case(5, replica_setting)
    outcome = simulate(setting, desired)
    compiled = replace(outcome, counted=bins_of(setting, outcome))
    without_numba(cluster_steps)
    assert_same(setting, simulate(setting, desired), compiled)
    assert_same(setting, step_through(setting, desired), compiled)


@given(seed=st.integers(0, 10_000))
def test_no_work_is_lost_and_no_replica_serves_more_than_its_time(seed, replica_setting):
    setting, desired = random_case(seed, replica_setting)
    bins = run(setting, desired)
    queued = np.cumsum(setting.arrivals_rs - bins.served_rs)
    assert queued.min() > -1e-6
    assert (bins.served_rs <= bins.ready * setting.bin_s).all()
    assert (bins.paid >= bins.ready).all()
    assert (bins.late_rs <= setting.arrivals_rs + 1e-9).all()
    # Nobody idles while work waits.
    busy = queued > 1e-6
    np.testing.assert_allclose(bins.served_rs[busy], bins.ready[busy] * setting.bin_s, atol=1e-6)


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 59))
def test_what_happens_does_not_depend_on_where_the_trace_ends(seed, cut, replica_setting):
    setting, desired = random_case(seed, replica_setting)
    whole = run(setting, desired)
    demand = {"requests": setting.demand_rps["requests"][:cut]}
    short = replace(setting, demand_rps=demand, arrivals_rs=setting.arrivals_rs[:cut], score_from_bin=0)
    begun = run(short, desired[:cut])
    np.testing.assert_array_equal(begun.ready, whole.ready[:cut])
    np.testing.assert_array_equal(begun.paid, whole.paid[:cut])
    np.testing.assert_array_equal(begun.late_rs, whole.late_rs[:cut])


def late_by_millisecond(arrivals_rs, ready, bin_s, max_wait_s):
    """Late work per bin, found by moving the queue on in steps of 1 ms."""
    step_s = 0.001
    late = np.zeros(len(ready))
    backlog = 0.0
    for t, replicas in enumerate(ready):
        arriving = arrivals_rs[t] / bin_s * step_s
        for _ in range(round(bin_s / step_s)):
            if replicas == 0 or backlog > replicas * max_wait_s:
                late[t] += arriving
            backlog = max(0.0, backlog + arriving - replicas * step_s)
    return late


def test_lateness_equals_a_queue_moved_on_in_milliseconds(replica_setting):
    rng = np.random.default_rng(2)
    demand = rng.random(12) * 6
    desired = rng.integers(0, 7, 12)
    setting = replica_setting(demand, bin_s=5.0, load_s=7.0, max_wait_s=1.5)
    bins = run(setting, desired)
    slow = late_by_millisecond(setting.arrivals_rs, bins.ready, 5.0, 1.5)
    np.testing.assert_allclose(bins.late_rs, slow, atol=0.03)  # a few steps at 6 replicas
    assert bins.late_rs.sum() > 1


def test_sums_count_the_scored_bins_only(replica_setting):
    setting = replica_setting([4, 4, 2, 2], load_s=60.0, score_from_bin=2)
    outcome = simulate(setting, plan(4, 4, 4, 4))
    # Bin 0 has no replica and leaves 240 replica-seconds; bin 1 keeps that queue, 2 and 3 work half of it off each.
    assert outcome.replica_hours == pytest.approx(8 / 60)
    assert bins_of(setting, outcome).late_rs.tolist() == pytest.approx([240, 240, 120, 80])
    assert outcome.late_bins == 2
    assert outcome.late_fraction == pytest.approx(200 / 240)
    assert outcome.mean_utilisation == pytest.approx(1.0)


def test_no_arrivals_and_no_replicas_are_neither_late_nor_used(replica_setting):
    outcome = simulate(replica_setting([0, 0, 0]), plan(0, 0, 0))
    assert (outcome.late_fraction, outcome.late_bins, outcome.mean_utilisation) == (0.0, 0, 0.0)


def test_with_a_constant_load_the_driver_sees_when_each_loading_replica_serves(replica_setting):
    cluster = SimulatedCluster(replica_setting(np.ones(8), load_s=180.0))
    seen = []
    for desired in (1, 3, 3, 4, 4, 4, 2, 2):
        ready, due = cluster.begin_bin()
        seen.append((ready, due.tolist()))
        cluster.scale_and_serve(desired)
    assert seen == [
        (0, []), (0, [2]), (0, [1, 2, 2]), (1, [1, 1]), (3, [2]), (3, [1]), (4, []), (2, []),
    ]  # fmt: skip


def test_with_random_loads_the_driver_sees_what_a_replicas_age_tells_and_no_more():
    loads = np.array([2, 2, 2, 6], dtype=np.int64)
    assert expected_remaining_bins(loads, 0.5).tolist() == [2, 1, 4, 3, 2, 1]
    assert expected_remaining_bins(loads, 0.9).tolist() == [6, 5, 4, 3, 2, 1]
    assert expected_remaining_bins(loads, 0.0).tolist() == [2, 1, 4, 3, 2, 1]
    assert expected_remaining_bins(np.array([0]), 0.5).tolist() == []


def test_a_fleet_may_outgrow_the_room_that_a_driver_begins_with(replica_setting):
    setting = replica_setting(np.full(6, 3000.0), load_s=60.0)
    desired = plan(10, 1500, 5000, 5000, 20, 5000)
    assert_same(setting, step_through(setting, desired), simulate(setting, desired))


def test_a_plan_of_the_wrong_length_or_with_a_negative_count_is_refused(replica_setting):
    setting = replica_setting([1, 1])
    with pytest.raises(ValueError, match="3"):
        simulate(setting, plan(1, 1, 1))
    with pytest.raises(ValueError, match="bin 1 of the plan asks for -2 replicas"):
        simulate(setting, plan(1, -2))
    with pytest.raises(ValueError, match="bin 0 of the plan asks for 4294967298 replicas"):
        simulate(setting, plan(2**32 + 2, 1))
    with pytest.raises(ValueError, match="0 of 2"):
        SimulatedCluster(setting).outcome()


def replay(arrivals_rs, desired, load_bins, bin_s, max_wait_s):
    """The contract of plan.csv in plain words: rows of paid replicas and late work for a constant load."""
    ready, loading, queue_rs = 0, [], 0.0
    paid, late = [], []
    for t, wanted in enumerate(desired):
        ready += loading.count(t)
        loading = [due for due in loading if due > t]
        while ready + len(loading) < wanted:
            if load_bins == 0:
                ready += 1
            else:
                loading.append(t + load_bins)
        while ready + len(loading) > wanted:
            if loading:
                loading.remove(max(loading))
            else:
                ready -= 1
        paid.append(ready + len(loading))
        # The queue over time in the bin is a line; it is over the limit before, or after, it crosses it.
        slope = arrivals_rs[t] / bin_s - ready
        limit = ready * max_wait_s
        if ready == 0:
            share = 1.0
        elif slope == 0.0:
            share = float(queue_rs > limit)
        else:
            crosses = np.clip((limit - queue_rs) / slope / bin_s, 0.0, 1.0)
            share = 1.0 - crosses if slope > 0 else crosses if queue_rs > limit else 0.0
        late.append(share * arrivals_rs[t])
        queue_rs = max(0.0, queue_rs + slope * bin_s)
    return paid, late


@given(seed=st.integers(0, 10_000), load_bins=st.integers(0, 4))
def test_a_replay_of_the_plan_in_plain_words_finds_the_same(seed, load_bins, replica_setting):
    rng = np.random.default_rng(seed)
    setting = replica_setting(rng.random(80) * 6, load_s=60.0 * load_bins, max_wait_s=float(rng.integers(0, 40)))
    desired = rng.integers(0, 9, 80)
    bins = run(setting, desired)
    paid, late = replay(setting.arrivals_rs, desired, load_bins, 60.0, setting.max_wait_s)
    assert bins.paid.tolist() == paid
    np.testing.assert_allclose(bins.late_rs, late, atol=1e-9)
