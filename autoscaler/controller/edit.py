"""What an edit of an object makes of what is remembered of it."""

from __future__ import annotations

import math

from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.controller.workload import Workload
from autoscaler.sources.presets import ResolvedQueries

# What another history is read for.
_OF_HISTORY = ("demand", "history", "prometheus")


def take_edit(workload: Workload, autoscaler: PredictiveAutoscaler, queries: ResolvedQueries) -> None:
    """Go by the object as edited, with its queries; the former spec stays in force if this breaks off."""
    before, spec = workload.autoscaler.spec, autoscaler.spec
    edited = spec != before.model_copy(update={"mode": spec.mode})
    asks_another = any(getattr(spec, name) != getattr(before, name) for name in _OF_HISTORY)
    if spec.scale_target_ref != before.scale_target_ref:
        workload.forget_target()
    if spec.gpu_budget is not None and before.mode is Mode.SHADOW is not spec.mode:
        # What Shadow was told counts no GPUs as its own: others may hold them.
        workload.decision = workload.floor = None
    if spec.node_head_start != before.node_head_start:
        workload.forget_placeholders()
    workload.edited = workload.edited or edited
    workload.history_missing = workload.history_missing or asks_another
    workload.history_edited = workload.history_edited or asks_another
    if asks_another:
        workload.histories_in_part = 0
    workload.queries, workload.outcome, workload.retry_s = queries, None, -math.inf
    workload.autoscaler = autoscaler
