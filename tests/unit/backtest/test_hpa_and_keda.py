"""HPA and KEDA against examples worked by hand from the documented formulas. Rounds: every 15 s, 4 in a minute."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.backtest.baselines import hpa, hpa_rounds, keda
from autoscaler.backtest.baselines.hpa import Behavior, HpaOptions, ScalingPolicy, ScalingRules, plan_hpa
from autoscaler.backtest.baselines.hpa_rounds import NONE, REPLICAS, new_hpa, recommend, sync
from autoscaler.backtest.baselines.keda import KedaOptions, plan_keda

NAN = np.nan
PLAIN = HpaOptions(target=1.0)
LEGACY = HpaOptions(target=1.0, behavior=None)


@pytest.fixture
def rounds(replica_setting):
    """Runs rounds on one metric each and returns the replicas after each."""

    def run(options, replicas, demands, **bounds):
        rules = hpa.hpa_rules(replica_setting([0.0], **bounds), options)
        state = new_hpa(rules, replicas)
        seen = []
        for demand in demands:
            sync(rules, state, np.array([float(demand)]))
            seen.append(int(state.counters[REPLICAS]))
        return seen

    return run


@pytest.mark.parametrize(
    ("demand", "expected"),
    [(10.0, 20), (10.9, 20), (9.1, 20), (11.2, 23), (8.9, 18), (0.0, 0), (NAN, NONE)],
)
def test_within_the_tolerance_nothing_changes_beyond_it_the_total_over_the_target_counts(
    demand, expected, replica_setting
):
    rules = hpa.hpa_rules(replica_setting([0.0]), HpaOptions(target=0.5))
    assert recommend(rules, 20, np.array([demand])) == expected


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [([5, 30], 30), ([30, 5], 30), ([NAN, 30], 30), ([NAN, 5], NONE), ([NAN, 20], 20), ([NAN, NAN], NONE)],
)
def test_of_several_metrics_the_largest_counts_and_a_failed_one_forbids_to_lower(metrics, expected, replica_setting):
    rules = hpa.hpa_rules(replica_setting([0.0]), PLAIN)
    assert recommend(rules, 20, np.array(metrics, dtype=float)) == expected


def test_a_behavior_of_defaults_adds_4_or_doubles_in_15_s_and_none_at_all_reaches_4_or_doubles(rounds):
    assert rounds(PLAIN, 1, [100] * 6) == [5, 10, 20, 40, 80, 100]
    assert rounds(LEGACY, 1, [100] * 6) == [4, 8, 16, 32, 64, 100]


def test_replicas_fall_once_no_recommendation_of_the_last_300_s_asks_for_them(rounds):
    for options in (PLAIN, LEGACY):
        # The present round and the 19 before it.
        assert rounds(options, 10, [10] + [2] * 20) == [10] * 20 + [2]
        assert rounds(options, 10, [10] + [2] * 5 + [6] + [2] * 20) == [10] * 20 + [6] * 6 + [2]


def test_without_a_behavior_an_old_recommendation_still_raises_with_one_it_does_not(rounds):
    assert rounds(LEGACY, 2, [40, 5, 5, 5]) == [4, 8, 16, 32]
    assert rounds(PLAIN, 2, [40, 5, 5, 5]) == [6, 6, 6, 6]


def test_a_rise_waits_for_the_smallest_recommendation_of_its_window(rounds):
    patient = Behavior(up=ScalingRules(60.0, (ScalingPolicy("Percent", 900, 15.0),)))
    options = HpaOptions(target=1.0, behavior=patient)
    assert rounds(options, 4, [8, 7, 8, 9, 10]) == [4, 4, 4, 7, 7]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # 10 % of the count at the start of the last minute, truncated; the next minute starts at 90.
        (ScalingRules(0.0, (ScalingPolicy("Percent", 10, 60.0),)), [90, 90, 90, 90, 81]),
        (ScalingRules(0.0, (ScalingPolicy("Pods", 5, 15.0),)), [95, 90, 85, 80, 75]),
        (ScalingRules(0.0, (ScalingPolicy("Pods", 5, 15.0), ScalingPolicy("Percent", 10, 15.0))), [90, 81, 72, 64, 57]),
        (
            ScalingRules(0.0, (ScalingPolicy("Pods", 5, 15.0), ScalingPolicy("Percent", 10, 15.0)), "Min"),
            [95, 90, 85, 80, 75],
        ),
        (ScalingRules(0.0, (ScalingPolicy("Percent", 100, 15.0),), "Disabled"), [100] * 5),
    ],
)
def test_policies_limit_the_rate_of_a_fall(rules, expected, rounds):
    assert rounds(HpaOptions(target=1.0, behavior=Behavior(down=rules)), 100, [1] * 5) == expected


def test_policies_limit_the_rate_of_a_rise(rounds):
    slow = ScalingRules(0.0, (ScalingPolicy("Pods", 3, 30.0),))
    assert rounds(HpaOptions(target=1.0, behavior=Behavior(up=slow)), 1, [50] * 5) == [4, 4, 7, 7, 10]
    half = ScalingRules(0.0, (ScalingPolicy("Percent", 50, 15.0),))
    assert rounds(HpaOptions(target=1.0, behavior=Behavior(up=half)), 3, [50] * 4) == [5, 8, 12, 18]


def test_bounds_go_before_everything_and_a_failed_query_changes_nothing(rounds):
    assert rounds(PLAIN, 20, [NAN, 20], replicas_max=8) == [8, 8]
    assert rounds(PLAIN, 2, [NAN, NAN], replicas_min=5) == [5, 5]
    assert rounds(PLAIN, 7, [NAN, NAN, 9]) == [7, 7, 9]
    assert rounds(PLAIN, 1, [100] * 4, replicas_max=12) == [5, 10, 12, 12]


def test_a_plan_holds_the_most_of_the_rounds_in_each_bin(replica_setting):
    # Bin 0 is first seen at minute 1, by one round; three more see it within bin 1, the fifth begins bin 2.
    assert plan_hpa(replica_setting([100] * 5), PLAIN).tolist() == [1, 40, 100, 100, 100]
    assert plan_hpa(replica_setting([100] * 5), LEGACY).tolist() == [1, 32, 100, 100, 100]
    assert plan_hpa(replica_setting([100] * 5, bin_s=300.0), PLAIN).tolist() == [1, 100, 100, 100, 100]
    assert plan_keda(replica_setting([100] * 5, bin_s=300.0), KedaOptions(target=1.0)).tolist() == [1] + [100] * 4


def test_a_fall_within_a_bin_is_in_the_next_ones_row(replica_setting):
    # Seen at 600 s; 300 s later, within the same bin, its recommendation is alone in the window.
    assert plan_hpa(replica_setting([10] * 3 + [2] * 3, bin_s=600.0), PLAIN).tolist() == [1, 10, 10, 10, 10, 2]


def test_a_fall_in_bin_10_lowers_the_plan_5_minutes_after_it_was_seen(replica_setting):
    # The last round that sees bin 9 is at 645 s; 300 s later, within bin 15, its recommendation has left the window.
    plan = plan_hpa(replica_setting([10] * 10 + [2] * 10), PLAIN)
    assert plan[3:].tolist() == [10] * 13 + [2] * 4


def test_with_bins_of_5_s_every_third_begins_with_a_decision_on_the_mean_of_the_last_minute(replica_setting):
    plan = plan_hpa(replica_setting([12.0] * 12 + [0.0] * 3 + [96.0] * 9, bin_s=5.0), PLAIN)
    assert set(np.flatnonzero(np.diff(plan)) + 1) <= set(range(0, 24, 3))
    assert plan[:12].tolist() == [1] * 3 + [5] * 3 + [10] * 3 + [12] * 3
    # At 75 s: 9 bins of 12 and 3 of 0 in the last minute; at 90 s: 6 of 12, 3 of 0, 3 of 96.
    assert plan[15] == 12
    assert plan[18] == 24
    assert plan[21] == 48  # wants ceil((3 x 12 + 6 x 96) / 12) = 51, may only double


def test_missing_demand_holds_the_plan(replica_setting):
    plan = plan_hpa(replica_setting([8] * 5 + [NAN] * 30 + [8] * 3), PLAIN)
    assert plan[3:].tolist() == [8] * 35


def a_lively_setting(replica_setting, bin_s):
    rng = np.random.default_rng(4)
    demand = np.repeat(rng.integers(0, 40, 40), rng.integers(1, 8, 40)) * (rng.random() + 0.5)
    demand[rng.random(len(demand)) < 0.08] = NAN
    demand[50:90] = 0.0
    return replica_setting(demand, bin_s=bin_s)


@pytest.mark.parametrize("bin_s", [7.0, 20.0, 60.0, 600.0])
@pytest.mark.parametrize("policy", ["hpa", "legacy", "keda"])
def test_skipping_idle_rounds_changes_nothing(bin_s, policy, replica_setting, without_numba, monkeypatch):
    setting = a_lively_setting(replica_setting, bin_s)

    def run():
        if policy == "keda":
            return plan_keda(setting, KedaOptions(target=0.9))
        behavior = Behavior(up=ScalingRules(90.0, (ScalingPolicy("Pods", 3, 45.0),))) if policy == "hpa" else None
        return plan_hpa(setting, HpaOptions(target=0.9, behavior=behavior))

    quick = run()
    compiled_sync = hpa_rounds.sync
    without_numba(hpa, keda, hpa_rounds)
    if bin_s < 100:
        np.testing.assert_array_equal(run(), quick)  # the kernels equal their Python form
    monkeypatch.setattr(hpa_rounds, "sync", compiled_sync)
    monkeypatch.setattr(hpa_rounds, "skip_idle", lambda rules, state, metrics, rounds: 0)
    np.testing.assert_array_equal(run(), quick)
    assert len(np.unique(quick)) > 5


def test_keda_goes_to_zero_after_its_cooldown_and_wakes_at_the_first_poll_that_sees_demand(replica_setting):
    plan = plan_keda(replica_setting([1.0] * 10 + [0.0] * 20 + [6.0] * 4, bin_s=30.0), KedaOptions(target=1.0))
    # Bin 9 is in the minute before 330 s: the last demand seen. 300 s later the cooldown is over.
    assert plan[:21].tolist() == [1] * 21
    assert plan[21:31].tolist() == [0] * 10
    # At 930 s the poll activates, and the HPA sees half of 6; with both bins seen, 6.
    assert plan[31:].tolist() == [3, 6, 6]


def test_keda_never_goes_to_zero_on_missing_demand_nor_below_its_minimum(replica_setting):
    missing = replica_setting([5.0] * 10 + [NAN] * 60 + [5.0] * 2)
    assert plan_keda(missing, KedaOptions(target=1.0))[10:].min() == 5
    idle = replica_setting([5.0] * 10 + [0.0] * 60, replicas_min=2)
    assert plan_keda(idle, KedaOptions(target=1.0))[-1] == 2
    assert plan_hpa(replica_setting([5.0] * 10 + [0.0] * 60), PLAIN)[-1] == 1


def test_keda_that_never_saw_demand_does_not_wait_for_a_cooldown(replica_setting):
    assert plan_keda(replica_setting([0.0] * 4), KedaOptions()).tolist() == [1, 0, 0, 0]
