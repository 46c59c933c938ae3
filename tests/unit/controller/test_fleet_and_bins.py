"""What the core is told of pods, queues and GPUs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoscaler.controller.bin_data import BinData, EngineBin
from autoscaler.controller.fleet import fleet_of
from autoscaler.core.load_latency import LoadLatency
from autoscaler.kube.facts import Pod, Target, TargetKey

KEY = TargetKey("llm", "apps/v1", "Deployment", "chat")
LOADS = LoadLatency.constant(300.0)


def pod(name, *, age_s=100.0, ready=False, **changes):
    facts = {
        "uid": name,
        "name": name,
        "node": "n",
        "created_s": 1_000.0 - age_s,
        "scheduled_s": None,
        "started_s": None,
        "ready": ready,
        "ready_s": 950.0 if ready else None,
        "restarts": 0,
        "deleting": False,
        "failed": False,
    }
    return Pod(**(facts | changes))


def fleet(replicas, *pods, rolling=False, before=None):
    target = Target(KEY, replicas, "1", pods, rolling=rolling)
    return fleet_of(target, now_s=1_000.0, bin_s=60.0, load_latency=LOADS, before=before)


def test_what_is_ordered_counts_whether_its_pod_exists_or_not():
    seen = fleet(4, pod("a", ready=True), pod("b", age_s=200.0))
    assert seen.ready == 1
    assert seen.due_bins.tolist() == [2, 5, 5]  # 100 s are left, and two whole loads


def test_pods_that_go_or_failed_do_not_serve():
    assert fleet(3, pod("a", ready=True), pod("b", ready=True, deleting=True), pod("c", failed=True)).ready == 1


def test_a_rolling_update_has_more_pods_than_replicas():
    seen = fleet(2, *(pod(name, ready=True) for name in "abc"), pod("d"), rolling=True)
    assert (seen.ready, seen.loading, seen.changed) == (2, 0, True)


def test_a_change_of_the_ready_is_noticed():
    before = fleet(2, pod("a", ready=True), pod("b"))
    assert fleet(2, pod("a", ready=True), pod("b", ready=True), before=before).changed
    assert not fleet(2, pod("a", ready=True), pod("b"), before=before).changed


def test_none_at_all():
    assert fleet(0).due_bins.dtype == np.int64
    assert (fleet(0).ready, fleet(0).loading) == (0, 0)


@pytest.mark.parametrize(
    ("engine", "backlog_rs"),
    [
        (EngineBin(), None),
        (EngineBin(waiting=0.0), 0.0),
        (EngineBin(waiting=10.0), 5.0),
        (EngineBin(waiting=-1.0), None),
        (EngineBin(waiting=math.inf), None),
        (EngineBin(waiting=0.0, running=100.0, kv_cache_usage=0.9), 0.0),
        (EngineBin(waiting=0.0, running=100.0, kv_cache_usage=1.0), 5.0),  # a tenth runs beyond a full cache
        (EngineBin(waiting=4.0, running=math.nan, kv_cache_usage=1.0), 2.0),
        (EngineBin(waiting=4.0, running=100.0, kv_cache_usage=math.nan), 2.0),
    ],
)
def test_the_backlog_of_a_queue_and_a_full_cache(engine, backlog_rs):
    assert BinData(0.0, {"requests": 1.0}, engine).backlog_rs(2.0) == (
        None if backlog_rs is None else pytest.approx(backlog_rs)
    )


@pytest.mark.parametrize(
    ("rate", "gpu", "ready", "doubted"),
    [
        (0.0, 0.9, 4, True),
        (0.0, 0.1, 4, False),
        (0.0, math.nan, 4, False),
        (0.0, 0.9, 0, False),
        (3.0, 0.9, 4, False),  # busy with what is seen to arrive
        (math.nan, 0.9, 4, False),  # unknown already
    ],
)
def test_busy_gpus_cast_doubt_on_no_demand(rate, gpu, ready, doubted):
    data = BinData(0.0, {"requests": rate}, EngineBin(gpu_utilization=gpu))
    assert data.doubted(ready=ready, capacity_rps={"requests": 2.0}) == doubted
