"""The user's object, `PredictiveAutoscaler` of `headstart.dev/v1alpha1`: the single source of its schema and checks.

It validates a local YAML file, generates the schema of the CustomResourceDefinition and documents every field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from autoscaler.api.gpu_budget import GpuBudget
from autoscaler.api.model import Model, Rule
from autoscaler.api.node_head_start import NodeHeadStart
from autoscaler.api.query import Query
from autoscaler.api.scalars import CAPACITY_MAX, CAPACITY_MIN, DurationBetween, LateBudget
from autoscaler.api.schedule import NAMES_DIFFER, Schedule, TimeZone
from autoscaler.api.status import PredictiveAutoscalerStatus

GROUP = "headstart.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PredictiveAutoscaler"
PLURAL = "predictiveautoscalers"

# Autoscalers own the replicas of their workload; whoever names one as a target means that workload.
_NO_TARGETS = ("HorizontalPodAutoscaler", "ScaledObject")
# Kubernetes' own that have pods, or are one, and no scale subresource.
_UNSCALABLE = ("Pod", "DaemonSet", "Job", "CronJob")
_APPS = "apps/v1"
_OF_APPS = ("Deployment", "StatefulSet", "ReplicaSet")
# Without credentials, query and fragment; a port is 1 to 65535.
_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_SERVER_ADDRESS = rf"^https?://(\[[0-9a-fA-F:.]+\]|[^/@?#:\[\]\s]+)(:({_PORT}))?(/[^?#\s]*)?$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Selector = Annotated[str, StringConstraints(max_length=1024)]
Unit = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=63)]


class Mode(StrEnum):
    """What Headstart may touch."""

    SHADOW = "Shadow"
    FLOOR = "Floor"
    SCALE = "Scale"


class PresetName(StrEnum):
    """Sets of queries for known engines, see autoscaler.sources.presets."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TGI = "tgi"
    TRITON = "triton"
    DCGM = "dcgm"


_SELECTOR_RULE = Rule(
    field="selector",
    holds=lambda part: not part.selector or part.preset is not None,
    cel="self.selector == '' || has(self.preset)",
    message="narrows a preset's queries, and there is no preset; remove it, or put the labels into the query",
)


class ScaleTargetRef(Model):
    """The workload to scale, in the object's namespace: anything with a scale subresource."""

    api_version: Name = Field(default=_APPS, description="The workload's API version.")
    kind: Name = Field(
        default="Deployment",
        description="The workload's kind: Deployment, StatefulSet, LeaderWorkerSet or any other with a scale"
        " subresource. Not an autoscaler: one that owns the workload is found by itself.",
    )
    name: Name = Field(description="The workload's name.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="kind",
            holds=lambda target: target.kind not in _NO_TARGETS,
            cel=f"!(self.kind in {list(_NO_TARGETS)})",
            message="must be a workload, got {kind}; name what it scales (its own scaleTargetRef): mode Floor finds the"
            " autoscaler by itself",
        ),
        Rule(
            field="kind",
            holds=lambda target: target.kind not in _UNSCALABLE,
            cel=f"!(self.kind in {list(_UNSCALABLE)})",
            message="must have a scale subresource, as Deployment, StatefulSet and LeaderWorkerSet have, got {kind};"
            " name what runs the pods",
        ),
        Rule(
            field="apiVersion",
            holds=lambda target: target.api_version != _APPS or target.kind in (*_OF_APPS, *_NO_TARGETS, *_UNSCALABLE),
            cel=f"self.apiVersion != '{_APPS}' || self.kind in {[*_OF_APPS, *_NO_TARGETS, *_UNSCALABLE]}",
            message="must be the one of its kind, such as leaderworkerset.x-k8s.io/v1 for LeaderWorkerSet;"
            f" {_APPS} has {', '.join(_OF_APPS)}, got {{kind}}",
        ),
    )


