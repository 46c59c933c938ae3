"""A ScaledObject as KEDA reads it, as far as an external trigger goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.api.scalars import parse_share
from autoscaler.errors import UsageError
from autoscaler.keda.metric import METRIC_NAME
from autoscaler.kube.facts import TargetKey

PUSH = "external-push"
TYPES = ("external", PUSH)
# Of a fallback's behaviors.
_RELEASE = ("static", "currentReplicasIfLower")
_METRIC_TYPES = ("AverageValue", "Value")
_NAMESPACE = "default"
# Annotations that stop KEDA, or the HorizontalPodAutoscaler that it makes, one way.
PAUSED, PAUSED_REPLICAS, PAUSED_IN, PAUSED_OUT = (
    f"autoscaling.keda.sh/paused{ending}" for ending in ("", "-replicas", "-scale-in", "-scale-out")
)
# What Go reads as false; KEDA takes anything else as true.
_FALSE = ("0", "f", "F", "false", "False", "FALSE")

Parts = tuple[str | int, ...]
# Where in its source something is: 'chat.yaml:14: spec.triggers[0]'.
Place = Callable[[Parts], str]


@dataclass(frozen=True, slots=True)
class Trigger:
    """An external trigger.

    Attributes:
        index: its place among all triggers, which KEDA puts in front of the metric's name.
        push: whether it is pushed to.
        address: host and port.
        metadata: all of it, as KEDA passes it on.
        metric_type: AverageValue or Value.
        tls: whether the metadata asks for TLS; an authority or a client's certificate does so as well.
        unsafe: whether it asks to take any certificate.
        cached: whether the HPA gets what the last poll saw.
        unresolved: keys whose value is in the workload's environment, which only KEDA reads.
        place: where it is.
    """

    index: int
    push: bool
    address: str
    metadata: Mapping[str, str]
    metric_type: str
    tls: bool
    unsafe: bool
    cached: bool
    unresolved: tuple[str, ...]
    place: str

    @property
    def metric(self) -> str:
        """The metric's name in the HorizontalPodAutoscaler."""
        return f"s{self.index}-{METRIC_NAME}"


@dataclass(frozen=True, slots=True)
class Fallback:
    """What KEDA does after more than `failures_max` failures in a row: want `replicas`, as `behavior` says."""

    failures_max: int
    replicas: int
    behavior: str

    @property
    def releases(self) -> bool:
        """Whether it can take away replicas that there are."""
        return self.behavior in _RELEASE


@dataclass(frozen=True, slots=True)
class ScaledObject:
    """What matters of one.

    Attributes:
        namespace: where it is.
        assumed_namespace: whether nobody says so.
        name: its name.
        target: the workload.
        replicas_min: its minReplicaCount.
        replicas_idle: its idleReplicaCount, which goes before the minimum while no trigger is active; None without one.
        replicas_max: its maxReplicaCount.
        polling_s: its pollingInterval.
        fallback: None without one.
        tolerance_up: of its HPA's behavior; None where it has none, and the cluster's counts.
        tolerance_down: likewise.
        formula: whether a formula over all triggers decides what is active, and what the HPA sees.
        pauses: annotation that pauses it -> its value.
        triggers: the external ones.
    """

    namespace: str
    assumed_namespace: bool
    name: str
    target: TargetKey
    replicas_min: int
    replicas_idle: int | None
    replicas_max: int
    polling_s: int
    fallback: Fallback | None
    tolerance_up: float | None
    tolerance_down: float | None
    formula: bool
    pauses: Mapping[str, str]
    triggers: tuple[Trigger, ...]

    @property
    def rests_at_zero(self) -> bool:
        """Whether KEDA takes it to zero while no trigger is active."""
        return (self.replicas_min if self.replicas_idle is None else self.replicas_idle) == 0

    def clamped(self, replicas: int) -> int:
        """Within the bounds of the HPA that KEDA makes, whose least is 1."""
        return min(max(replicas, self.replicas_min, 1), self.replicas_max)


