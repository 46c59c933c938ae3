"""The rivals of a run, and the share of the gap that it closes."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.baselines.optimum_bound import least_replica_hours
from autoscaler.backtest.benchmark.gap import RIVALS, best_reactive, best_static, bound_hours, gap_closed
from autoscaler.backtest.cluster import simulate


@pytest.mark.parametrize(
    ("own", "rival", "optimum", "expected"),
    [
        (130.0, 200.0, 100.0, 0.7),
        (100.0, 200.0, 100.0, 1.0),
        (200.0, 200.0, 100.0, 0.0),
        (250.0, 200.0, 100.0, -0.5),
        (130.0, None, 100.0, None),  # no reactive plan is ever so seldom late
        (130.0, 100.9, 100.0, None),  # the quotient would be noise
        (90.0, 95.0, 100.0, None),  # a rival that is late is cheaper than the optimum, which is not
        (1.0, 2.0, 0.0, 0.5),
        (0.0, 0.0, 0.0, None),
    ],
)
def test_the_gap_closed_is_the_share_of_the_way_from_the_rival_to_the_optimum(own, rival, optimum, expected):
    assert gap_closed(own, rival, optimum) == (None if expected is None else pytest.approx(expected))


@pytest.fixture
def bursts(replica_setting):
    demand = 4.0 + 3.0 * np.sin(np.arange(200) / 8.0)
    demand[60::40] += 6.0
    return replica_setting(demand, bin_s=60.0, load_s=120.0, score_from_bin=50)


@pytest.mark.parametrize("limit", [0.3, 0.02, 0.0])
def test_the_static_rival_is_the_smallest_fleet_within_the_limit(bursts, limit):
    late = [simulate(bursts, np.full(200, size, dtype=np.int64)).late_fraction for size in range(20)]
    found = best_static(bursts, limit)
    assert found.target == next(size for size, share in enumerate(late) if share <= limit)
    assert found.outcome.late_fraction <= limit


def test_a_reactive_rival_keeps_the_limit_and_is_the_cheapest_of_the_families(bursts):
    frontiers = {name: tune.frontier(bursts, FAMILIES[name]) for name in RIVALS}
    rival = best_reactive(bursts, 0.05, frontiers)
    assert rival.outcome.late_fraction <= 0.05
    for known in frontiers.values():
        within = known.replica_hours[known.late_fraction <= 0.05]
        assert rival.outcome.replica_hours <= within.min(initial=np.inf)


def test_where_no_target_is_so_seldom_late_there_is_no_reactive_rival(replica_setting):
    demand = np.zeros(300)
    demand[::30] = 50.0
    setting = replica_setting(demand, load_s=600.0, score_from_bin=100)
    frontiers = {name: tune.frontier(setting, FAMILIES[name]) for name in RIVALS}
    assert best_reactive(setting, 0.001, frontiers) is None
    assert best_static(setting, 0.001) is not None


@pytest.mark.parametrize(("bin_s", "is_the_plan"), [(1.0, False), (10.0, True), (60.0, True)])
def test_in_bins_narrower_than_the_longest_wait_the_gap_goes_down_to_the_proven_bound(
    bin_s, is_the_plan, replica_setting
):
    rng = np.random.default_rng(4)
    setting = replica_setting(rng.poisson(3.0, 200), bin_s=bin_s, max_wait_s=10.0)
    optimum = simulate(setting, plan_optimum(setting))
    assert bound_hours(setting, optimum) == (optimum.replica_hours if is_the_plan else least_replica_hours(setting))
    assert bound_hours(setting, optimum) <= best_static(setting, 0.0).outcome.replica_hours
