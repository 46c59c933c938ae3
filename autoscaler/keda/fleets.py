"""Fleets of workloads whose pods nobody here sees: KEDA's HPA is taken to follow what was decided.

What is ordered is ready after the load latency that the trigger states; what isn't wanted any more leaves at once, what
loads first, but for what lies within the HPA's tolerance. Before the first decision on data there is no telling. That
one is made as if everything allowed were there: too few would look like a backlog, which doubles the order. What it
asks for is then taken to be there already.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from autoscaler.keda.board import Key
from autoscaler.keda.metadata import HPA_TOLERANCE
from autoscaler.keda.metric import TARGET, hpa_wants, value_to_publish
from autoscaler.kube.facts import Pod, Target, TargetKey


@dataclass(frozen=True, slots=True)
class _Replica:
    number: int
    created_s: float
    ready_s: float


class Fleets:
    """One per workload. Used by the tick's thread alone."""

    def __init__(self) -> None:
        self._replicas: dict[Key, tuple[_Replica, ...]] = {}
        self._ordered = 0

    def follow(self, key: Key, desired: int, *, usable: bool, now_s: float, load_s: float) -> None:
        """A decision: order or release.

        Args:
            key: the object's namespace and name.
            desired: replicas wanted from now on.
            usable: whether that stands on data; else it counts only where there was a decision that did.
            now_s: seconds since the epoch.
            load_s: time from order to ready.
        """
        known = key in self._replicas
        if not (usable or known):
            return
        before = self._replicas.get(key, ())
        value = value_to_publish(desired, None, tolerance=HPA_TOLERANCE)
        wanted = hpa_wants(value, target=TARGET, replicas=len(before), tolerance=HPA_TOLERANCE)
        # Those due last leave first.
        kept = sorted(before, key=lambda replica: replica.ready_s)[:wanted]
        while len(kept) < wanted:
            kept.append(_Replica(self._ordered, now_s, now_s + load_s if known else now_s))
            self._ordered += 1
        self._replicas[key] = tuple(kept)

    def target(self, key: Key, target: TargetKey, *, now_s: float, most: int) -> Target:
        """The workload, as it is taken to stand; with `most` replicas where there is no telling."""
        known = self._replicas.get(key)
        replicas = tuple(_Replica(number, now_s, now_s) for number in range(most)) if known is None else known
        pods = tuple(_pod(target, replica, now_s) for replica in replicas)
        return Target(target, len(replicas), "", pods, assumed=known is None, unseen=True)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all others."""
        kept = frozenset(keys)
        self._replicas = {key: replicas for key, replicas in self._replicas.items() if key in kept}


def _pod(target: TargetKey, replica: _Replica, now_s: float) -> Pod:
    ready = replica.ready_s <= now_s
    name = f"{target.name}-{replica.number}"
    return Pod(
        uid=name,
        name=name,
        node="",
        created_s=replica.created_s,
        scheduled_s=None,
        started_s=None,
        ready=ready,
        ready_s=replica.ready_s if ready else None,
        restarts=1,  # of such a pod no load is learned: it would teach what was stated
        deleting=False,
        failed=False,
    )
