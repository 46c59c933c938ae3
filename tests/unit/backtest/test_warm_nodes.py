"""Nodes kept warm on the simulated cluster: whose room a replica takes, what is paid for, nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backtest.cluster import bins_of, simulate
from autoscaler.backtest.run import HEADSTART, WARM_NODES, run_backtest
from autoscaler.backtest.setting import WarmNodes
from autoscaler.backtest.warm_nodes import WarmCluster, replay_warm_nodes
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import node_and_load

NAN = np.nan
DAY = 144  # bins of ten minutes


def warm_setting(replica_setting, demand, *, node_s=120.0, load_s=60.0, most=100, node=None, load=None, **others):
    nodes = WarmNodes(node or LoadLatency.constant(node_s), load or LoadLatency.constant(load_s), most)
    latency = node_and_load(nodes.provisioning, nodes.load)
    return replica_setting(demand, load=latency, warm_nodes=nodes, **others)


def run(setting, *steps):
    """(ready, paid) per bin under (replicas, placeholders) per bin."""
    cluster = WarmCluster(setting, setting.warm_nodes)
    for desired, placeholders in steps:
        cluster.begin_bin()
        cluster.scale_and_serve(desired, placeholders)
    bins = bins_of(setting, cluster.replay().outcome)
    return bins.ready.tolist(), bins.paid.tolist()


def lively_demand(bins, seed=0):
    rng = np.random.default_rng(seed)
    demand = 10 + 8 * np.sin(2 * np.pi * np.arange(bins) / DAY) + rng.normal(0, 1, bins)
    demand[rng.random(bins) < 0.03] *= 3
    demand[rng.random(bins) < 0.05] = NAN
    return np.maximum(demand, 0.0)


def test_a_replica_in_a_warm_room_takes_its_load_only_and_one_without_takes_node_and_load(replica_setting):
    setting = warm_setting(replica_setting, np.ones(6))
    # Two bins of node, one of load. The room is paid for from its order, the replica in it costs nothing more.
    ready, paid = run(setting, (0, 1), (0, 1), (2, 0), (2, 0), (2, 0), (2, 0))
    assert ready == [0, 0, 0, 1, 1, 2]
    assert paid == [1, 1, 2, 2, 2, 2]


def test_a_replica_waits_for_what_is_left_of_its_rooms_node(replica_setting):
    setting = warm_setting(replica_setting, np.ones(6))
    ready, _ = run(setting, (0, 1), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0))
    assert ready == [0, 0, 0, 1, 1, 1]


def test_seconds_of_node_and_load_are_added_before_they_are_rounded_up_to_bins(replica_setting):
    setting = warm_setting(replica_setting, np.ones(5), node_s=90.0, load_s=90.0)
    ready, _ = run(setting, *[(1, 0)] * 5)
    assert ready == [0, 0, 0, 1, 1]


def test_of_two_rooms_the_one_that_is_ready_first_is_taken_and_the_other_given_back(replica_setting):
    setting = warm_setting(replica_setting, np.ones(7))
    ready, paid = run(setting, (0, 1), (0, 2), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0))
    assert ready == [0, 0, 0, 1, 1, 1, 1]
    assert paid == [1, 2, 1, 1, 1, 1, 1]


def test_what_a_replica_leaves_is_kept_warm_where_that_is_wanted(replica_setting):
    setting = warm_setting(replica_setting, np.ones(8))
    ready, paid = run(setting, (1, 0), (1, 0), (1, 0), (1, 0), (0, 1), (0, 1), (1, 0), (1, 0))
    assert ready == [0, 0, 0, 1, 0, 0, 0, 1]
    assert paid == [1] * 8


def test_a_draining_replica_is_paid_for_once_and_its_room_is_free_after_it(replica_setting):
    setting = warm_setting(replica_setting, np.ones(9), drain_s=120.0)
    ready, paid = run(setting, *[(1, 0)] * 4, (0, 1), (1, 0), *[(1, 0)] * 3)
    assert ready == [0, 0, 0, 1, 0, 0, 0, 1, 1]
    # The room of the one that drains until bin 6 is loaded in from then on; its drain and the order are two replicas.
    assert paid == [1, 1, 1, 1, 1, 2, 1, 1, 1]


def test_a_room_that_drains_for_longer_than_a_node_takes_is_not_waited_for(replica_setting):
    setting = warm_setting(replica_setting, np.ones(60), drain_s=2400.0)
    ready, _ = run(setting, *[(2, 0)] * 30, *[(1, 1)] * 3, *[(2, 1)] * 27)
    # Its place in the simulation lay 40 bins ahead, beyond the end: the process died.
    assert ready == [0] * 3 + [2] * 27 + [1] * 6 + [2] * 24


@given(seed=st.integers(0, 300))
def test_without_placeholders_it_is_the_cluster_whose_loads_are_node_and_load(seed, replica_setting):
    rng = np.random.default_rng(seed)
    setting = warm_setting(
        replica_setting,
        rng.integers(0, 8, 60) * rng.random(60),
        node_s=float(rng.integers(0, 400)),
        load_s=float(rng.integers(0, 400)),
        drain_s=float(rng.integers(0, 200)),
        score_from_bin=20,
    )
    plan = rng.integers(0, 9, 60)
    cluster = WarmCluster(setting, setting.warm_nodes)
    for desired in plan:
        cluster.begin_bin()
        cluster.scale_and_serve(int(desired), 0)
    warm, cold = cluster.replay(), simulate(setting, plan)
    assert warm.placeholder_hours == 0.0
    for field in ("replica_hours", "late_fraction", "late_bins", "mean_utilisation"):
        assert getattr(warm.outcome, field) == getattr(cold, field)
    for field in ("ready", "paid", "late_rs"):
        mine, its = (getattr(bins_of(setting, outcome), field) for outcome in (warm.outcome, cold))
        np.testing.assert_array_equal(mine, its)


@given(seed=st.integers(0, 300))
def test_rooms_are_paid_for_once_and_each_replica_serves_when_it_was_told_to(seed, replica_setting):
    rng = np.random.default_rng(seed)
    # A load of two bins and more is told in the bin after its order.
    setting = warm_setting(
        replica_setting, np.ones(60), node_s=60.0 * int(rng.integers(0, 6)), load_s=60.0 * int(rng.integers(2, 6))
    )
    cluster = WarmCluster(setting, setting.warm_nodes)
    desired, ready_next, paid = 0, 0, []
    for _ in range(60):
        ready, due = cluster.begin_bin()
        assert ready == ready_next
        ready_next = ready + int((due == 1).sum())
        desired, placeholders = desired + int(rng.integers(0, 3)), int(rng.integers(0, 5))
        cluster.scale_and_serve(desired, placeholders)
        paid.append(desired + placeholders)
    assert bins_of(setting, cluster.replay().outcome).paid.tolist() == paid


@pytest.mark.parametrize("node", [LoadLatency.constant(900.0), LoadLatency.lognormal(900.0, 0.6)], ids=["fix", "drawn"])
def test_no_bin_depends_on_a_later_one(node, replica_setting):
    load = LoadLatency.lognormal(700.0, 0.5)
    demand = lively_demand(3 * DAY)

    def ready_until(bins):
        setting = warm_setting(replica_setting, demand[:bins], bin_s=600.0, node=node, load=load, seed=5)
        found = bins_of(setting, replay_warm_nodes(setting).outcome)
        return found.ready, found.paid

    ready, paid = ready_until(3 * DAY)
    for bins in (2, DAY + 2, 2 * DAY + 37):
        # The last bin of a cut trace fills its gaps otherwise: what is ready and paid for in it was decided before.
        cut_ready, cut_paid = ready_until(bins)
        np.testing.assert_array_equal(cut_ready, ready[:bins])
        np.testing.assert_array_equal(cut_paid, paid[:bins])


def test_warm_nodes_need_fewer_replica_hours_and_no_more_placeholders_than_allowed(replica_setting):
    hour = np.arange(6 * DAY) / DAY * 24
    demand = 20 + 12 * np.sin(2 * np.pi * (hour - 9) / 24) + 5 * np.sin(4 * np.pi * hour / 24)
    setting = warm_setting(
        replica_setting, demand, bin_s=600.0, node_s=3600.0, load_s=600.0, most=3, score_from_bin=3 * DAY
    )
    result = run_backtest(setting, [HEADSTART])
    cold, warm = result.policies[:2]
    assert (cold.name, warm.name) == (HEADSTART, WARM_NODES)
    assert 0 < warm.settings["placeholder_hours"] <= 3 * 3 * 24
    assert warm.outcome.replica_hours - warm.settings["placeholder_hours"] < cold.outcome.replica_hours
    paid = bins_of(setting, warm.outcome).paid[3 * DAY :]
    assert paid.sum() / 6 == pytest.approx(warm.outcome.replica_hours)
    assert result.policies[-1].outcome.replica_hours < warm.outcome.replica_hours


def test_without_a_setting_for_it_nothing_is_kept_warm(replica_setting):
    setting = replica_setting(np.ones(20), load_s=60.0)
    assert WARM_NODES not in [row.name for row in run_backtest(setting, [HEADSTART]).policies]
    with pytest.raises(ValueError, match="keeps no nodes warm"):
        replay_warm_nodes(replace(setting, warm_nodes=None))
