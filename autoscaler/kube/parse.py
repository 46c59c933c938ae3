"""From the API's JSON to the few facts that are kept.

Each function raises one of MALFORMED where an object isn't what its kind promises: whoever reads many objects reports
the one and goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from autoscaler.api.problems import problems_of
from autoscaler.api.v1alpha1 import (
    API_VERSION,
    KIND,
    Demand,
    Mode,
    PredictiveAutoscaler,
    PredictiveAutoscalerSpec,
    ScaleTargetRef,
)
from autoscaler.kube.facts import Owner, OwnerKind, Pod, TargetKey
from autoscaler.kube.selectors import Selector, selector_of

MALFORMED = (KeyError, TypeError, ValueError, AttributeError)

KEDA_GROUP = "keda.sh"
_PAUSED = "autoscaling.keda.sh/paused"
_PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
_PAUSED_OUT = "autoscaling.keda.sh/paused-scale-out"
# What Go's strconv.ParseBool takes for false; KEDA takes anything else that is no boolean for true.
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
# A copy of the whole object, of no use here.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SCALED_IN_PLACE = frozenset(("Deployment", "StatefulSet", "ReplicaSet"))
# Times in the API are whole seconds; a pod's first status may be written in the second its container starts.
_SAME_TIME_S = 1.0
# Of an object whose spec could never be read: nothing is decided by it, and its target has a name that nothing has. A
# floor that it may hold is put back as those of mode Floor are: at the end, and when the object goes.
UNREAD_SPEC = PredictiveAutoscalerSpec(
    scale_target_ref=ScaleTargetRef(name="-"),
    mode=Mode.FLOOR,
    max_replicas=1,
    demand=(Demand(query="vector(0)", capacity=1.0),),
)


@dataclass(frozen=True, slots=True)
class LabelledPod:
    """A pod and the labels that selectors ask for."""

    pod: Pod
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class WorkloadId:
    """A workload whatever version of its API names it: an HPA may say 'apps/v1' and the user 'apps/v1beta2'."""

    namespace: str
    group: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """An autoscaler and the workload that it scales; `made_by` names the ScaledObject that made it, '' for none."""

    owner: Owner
    workload: WorkloadId
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A scaled object as its own watch tells.

    Attributes:
        resource_version: as in the API.
        rolling: whether its pods are being replaced by those of a new revision.
        deleting: whether it has a deletionTimestamp.
        replicas, selector: of kinds that keep them where their scale subresource does (Deployment, StatefulSet,
            ReplicaSet of apps); None for others, whose scale subresource must be read.
    """

    resource_version: str
    rolling: bool
    deleting: bool
    replicas: int | None = None
    selector: Selector | None = None


