"""What Headstart keeps of the cluster's objects: a few fields each, so that thousands of pods stay small.

Pure data: the live cluster and the simulated one both speak in these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class TargetKey:
    """Names a workload: 'apps/v1', 'Deployment', its namespace and its name."""

    namespace: str
    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a target. Times are seconds since the epoch; None where it hasn't happened.

    Attributes:
        uid, name, node: as in the API; node is '' before it is scheduled.
        created_s: creationTimestamp.
        scheduled_s: when PodScheduled became true.
        unschedulable: whether PodScheduled is false now because no node has room.
        started_s: when the first container of its containers that run now started.
        ready: whether its Ready condition is true now.
        ready_s: when Ready last became true; the first readiness only where it was never unready since.
        restarts: of all its containers.
        deleting: whether it has a deletionTimestamp.
        failed: whether its phase is Failed or Succeeded.
        lapsed: whether it is unready now and was Ready before: not a load, whatever its age.
    """

    uid: str
    name: str
    node: str
    created_s: float
    scheduled_s: float | None
    started_s: float | None
    ready: bool
    ready_s: float | None
    restarts: int
    deleting: bool
    failed: bool
    lapsed: bool = False
    unschedulable: bool = False


class OwnerKind(StrEnum):
    """What may own the replicas of a workload."""

    HPA = "HorizontalPodAutoscaler"
    SCALED_OBJECT = "ScaledObject"


@dataclass(frozen=True, slots=True)
class Owner:
    """An autoscaler whose scaleTargetRef names the target.

    Attributes:
        kind, namespace, name: which.
        replicas_min: its minReplicas or minReplicaCount; None where unset.
        replicas_max: its maxReplicas or maxReplicaCount; None where unset.
        paused: why it doesn't scale ('autoscaling.keda.sh/paused'), or may not be patched; '' where it scales.
        annotations: its annotations.
        resource_version: for optimistic concurrency.
        deleting: whether it has a deletionTimestamp.
        replicas_idle: a ScaledObject's idleReplicaCount: while set, its minReplicaCount doesn't hold when it is idle.
    """

    kind: OwnerKind
    namespace: str
    name: str
    replicas_min: int | None
    replicas_max: int | None
    paused: str
    annotations: Mapping[str, str]
    resource_version: str
    deleting: bool = False
    replicas_idle: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """A workload as it stands.

    Attributes:
        key: which.
        replicas: spec.replicas of its scale subresource: what was ordered.
        resource_version: of the scale subresource.
        pods: of its selector, those being deleted included.
        owners: autoscalers that own its replicas, a ScaledObject before the HPA that KEDA made for it.
        rolling: whether a rolling update is under way (pods of two revisions).
        assumed: whether nobody knows what is there: replicas and pods are then what is safe to decide by.
        unseen: whether nobody looks: replicas and pods are then taken to follow what was decided, if not assumed.
    """

    key: TargetKey
    replicas: int
    resource_version: str
    pods: tuple[Pod, ...]
    owners: tuple[Owner, ...] = ()
    rolling: bool = False
    assumed: bool = False
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A target that can't be read now.

    Attributes:
        key: which.
        reason, message: why: one line for a condition's reason and message.
        pods: of a target that was deleted, those that are left of it; None where they can't be told.
    """

    key: TargetKey
    reason: str
    message: str
    pods: tuple[Pod, ...] | None = None
