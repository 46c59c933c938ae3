"""Replicas by the scale subresource, where nothing else owns them."""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.actuators.outcome import WRITE_PERIOD_S, Action, Entry, Outcome
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import OwnerKind, Target
from autoscaler.wording import replicas_text


def order_replicas(
    kube: Kube, target: Target, desired: int, *, now_s: float, entry: Entry, leads: Callable[[], bool]
) -> Outcome:
    """Order `desired` replicas if that isn't what stands. Raises `KubeError`."""
    if refused := owned(target):
        return refused
    before = target.replicas
    if desired == before:
        return Outcome(Action.NONE, "InPlace", f"{target.key} has {replicas_text(before)} ordered", before, before)
    if desired < before and target.rolling:
        message = f"{target.key} stays at {replicas_text(before)} until its rolling update is done"
        return Outcome(Action.WAITING, "RollingUpdate", message, before, before)
    if entry.too_soon(now_s):
        message = f"{target.key} was written less than {WRITE_PERIOD_S:g} s ago"
        return Outcome(Action.WAITING, "TooSoon", message, before, before)
    ordered = Outcome(Action.PATCHED, "Scaled", f"{target.key}: replicas {before} -> {desired}", before, desired)
    with entry.trying(ordered, now_s):
        _patch(kube, target, desired, leads)
    entry.note_write(now_s, desired)
    return ordered


def owned(target: Target) -> Outcome | None:
    """Why no replicas are ordered: whoever owns them would put its own number back within 15 s. None without one."""
    if not target.owners:
        return None
    owner = target.owners[0]
    if owner.kind is OwnerKind.SCALED_OBJECT and owner.paused:
        message = f"{owner} holds the replicas: {owner.paused}"
        return Outcome(Action.WAITING, "Paused", message)
    names = " and ".join(map(str, target.owners))
    return Outcome(
        Action.REFUSED,
        f"OwnedBy{owner.kind}",
        f"{names} scales {target.key}; use mode: Floor, or delete it",
    )


def _patch(kube: Kube, target: Target, desired: int, leads: Callable[[], bool]) -> None:
    """Order over what the decision was made from.

    A workload's version changes with its status, at every pod that becomes ready. A version that is stale for that
    reason alone is renewed, twice at most; `KubeError` (`CONFLICT`) where the replicas have changed, or the lease is
    lost: an answer may take longer than it lasts.
    """
    version = target.resource_version
    for renewals_left in (2, 1, 0):
        try:
            kube.patch_scale(target.key, replicas=desired, resource_version=version)
            return
        except KubeError as problem:
            if problem.kind is not KubeFailure.CONFLICT or not renewals_left:
                raise
            scale = kube.read_scale(target.key)
            if scale.replicas != target.replicas or not leads():
                raise
            version = scale.resource_version
