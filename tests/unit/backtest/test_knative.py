"""The Knative Pod Autoscaler against its formulas, worked by hand. Ticks: every 2 s."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.baselines import knative
from autoscaler.backtest.baselines.knative import NOT, WANTED, KnativeOptions, KpaRules, plan_knative, tick
from autoscaler.core.load_latency import LoadLatency

RULES = KpaRules(target=0.5, replicas_min=0, replicas_max=1000)


def memory(wanted=1):
    return np.array([wanted, NOT, 0, NOT], dtype=np.int64)


def ticks(seen, wanted=1, rules=RULES, first=0):
    """Run one tick per (stable, panic, ready) and return what is wanted after each."""
    state = memory(wanted)
    after = []
    for i, (stable, panic, ready) in enumerate(seen):
        tick(rules, state, float(stable), float(panic), ready, first + i)
        after.append(int(state[WANTED]))
    return after


def test_the_stable_mean_over_the_target_counts_and_falls_by_half_of_the_ready_at_most():
    assert ticks([(2.1, 2.1, 5)]) == [5]
    assert ticks([(1.0, 1.0, 9)]) == [4]
    assert ticks([(0.0, 0.0, 9)]) == [4]


def test_twice_the_ready_replicas_worth_of_demand_is_panic_which_never_lowers():
    # 4 / 0.5 = 8 replicas for 4 ready ones: panic. The stable window alone would want 4.
    seen = [(2, 4, 4), (2, 3, 8), (2, 5, 8), (2, 2, 8)]
    assert ticks(seen, wanted=4) == [8, 8, 10, 10]
    assert ticks([(2, 3.9, 5)], wanted=4) == [4]  # 8 / 5 is below 2


def test_panic_ends_a_whole_stable_window_after_the_threshold_was_last_crossed():
    after = ticks([(2, 4, 4)] + [(2, 2, 8)] * 31, wanted=4)
    assert after == [8] * 31 + [4]


def test_no_data_changes_nothing_and_no_panic_data_leaves_the_stable_window():
    assert ticks([(np.nan, 9, 4), (2, np.nan, 4)], wanted=3) == [3, 4]


def test_the_rise_is_a_thousandfold_of_the_ready_at_most():
    assert ticks([(900, 900, 0)], rules=RULES._replace(replicas_max=10_000)) == [1000]
    assert ticks([(900, 900, 2)], rules=RULES._replace(replicas_max=1700)) == [1700]


def test_the_last_replica_goes_after_its_grace_period(replica_setting):
    # The stable window of 6 bins is empty from 160 s on; 30 s later the replica goes.
    setting = replica_setting([0.5] * 10 + [0.0] * 15 + [0.5] * 3, bin_s=10.0)
    plan = plan_knative(setting, KnativeOptions(target=1.0))
    assert plan.tolist() == [1] * 19 + [0] * 7 + [1] * 2


def test_a_minimum_stays(replica_setting):
    plan = plan_knative(replica_setting([4.0] * 5 + [0.0] * 10, replicas_min=2), KnativeOptions(target=1.0))
    assert plan[-1] == 2


def test_wide_bins_show_the_last_bin_and_within_one_the_fleet_may_halve_at_every_tick(replica_setting):
    plan = plan_knative(replica_setting([7.0] * 3 + [70.0] * 3 + [7.0] * 4), KnativeOptions(target=0.7))
    # The tick at the start of bin 7 sees 100 ready replicas, the ones within the bin 50, 25 and 12.
    assert plan.tolist() == [1, 10, 10, 10, 100, 100, 100, 50, 10, 10]


def test_replicas_that_load_are_not_ready_so_that_demand_stays_in_panic(replica_setting):
    demand = [2.0] * 30 + [8.0, 6.0, 4.0] + [2.0] * 6
    # 8, 6 and 4 are all twice the 2 ready replicas or more; a minute after the last of them panic ends.
    slow = plan_knative(replica_setting(demand, load_s=600.0), KnativeOptions(target=1.0))
    assert slow[31:].tolist() == [8, 8, 8, 8, 2, 2, 2, 2]
    # With 8 ready at once only the first is.
    quick = plan_knative(replica_setting(demand), KnativeOptions(target=1.0))
    assert quick[31:].tolist() == [8, 8, 4, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("bin_s", [1.0, 7.0, 60.0])
def test_the_kernels_equal_their_python_form(bin_s, replica_setting, without_numba):
    rng = np.random.default_rng(8)
    demand = np.repeat(rng.integers(0, 30, 20), rng.integers(1, 12, 20)).astype(float)
    demand[rng.random(len(demand)) < 0.1] = np.nan
    demand[20:60] = 0.0
    load = LoadLatency.empirical([5.0, 30.0, 130.0], label="loads")
    setting = replica_setting(demand, bin_s=bin_s, load=load, start_failure_share=0.2)
    compiled = plan_knative(setting, KnativeOptions())
    without_numba(knative, cluster_steps)
    np.testing.assert_array_equal(plan_knative(setting, KnativeOptions()), compiled)
    assert len(np.unique(compiled)) > 5
