"""The pods of a watch, found by a label selector without looking at all of them.

A thousand targets of ten pods each are asked for in every tick: through the labels that a selector demands, each costs
about its own pods. The index is kept up by each event, so that a busy namespace isn't indexed again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from autoscaler.kube.facts import Pod
from autoscaler.kube.parse import LabelledPod
from autoscaler.kube.selectors import Selector
from autoscaler.kube.store import Key

# Of a label: its namespace, key and value.
_Place = tuple[str, str, str]
_P = TypeVar("_P")


class PodIndex:
    """A shelf of pods by namespace and label. Safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pods: dict[Key, LabelledPod] = {}
        self._namespaces: dict[str, set[Key]] = {}
        self._places: dict[_Place, set[Key]] = {}

    def replace(self, facts: Mapping[Key, LabelledPod]) -> None:
        """These are all."""
        with self._lock:
            self._pods, self._namespaces, self._places = {}, {}, {}
            for key, fact in facts.items():
                self._put(key, fact)

    def put(self, key: Key, fact: LabelledPod) -> None:
        """It is new or has changed."""
        with self._lock:
            former = self._pods.get(key)
            if former is not None and former.labels == fact.labels:
                self._pods[key] = fact
                return
            self._drop(key)
            self._put(key, fact)

    def drop(self, key: Key) -> None:
        """It is gone; it may never have been there."""
        with self._lock:
            self._drop(key)

    def get(self, key: Key) -> LabelledPod | None:
        """The pod of a namespace and name, None where there is none."""
        with self._lock:
            return self._pods.get(key)

    def selected(self, namespace: str, selector: Selector) -> tuple[Pod, ...]:
        """The pods of a namespace that a selector selects, by name."""
        with self._lock:
            found = [self._pods[key] for key in self._candidates(namespace, selector)]
        return tuple(
            sorted((each.pod for each in found if selector.matches(each.labels)), key=lambda pod: (pod.name, pod.uid))
        )

    def _candidates(self, namespace: str, selector: Selector) -> Collection[Key]:
        """The fewest pods that can be told to hold all that are selected."""
        nothing: set[Key] = set()
        sets = [self._places.get((namespace, *pair), nothing) for pair in selector.pairs]
        return min(sets, key=len) if sets else self._namespaces.get(namespace, nothing)

    def _put(self, key: Key, fact: LabelledPod) -> None:
        self._pods[key] = fact
        self._namespaces.setdefault(key[0], set()).add(key)
        for place in _places(key, fact):
            self._places.setdefault(place, set()).add(key)

    def _drop(self, key: Key) -> None:
        fact = self._pods.pop(key, None)
        if fact is None:
            return
        _take(self._namespaces, key[0], key)
        for place in _places(key, fact):
            _take(self._places, place, key)


def _places(key: Key, fact: LabelledPod) -> Iterable[_Place]:
    return ((key[0], name, value) for name, value in fact.labels.items())


def _take(sets: dict[_P, set[Key]], place: _P, key: Key) -> None:
    """Take a pod from its set; an empty set goes too, for labels such as a template's hash come and go."""
    held = sets[place]
    held.discard(key)
    if not held:
        del sets[place]