class Objective(Model):
    """At most `lateBudget` of the work may wait longer than `maxWait` for a replica."""

    max_wait: Annotated[float, DurationBetween("0s", "24h")] = Field(
        default=10.0,
        description="The longest wait for a replica that is not late, queueing included and the engine's own work not."
        " The default is about what a person waits for a first word.",
    )
    late_budget: LateBudget = Field(
        default=0.01,
        description="The share of the work that may be late: 1% or '0.01' in text. Lower costs more GPU-hours; the"
        " default is one request in a hundred.",
    )


class Demand(Model):
    """One unit of work that arrives: a query for its rate, and what one replica sustains of it."""

    unit: Unit = Field(
        default="requests",
        description="What is counted, such as requests, prompt_tokens or output_tokens, by which names the presets know"
        " them. It names the series in metrics and status.",
    )
    query: Query | None = Field(
        default=None,
        description="PromQL for arrivals per second, summed to one series. Measure ahead of the engine (gateway,"
        " router): an engine's completions can't exceed its capacity, and hide the demand that it can't serve."
        " A rate needs a window of at least four scrape intervals. Exactly one of query and preset is given.",
    )
    preset: PresetName | None = Field(
        default=None, description="A known engine whose own counters give the arrivals, instead of a query."
    )
    selector: Selector = Field(
        default="",
        description='Label matchers for the preset\'s queries, without braces: namespace="chat", model_name="m".',
    )
    capacity: float = Field(
        gt=0,
        description="Work per second that one ready replica sustains within the objective. Where it is learned, this is"
        " what is believed until enough saturated bins were seen.",
    )
    learn_capacity: bool = Field(
        default=True,
        description="Whether capacity is corrected by what saturated replicas were seen to do. It needs completions and"
        " a queue length; without them capacity stays as stated.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            holds=lambda demand: (demand.query is None) != (demand.preset is None),
            cel="has(self.query) != has(self.preset)",
            message="must have exactly one of query and preset; a query of arrivals ahead of the engine is the better",
        ),
        Rule(
            field="preset",
            holds=lambda demand: demand.preset is not PresetName.DCGM,
            cel="!has(self.preset) || self.preset != 'dcgm'",
            message="must be vllm, sglang, tgi or triton, got dcgm, which measures GPUs and not what arrives;"
            " it goes under engine",
        ),
        _SELECTOR_RULE,
        Rule(
            field="capacity",
            holds=lambda demand: CAPACITY_MIN <= demand.capacity <= CAPACITY_MAX,
            cel=f"self.capacity >= {CAPACITY_MIN:g} && self.capacity <= {CAPACITY_MAX:g}",
            message=f"is out of range; it must be {CAPACITY_MIN:g} to {CAPACITY_MAX:g}",
        ),
    )


