"""The status of a PredictiveAutoscaler: what Headstart sees, decided and learned."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from autoscaler.api.model import Model


class ConditionType(StrEnum):
    """The conditions of an object's status."""

    READY = "Ready"
    METRICS_AVAILABLE = "MetricsAvailable"
    SCALING_ACTIVE = "ScalingActive"
    SCALING_LIMITED = "ScalingLimited"
    NODE_HEAD_START = "NodeHeadStart"


class StatusPart(Model):
    """A part of the status. The API server may hold fields of a newer version."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusPart):
    """In the manner of HorizontalPodAutoscaler's."""

    type: str = Field(description="Ready, MetricsAvailable, ScalingActive, ScalingLimited or NodeHeadStart.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, as one stable word.")
    message: str = Field(default="", description="Why, as one sentence.")
    last_transition_time: str | None = Field(
        default=None,
        description="When status last changed.",
        json_schema_extra={"format": "date-time"},
    )
    observed_generation: int | None = Field(
        default=None, description="The object's generation that it is about.", json_schema_extra={"format": "int64"}
    )


class LoadPhase(StatusPart):
    """What loads spend in one of their phases, seconds."""

    phase: str = Field(
        description="Node: waiting for a node, of the loads that did. Scheduling: of the others. Starting: image and"
        " volumes. Readying: weights, compilation, warm-up."
    )
    samples: int = Field(description="Loads that told.")
    p50_seconds: float = Field(description="Half of them took at most this.")
    p90_seconds: float = Field(description="Nine of ten took at most this.")


class LearnedLoadLatency(StatusPart):
    """Load latency as observed, seconds."""

    samples: int = Field(default=0, description="Loads seen.")
    p50_seconds: float | None = Field(default=None, description="Half of the loads took at most this.")
    p90_seconds: float | None = Field(default=None, description="Nine of ten loads took at most this.")
    recent_seconds: tuple[float, ...] = Field(
        default=(), description="The newest loads, oldest first: what a restarted controller begins with."
    )
    recent_node_seconds: tuple[float, ...] = Field(
        default=(), description="What each of them waited for a node; empty where none did."
    )
    phases: tuple[LoadPhase, ...] = Field(
        default=(),
        description="What they spent their time on, as far as it was seen.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["phase"]},
    )


class LearnedNodeLatency(StatusPart):
    """Waits for a node as observed, seconds."""

    samples: int = Field(default=0, description="Waits seen.")
    p50_seconds: float | None = Field(default=None, description="Half of the nodes took at most this.")
    p90_seconds: float | None = Field(default=None, description="Nine of ten nodes took at most this.")
    recent_seconds: tuple[float, ...] = Field(
        default=(), description="The newest waits, oldest first: what a restarted controller begins with."
    )


class LearnedCapacity(StatusPart):
    """Work per second per ready replica while saturated."""

    unit: str = Field(description="The unit of spec.demand.")
    samples: int = Field(default=0, description="Saturated bins seen.")
    per_second: float | None = Field(default=None, description="What is believed now; absent while the stated holds.")
    recent_per_second: tuple[float, ...] = Field(
        default=(), description="The newest samples, oldest first: what a restarted controller begins with."
    )


class ForecastPeak(StatusPart):
    """The largest demand expected until one load ahead, and when."""

    replicas: float = Field(description="That demand in replicas, at the chosen risk.")
    time: str = Field(description="When it is expected.", json_schema_extra={"format": "date-time"})


class LastDecision(StatusPart):
    """The newest decision that was not merely steady."""

    time: str = Field(description="When it was taken.", json_schema_extra={"format": "date-time"})
    from_replicas: int = Field(description="Replicas before, ready and loading.")
    to_replicas: int = Field(description="Replicas decided.")
    reasons: tuple[str, ...] = Field(default=(), description="Reason codes, most important first.")
    message: str = Field(default="", description="The same as one sentence, with its numbers.")


class PredictiveAutoscalerStatus(StatusPart):
    """What Headstart sees and does."""

    observed_generation: int | None = Field(
        default=None,
        description="The object's generation that the status is about.",
        json_schema_extra={"format": "int64"},
    )
    desired_replicas: int | None = Field(default=None, description="Replicas decided last.")
    current_replicas: int | None = Field(default=None, description="Replicas ordered: the workload's own number.")
    ready_replicas: int | None = Field(default=None, description="Replicas that serve.")
    loading_replicas: int | None = Field(default=None, description="Replicas ordered that don't serve yet.")
    placeholder_replicas: int | None = Field(
        default=None, description="Placeholders decided last, where nodeHeadStart is asked for."
    )
    forecast_peak: ForecastPeak | None = Field(
        default=None, description="The largest demand expected until one load ahead, and when."
    )
    load_latency: LearnedLoadLatency | None = Field(default=None, description="Load latency as observed.")
    node_provisioning: LearnedNodeLatency | None = Field(
        default=None, description="How long loads waited for a node, as observed, of those that did."
    )
    capacity: tuple[LearnedCapacity, ...] = Field(
        default=(),
        description="Work per second per ready replica while saturated, by unit.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["unit"]},
    )
    late_share: float | None = Field(default=None, description="Share of the recent work that was late, 0 to 1.")
    late_percent: str | None = Field(default=None, description="The same as a percentage, as kubectl get shows it.")
    last_decision: LastDecision | None = Field(
        default=None, description="The newest decision that was not merely steady."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready, MetricsAvailable, ScalingActive and ScalingLimited; NodeHeadStart where it is asked for.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
