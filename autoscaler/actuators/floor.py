"""Floors: the lower bound of the HorizontalPodAutoscaler or ScaledObject that owns the workload.

The owner stays in charge of everything above. It lifts the replicas to the floor at its next sync, past its tolerance,
stabilisation and rates; metrics that it sees still add to that.
"""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.actuators.finalizer import ensure_finalizer
from autoscaler.actuators.floor_plan import Plan, plan_floor
from autoscaler.actuators.note import ANNOTATION, holder_of, read_note
from autoscaler.actuators.outcome import REVERTED_S_MAX, WRITE_PERIOD_S, Action, Entry, Outcome, OwnerId
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import Owner, OwnerKind, Target
from autoscaler.kube.parse import Claim, parse_hpa, parse_scaled_object
from autoscaler.kube.resources import MIN_FIELDS
from autoscaler.wording import replicas_text

# An HPA syncs every 15 s and KEDA polls every 30 s: after two minutes it isn't slow, something is in its way.
_FOLLOWED_WITHIN_S = 120.0


def hold_floor(
    kube: Kube,
    autoscaler: PredictiveAutoscaler,
    target: Target,
    owner: Owner,
    desired: int,
    *,
    now_s: float,
    entry: Entry,
    leads: Callable[[], bool],
) -> Outcome:
    """Write the owner's lower bound if it isn't where it belongs. Raises `KubeError`."""
    holder = holder_of(autoscaler)
    if refused := held_by_another(owner, holder):
        return refused
    note = read_note(owner)
    plan = plan_floor(owner, note, entry, desired, holder)
    before = owner.replicas_min
    if before == plan.value and note == plan.note:
        return _in_place(target, owner, plan, desired, now_s=now_s, entry=entry)
    if entry.too_soon(now_s):
        message = f"{owner} was written less than {WRITE_PERIOD_S:g} s ago"
        return Outcome(Action.WAITING, "TooSoon", message, before, before)
    reverted = plan.note is not None and entry.written is not None and before != entry.written
    pause_s = min(REVERTED_S_MAX, WRITE_PERIOD_S * 2.0**entry.reverts)
    if reverted and entry.too_soon(now_s, pause_s):
        message = (
            f"somebody put {MIN_FIELDS[owner.kind]} of {owner} back to {_shown(before)}; if it is a GitOps tool,"
            f" let it ignore the field; it is written again after {pause_s:g} s"
        )
        return Outcome(Action.WAITING, "FloorReverted", message, before, before)
    if plan.note is not None:
        ensure_finalizer(kube, autoscaler)
    reason = "FloorWritten" if plan.note else "FloorPutBack"
    message = (
        f"{owner}: {MIN_FIELDS[owner.kind]} {_shown(before)} -> {_shown(plan.value)}, the user's own is"
        f" {_shown(plan.original)}{_limit(owner, plan, desired)}"
    )
    moved = Outcome(Action.PATCHED, "LimitedByMax" if plan.limited else reason, message, before, plan.value)
    with entry.trying(moved, now_s, owner=OwnerId.of(owner)):
        write_plan(kube, owner, plan, leads=leads)
    entry.note_write(now_s, plan.note.written if plan.note else None)
    entry.original, entry.owner = plan.original, OwnerId.of(owner) if plan.note else None
    entry.reverts += int(reverted)
    return moved


def held_by_another(owner: Owner, holder: str) -> Outcome | None:
    """Why no floor is written: the one that is noted beside the owner's bound is another's. None where it isn't."""
    note = read_note(owner)
    if note is None or note.by == holder:
        return None
    return Outcome(
        Action.REFUSED,
        "HeldByAnother",
        f"{owner} holds the floor of PredictiveAutoscaler {note.by}; leave one of the two, or remove {ANNOTATION}",
    )


def write_plan(kube: Kube, owner: Owner, plan: Plan, *, leads: Callable[[], bool] = lambda: True) -> None:
    """Write a lower bound and its note over what `owner` shows.

    An owner's status changes every few seconds, and its version with it. A version that is stale for that reason alone
    is renewed, twice at most; `KubeError` (`CONFLICT`) where anything that the plan was made from has changed, or the
    lease is lost: an answer may take longer than it lasts.
    """
    annotations = {ANNOTATION: plan.note.dump() if plan.note else None}
    version = owner.resource_version
    for renewals_left in (2, 1, 0):
        try:
            kube.patch_bounds(owner, replicas_min=plan.value, annotations=annotations, resource_version=version)
            return
        except KubeError as problem:
            if problem.kind is not KubeFailure.CONFLICT or not renewals_left:
                raise
            fresh = read_claim(kube, OwnerId.of(owner)).owner
            if _facts(fresh) != _facts(owner) or not leads():
                raise
            version = fresh.resource_version


def read_claim(kube: Kube, owner: OwnerId) -> Claim:
    """An owner as it is now, and what it owns."""
    raw = kube.read_owner(owner.kind, namespace=owner.namespace, name=owner.name)
    return parse_hpa(raw) if owner.kind is OwnerKind.HPA else parse_scaled_object(raw)


def _facts(owner: Owner) -> tuple[object, ...]:
    bounds = (owner.replicas_min, owner.replicas_max, owner.replicas_idle)
    return (*bounds, owner.paused, owner.deleting, owner.annotations.get(ANNOTATION))


def _in_place(target: Target, owner: Owner, plan: Plan, desired: int, *, now_s: float, entry: Entry) -> Outcome:
    """Nothing to write. Says so when the owner doesn't follow its floor."""
    bound = owner.replicas_min
    if plan.note is None:
        message = f"{owner}: the user's own {MIN_FIELDS[owner.kind]} {_shown(bound)} suffices"
        reason = "LimitedByMax" if plan.limited else "UserMinSuffices"
        return Outcome(Action.NONE, reason, message + _limit(owner, plan, desired), bound, bound)
    if entry.owner is None:
        # Written by an earlier run, or by the leader before this one.
        entry.owner, entry.written, entry.original = OwnerId.of(owner), plan.note.written, plan.original
        entry.wrote_s = now_s - WRITE_PERIOD_S
    if not entry.too_soon(now_s, REVERTED_S_MAX):
        entry.reverts = 0
    floor = plan.note.written
    if target.replicas < floor and not entry.too_soon(now_s, _FOLLOWED_WITHIN_S):
        message = f"{owner} has {MIN_FIELDS[owner.kind]} {floor}, {target.key} has {replicas_text(target.replicas)}"
        return Outcome(Action.WAITING, "FloorNotFollowed", f"{message}: {_in_the_way(target, owner)}", bound, bound)
    reason = "LimitedByMax" if plan.limited else "InPlace"
    message = f"{owner}: {MIN_FIELDS[owner.kind]} is {floor}{_limit(owner, plan, desired)}"
    return Outcome(Action.NONE, reason, message, bound, bound)


def _in_the_way(target: Target, owner: Owner) -> str:
    if owner.kind is OwnerKind.HPA and target.replicas == 0:
        return "an HPA rests while its workload has 0 replicas; scale it to 1"
    if owner.replicas_idle is not None and target.replicas <= owner.replicas_idle:
        return (
            "KEDA keeps idleReplicaCount while no trigger is active; remove it, or annotate"
            " autoscaling.keda.sh/force-activation"
        )
    return f"see the conditions of {owner}"


def _limit(owner: Owner, plan: Plan, desired: int) -> str:
    return f"; {desired} are wanted but its upper bound is {owner.replicas_max}" if plan.limited else ""


def _shown(bound: int | None) -> str:
    return "unset" if bound is None else str(bound)
