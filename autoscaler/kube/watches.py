"""Which watches run: they begin and end as the user's objects come and go.

Always one of the objects themselves and one of HorizontalPodAutoscalers; one of ScaledObjects where KEDA is installed;
one for each kind of target; and pods, for each namespace that has an object, or of the whole cluster at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.claims import ClaimIndex
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import TargetKey
from autoscaler.kube.parse import (
    UNREAD_SPEC,
    Claim,
    LabelledPod,
    Workload,
    parse_autoscaler,
    parse_hpa,
    parse_pod,
    parse_scaled_object,
    parse_workload,
    unread_autoscaler,
)
from autoscaler.kube.pod_index import PodIndex
from autoscaler.kube.resources import HPAS, PODS, PREDICTIVE_AUTOSCALERS, SCALED_OBJECTS, Resource
from autoscaler.kube.store import Facts, Store

log = logging.getLogger(__name__)

# Beyond that many namespaces one watch of all pods costs less than one each; below half of it, they again.
NAMESPACES_MAX = 8
# KEDA, or the kind of a target, may be installed later.
_RECHECK_S = 300.0
_RETRY_S = 5.0
# Each look costs 1 ms for 1,000 objects.
_LOOK_S = 15.0
# ScaledObjects that can't be found for so long are gone with KEDA, unless the API server says that it knows them.
_LOST_S = 60.0
# Until all is listed, and while one watch of pods takes over from others.
_SOON_S = 0.1
# Objects that change together are looked at once.
_GATHER_S = 0.1
_JOIN_S = 2.0

# Of a kind: its api version and name.
_KindKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class KindWatch:
    """The watch of one kind of target."""

    store: Store[Workload]
    facts: Facts[Workload]
    has_scale: bool


@dataclass(frozen=True, slots=True)
class PodWatch:
    """A watch of pods."""

    store: Store[LabelledPod]
    index: PodIndex


def target_of(autoscaler: PredictiveAutoscaler) -> TargetKey:
    """The workload that an object names."""
    reference = autoscaler.spec.scale_target_ref
    return TargetKey(autoscaler.metadata.namespace, reference.api_version, reference.kind, reference.name)


class Watches:
    """Starts and ends the watches in a thread of its own. What it holds is replaced whole, so others may read it."""

    def __init__(
        self,
        kube: Kube,
        namespace: str | None,
        *,
        given: Callable[[], Sequence[PredictiveAutoscaler]] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._given = given
        self._clock = clock
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._synced = threading.Event()
        self._objects: Facts[PredictiveAutoscaler] = Facts()
        self._autoscalers = (
            self._store(
                PREDICTIVE_AUTOSCALERS,
                namespace,
                parse_autoscaler,
                self._objects,
                stand_in=unread_autoscaler,
                on_change=self._wake.set,
            )
            if given is None
            else None
        )
        self.hpa_claims, self.scaled_claims = ClaimIndex(), ClaimIndex()
        self.hpas: Store[Claim] = self._store(HPAS, namespace, parse_hpa, self.hpa_claims)
        self.scaled_objects: Store[Claim] | None = None
        self.keda_known = False
        self._keda_due_s = clock()
        self.kinds: Mapping[_KindKey, KindWatch | KubeError] = {}
        self._kinds_due_s = clock()
        self._pods: Mapping[str | None, PodWatch] = {}
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._autoscalers is not None:
            self._autoscalers.start()
        self.hpas.start()
        self._thread.start()

    def stop(self) -> None:
        """End all watches."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        stores = list(self.stores())
        for store in stores:
            store.close()
        for store in stores:
            store.join()

    @property
    def synced(self) -> bool:
        """Whether everything was listed once; what is denied is a problem of the targets that need it only."""
        return self._synced.is_set()

    def wait_synced(self, timeout_s: float) -> bool:
        """Wait until `synced`; False where it took too long."""
        return self._synced.wait(timeout_s)

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """The user's objects, by namespace and name."""
        if self._given is not None:
            return tuple(self._given())
        return tuple(autoscaler for _, autoscaler in self._objects.items())

    def stores(self) -> Iterable[Store[Any]]:
        """All that run."""
        if self._autoscalers is not None:
            yield self._autoscalers
        yield self.hpas
        if self.scaled_objects is not None:
            yield self.scaled_objects
        yield from (watch.store for watch in self._pods.values())
        yield from (watch.store for watch in self.kinds.values() if isinstance(watch, KindWatch))

    def problems(self) -> dict[tuple[str, str], str]:
        """Of the user's objects that can't be read."""
        return {} if self._autoscalers is None else self._autoscalers.problems

    def pods_of(self, namespace: str) -> PodWatch | None:
        """The watch that tells a namespace's pods: that of the cluster once it knows them."""
        everywhere, here = self._pods.get(None), self._pods.get(namespace)
        return everywhere if everywhere is not None and (everywhere.store.synced or here is None) else here

    def _run(self) -> None:
        while True:
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self._follow()
            except Exception:
                # A defect must not end the thread: objects created from now on would never be served.
                log.exception("watches")
                self._stopped.wait(_RETRY_S)
            self._wake.wait(self._pause_s())
            self._stopped.wait(_GATHER_S)

    def _follow(self) -> None:
        listed = self._autoscalers is None or self._autoscalers.synced
        keys = {target_of(autoscaler) for autoscaler in self.objects() if autoscaler.spec is not UNREAD_SPEC}
        self._follow_keda()
        self._follow_kinds({(key.api_version, key.kind) for key in keys})
        self._follow_pods({key.namespace for key in keys})
        if listed and self._all_listed():
            self._synced.set()

    def _pause_s(self) -> float:
        """Until something has to be looked at again."""
        if not self._synced.is_set() or (None in self._pods and len(self._pods) > 1):
            return _SOON_S
        if self._given is not None:
            return 1.0
        due_s = self._kinds_due_s - self._clock()
        return min(max(due_s, _SOON_S), _LOOK_S)

    def _all_listed(self) -> bool:
        asked = all(
            isinstance(watch, KindWatch) or watch.kind in (KubeFailure.NOT_FOUND, KubeFailure.INVALID)
            for watch in self.kinds.values()
        )
        return self.keda_known and asked and all(store.synced or store.denied for store in self.stores())

    def _follow_keda(self) -> None:
        """Watch ScaledObjects where they exist; asked again at times, for KEDA may come or go."""
        store = self.scaled_objects
        lost = store is not None and store.denied and store.age_s() > _LOST_S
        if (store is not None and not lost) or (store is None and self._clock() < self._keda_due_s):
            return
        self._kube.forget_resources(SCALED_OBJECTS.api_version)
        try:
            self._kube.resource_of(SCALED_OBJECTS.api_version, SCALED_OBJECTS.kind)
        except KubeError as problem:
            # Not to know whether KEDA owns a workload is no licence to scale it.
            if problem.kind is not KubeFailure.NOT_FOUND:
                self._keda_due_s = self._clock() + _RETRY_S
                return
            if store is not None:
                store.close()
                self.scaled_objects = None
                self.scaled_claims.replace({})
        else:
            if store is None:
                self.scaled_objects = self._started(
                    self._store(SCALED_OBJECTS, self._namespace, parse_scaled_object, self.scaled_claims)
                )
        self.keda_known = True
        self._keda_due_s = self._clock() + _RECHECK_S

    def _follow_kinds(self, wanted: set[_KindKey]) -> None:
        """One watch for each kind of target; a kind that the server doesn't have is asked for again at times."""
        retry = self._clock() >= self._kinds_due_s
        if wanted == set(self.kinds) and not retry:
            return
        kinds = {kind: watch for kind, watch in self.kinds.items() if kind in wanted}
        for kind in sorted(wanted):
            known = kinds.get(kind)
            if known is not None and not (retry and isinstance(known, KubeError)):
                continue
            if known is not None:
                self._kube.forget_resources(kind[0])
            kinds[kind] = self._watch_kind(*kind)
        dropped = [watch for kind, watch in self.kinds.items() if kind not in wanted]
        self.kinds = kinds
        for watch in dropped:
            if isinstance(watch, KindWatch):
                watch.store.close()
        failed = any(isinstance(watch, KubeError) for watch in kinds.values())
        self._kinds_due_s = self._clock() + (_LOOK_S if failed else _RECHECK_S)

    def _watch_kind(self, api_version: str, kind: str) -> KindWatch | KubeError:
        try:
            served = self._kube.resource_of(api_version, kind)
        except KubeError as problem:
            return problem
        resource = served.resource
        facts: Facts[Workload] = Facts()
        parse = partial(parse_workload, group=resource.group, kind=resource.kind)
        store = self._started(self._store(resource, self._namespace, parse, facts))
        return KindWatch(store, facts, has_scale=served.has_scale and resource.namespaced)

    def _follow_pods(self, namespaces: set[str]) -> None:
        """Watch pods where objects are; one watch ends only when the one that takes over knows all pods."""
        everywhere = self._pods.get(None)
        limit = NAMESPACES_MAX // 2 if everywhere is not None else NAMESPACES_MAX
        whole = self._namespace is None and len(namespaces) > limit
        wanted: set[str | None] = {None} if whole else set(namespaces)
        pods = dict(self._pods)
        for place in wanted - set(pods):
            index = PodIndex()
            pods[place] = PodWatch(self._started(self._store(PODS, place, parse_pod, index)), index)
        takes_over = all(pods[place].store.synced for place in wanted)
        for place in set(pods) - wanted if takes_over else set[str | None]():
            pods.pop(place).store.close()
        self._pods = pods

    def _store(
        self,
        resource: Resource,
        namespace: str | None,
        parse: Callable[[Mapping[str, Any]], Any],
        shelf: Any,
        **more: Any,
    ) -> Store[Any]:
        return Store(self._kube, resource, namespace=namespace, parse=parse, shelf=shelf, clock=self._clock, **more)

    def _started(self, store: Store[Any]) -> Store[Any]:
        if self._stopped.is_set():
            store.close()
        store.start()
        return store
