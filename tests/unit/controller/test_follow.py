from __future__ import annotations

from collections.abc import Callable

import pytest

from autoscaler.api.status import LearnedCapacity, LearnedLoadLatency, PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.follow import follow
from autoscaler.controller.workload import Workload, new_workload
from autoscaler.core.learned_capacity import CapacitySamples
from autoscaler.core.learned_load import LoadTimes
from autoscaler.sources.presets import ResolvedQueries


@pytest.fixture
def workload(object_of: Callable[..., PredictiveAutoscaler]) -> Workload:
    made = new_workload(object_of(), ResolvedQueries({}))
    made.loads = LoadTimes.restored([30.0, 31.04, 32.0, 33.0])
    made.capacities = {"requests": CapacitySamples.of([3.14159, 2.0])}
    return made


def status(*, recent_s: tuple[float, ...] = (), recent_rps: tuple[float, ...] = ()) -> PredictiveAutoscalerStatus:
    learned = LearnedCapacity(unit="requests", samples=len(recent_rps), recent_per_second=recent_rps)
    return PredictiveAutoscalerStatus(
        load_latency=LearnedLoadLatency(samples=len(recent_s), recent_seconds=recent_s), capacity=(learned,)
    )


def test_what_the_leader_has_seen_and_this_replica_has_not_is_taken_on(workload: Workload) -> None:
    follow(workload, status(recent_s=(29.0, 30.0, 31.0, 32.0), recent_rps=(2.5, 3.142, 2.0)))
    assert workload.loads.recent_s == (29.0, 30.0, 31.0, 32.0)
    assert workload.capacities["requests"].recent_rps == (2.5, 3.142, 2.0)


@pytest.mark.parametrize("recent_s", [(), (31.0, 32.0), (30.0, 31.0, 32.0, 33.0)])
def test_an_older_status_takes_nothing_away(workload: Workload, recent_s: tuple[float, ...]) -> None:
    follow(workload, status(recent_s=recent_s, recent_rps=(3.142,)))
    assert workload.loads.recent_s == (30.0, 31.04, 32.0, 33.0)
    assert workload.capacities["requests"].recent_rps == (3.14159, 2.0)


def test_pods_seen_loading_still_count_once(workload: Workload) -> None:
    loading = workload.loads.loading
    follow(workload, status(recent_s=(29.0,)))
    assert workload.loads.loading == loading
    assert workload.status == status(recent_s=(29.0,))
