"""What an edit of an object makes of what is remembered of it."""

from __future__ import annotations

import math

from autoscaler.api.v1alpha1 import PredictiveAutoscalerSpec
from autoscaler.controller.workload import Workload
from autoscaler.sources.presets import ResolvedQueries

# What another history is read for.
_OF_HISTORY = ("demand", "history", "prometheus")


def take_edit(workload: Workload, before: PredictiveAutoscalerSpec, queries: ResolvedQueries) -> None:
    """Go by the spec that the workload's object has now, with its queries, instead of `before`."""
    spec = workload.autoscaler.spec
    workload.queries, workload.outcome = queries, None
    workload.edited = workload.edited or spec != before.model_copy(update={"mode": spec.mode})
    if spec.scale_target_ref != before.scale_target_ref:
        workload.forget_target()
    if spec.node_head_start != before.node_head_start:
        workload.forget_placeholders()
    workload.retry_s = -math.inf
    if any(getattr(spec, name) != getattr(before, name) for name in _OF_HISTORY):
        workload.history_missing = workload.history_edited = True
