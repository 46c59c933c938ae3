"""Where a floor belongs, and on which owner: pure functions of what is seen.

Whose value stands in the field is told by the note beside it, written in the same request. If the field isn't what the
note says was written, the user has edited it: that value is the user's from then on, the floor is never below it, and
it is what is put back.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.actuators.note import UNSET_MIN, Note
from autoscaler.actuators.outcome import Action, Entry, Outcome, OwnerId
from autoscaler.kube.facts import Owner, OwnerKind, Target

# KEDA's maxReplicaCount where it is unset.
_KEDA_MAX = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What the field and its note should be.

    Attributes:
        value: of the lower bound; None for unset.
        note: beside it; None where the value is the user's own.
        original: the user's own.
        limited: whether the owner's upper bound is below what is wanted.
    """

    value: int | None
    note: Note | None
    original: int | None
    limited: bool


def plan_floor(owner: Owner, note: Note | None, remembered: Entry, desired: int, holder: str) -> Plan:
    """Where the floor belongs: at `desired`, within the user's own lower bound and the owner's upper bound."""
    original = owner.replicas_min
    if note is not None and note.written == original:
        original = note.original
    elif note is None and remembered.owner == OwnerId.of(owner) and remembered.written == original:
        # Somebody removed the note but not the floor: without this the floor would become the user's own for ever.
        original = remembered.original
    replicas_max = owner.replicas_max
    if replicas_max is None:
        replicas_max = _KEDA_MAX
    users = UNSET_MIN[owner.kind] if original is None else original
    floor = max(min(desired, replicas_max), users)
    limited = desired > max(replicas_max, users)
    if floor == users:
        return Plan(original, None, original, limited)
    return Plan(floor, Note(original, floor, holder), original, limited)


def choose_owner(target: Target) -> Owner | Outcome:
    """The one owner whose lower bound is the floor: the ScaledObject, which writes its HPA, or else the HPA."""
    scaled_objects = [owner for owner in target.owners if owner.kind is OwnerKind.SCALED_OBJECT]
    owners = scaled_objects or list(target.owners)
    if not owners:
        return Outcome(
            Action.REFUSED,
            "NoOwner",
            f"no HorizontalPodAutoscaler or ScaledObject targets {target.key}; create one, or use mode: Scale",
        )
    if len(owners) > 1:
        return Outcome(
            Action.REFUSED,
            "AmbiguousOwner",
            f"{' and '.join(map(str, owners))} all scale {target.key}; leave one of them",
        )
    owner = owners[0]
    if owner.deleting:
        return Outcome(Action.WAITING, "OwnerDeleting", f"{owner} is being deleted")
    if owner.paused:
        return Outcome(Action.WAITING, "Paused", f"{owner} is left alone: {owner.paused}")
    return owner