def parse_time_s(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time such as '2026-01-31T12:00:00Z'."""
    return datetime.fromisoformat(text).timestamp()


def workload_id(key: TargetKey) -> WorkloadId:
    """The workload that a key names."""
    return WorkloadId(key.namespace, group_of(key.api_version), key.kind, key.name)


def group_of(api_version: str) -> str:
    """'apps' of 'apps/v1', '' of 'v1'."""
    return api_version.rpartition("/")[0]


def parse_pod(raw: Mapping[str, Any]) -> LabelledPod:
    """A pod."""
    about, status = raw["metadata"], raw.get("status") or {}
    ready, unschedulable, scheduled_s, ready_s, unready_s = False, False, None, None, None
    for condition in status.get("conditions") or ():
        if condition["type"] == "Ready":
            ready = condition["status"] == "True"
            changed_s = _time_s(condition.get("lastTransitionTime"))
            ready_s, unready_s = (changed_s, None) if ready else (None, changed_s)
        elif condition["type"] == "PodScheduled" and condition["status"] == "True":
            scheduled_s = _time_s(condition.get("lastTransitionTime"))
        elif condition["type"] == "PodScheduled":
            # Unlike SchedulingGated: that one waits for somebody's leave.
            unschedulable = condition.get("reason") == "Unschedulable"
    containers = status.get("containerStatuses") or ()
    starts_s = [
        parse_time_s(running["startedAt"])
        for container in containers
        if (running := (container.get("state") or {}).get("running")) and running.get("startedAt")
    ]
    # Ready is false from before its containers start; a later time says that it was true in between.
    lapsed = (
        unready_s is not None
        and bool(starts_s)
        and len(starts_s) == len(containers)
        and unready_s > max(starts_s) + _SAME_TIME_S
    )
    pod = Pod(
        uid=about["uid"],
        name=about["name"],
        node=sys.intern((raw.get("spec") or {}).get("nodeName") or ""),
        created_s=parse_time_s(about["creationTimestamp"]),
        scheduled_s=scheduled_s,
        started_s=min(starts_s, default=None),
        ready=ready,
        ready_s=ready_s,
        restarts=_restarts(containers) + _restarts(status.get("initContainerStatuses") or ()),
        deleting="deletionTimestamp" in about,
        failed=status.get("phase") in ("Failed", "Succeeded"),
        lapsed=lapsed,
        unschedulable=unschedulable,
    )
    labels = {sys.intern(key): sys.intern(value) for key, value in (about.get("labels") or {}).items()}
    return LabelledPod(pod, labels)


def parse_hpa(raw: Mapping[str, Any]) -> Claim:
    """A HorizontalPodAutoscaler of autoscaling/v2."""
    spec = raw["spec"]
    makers = (
        reference["name"]
        for reference in raw["metadata"].get("ownerReferences") or ()
        if reference["kind"] == OwnerKind.SCALED_OBJECT and group_of(reference["apiVersion"]) == KEDA_GROUP
    )
    owner = _owner(raw, OwnerKind.HPA, replicas_min=spec.get("minReplicas"), replicas_max=spec.get("maxReplicas"))
    return Claim(owner, _workload_of(raw, default_kind=None), made_by=next(makers, ""))


def parse_scaled_object(raw: Mapping[str, Any]) -> Claim:
    """A ScaledObject of keda.sh/v1alpha1."""
    spec = raw["spec"]
    owner = _owner(
        raw,
        OwnerKind.SCALED_OBJECT,
        replicas_min=spec.get("minReplicaCount"),
        replicas_max=spec.get("maxReplicaCount"),
        replicas_idle=spec.get("idleReplicaCount"),
        paused=_paused(raw["metadata"].get("annotations") or {}),
    )
    return Claim(owner, _workload_of(raw, default_kind="Deployment"))


def parse_workload(raw: Mapping[str, Any], *, group: str, kind: str) -> Workload:
    """A target of a kind (a list's items don't say theirs)."""
    about = raw["metadata"]
    version, deleting = about["resourceVersion"], "deletionTimestamp" in about
    if group != "apps" or kind not in _SCALED_IN_PLACE:
        return Workload(version, rolling=False, deleting=deleting)
    given = _count(raw["spec"].get("replicas"))
    replicas = 1 if given is None else given
    return Workload(
        version,
        rolling=kind != "ReplicaSet" and _rolling(raw, kind, replicas),
        deleting=deleting,
        replicas=replicas,
        selector=selector_of(raw["spec"]["selector"]),
    )


def parse_autoscaler(raw: Mapping[str, Any]) -> PredictiveAutoscaler:
    """A PredictiveAutoscaler; ValueError names its first mistake."""
    try:
        return PredictiveAutoscaler.from_manifest(raw)
    except ValidationError as problem:
        found = problems_of(problem, PredictiveAutoscaler)
        raise ValueError(str(found[0]) if found else str(problem)) from problem


def unread_autoscaler(raw: Mapping[str, Any], former: PredictiveAutoscaler | None) -> PredictiveAutoscaler | None:
    """A PredictiveAutoscaler whose spec can't be read, with the last one that could, or else UNREAD_SPEC.

    Its metadata tells all the same which edit that was, and whether it is being deleted. None without any to read.
    """
    told = {"metadata": raw.get("metadata"), "status": raw.get("status")}
    stated = {"apiVersion": API_VERSION, "kind": KIND, "spec": UNREAD_SPEC.to_manifest(), **told}
    try:
        seen = PredictiveAutoscaler.from_manifest(stated)
    except ValidationError:
        return former
    if former is None or former.metadata.uid != seen.metadata.uid:
        return seen.model_copy(update={"spec": UNREAD_SPEC})
    return seen.model_copy(update={"spec": former.spec})


def _time_s(text: str | None) -> float | None:
    return parse_time_s(text) if text else None


def _restarts(containers: Iterable[Mapping[str, Any]]) -> int:
    return sum(container.get("restartCount") or 0 for container in containers)


def _count(given: object) -> int | None:
    """A number of replicas; TypeError on anything else, which must not pass for 'unset'."""
    if given is not None and not (isinstance(given, int) and not isinstance(given, bool)):
        raise TypeError(f"a number of replicas must be whole, got {given!r}")
    return given


def _owner(
    raw: Mapping[str, Any],
    kind: OwnerKind,
    *,
    replicas_min: object,
    replicas_max: object,
    replicas_idle: object = None,
    paused: str = "",
) -> Owner:
    about = raw["metadata"]
    return Owner(
        kind=kind,
        namespace=about["namespace"],
        name=about["name"],
        replicas_min=_count(replicas_min),
        replicas_max=_count(replicas_max),
        paused=paused,
        annotations={key: value for key, value in (about.get("annotations") or {}).items() if key != _LAST_APPLIED},
        resource_version=about["resourceVersion"],
        deleting="deletionTimestamp" in about,
        replicas_idle=_count(replicas_idle),
    )


def _workload_of(raw: Mapping[str, Any], *, default_kind: str | None) -> WorkloadId:
    """The workload of a scaleTargetRef; KEDA's defaults to a Deployment of apps."""
    reference = raw["spec"]["scaleTargetRef"]
    kind = reference.get("kind") or default_kind
    if kind is None:
        raise ValueError("scaleTargetRef has no kind")
    group = group_of(reference["apiVersion"]) if reference.get("apiVersion") else "apps"
    return WorkloadId(raw["metadata"]["namespace"], group, kind, reference["name"])


def _paused(annotations: Mapping[str, str]) -> str:
    """The annotation by which a ScaledObject doesn't scale out, '' where it does.

    'paused-replicas' pauses whatever its value. 'paused-scale-out' leaves the HPA, whose minReplicas would lift the
    replicas all the same: against what the user asked for.
    """
    if _PAUSED_REPLICAS in annotations:
        return _PAUSED_REPLICAS
    return next((name for name in (_PAUSED, _PAUSED_OUT) if annotations.get(name, "false") not in _FALSE), "")


def _rolling(raw: Mapping[str, Any], kind: str, replicas: int) -> bool:
    """Whether a rollout is under way. One that waits for the user (paused, OnDelete, a partition reached) is not."""
    spec, status = raw["spec"], raw.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if spec.get("paused") or strategy.get("type") == "OnDelete":
        return False
    if (raw["metadata"].get("generation") or 0) > (status.get("observedGeneration") or 0):
        return True
    updated, there = status.get("updatedReplicas") or 0, status.get("replicas") or 0
    if kind == "StatefulSet":
        if status.get("currentRevision") == status.get("updateRevision"):
            return False
        partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
        there = min(there, max(0, replicas - partition))
    return updated < there
