"""Placeholders that keep nodes warm: the replicas of the user's Deployment of pause pods, or CapacityBuffer.

The count is read and written once per decision, not watched: that needs no right to list what others have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from autoscaler.actuators.outcome import (
    REVERTED_S_MAX,
    WRITE_PERIOD_S,
    Action,
    ActuatorMemory,
    Entry,
    Outcome,
    outcome_of,
)
from autoscaler.api.node_head_start import PlaceholderKind
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import TargetKey
from autoscaler.kube.parse import MALFORMED
from autoscaler.kube.resources import CAPACITY_BUFFER_VERSIONS, CAPACITY_BUFFERS, Resource
from autoscaler.wording import replicas_text

NOT_FOUND, FORBIDDEN, SHARED = "PlaceholdersNotFound", "PlaceholdersForbidden", "SharedPlaceholders"
REVERTED = "PlaceholdersReverted"
# Reasons of what won't pass by itself: the placeholders can't be had.
UNPLACED = frozenset((NOT_FOUND, FORBIDDEN, SHARED, REVERTED))


@dataclass(frozen=True, slots=True)
class _Standing:
    """Placeholders as they are: how many were ordered, None where unset, and how to order so many instead."""

    replicas: int | None
    order: Callable[[int], object]


def set_placeholders(
    kube: Kube,
    autoscaler: PredictiveAutoscaler,
    placeholders: int,
    *,
    held: bool,
    now_s: float,
    memory: ActuatorMemory,
) -> Outcome:
    """Write the number of placeholders if it differs from what stands, at most once in 15 s. Never raises.

    Args:
        kube: the API.
        autoscaler: the object, which asks for placeholders.
        placeholders: how many.
        held: whether too little is known to take any away: then the number is only raised, or cut to maxReplicas.
        now_s: seconds since the epoch.
        memory: of the placeholders of all objects, changed in place.
    """
    entry = memory.of(autoscaler)
    if entry.backs_off(now_s):
        return entry.still_failing(now_s)
    try:
        outcome = _set(kube, autoscaler, placeholders, held=held, now_s=now_s, entry=entry)
    except (KubeError, *MALFORMED) as problem:
        return _refused(autoscaler, problem) or entry.failed(problem, now_s)
    if outcome.action in (Action.NONE, Action.PATCHED):
        entry.note_success()
    return entry.told(outcome)


def take_away_placeholders(kube: Kube, autoscaler: PredictiveAutoscaler, written: Collection[int]) -> Outcome:
    """Order 0 of the placeholders that nobody asks for any more. Never raises.

    Args:
        kube: the API.
        autoscaler: the object as it was when it asked for them.
        written: numbers that Headstart has ordered lately: another one is somebody else's, and stays.
    """
    name = placeholders_name(autoscaler)
    try:
        standing = _standing(kube, autoscaler)
        before = standing.replicas
        if not before or before not in written:
            message = f"{name} keeps the replicas that are ordered, {_shown(before)}"
            return Outcome(Action.NONE, "NothingToTakeAway", message, before, before)
        standing.order(0)
    except (KubeError, *MALFORMED) as problem:
        return _refused(autoscaler, problem) or outcome_of(problem)
    message = f"{name}: replicas {before} -> 0, for nobody asks for them any more"
    return Outcome(Action.PATCHED, "PlaceholdersTakenAway", message, before, 0)


def _refused(autoscaler: PredictiveAutoscaler, problem: Exception) -> Outcome | None:
    """The outcome of what a user has to mend; None for any other error."""
    if not isinstance(problem, KubeError):
        return None
    if problem.kind is KubeFailure.NOT_FOUND:
        message = f"{problem}; create {placeholders_name(autoscaler)}, or correct nodeHeadStart.placeholders"
        return Outcome(Action.REFUSED, NOT_FOUND, message)
    return Outcome(Action.REFUSED, FORBIDDEN, str(problem)) if problem.kind is KubeFailure.FORBIDDEN else None


def placeholders_name(autoscaler: PredictiveAutoscaler) -> str:
    """'Deployment llm/chat-placeholders'; '' where the object asks for none."""
    asked = autoscaler.spec.node_head_start
    return f"{asked.placeholders.kind} {autoscaler.metadata.namespace}/{asked.placeholders.name}" if asked else ""


def _set(
    kube: Kube, autoscaler: PredictiveAutoscaler, placeholders: int, *, held: bool, now_s: float, entry: Entry
) -> Outcome:
    standing, name = _standing(kube, autoscaler), placeholders_name(autoscaler)
    before = standing.replicas
    entry.find_done({before})
    if before == placeholders:
        return Outcome(Action.NONE, "InPlace", f"{name} has {replicas_text(before)} ordered", before, before)
    kept = _kept(autoscaler, before) if held else 0
    if kept is None or placeholders < kept == before:
        message = f"{name} keeps the replicas that are ordered, {_shown(before)}, while too little is known"
        return Outcome(Action.NONE, "Held", message, before, before)
    placeholders = max(placeholders, kept)
    if entry.too_soon(now_s):
        message = f"{name} was written less than {WRITE_PERIOD_S:g} s ago"
        return Outcome(Action.WAITING, "TooSoon", message, before, before)
    reverted = entry.written is not None and before != entry.written
    pause_s = min(REVERTED_S_MAX, WRITE_PERIOD_S * 2.0**entry.reverts)
    if reverted and entry.too_soon(now_s, pause_s):
        message = (
            f"somebody set the replicas of {name} to {_shown(before)}; leave them to one writer; they are written again"
            f" after {pause_s:g} s"
        )
        return Outcome(Action.WAITING, REVERTED, message, before, before)
    message = f"{name}: replicas {_shown(before)} -> {placeholders}"
    ordered = Outcome(Action.PATCHED, "PlaceholdersSet", message, before, placeholders)
    with entry.trying(ordered, now_s):
        standing.order(placeholders)
    entry.note_write(now_s, placeholders)
    entry.reverts = entry.reverts + 1 if reverted else 0
    return ordered


def _kept(autoscaler: PredictiveAutoscaler, before: int | None) -> int | None:
    """At least so many while too little is known; None: whatever stands, for no number was given.

    A CapacityBuffer without a number may stand for as many as its limits allow.
    """
    asked = autoscaler.spec.node_head_start
    assert asked is not None, "an object whose placeholders are set asks for some"
    return None if before is None else min(before, asked.placeholders.max_replicas)


def _standing(kube: Kube, autoscaler: PredictiveAutoscaler) -> _Standing:
    """The placeholders as they are now. Raises `KubeError`."""
    asked, namespace = autoscaler.spec.node_head_start, autoscaler.metadata.namespace
    assert asked is not None, "an object whose placeholders are set asks for some"
    name = asked.placeholders.name
    if asked.placeholders.kind is PlaceholderKind.DEPLOYMENT:
        key = TargetKey(namespace, "apps/v1", str(PlaceholderKind.DEPLOYMENT), name)
        scale = kube.read_scale(key)
        return _Standing(
            scale.replicas,
            lambda count: kube.patch_scale(key, replicas=count, resource_version=scale.resource_version),
        )
    resource = _capacity_buffers(kube)
    raw = kube.get(resource, namespace=namespace, name=name)
    version = str(raw["metadata"]["resourceVersion"])
    return _Standing(_count(raw["spec"]), lambda count: _order_buffer(kube, resource, namespace, name, count, version))


def _capacity_buffers(kube: Kube) -> Resource:
    """The newest version of CapacityBuffers that the cluster serves: node autoscalers differ in them."""
    missing: KubeError | None = None
    for version in CAPACITY_BUFFER_VERSIONS:
        try:
            resource = kube.resource_of(f"{CAPACITY_BUFFERS.group}/{version}", CAPACITY_BUFFERS.kind).resource
        except KubeError as problem:
            if problem.kind is not KubeFailure.NOT_FOUND:
                raise
            missing = missing or problem
            continue
        if resource.namespaced:
            return resource
        # Of the whole cluster, as the first release had them: not for whoever may edit one namespace.
        missing = KubeError(
            f"{resource.rbac_name} of this cluster belong to no namespace; install a newer definition of them",
            kind=KubeFailure.NOT_FOUND,
        )
    assert missing is not None, "there are versions to ask for"
    raise missing


def _order_buffer(kube: Kube, resource: Resource, namespace: str, name: str, count: int, version: str) -> None:
    body: dict[str, Any] = {"metadata": {"resourceVersion": version}, "spec": {"replicas": count}}
    kube.patch(resource, body, namespace=namespace, name=name)


def _count(spec: dict[str, Any]) -> int | None:
    """spec.replicas; TypeError on what is no number."""
    replicas = spec.get("replicas")
    if replicas is not None and type(replicas) is not int:
        raise TypeError(f"a number of replicas must be whole, got {replicas!r:.40}")
    return replicas


def _shown(replicas: int | None) -> str:
    return "unset" if replicas is None else str(replicas)