class Engine(Model):
    """What the engine says of itself. Each is optional; `preset` fills in those that aren't given."""

    preset: PresetName | None = Field(
        default=None, description="A known engine, whose queries stand in for those that aren't given here."
    )
    selector: Selector = Field(
        default="",
        description='Label matchers for the preset\'s queries, without braces: namespace="chat", model_name="m".',
    )
    queue_length: Query | None = Field(
        default=None,
        description="PromQL for the requests that wait, summed over replicas. It is drained on top of the demand.",
    )
    running: Query | None = Field(default=None, description="PromQL for the requests being served, summed.")
    kv_cache_usage: Query | None = Field(
        default=None,
        description="PromQL for the share of the KV cache in use, 0 to 1, of the fullest replica: an average counts"
        " those that still load as empty.",
    )
    completions: Query | None = Field(
        default=None, description="PromQL for completions per second, summed: with a queue it teaches the capacity."
    )
    gpu_utilization: Query | None = Field(
        default=None,
        description="PromQL for GPU utilisation, 0 to 1. A diagnostic and a veto against scaling down, never the"
        " signal: one request makes a GPU look busy.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (_SELECTOR_RULE,)


class LoadLatency(Model):
    """Time from ordering a replica to its first readiness."""

    prior: Annotated[float, DurationBetween("0s", "24h")] = Field(
        default=120.0,
        description="What a load is believed to take until enough were seen: scheduling, image, weights, warm-up; with"
        " nodeHeadStart on a ready node, else the time of a node is part of it. Too long costs GPU-hours, too short"
        " makes work late; the default is a mid-sized model from a nearby disk.",
    )
    learn: bool = Field(
        default=True, description="Whether the loads of the target's own pods replace the prior. False keeps it."
    )


class Prometheus(Model):
    """Where this object's queries go, instead of the controller's own `--prometheus`."""

    server_address: Annotated[str, StringConstraints(max_length=2048)] = Field(
        description="Base URL, such as http://prometheus.monitoring:9090, without credentials. It gets those of the"
        " controller only where it is the controller's own server."
    )
    headers: dict[
        Annotated[str, StringConstraints(max_length=256)], Annotated[str, StringConstraints(max_length=1024)]
    ] = Field(
        default={},
        max_length=16,
        description="Sent with every request, such as X-Scope-OrgID for a tenant. Whoever may read the object reads"
        " them: no place for secrets.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="serverAddress",
            holds=lambda prometheus: _is_server_address(prometheus.server_address),
            cel="self.serverAddress.matches('" + _SERVER_ADDRESS.replace("\\", "\\\\") + "')",
            message="must be a URL such as http://prometheus.monitoring:9090, without credentials or query,"
            " got {serverAddress}",
        ),
    )