def scaled_object_of(manifest: Mapping[str, Any], place: Place, namespace: str | None = None) -> ScaledObject:
    """What a manifest states; `namespace` is that of one which names none.

    Raises:
        UsageError: KEDA would refuse it; one line that says where.
    """
    reader = _Reader(manifest, place)
    assumed_namespace = namespace is None and reader.get(("metadata", "namespace")) is None
    namespace = reader.text(("metadata", "namespace"), namespace or _NAMESPACE)
    replicas_max = reader.whole(("spec", "maxReplicaCount"), 100)
    replicas_min = reader.whole(("spec", "minReplicaCount"), 0)
    if replicas_min > replicas_max:
        raise reader.wrong(("spec", "minReplicaCount"), f"must be at most maxReplicaCount ({replicas_max})")
    replicas_idle = None
    if reader.get(("spec", "idleReplicaCount")) is not None:
        replicas_idle = reader.whole(("spec", "idleReplicaCount"), None)
        if replicas_idle >= replicas_min:
            raise reader.wrong(("spec", "idleReplicaCount"), f"must be below minReplicaCount ({replicas_min})")
    fallback = None
    if reader.get(("spec", "fallback")) is not None:
        failures_max = reader.whole(("spec", "fallback", "failureThreshold"), None)
        replicas = reader.whole(("spec", "fallback", "replicas"), None)
        fallback = Fallback(failures_max, replicas, reader.text(("spec", "fallback", "behavior"), "static"))
    target = ("spec", "scaleTargetRef")
    return ScaledObject(
        namespace=namespace,
        assumed_namespace=assumed_namespace,
        name=reader.text(("metadata", "name"), None),
        target=TargetKey(
            namespace,
            reader.text((*target, "apiVersion"), "apps/v1"),
            reader.text((*target, "kind"), "Deployment"),
            reader.text((*target, "name"), None),
        ),
        replicas_min=replicas_min,
        replicas_idle=replicas_idle,
        replicas_max=replicas_max,
        polling_s=reader.whole(("spec", "pollingInterval"), 30),
        fallback=fallback,
        tolerance_up=_tolerance(reader, "scaleUp"),
        tolerance_down=_tolerance(reader, "scaleDown"),
        formula=bool(reader.get(("spec", "advanced", "scalingModifiers", "formula"))),
        pauses=_pauses(reader),
        triggers=tuple(_triggers(reader)),
    )


class _Reader:
    """Values of a manifest by path, with the place of what is wrong."""

    def __init__(self, manifest: Mapping[str, Any], place: Place) -> None:
        self._manifest = manifest
        self._place = place

    def get(self, path: Parts) -> Any:
        value: Any = self._manifest
        for part in path:
            if isinstance(part, int):
                value = value[part]
            elif isinstance(value, dict):
                value = value.get(part)
            else:
                return None
        return value

    def text(self, path: Parts, default: str | None) -> str:
        value = self.get(path)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise self.wrong(path, "must be text")
        return value

    def whole(self, path: Parts, default: int | None) -> int:
        value = self.get(path)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(path, "must be a whole number, 0 or more")
        return value

    def wrong(self, path: Parts, allowed: str) -> UsageError:
        value = self.get(path)
        return UsageError(f"{self._place(path)}: {allowed}" + ("" if value is None else f", got {value!r}"))

    def place(self, path: Parts) -> str:
        return self._place(path)


def path_text(path: Parts) -> str:
    """'spec.triggers[0].metadata.query'."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _triggers(reader: _Reader) -> Iterator[Trigger]:
    stated = reader.get(("spec", "triggers"))
    if not isinstance(stated, list) or not stated:
        raise reader.wrong(("spec", "triggers"), "must be a list of at least one trigger")
    for index in range(len(stated)):
        path: Parts = ("spec", "triggers", index)
        if reader.text((*path, "type"), None) in TYPES:
            yield _trigger(reader, path, index)


def _trigger(reader: _Reader, path: Parts, index: int) -> Trigger:
    stated = reader.get((*path, "metadata"))
    if not isinstance(stated, dict):
        raise reader.wrong((*path, "metadata"), "must be a mapping of text to text")
    for key, value in stated.items():
        if not isinstance(value, str):
            raise reader.wrong((*path, "metadata", key), "must be text; put it in quotes")
    metric_type = reader.text((*path, "metricType"), _METRIC_TYPES[0])
    if metric_type not in _METRIC_TYPES:
        raise reader.wrong((*path, "metricType"), f"must be {' or '.join(_METRIC_TYPES)} in an external trigger")
    unresolved = tuple(sorted(key for key in stated if key.endswith("FromEnv")))
    return Trigger(
        index=index,
        push=reader.get((*path, "type")) == PUSH,
        address=reader.text((*path, "metadata", "scalerAddress"), None),
        metadata={key: value for key, value in stated.items() if key not in unresolved},
        metric_type=metric_type,
        tls=_flag(reader, (*path, "metadata", "enableTLS")),
        unsafe=_flag(reader, (*path, "metadata", "unsafeSsl")),
        cached=reader.get((*path, "useCachedMetrics")) is True,
        unresolved=unresolved,
        place=reader.place(path),
    )


def _pauses(reader: _Reader) -> dict[str, str]:
    stated = {name: reader.get(("metadata", "annotations", name)) for name in (PAUSED, PAUSED_IN, PAUSED_OUT)}
    pauses = {name: str(value) for name, value in stated.items() if value is not None and str(value) not in _FALSE}
    replicas = reader.get(("metadata", "annotations", PAUSED_REPLICAS))
    return pauses if replicas is None else pauses | {PAUSED_REPLICAS: str(replicas)}


def _flag(reader: _Reader, path: Parts) -> bool:
    value = reader.get(path)
    if value is not None and value not in ("true", "false"):
        raise reader.wrong(path, "must be 'true' or 'false'")
    return bool(value == "true")


def _tolerance(reader: _Reader, way: str) -> float | None:
    path = ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", way, "tolerance")
    value = reader.get(path)
    if value is None:
        return None
    text = str(value)
    try:  # a quantity of Kubernetes: 0.05 or 50m
        return float(text[:-1]) / 1_000.0 if text.endswith("m") else parse_share(text)
    except ValueError:
        raise reader.wrong(path, "must be a share such as '0.05' or '50m'") from None
