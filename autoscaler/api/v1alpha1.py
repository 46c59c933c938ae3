"""The user's object, `PredictiveAutoscaler` of `headstart.dev/v1alpha1`: the single source of its schema and checks.

It validates a local YAML file, generates the schema of the CustomResourceDefinition and documents every field.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from autoscaler.api.scalars import Duration, Share

GROUP = "headstart.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PredictiveAutoscaler"
PLURAL = "predictiveautoscalers"


class Model(BaseModel):
    """Frozen; YAML names are in camel case; an unknown field is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)


class Mode(StrEnum):
    """What Headstart may touch."""

    SHADOW = "Shadow"
    FLOOR = "Floor"
    SCALE = "Scale"


class ScaleTargetRef(Model):
    """The workload to scale, in the object's namespace: anything with a scale subresource."""

    api_version: str = "apps/v1"
    kind: str = "Deployment"
    name: str = Field(min_length=1)


class Objective(Model):
    """At most `lateBudget` of the work may wait longer than `maxWait` for a replica."""

    max_wait: Duration = Field(default=10.0)
    late_budget: Share = Field(default=0.01)


class Demand(Model):
    """One unit of work that arrives: a query for its rate, and what one replica sustains of it."""

    unit: str = "requests"
    query: str | None = None
    preset: str | None = None
    selector: str = ""
    capacity: float = Field(gt=0)
    learn_capacity: bool = True


class Engine(Model):
    """What the engine says of itself. Each is optional; `preset` fills in those that aren't given."""

    preset: str | None = None
    selector: str = ""
    queue_length: str | None = None
    running: str | None = None
    kv_cache_usage: str | None = None
    completions: str | None = None
    gpu_utilization: str | None = None


class LoadLatency(Model):
    """Time from ordering a replica to its first readiness."""

    prior: Duration = Field(default=120.0)
    learn: bool = True


class Prometheus(Model):
    """Where this object's queries go, instead of the controller's own `--prometheus`."""

    server_address: str
    headers: dict[str, str] = Field(default_factory=dict)


class PredictiveAutoscalerSpec(Model):
    """What the user states."""

    scale_target_ref: ScaleTargetRef
    mode: Mode = Mode.SHADOW
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(ge=1)
    interval: Duration = Field(default=60.0)
    history: Duration = Field(default=14 * 86_400.0)
    objective: Objective = Field(default_factory=Objective)
    demand: tuple[Demand, ...] = Field(min_length=1)
    engine: Engine | None = None
    load_latency: LoadLatency = Field(default_factory=LoadLatency)
    prometheus: Prometheus | None = None


class Condition(Model):
    """In the manner of HorizontalPodAutoscaler's."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int | None = None


class LearnedLoadLatency(Model):
    """Load latency as observed, seconds."""

    samples: int = 0
    p50_seconds: float | None = None
    p90_seconds: float | None = None
    recent_seconds: tuple[float, ...] = ()


class LearnedCapacity(Model):
    """Work per second per ready replica while saturated."""

    unit: str
    samples: int = 0
    per_second: float | None = None
    recent_per_second: tuple[float, ...] = ()


class ForecastPeak(Model):
    """The largest demand expected until one load ahead, and when."""

    replicas: float
    time: str


class LastDecision(Model):
    """The newest decision that was not merely steady."""

    time: str
    from_replicas: int
    to_replicas: int
    reasons: tuple[str, ...] = ()
    message: str = ""


class PredictiveAutoscalerStatus(Model):
    """What Headstart sees and does."""

    # The API server may hold fields of a newer version.
    model_config = ConfigDict(extra="ignore")

    observed_generation: int | None = None
    desired_replicas: int | None = None
    current_replicas: int | None = None
    ready_replicas: int | None = None
    loading_replicas: int | None = None
    forecast_peak: ForecastPeak | None = None
    load_latency: LearnedLoadLatency | None = None
    capacity: tuple[LearnedCapacity, ...] = ()
    late_share: float | None = None
    last_decision: LastDecision | None = None
    conditions: tuple[Condition, ...] = ()


class Metadata(Model):
    """The part of an object's metadata that Headstart reads."""

    model_config = ConfigDict(extra="ignore")

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: str | None = None
    annotations: dict[str, str] = Field(default_factory=dict)


class PredictiveAutoscaler(Model):
    """One object."""

    api_version: Literal["headstart.dev/v1alpha1"]
    kind: Literal["PredictiveAutoscaler"]
    metadata: Metadata
    spec: PredictiveAutoscalerSpec
    status: PredictiveAutoscalerStatus | None = None
