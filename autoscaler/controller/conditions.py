"""The conditions of an object's status, in the manner of HorizontalPodAutoscaler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.scalars import time_text
from autoscaler.api.status import Condition, ConditionType, PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import Mode
from autoscaler.controller.workload import Workload
from autoscaler.core.decision import Reason
from autoscaler.kube.facts import Unavailable

# Field of ResolvedQueries -> field of EngineBin.
_ENGINE_QUERIES = {
    "queue_length": "waiting",
    "running": "running",
    "kv_cache_usage": "kv_cache_usage",
    "completions": "completed_rps",
    "gpu_utilization": "gpu_utilization",
}
_STATUS: Mapping[bool | None, Literal["True", "False", "Unknown"]] = {True: "True", False: "False", None: "Unknown"}
_ACTS = {Action.NONE, Action.PATCHED, Action.CONFLICT}
_HOLDS = {status: holds for holds, status in _STATUS.items()}


def conditions_of(workload: Workload, before: PredictiveAutoscalerStatus, now_s: float) -> list[Condition]:
    """All conditions after the last decision."""
    old = {condition.type: condition for condition in before.conditions}
    made = [_ready(workload), _metrics(workload), _active(workload), _limited(workload)]
    if workload.autoscaler.spec.node_head_start is not None:
        made.append(_node_head_start(workload, old.get(ConditionType.NODE_HEAD_START)))
    conditions = []
    for kind, holds, reason, message in made:
        status: Literal["True", "False", "Unknown"] = _STATUS[holds]
        moved = kind not in old or old[kind].status != status
        conditions.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                last_transition_time=time_text(now_s) if moved else old[kind].last_transition_time,
                observed_generation=workload.autoscaler.metadata.generation,
            )
        )
    return conditions


_Made = tuple[ConditionType, bool | None, str, str]


def _ready(workload: Workload) -> _Made:
    kind = ConditionType.READY
    trouble = {"InvalidSpec": workload.problem, "InternalError": next(iter(workload.defects.values()), "")}
    if isinstance(workload.target, Unavailable):
        trouble[workload.target.reason] = workload.target.message
    if workload.state is None:
        trouble["LoadingHistory"] = "its history is being read from Prometheus"
    for reason, message in trouble.items():
        if message:
            return kind, False, reason, message
    if workload.decision is None:
        return kind, False, "NoDecisionYet", "the first bin isn't over"
    if Reason.NO_HISTORY in workload.decision.reasons:
        return kind, False, "NoHistory", "no demand is known yet: replicas are held as they are"
    return kind, True, "Deciding", "decides once per interval"


def _metrics(workload: Workload) -> _Made:
    kind = ConditionType.METRICS_AVAILABLE
    if workload.bin is None:
        return kind, None, "NotAskedYet", ""
    if workload.metrics_reason:
        return kind, False, workload.metrics_reason, workload.metrics_message
    silent = [name for name in _ENGINE_QUERIES if _is_silent(workload, name)]
    told = [f"no value now for {', '.join(silent)}: the engine's selector may fit nothing"] if silent else []
    return kind, True, "Answered", "; ".join([*told, *workload.queries.warnings])


def _is_silent(workload: Workload, name: str) -> bool:
    """Whether a query of the engine's is asked, and has no value."""
    asked, field = getattr(workload.queries, name), _ENGINE_QUERIES[name]
    return asked is not None and workload.bin is not None and math.isnan(getattr(workload.bin.engine, field))


def _active(workload: Workload) -> _Made:
    kind = ConditionType.SCALING_ACTIVE
    outcome: Outcome | None = workload.outcome
    if workload.autoscaler.spec.mode is Mode.SHADOW:
        return kind, False, "Shadow", "mode Shadow decides and writes nothing"
    if outcome is None:
        return kind, None, "NotTriedYet", ""
    if outcome.action in _ACTS:
        return kind, True, str(workload.autoscaler.spec.mode), outcome.message
    return kind, False, outcome.reason, outcome.message


def _limited(workload: Workload) -> _Made:
    kind, decision = ConditionType.SCALING_LIMITED, workload.decision
    if workload.budget_problem is not None:
        return kind, True, *workload.budget_problem
    if decision is None:
        return kind, None, "NoDecisionYet", ""
    if decision.cut_from is not None:
        return kind, True, "GpuBudget", f"{decision.cut_from} are wanted, the GPU budget gives {decision.desired}"
    if Reason.AT_MAX in decision.reasons:
        return kind, True, "TooManyReplicas", "the need is above maxReplicas"
    if Reason.AT_MIN in decision.reasons:
        return kind, True, "TooFewReplicas", "the need is below minReplicas"
    return kind, False, "DesiredWithinRange", "the need is within minReplicas and maxReplicas"


def _node_head_start(workload: Workload, old: Condition | None) -> _Made:
    kind, placed = ConditionType.NODE_HEAD_START, workload.placed
    if placed is None:
        # What was said before this process was started still holds.
        return (kind, _HOLDS[old.status], old.reason, old.message) if old else (kind, None, "NotTriedYet", "")
    holds = placed.action in _ACTS and workload.autoscaler.spec.mode is not Mode.SHADOW
    return kind, holds, placed.reason, placed.message
