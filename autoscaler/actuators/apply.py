"""Carrying out a decision in the object's mode. Nothing here knows a clock, and no failure of the API escapes."""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.floor import held_by_another, hold_floor
from autoscaler.actuators.floor_plan import choose_owner
from autoscaler.actuators.note import holder_of, read_note
from autoscaler.actuators.outcome import Action, ActuatorMemory, Entry, Outcome, OwnerId
from autoscaler.actuators.restore import release, restore_owner
from autoscaler.actuators.scale import order_replicas, owned
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError
from autoscaler.kube.facts import OwnerKind, Target
from autoscaler.kube.parse import MALFORMED
from autoscaler.wording import replicas_text


def apply(
    kube: Kube,
    autoscaler: PredictiveAutoscaler,
    target: Target,
    desired: int,
    *,
    now_s: float,
    memory: ActuatorMemory,
    leads: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Write the decision `desired` if it differs from what stands, at most once in 15 s. Never raises.

    A write that meets a change made since the snapshot is a CONFLICT: the next tick decides anew. One that fails is
    tried again by the following ticks, ever less often. One whose answer was lost is WAITING, and PATCHED once what it
    wrote is seen and no newer order waits, or with that one. Shadow and Scale put back a floor that the object still
    holds from an earlier mode, and otherwise leave owners alone; Shadow writes nothing else.

    Args:
        kube: the API.
        autoscaler: the object.
        target: its workload, as of this tick.
        desired: replicas, within the object's own bounds.
        now_s: seconds since the epoch.
        memory: of all objects, changed in place.
        leads: whether this process may still write; asked before a write that met a conflict is sent again.
    """
    entry = memory.of(autoscaler)
    _find_done(target, entry)
    if entry.backs_off(now_s):
        return entry.still_failing(now_s)
    try:
        outcome = _apply(kube, autoscaler, target, desired, now_s=now_s, memory=memory, leads=leads)
    except (KubeError, *MALFORMED) as problem:
        return entry.failed(problem, now_s)
    if outcome.failed:
        entry.note_failure(now_s, outcome.message, retry_after_s=0.0)
    elif outcome.action in (Action.NONE, Action.PATCHED):
        entry.note_success()
    return entry.told(outcome)


def refusal(autoscaler: PredictiveAutoscaler, target: Target) -> Outcome | None:
    """Why a decision would not be carried out, as far as the target's owners tell; None where it would. Asks nobody."""
    if autoscaler.spec.mode is not Mode.FLOOR:
        return owned(target)
    owner = choose_owner(target)
    return owner if isinstance(owner, Outcome) else held_by_another(owner, holder_of(autoscaler))


def _find_done(target: Target, entry: Entry) -> None:
    """Look whether a write whose answer was lost was carried out, where it was written."""
    if entry.unanswered_owner is None:
        entry.find_done({target.replicas})
    elif entry.find_done(
        {owner.replicas_min for owner in target.owners if OwnerId.of(owner) == entry.unanswered_owner}
    ):
        # As after a restart: the note beside the floor tells the rest.
        entry.owner, entry.written, entry.original = None, None, None


def _apply(
    kube: Kube,
    autoscaler: PredictiveAutoscaler,
    target: Target,
    desired: int,
    *,
    now_s: float,
    memory: ActuatorMemory,
    leads: Callable[[], bool],
) -> Outcome:
    about, entry = autoscaler.metadata, memory.of(autoscaler)
    if about.deletion_timestamp is not None:
        return release(kube, autoscaler)
    if autoscaler.spec.mode is Mode.FLOOR:
        return _floor(kube, autoscaler, target, desired, now_s=now_s, entry=entry, leads=leads)
    if FINALIZER in about.finalizers or _holds_floor(autoscaler, target, entry):
        outcome = release(kube, autoscaler)
        if outcome.action in (Action.NONE, Action.PATCHED):
            memory.forget(autoscaler)
        return outcome
    if autoscaler.spec.mode is Mode.SHADOW:
        message = f"mode is Shadow: {target.key} would have {replicas_text(desired)}"
        return Outcome(Action.NONE, "Shadow", message, target.replicas, target.replicas)
    return order_replicas(kube, target, desired, now_s=now_s, entry=entry, leads=leads)


def _floor(
    kube: Kube,
    autoscaler: PredictiveAutoscaler,
    target: Target,
    desired: int,
    *,
    now_s: float,
    entry: Entry,
    leads: Callable[[], bool],
) -> Outcome:
    owner = choose_owner(target)
    left = entry.owner
    if left is not None and (isinstance(owner, Outcome) or left != OwnerId.of(owner)) and not _owned_by(target, left):
        # The target's owner is another one now, or the target is: the floor that was left is nobody's.
        outcome = restore_owner(kube, left, holder_of(autoscaler))
        entry.owner, entry.written, entry.original = None, None, None
        if outcome is not None:
            return outcome
    if isinstance(owner, Outcome):
        return owner
    return hold_floor(kube, autoscaler, target, owner, desired, now_s=now_s, entry=entry, leads=leads)


def _owned_by(target: Target, owner_id: OwnerId) -> bool:
    return any(OwnerId.of(owner) == owner_id for owner in target.owners)


def _holds_floor(autoscaler: PredictiveAutoscaler, target: Target, entry: Entry) -> bool:
    # KEDA copies a ScaledObject's annotations to its HPA, and leaves them there.
    kinds = {owner.kind for owner in target.owners}
    first = OwnerKind.SCALED_OBJECT if OwnerKind.SCALED_OBJECT in kinds else OwnerKind.HPA
    notes = (read_note(owner) for owner in target.owners if owner.kind is first)
    holder = holder_of(autoscaler)
    return entry.owner is not None or any(note is not None and note.by == holder for note in notes)
