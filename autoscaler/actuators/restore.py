"""Putting the user's own lower bounds back: at the end, when the mode or the target changes, and on deletion."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from autoscaler.actuators.finalizer import FINALIZER, remove_finalizer
from autoscaler.actuators.floor import read_claim, write_plan
from autoscaler.actuators.floor_plan import Plan
from autoscaler.actuators.note import holder_of, read_note
from autoscaler.actuators.outcome import Action, Outcome, OwnerId, outcome_of
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import TargetKey
from autoscaler.kube.parse import MALFORMED, Claim, WorkloadId, parse_hpa, parse_scaled_object, workload_id
from autoscaler.kube.resources import HPAS, MIN_FIELDS, PREDICTIVE_AUTOSCALERS, SCALED_OBJECTS

log = logging.getLogger(__name__)

# Whoever stops has no next tick: against a busy owner it tries a few times.
_TRIES = 4

_NOTHING = Outcome(Action.NONE, "NothingToRestore", "no floor is in place")


@dataclass(frozen=True, slots=True)
class Held:
    """A floor that is in place: on which owner, of which workload, and for which object ('namespace/name')."""

    owner: OwnerId
    workload: WorkloadId
    by: str


def release(kube: Kube, autoscaler: PredictiveAutoscaler, held: Iterable[Held] | None = None) -> Outcome:
    """Put back the floors that an object holds, wherever its target is now, and remove its finalizer. Never raises.

    For an object that is being deleted or no longer holds floors, and for all at the end.

    Args:
        kube: the API.
        autoscaler: the object.
        held: what `find_floors` found, for whoever releases many; by default it is asked for the object's namespace.
    """
    return _guarded(partial(_release, kube, autoscaler, held))


def sweep(
    kube: Kube,
    autoscalers: Collection[PredictiveAutoscaler],
    *,
    namespaces: Iterable[str | None] = (None,),
    spared: Collection[str] = (),
) -> tuple[Outcome, ...]:
    """Put back floors that nobody holds any more: of objects that went, left Floor mode or moved to another target.

    For a new leader, once all objects are known: what isn't in `autoscalers` is taken for gone, unless the API has it.
    Then another Headstart looks after it, such as the cluster's where this one was given a file. Never raises.

    Args:
        kube: the API.
        autoscalers: all of them.
        namespaces: which to look through; None for all.
        spared: names ('namespace/name') whose floors stay: of objects that exist and can't be read.

    Returns:
        What was put back, and what failed.
    """
    holders = {
        holder_of(each): workload_id(_target_key(each))
        for each in autoscalers
        if each.spec.mode is Mode.FLOOR and each.metadata.deletion_timestamp is None
    }
    try:
        found = [held for namespace in namespaces for held in find_floors(kube, namespace)]
    except (KubeError, *MALFORMED) as problem:
        return (outcome_of(problem),)
    left = [held for held in found if held.by not in spared and holders.get(held.by) != held.workload]
    ours = {holder_of(each) for each in autoscalers}
    return tuple(_guarded(partial(_put_back_left, kube, held, ours)) for held in left)


def find_floors(kube: Kube, namespace: str | None) -> Iterator[Held]:
    """All floors of a namespace, None for all. Raises `KubeError`."""
    for resource, parse in ((SCALED_OBJECTS, parse_scaled_object), (HPAS, parse_hpa)):
        try:
            for page, _ in kube.list_pages(resource, namespace=namespace):
                for raw in page:
                    held = _held(parse, raw)
                    if held is not None:
                        yield held
        except KubeError as problem:
            # Without KEDA there are no ScaledObjects.
            if problem.kind is not KubeFailure.NOT_FOUND:
                raise


def _held(parse: Callable[[Mapping[str, Any]], Claim], raw: Mapping[str, Any]) -> Held | None:
    """The floor on an owner, None where it has none; whatever one owner is, the floors of the others are found."""
    try:
        claim = parse(raw)
        note = read_note(claim.owner)
    except MALFORMED:
        return None
    except Exception:
        log.exception("a defect of Headstart in reading an owner")
        return None
    # KEDA copies a ScaledObject's annotations to the HPA that it makes, which follows by itself.
    return Held(OwnerId.of(claim.owner), claim.workload, note.by) if note is not None and not claim.made_by else None


def restore_owner(kube: Kube, owner_id: OwnerId, holder: str) -> Outcome | None:
    """Put one lower bound back if `holder` has a floor there; None where it hasn't. Raises `KubeError`."""
    for attempt in range(_TRIES):
        try:
            owner = read_claim(kube, owner_id).owner
        except KubeError as problem:
            if problem.kind is KubeFailure.NOT_FOUND:
                return None
            raise
        note = read_note(owner)
        if note is None or note.by != holder:
            return None
        before = owner.replicas_min
        # Edited since: the user's own value stands already.
        original = note.original if before == note.written else before
        try:
            write_plan(kube, owner, Plan(original, None, original, limited=False))
        except KubeError as problem:
            if problem.kind is not KubeFailure.CONFLICT or attempt == _TRIES - 1:
                raise
            continue
        message = f"{owner}: {MIN_FIELDS[owner.kind]} {before} -> {'unset' if original is None else original}"
        return Outcome(Action.PATCHED, "FloorPutBack", f"{message}, as it was before", before, original)
    raise AssertionError("the last attempt returns or raises")


def _release(kube: Kube, autoscaler: PredictiveAutoscaler, held: Iterable[Held] | None) -> Outcome:
    holder = holder_of(autoscaler)
    if held is None:
        held = find_floors(kube, autoscaler.metadata.namespace)
    outcome = _restore(kube, [each.owner for each in held if each.by == holder], holder)
    removed = remove_finalizer(kube, autoscaler)
    if removed and outcome is _NOTHING:
        return Outcome(Action.PATCHED, "Released", "no floor is in place; the finalizer was removed")
    return outcome


def _restore(kube: Kube, owners: Iterable[OwnerId], holder: str) -> Outcome:
    outcomes = [restore_owner(kube, owner, holder) for owner in owners]
    return next((outcome for outcome in outcomes if outcome is not None), _NOTHING)


def _put_back_left(kube: Kube, held: Held, ours: Collection[str]) -> Outcome:
    """Put back a floor that none of `ours` claims, unless another Headstart's object does."""
    if held.by not in ours and _holds_floors(kube, held.by):
        return Outcome(Action.NONE, "HeldByAnother", f"another Headstart holds the floor of {held.by}")
    return _restore(kube, [held.owner], held.by)


def _holds_floors(kube: Kube, holder: str) -> bool:
    """Whether the API has an object of that name that holds floors. Raises `KubeError`."""
    namespace, _, name = holder.partition("/")
    try:
        raw = kube.get(PREDICTIVE_AUTOSCALERS, namespace=namespace, name=name)
    except KubeError as problem:
        # The annotation may name anything; and whoever has objects in files needn't be allowed to read the API's.
        if problem.kind in {KubeFailure.NOT_FOUND, KubeFailure.INVALID, KubeFailure.FORBIDDEN}:
            return False
        raise
    about = raw["metadata"]
    return FINALIZER in (about.get("finalizers") or ()) and "deletionTimestamp" not in about


def _guarded(attempt: Callable[[], Outcome]) -> Outcome:
    try:
        return attempt()
    except (KubeError, *MALFORMED) as problem:
        return outcome_of(problem)


def _target_key(autoscaler: PredictiveAutoscaler) -> TargetKey:
    reference = autoscaler.spec.scale_target_ref
    return TargetKey(autoscaler.metadata.namespace, reference.api_version, reference.kind, reference.name)
