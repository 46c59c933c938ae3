"""The object's status: what Headstart sees, does and has learned, in the manner of HorizontalPodAutoscaler."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

from autoscaler.api.scalars import format_share, time_text
from autoscaler.api.status import (
    ForecastPeak,
    LastDecision,
    LearnedCapacity,
    LearnedLoadLatency,
    LearnedNodeLatency,
    LoadPhase,
    PredictiveAutoscalerStatus,
)
from autoscaler.controller.conditions import conditions_of
from autoscaler.controller.sentence import decision_sentence
from autoscaler.controller.workload import Workload
from autoscaler.core.decision import UNKNOWING, Decision
from autoscaler.kube.parse import UNREAD_SPEC

# What moves every minute is stored this often at most: a thousand objects would be 17 writes a second otherwise. So are
# messages, which count seconds: 'nothing was heard for 65 s'; a new reason is stored at once.
_VOLATILE_EVERY_S = 300.0
_VOLATILE: Any = {
    "forecast_peak": True,
    "late_share": True,
    "late_percent": True,
    "load_latency": True,
    "node_provisioning": True,
    "capacity": True,
    "conditions": {"__all__": {"message": True}},
}


def status_of(workload: Workload, now_s: float) -> PredictiveAutoscalerStatus:
    """The status after the last decision."""
    before = workload.status or PredictiveAutoscalerStatus()
    if workload.autoscaler.spec is UNREAD_SPEC:
        # What was learned is of a spec that may be readable again.
        told = {"observed_generation": workload.autoscaler.metadata.generation}
        return before.model_copy(update={**told, "conditions": tuple(conditions_of(workload, before, now_s))})
    decision = workload.decision
    late_share = _rounded(workload.lateness.late_share)
    return PredictiveAutoscalerStatus(
        observed_generation=workload.autoscaler.metadata.generation,
        desired_replicas=decision.desired if decision else before.desired_replicas,
        current_replicas=decision.current if decision else before.current_replicas,
        ready_replicas=workload.fleet.ready if workload.fleet else before.ready_replicas,
        loading_replicas=workload.fleet.loading if workload.fleet else before.loading_replicas,
        forecast_peak=_forecast_peak(workload, decision) if decision else before.forecast_peak,
        placeholder_replicas=_placeholders(workload, before),
        load_latency=_load_latency(workload, before),
        node_provisioning=_node_provisioning(workload),
        capacity=_capacity(workload),
        late_share=late_share,
        late_percent=None if late_share is None else format_share(late_share),
        last_decision=_last_decision(workload, decision, before),
        conditions=tuple(conditions_of(workload, before, now_s)),
    )


def is_due(
    stored: PredictiveAutoscalerStatus | None, status: PredictiveAutoscalerStatus, since_s: float, late_budget: float
) -> bool:
    """Whether a status is to be written, `since_s` seconds after the stored one: at once, unless numbers only drift.

    The late share drifts, but not from one side of `late_budget` to the other.
    """
    if stored is None or status == stored:
        return stored is None
    if since_s >= _VOLATILE_EVERY_S or _is_missed(status, late_budget) != _is_missed(stored, late_budget):
        return True
    return status.model_dump(exclude=_VOLATILE) != stored.model_dump(exclude=_VOLATILE)


def _is_missed(status: PredictiveAutoscalerStatus, late_budget: float) -> bool:
    return status.late_share is not None and status.late_share > late_budget


def _forecast_peak(workload: Workload, decision: Decision) -> ForecastPeak | None:
    if not math.isfinite(decision.peak_until_lead):
        return None
    at_s = decision.now_s + decision.lead_bins * workload.spec.bin_s
    return ForecastPeak(replicas=round(decision.peak_until_lead, 2), time=time_text(at_s))


def _placeholders(workload: Workload, before: PredictiveAutoscalerStatus) -> int | None:
    if workload.autoscaler.spec.node_head_start is None:
        return None
    return workload.placeholders.desired if workload.placeholders is not None else before.placeholder_replicas


def _load_latency(workload: Workload, before: PredictiveAutoscalerStatus) -> LearnedLoadLatency:
    recent_s = workload.loads.recent_s
    if not recent_s:
        return LearnedLoadLatency()
    seen = workload.loads.latency(workload.spec.load_latency, samples_min=1)
    return LearnedLoadLatency(
        samples=len(recent_s),
        p50_seconds=round(seen.quantile_s(0.5), 1),
        p90_seconds=round(seen.quantile_s(0.9), 1),
        recent_seconds=_tenths(recent_s),
        recent_node_seconds=_tenths(workload.loads.recent_node_s),
        # A controller that was started anew has seen none yet: those that were told before still hold.
        phases=_phases(workload, before.load_latency.phases if before.load_latency else ()),
    )


def _phases(workload: Workload, before: Iterable[LoadPhase]) -> tuple[LoadPhase, ...]:
    seen = {
        str(phase): LoadPhase(
            phase=str(phase),
            samples=len(took.quantiles_s),
            p50_seconds=round(took.quantile_s(0.5), 1),
            p90_seconds=round(took.quantile_s(0.9), 1),
        )
        for phase, took in workload.loads.phases().items()
    }
    return tuple(({each.phase: each for each in before} | seen).values())


def _node_provisioning(workload: Workload) -> LearnedNodeLatency | None:
    waits_s = workload.loads.node_waits_s
    if not waits_s:
        return None
    seen = workload.loads.node_latency(workload.spec.load_latency, samples_min=1)
    return LearnedNodeLatency(
        samples=len(waits_s),
        p50_seconds=round(seen.quantile_s(0.5), 1),
        p90_seconds=round(seen.quantile_s(0.9), 1),
        recent_seconds=_tenths(waits_s),
    )


def _tenths(times_s: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(took_s, 1) for took_s in times_s)


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
    return UNKNOWING.isdisjoint(reasons)


def _rounded(share: float) -> float | None:
    return None if math.isnan(share) else round(share, 4)
