"""The object's status: what Headstart sees, does and has learned, in the manner of HorizontalPodAutoscaler."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.scalars import time_text
from autoscaler.api.status import (
    Condition,
    ConditionType,
    ForecastPeak,
    LastDecision,
    LearnedCapacity,
    LearnedLoadLatency,
    PredictiveAutoscalerStatus,
)
from autoscaler.api.v1alpha1 import Mode
from autoscaler.controller.sentence import decision_sentence
from autoscaler.controller.workload import Workload
from autoscaler.core.decision import Decision, Reason
from autoscaler.kube.facts import Unavailable

# What moves every minute is stored this often at most: a thousand objects would be 17 writes a second otherwise. So are
# messages, which count seconds: 'nothing was heard for 65 s'; a new reason is stored at once.
_VOLATILE_EVERY_S = 300.0
_VOLATILE: Any = {
    "forecast_peak": True,
    "late_share": True,
    "load_latency": True,
    "capacity": True,
    "conditions": {"__all__": {"message": True}},
}
_UNKNOWN = {Reason.DEMAND_MISSING, Reason.HISTORY_MISSING, Reason.NO_HISTORY}
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


def status_of(workload: Workload, now_s: float) -> PredictiveAutoscalerStatus:
    """The status after the last decision."""
    before = workload.status or PredictiveAutoscalerStatus()
    decision = workload.decision
    return PredictiveAutoscalerStatus(
        observed_generation=workload.autoscaler.metadata.generation,
        desired_replicas=decision.desired if decision else before.desired_replicas,
        current_replicas=decision.current if decision else before.current_replicas,
        ready_replicas=workload.fleet.ready if workload.fleet else before.ready_replicas,
        loading_replicas=workload.fleet.loading if workload.fleet else before.loading_replicas,
        forecast_peak=_forecast_peak(workload, decision) if decision else before.forecast_peak,
        load_latency=_load_latency(workload),
        capacity=_capacity(workload),
        late_share=_rounded(workload.lateness.late_share),
        last_decision=_last_decision(workload, decision, before),
        conditions=tuple(_conditions(workload, before, now_s)),
    )


def is_due(stored: PredictiveAutoscalerStatus | None, status: PredictiveAutoscalerStatus, since_s: float) -> bool:
    """Whether a status is to be written, `since_s` seconds after the stored one: at once, unless numbers only drift."""
    if stored is None or status == stored:
        return stored is None
    if since_s >= _VOLATILE_EVERY_S:
        return True
    return status.model_dump(exclude=_VOLATILE) != stored.model_dump(exclude=_VOLATILE)


def _forecast_peak(workload: Workload, decision: Decision) -> ForecastPeak | None:
    if not math.isfinite(decision.peak_until_lead):
        return None
    at_s = decision.now_s + decision.lead_bins * workload.spec.bin_s
    return ForecastPeak(replicas=round(decision.peak_until_lead, 2), time=time_text(at_s))


def _load_latency(workload: Workload) -> LearnedLoadLatency:
    recent_s = workload.loads.recent_s
    if not recent_s:
        return LearnedLoadLatency()
    seen = workload.loads.latency(workload.spec.load_latency, samples_min=1)
    return LearnedLoadLatency(
        samples=len(recent_s),
        p50_seconds=round(seen.quantile_s(0.5), 1),
        p90_seconds=round(seen.quantile_s(0.9), 1),
        recent_seconds=tuple(round(load_s, 1) for load_s in recent_s),
    )


def _capacity(workload: Workload) -> tuple[LearnedCapacity, ...]:
    stated = {demand.unit: demand.capacity for demand in workload.autoscaler.spec.demand}
    return tuple(
        LearnedCapacity(
            unit=unit,
            samples=len(samples.recent_rps),
            per_second=used if (used := workload.spec.capacity_rps.get(unit)) != stated[unit] else None,
            recent_per_second=tuple(float(f"{value:.4g}") for value in samples.recent_rps),
        )
        for unit, samples in workload.capacities.items()
        if unit in stated and samples.recent_rps
    )


def _last_decision(
    workload: Workload, decision: Decision | None, before: PredictiveAutoscalerStatus
) -> LastDecision | None:
    last = before.last_decision
    if decision is None:
        return last
    if (
        last is not None
        and decision.desired == before.desired_replicas
        and _knows(decision.reasons) == _knows(last.reasons)
    ):
        return last
    return LastDecision(
        time=time_text(decision.now_s),
        from_replicas=decision.current,
        to_replicas=decision.desired,
        reasons=tuple(decision.reasons),
        message=decision_sentence(workload.spec, decision),
    )


def _knows(reasons: Collection[str]) -> bool:
    """Whether a decision stands on data: an outage, and its end, are told though the number stays."""
    return _UNKNOWN.isdisjoint(reasons)


def _conditions(workload: Workload, before: PredictiveAutoscalerStatus, now_s: float) -> list[Condition]:
    old = {condition.type: condition for condition in before.conditions}
    made = (_ready(workload), _metrics(workload), _active(workload), _limited(workload))
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


def _rounded(share: float) -> float | None:
    return None if math.isnan(share) else round(share, 4)
