"""The live cluster: the user's objects, and their targets as they stand, from watches. No polling.

What isn't known, or hasn't been confirmed by the API server for a minute, is `Unavailable` and says why: to act on old
numbers of replicas could take away what someone has just added.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Self

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.claims import owners_of
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import Target, TargetKey, Unavailable
from autoscaler.kube.parse import Workload, workload_id
from autoscaler.kube.selectors import Selector, parse_selector
from autoscaler.kube.store import Store
from autoscaler.kube.watches import KindWatch, PodWatch, Watches

STALE_S = 60.0
# A tick reads the scale of many targets, one after the other: a server that hangs must not hold each of them up.
_SCALE_PAUSE_S = 10.0
# Targets come and go for a year; to read all of them once more costs little.
_SCALES_MAX = 10_000


class Reason(StrEnum):
    """Why a target is unavailable; besides these the kind of the API's failure, such as Forbidden."""

    NOT_SYNCED = "CacheNotSynced"
    STALE = "ClusterStale"
    KIND_UNKNOWN = "KindUnknown"
    NO_SCALE = "NoScaleSubresource"
    NOT_FOUND = "TargetNotFound"
    DELETING = "TargetDeleting"
    NO_SELECTOR = "NoSelector"


class KubeCluster:
    """The cluster as the controller sees it. Safe to share among threads.

    Args:
        kube: calls to the API.
        namespace: the one whose objects are served; None for all.
        given: the user's objects where they don't come from the API, asked again each second.
        clock: seconds, of any origin.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str | None = None,
        *,
        given: Callable[[], Sequence[PredictiveAutoscaler]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._watches = Watches(kube, namespace, given=given, clock=clock)
        self._lock = threading.Lock()
        # By target: the version of the workload, and what its scale subresource said of it.
        self._scales: dict[TargetKey, tuple[str, int, Selector, str]] = {}
        # By target: the selector that it had last, for pods outlive it.
        self._selectors: dict[TargetKey, Selector] = {}
        self._paused_until_s = clock()
        self._pause_cause: KubeError | None = None

    def start(self) -> Self:
        """Begin to watch."""
        self._watches.start()
        return self

    def stop(self) -> None:
        """End all watches, within about 2 s."""
        self._watches.stop()

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """The user's objects, by namespace and name.

        One that was edited into nonsense keeps the spec that it had before; one that had none has UNREAD_SPEC.
        """
        return self._watches.objects()

    def problems(self) -> dict[tuple[str, str], str]:
        """The user's objects that can't be read, by namespace and name, and why."""
        return self._watches.problems()

    def errors(self) -> tuple[KubeError, ...]:
        """Why watches can't follow the API server now; empty where all do."""
        return tuple(store.error for store in self._watches.stores() if store.error is not None)

    def synced(self) -> bool:
        """Whether everything has been listed once; what is denied to us doesn't hold up the rest."""
        return self._watches.synced

    def wait_synced(self, timeout_s: float) -> bool:
        """Wait until `synced`; False where it took longer than `timeout_s`."""
        return self._watches.wait_synced(timeout_s)

    def target(self, key: TargetKey) -> Target | Unavailable:
        """A workload as it stands, or why it can't be told."""
        watches = self._current(key)
        if isinstance(watches, Unavailable):
            return watches
        kind, pods = watches
        workload = self._workload(key, kind)
        if isinstance(workload, Unavailable):
            return self._with_pods(workload, pods) if workload.reason == Reason.NOT_FOUND else workload
        scale = self._scale(key, workload)
        if isinstance(scale, Unavailable):
            return scale
        replicas, selector, version = scale
        self._keep_selector(key, selector)
        return Target(
            key=key,
            replicas=replicas,
            resource_version=version,
            pods=pods.index.selected(key.namespace, selector),
            owners=owners_of(
                workload_id(key), scaled_objects=self._watches.scaled_claims, hpas=self._watches.hpa_claims
            ),
            rolling=workload.rolling,
        )

    def _keep_selector(self, key: TargetKey, selector: Selector) -> None:
        with self._lock:
            if len(self._selectors) >= _SCALES_MAX:
                self._selectors.clear()
            self._selectors[key] = selector

    def _with_pods(self, deleted: Unavailable, pods: PodWatch) -> Unavailable:
        """With what is left of a target whose selector was seen while it was there."""
        with self._lock:
            selector = self._selectors.get(deleted.key)
        if selector is None:
            return deleted
        return replace(deleted, pods=pods.index.selected(deleted.key.namespace, selector))

    def _current(self, key: TargetKey) -> tuple[KindWatch, PodWatch] | Unavailable:
        """The watches of a target's kind and pods, if these and those of its owners are up to date."""
        kind = self._watches.kinds.get((key.api_version, key.kind))
        if not isinstance(kind, KindWatch):
            return self._unknown_kind(key, kind)
        pods = self._watches.pods_of(key.namespace)
        if pods is None or not self._watches.keda_known:
            return Unavailable(key, Reason.NOT_SYNCED, f"{key}: the watches that it needs have not begun yet")
        scaled_objects = self._watches.scaled_objects
        for store in (kind.store, pods.store, self._watches.hpas, *((scaled_objects,) if scaled_objects else ())):
            if blocked := self._blocked(key, store):
                return blocked
        return kind, pods

    def _workload(self, key: TargetKey, kind: KindWatch) -> Workload | Unavailable:
        if not kind.has_scale:
            return Unavailable(key, Reason.NO_SCALE, f"{key} has no scale subresource; name a workload that has one")
        workload = kind.facts.get((key.namespace, key.name))
        if workload is None:
            problem = kind.store.problems.get((key.namespace, key.name))
            if problem is not None:
                return Unavailable(key, KubeFailure.INVALID, problem)
            return Unavailable(key, Reason.NOT_FOUND, f"{key} does not exist; create it, or correct scaleTargetRef")
        if workload.deleting:
            return Unavailable(key, Reason.DELETING, f"{key} is being deleted")
        return workload

    def _unknown_kind(self, key: TargetKey, cause: KubeError | None) -> Unavailable:
        if cause is None:
            return Unavailable(key, Reason.NOT_SYNCED, f"{key}: the watch of its kind has not begun yet")
        if cause.kind in (KubeFailure.NOT_FOUND, KubeFailure.INVALID):
            return Unavailable(key, Reason.KIND_UNKNOWN, f"{key}: {cause}")
        return Unavailable(key, cause.kind, f"{key}: {cause}")

    def _blocked(self, key: TargetKey, store: Store[Any]) -> Unavailable | None:
        """Why the facts of a watch may not be used, None where they may."""
        age_s = store.age_s()
        if store.synced and age_s <= STALE_S:
            return None
        error, about = store.error, store.resource.rbac_name
        if error is not None and store.denied:
            return Unavailable(key, error.kind, f"{key}: {error}")
        said = f": {error}" if error is not None else ""
        if not store.synced:
            return Unavailable(key, Reason.NOT_SYNCED, f"{key}: {about} are not listed yet{said}")
        return Unavailable(key, Reason.STALE, f"{key}: nothing was heard of {about} for {age_s:.0f} s{said}")

    def _scale(self, key: TargetKey, workload: Workload) -> tuple[int, Selector, str] | Unavailable:
        """Replicas, selector and version: of the workload's watch, else of its scale subresource, once per change."""
        if workload.replicas is not None and workload.selector is not None:
            return workload.replicas, workload.selector, workload.resource_version
        with self._lock:
            seen = self._scales.get(key)
            paused = self._pause_cause if self._clock() < self._paused_until_s else None
        if seen is not None and workload.resource_version in (seen[0], seen[3]):
            return seen[1:]
        if paused is not None:
            return Unavailable(key, paused.kind, f"{key}: {paused}")
        try:
            scale = self._kube.read_scale(key)
        except KubeError as problem:
            with self._lock:
                if problem.kind in (KubeFailure.TIMEOUT, KubeFailure.UNREACHABLE, KubeFailure.THROTTLED):
                    self._paused_until_s = self._clock() + max(_SCALE_PAUSE_S, problem.retry_after_s)
                    self._pause_cause = problem
            return Unavailable(key, problem.kind, f"{key}: {problem}")
        try:
            selector = parse_selector(scale.selector)
        except ValueError as problem:
            return Unavailable(
                key, Reason.NO_SELECTOR, f"{key}: {problem}; its scale subresource must tell the selector of its pods"
            )
        with self._lock:
            if len(self._scales) >= _SCALES_MAX:
                self._scales.clear()
            self._scales[key] = (workload.resource_version, scale.replicas, selector, scale.resource_version)
        return scale.replicas, selector, scale.resource_version