class PredictiveAutoscalerSpec(Model):
    """What the user states."""

    scale_target_ref: ScaleTargetRef = Field(
        description="The workload to scale, in the object's namespace: anything with a scale subresource."
    )
    mode: Mode = Field(
        default=Mode.SHADOW,
        description="What Headstart may touch. Shadow, the default: nothing, it only reports. Floor: the minimum of the"
        " ScaledObject or HorizontalPodAutoscaler that owns the workload, which stays the one writer of replicas."
        " Scale: the workload's replicas, refused where an autoscaler owns them.",
    )
    min_replicas: int = Field(
        default=1, ge=0, le=100_000, description="Fewest replicas, ready and loading together. 0 allows none at all."
    )
    max_replicas: int = Field(ge=1, le=100_000, description="Most replicas, ready and loading together.")
    interval: Annotated[float, DurationBetween("1s", "1h", whole=True)] = Field(
        default=60.0,
        description="Time from one decision to the next and width of a bin of demand, in whole seconds, at which"
        " Prometheus is asked. Shorter reacts sooner and sees more noise; the default is a fraction of most loads.",
    )
    history: Annotated[float, DurationBetween("1s", "2160h")] = Field(
        default=14 * 86_400.0,
        description="How far back demand is read at start and kept. The default, two weeks (336h), is the least that"
        " shows a weekly season twice.",
    )
    objective: Objective = Field(
        default=Objective(), description="At most lateBudget of the work may wait longer than maxWait for a replica."
    )
    demand: tuple[Demand, ...] = Field(
        min_length=1,
        max_length=8,
        description="The work that arrives, one entry per unit. The need is the largest over them.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["unit"]},
    )
    engine: Engine | None = Field(
        default=None,
        description="What the engine says of itself: backlog and saturation. Without it there is demand only, which is"
        " enough to scale by.",
    )
    load_latency: LoadLatency = Field(
        default=LoadLatency(), description="Time from ordering a replica to its first readiness."
    )
    time_zone: TimeZone = Field(
        default="UTC",
        description="The IANA time zone whose clocks the users of this workload live by, such as Europe/Berlin: the"
        " forecast's days and weeks follow when these change. Events have a timeZone of their own.",
    )
    schedule: Schedule = ()
    gpu_budget: GpuBudget | None = Field(
        default=None,
        description="The GPU budget that it shares with others. Its minReplicas are guaranteed in it; in mode Scale the"
        " budget is never exceeded, in mode Floor by what others add only.",
    )
    node_head_start: NodeHeadStart | None = Field(
        default=None,
        description="Placeholders that keep nodes warm ahead of loads, as many as the forecast one node and one load"
        " ahead wants beyond the replicas. Where nodes need no provisioning it is of no use.",
    )
    prometheus: Prometheus | None = Field(
        default=None, description="Where this object's queries go, instead of the controller's own --prometheus."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="minReplicas",
            holds=lambda spec: spec.min_replicas <= spec.max_replicas,
            cel="self.minReplicas <= self.maxReplicas",
            message="must be at most maxReplicas ({maxReplicas}), got {minReplicas}; lower it or raise maxReplicas",
        ),
        Rule(
            field="history",
            holds=lambda spec: spec.history >= spec.interval,
            cel="duration(self.history) >= duration(self.interval)",
            message="must be at least one interval ({interval}), got {history}",
        ),
        Rule(
            field="demand",
            holds=lambda spec: len({demand.unit for demand in spec.demand}) == len(spec.demand),
            cel="",  # the list is a map keyed by unit
            message="must have each unit once; give the second of two equal units another name",
        ),
        NAMES_DIFFER,
        Rule(
            field="schedule",
            holds=lambda spec: all((event.at_least or 0) <= spec.max_replicas for event in spec.schedule),
            cel="self.schedule.all(event, !has(event.atLeast) || event.atLeast <= self.maxReplicas)",
            message="must ask for at most maxReplicas ({maxReplicas}) with atLeast; lower it or raise maxReplicas",
        ),
        Rule(
            field="nodeHeadStart",
            holds=lambda spec: spec.node_head_start is None or spec.gpu_budget is None,
            cel="!has(self.nodeHeadStart) || !has(self.gpuBudget)",
            message="can't stand beside gpuBudget, which doesn't count the GPUs that placeholders hold; remove one of"
            " the two",
        ),
        Rule(
            field="nodeHeadStart",
            holds=lambda spec: not _is_own_placeholder(spec),
            cel="!has(self.nodeHeadStart) || self.nodeHeadStart.placeholders.kind != self.scaleTargetRef.kind"
            " || self.nodeHeadStart.placeholders.name != self.scaleTargetRef.name",
            message="must have placeholders other than the workload to scale; name a Deployment of pause pods, or a"
            " CapacityBuffer",
        ),
    )


def _is_own_placeholder(spec: PredictiveAutoscalerSpec) -> bool:
    """Whether the workload to scale would be its own placeholder."""
    target, head_start = spec.scale_target_ref, spec.node_head_start
    if head_start is None:
        return False
    return (target.kind, target.name) == (head_start.placeholders.kind, head_start.placeholders.name)


class Metadata(Model):
    """The part of an object's metadata that Headstart reads."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
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

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """The object that a manifest states, by the API server's own grammar: text isn't a number, nor the reverse.

        A status that doesn't read (another version wrote it) counts as none: what was learned is learned again.

        Raises:
            pydantic.ValidationError: the rest doesn't read; `autoscaler.api.problems` puts it in words.
        """
        metadata = manifest.get("metadata")
        if isinstance(metadata, Mapping):
            metadata = {name: value for name, value in metadata.items() if value is not None}
        stated = {**manifest, "metadata": metadata, "status": _readable_status(manifest.get("status"))}
        return cls.model_validate_json(json.dumps(stated), strict=True, by_alias=True, by_name=False)


def _readable_status(status: object) -> object:
    try:
        PredictiveAutoscalerStatus.model_validate_json(json.dumps(status), strict=True, by_alias=True, by_name=False)
    except ValidationError:
        return None
    return status


def _is_server_address(address: str) -> bool:
    return re.fullmatch(_SERVER_ADDRESS, address) is not None
