"""A replica that doesn't lead takes on what the leader has learned, so that it would decide the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.controller.workload import Workload, learned_loads, says_unplaced
from autoscaler.core.learned_capacity import CapacitySamples

# The status has load times to a tenth of a second, and capacities to four digits.
_LOAD_ERROR_S = 0.051
_CAPACITY_ERROR = 1e-3


def follow(workload: Workload, status: PredictiveAutoscalerStatus | None) -> None:
    """Take on a status that the leader has stored.

    Both watch the same pods and bins, and the status is up to five minutes old: what this replica has seen itself
    stays where it holds all that the leader tells. A replica that came later has missed some of it.
    """
    workload.status = status
    if status is None:
        return
    workload.unplaced = says_unplaced(status)
    told = learned_loads(status)
    if told.samples and not _holds(workload.loads.recent_s, told.recent_s, error=_LOAD_ERROR_S):
        workload.loads = replace(workload.loads, samples=told.samples)
    if not _holds(workload.loads.node_waits_s, told.node_waits_s, error=_LOAD_ERROR_S):
        workload.loads = replace(workload.loads, node_waits_s=told.node_waits_s)
    for learned in status.capacity:
        own = workload.capacities.get(learned.unit, CapacitySamples())
        if not _holds(own.recent_rps, learned.recent_per_second, share=_CAPACITY_ERROR):
            workload.capacities[learned.unit] = CapacitySamples.of(learned.recent_per_second)


def _holds(own: Sequence[float], told: Sequence[float], *, error: float = 0.0, share: float = 0.0) -> bool:
    """Whether `told` stands in `own` in one piece, as far as it was rounded."""
    return any(
        all(
            math.isclose(one, other, rel_tol=share, abs_tol=error)
            for one, other in zip(own[first : first + len(told)], told, strict=True)
        )
        for first in range(len(own) - len(told) + 1)
    )
