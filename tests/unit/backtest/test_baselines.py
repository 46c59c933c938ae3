"""What holds for every baseline: causality, bounds, missing demand; and the simple ones, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.backtest.baselines import metric
from autoscaler.backtest.baselines.hpa import HpaOptions, plan_hpa
from autoscaler.backtest.baselines.registry import BASELINES, run_baseline
from autoscaler.backtest.baselines.same_time import DAY_S, WEEK_S, SameTimeOptions, plan_same_time
from autoscaler.backtest.baselines.static import plan_static, plan_static_peak
from autoscaler.backtest.cluster import simulate
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError

NAN = np.nan
CAUSAL = [name for name, baseline in BASELINES.items() if not baseline.hindsight]


def lively_demand(bins, seed=0):
    """Day and night, bursts, idle hours and missing bins."""
    rng = np.random.default_rng(seed)
    demand = 10 + 8 * np.sin(np.arange(bins) / bins * 40) + rng.normal(0, 2, bins)
    demand[rng.random(bins) < 0.05] *= 4
    demand[bins // 3 : bins // 3 + bins // 10] = 0.0
    demand[rng.random(bins) < 0.05] = NAN
    return np.maximum(demand, 0.0)


def plan_of(name, setting):
    return run_baseline(name, setting).outcome.desired


def cut(setting, bins):
    demand = {"requests": setting.demand_rps["requests"][:bins]}
    return replace(setting, demand_rps=demand, arrivals_rs=setting.arrivals_rs[:bins])


@pytest.mark.parametrize("bin_s", [4.0, 60.0, 1800.0])
@pytest.mark.parametrize("name", CAUSAL)
def test_no_row_depends_on_its_own_bin_or_a_later_one(name, bin_s, replica_setting):
    loads = LoadLatency.empirical([30.0, 600.0, 2500.0], label="loads")
    setting = replica_setting(lively_demand(480), bin_s=bin_s, load=loads, start_failure_share=0.1)
    whole = plan_of(name, setting)
    for t in (1, 2, 47, 133, 162, 250, 401, 479):
        np.testing.assert_array_equal(plan_of(name, cut(setting, t + 1)), whole[: t + 1], err_msg=f"cut after {t}")
        for last in (NAN, 0.0, 500.0):
            demand = setting.demand_rps["requests"][: t + 1].copy()
            demand[t] = last
            other = replace(cut(setting, t + 1), demand_rps={"requests": demand})
            np.testing.assert_array_equal(plan_of(name, other), whole[: t + 1], err_msg=f"bin {t} is {last}")


@pytest.mark.parametrize("name", CAUSAL)
def test_a_policy_does_not_look_at_the_arrivals_that_fill_missing_demand(name, replica_setting):
    setting = replica_setting(lively_demand(200), bin_s=1800.0)
    other = replace(setting, arrivals_rs=setting.arrivals_rs * 3)
    np.testing.assert_array_equal(plan_of(name, other), plan_of(name, setting))


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_keeps_within_the_bounds_and_says_what_it_is(name, replica_setting):
    setting = replica_setting(
        lively_demand(300), bin_s=600.0, load_s=600.0, replicas_min=3, replicas_max=14, score_from_bin=100
    )
    row = run_baseline(name, setting)
    assert row.outcome.desired.min() >= 3
    assert row.outcome.desired.max() <= 14
    assert (row.name, row.hindsight) == (name, BASELINES[name].hindsight)
    assert row.title.startswith(BASELINES[name].title)


@pytest.mark.parametrize("name", [name for name in CAUSAL if name != "knative"])
def test_demand_that_stays_missing_holds_the_replicas(name, replica_setting):
    demand = np.concatenate([np.full(20, 8.0), np.full(60, NAN), np.full(5, 8.0)])
    plan = plan_of(name, replica_setting(demand, bin_s=60.0))
    assert len(set(plan[20:].tolist())) == 1


def test_an_unknown_name_is_the_users_mistake(replica_setting):
    with pytest.raises(UsageError, match="no policy 'hpaa': choose from headstart, hpa, hpa-within-budget"):
        run_baseline("hpaa", replica_setting([1.0]))


def test_the_trailing_mean_ends_before_its_bin_and_leaves_missing_bins_out():
    values = np.array([1.0, 3.0, NAN, NAN, 5.0])
    np.testing.assert_array_equal(metric.trailing_mean(values, 2), [NAN, 1, 2, 3, NAN, 5])
    np.testing.assert_array_equal(metric.trailing_mean.py_func(values, 2), [NAN, 1, 2, 3, NAN, 5])
    assert metric.trailing_mean(np.array([1e9, 0.1, 0.0]), 1)[3] == 0.0


@pytest.mark.parametrize(("bin_s", "bins"), [(1.0, 60), (7.0, 8), (60.0, 1), (1800.0, 1)])
def test_a_window_holds_complete_bins_and_at_least_one(bin_s, bins):
    assert metric.window_bins(60.0, bin_s) == bins


def test_static_follows_the_high_water_mark_one_bin_later(replica_setting):
    assert plan_static(replica_setting([2.0, 5.1, 3.0, NAN, 7.0, 1.0])).tolist() == [0, 2, 6, 6, 6, 7]
    assert plan_static(replica_setting([NAN, NAN, 5.1, 3.0])).tolist() == [0, 0, 0, 6]


def test_static_peak_is_the_peak_of_the_scored_bins_and_a_larger_history_leaves_no_queue(replica_setting):
    setting = replica_setting([9.0, 2.0, 3.2], score_from_bin=1)
    assert plan_static_peak(setting).tolist() == [9, 4, 4]
    assert plan_static_peak(replica_setting([1.0, 2.0, 3.2], score_from_bin=1)).tolist() == [4, 4, 4]
    assert simulate(setting, plan_static_peak(setting)).late_fraction == 0.0


@pytest.mark.parametrize(("period_s", "name"), [(DAY_S, "day"), (WEEK_S, "week")])
def test_the_same_time_is_ordered_one_load_ahead_of_its_return(period_s, name, replica_setting):
    period = int(period_s / 600)
    demand = np.full(2 * period + 30, 2.0)
    peak = period // 2
    demand[peak] = 40.0  # once in each period
    demand[peak + period] = 40.0
    setting = replica_setting(demand, bin_s=600.0, load_s=1800.0)
    options = HpaOptions(target=1.0)
    plan = plan_same_time(setting, SameTimeOptions(period_s, options))
    alone = plan_hpa(setting, options)
    np.testing.assert_array_equal(plan[:period], alone[:period])  # no history yet: the HPA alone
    back = peak + period
    assert plan[back - 4] == 2
    assert plan[back - 3] > 2  # ordered three bins, the load, before it is due
    assert plan[back - 2] == 40
    assert alone[back] == 2


def test_missing_history_is_a_failed_trigger_that_forbids_to_lower_and_no_history_is_none(replica_setting):
    day = 144
    demand = np.full(2 * day, 6.0)
    demand[40:60] = NAN
    demand[day + 20 :] = 3.0
    setting = replica_setting(demand, bin_s=600.0)
    plan = plan_same_time(setting, SameTimeOptions(DAY_S, HpaOptions(target=1.0)))
    assert plan[day - 1] == 6
    assert plan[day + 50] == 6
    early = replica_setting(np.where(np.arange(100) < 50, 6.0, 3.0), bin_s=600.0)
    assert plan_same_time(early, SameTimeOptions(WEEK_S, HpaOptions(target=1.0)))[-1] == 3


@pytest.mark.filterwarnings("error")
def test_a_count_beyond_64_bits_is_a_large_one():
    assert metric.whole_replicas(np.array([3.0, 1e300])).tolist() == [3, 2**53]
    assert metric.replicas_for(1e300, 0.8) == 2**53
