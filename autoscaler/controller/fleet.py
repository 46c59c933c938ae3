"""What is ready and what is loading, as the core wants it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.plan_kernels import IntArray
from autoscaler.kube.facts import Target


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas of a target.

    Attributes:
        ready: those that serve, at most as many as were ordered: during a rolling update there are more pods.
        due_bins: per loading replica, bins until it is expected to serve, shape (loading,).
        changed: whether one became ready or left since the fleet before: such a bin teaches no capacity.
    """

    ready: int
    due_bins: IntArray
    changed: bool

    @property
    def loading(self) -> int:
        """Replicas that were ordered and don't serve yet."""
        return len(self.due_bins)


def fleet_of(
    target: Target, *, now_s: float, bin_s: float, load_latency: LoadLatency, before: Fleet | None = None
) -> Fleet:
    """The fleet of a target now.

    What was ordered and isn't ready counts as loading, whether its pod exists yet or not: nothing is ordered twice.
    A pod that was ready and isn't any more counts like one that loads for as long as it has been there.
    """
    pods = [pod for pod in target.pods if not pod.deleting and not pod.failed]
    ready = min(target.replicas, sum(pod.ready for pod in pods))
    ages_s = sorted((now_s - pod.created_s for pod in pods if not pod.ready), reverse=True)
    loading = target.replicas - ready
    ages_s = (ages_s + [0.0] * loading)[:loading]
    due_bins = load_latency.due_bins(ages_s, bin_s) if ages_s else np.zeros(0, dtype=np.int64)
    changed = target.rolling or before is None or before.ready != ready
    return Fleet(ready, due_bins, changed)
