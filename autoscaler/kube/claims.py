"""Which autoscalers own the replicas of a workload."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from autoscaler.kube.facts import Owner, OwnerKind
from autoscaler.kube.parse import Claim, WorkloadId
from autoscaler.kube.store import Key


class ClaimIndex:
    """A shelf of autoscalers, found by the workload that they scale. Safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[Key, Claim] = {}
        self._workloads: dict[WorkloadId, set[Key]] = {}

    def replace(self, facts: Mapping[Key, Claim]) -> None:
        """These are all."""
        with self._lock:
            self._claims, self._workloads = {}, {}
            for key, fact in facts.items():
                self._put(key, fact)

    def put(self, key: Key, fact: Claim) -> None:
        """It is new or has changed."""
        with self._lock:
            self._drop(key)
            self._put(key, fact)

    def drop(self, key: Key) -> None:
        """It is gone; it may never have been there."""
        with self._lock:
            self._drop(key)

    def get(self, key: Key) -> Claim | None:
        """The autoscaler of a namespace and name, None where there is none."""
        with self._lock:
            return self._claims.get(key)

    def of(self, workload: WorkloadId) -> list[Claim]:
        """Those that scale a workload, by name."""
        with self._lock:
            return [self._claims[key] for key in sorted(self._workloads.get(workload, ()))]

    def _put(self, key: Key, fact: Claim) -> None:
        self._claims[key] = fact
        self._workloads.setdefault(fact.workload, set()).add(key)

    def _drop(self, key: Key) -> None:
        fact = self._claims.pop(key, None)
        if fact is None:
            return
        keys = self._workloads[fact.workload]
        keys.discard(key)
        if not keys:
            del self._workloads[fact.workload]


def owners_of(workload: WorkloadId, *, scaled_objects: ClaimIndex, hpas: ClaimIndex) -> tuple[Owner, ...]:
    """The owners of a workload's replicas, ScaledObjects before HPAs.

    An HPA that KEDA made follows its ScaledObject: a patch of it would be reverted. Where that ScaledObject can't be
    seen, it is listed all the same, as one that may not be patched.
    """
    owners = [claim.owner for claim in scaled_objects.of(workload)]
    made = hpas.of(workload)
    for claim in made:
        if claim.made_by and scaled_objects.get((workload.namespace, claim.made_by)) is None:
            owners.append(_unseen(workload.namespace, claim.made_by))
    return (*owners, *(claim.owner for claim in made))


def _unseen(namespace: str, name: str) -> Owner:
    return Owner(
        kind=OwnerKind.SCALED_OBJECT,
        namespace=namespace,
        name=name,
        replicas_min=None,
        replicas_max=None,
        paused="it can't be read",
        annotations={},
        resource_version="",
    )
