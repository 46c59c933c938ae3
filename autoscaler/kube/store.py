"""A list and a watch of one kind of object, in a thread: the few facts that are kept, as they stand now.

The list is read once. From then on changes are followed from version to version; it is read again only where the API
server no longer knows the version. While the server can't be reached the last facts stay, and their age tells.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from secrets import SystemRandom
from typing import Any, Generic, Protocol, TypeVar

from autoscaler.errors import one_line
from autoscaler.kube.client import Kube, WatchStream
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.parse import MALFORMED
from autoscaler.kube.resources import Resource

log = logging.getLogger(__name__)

T = TypeVar("T")
# Of an object: its namespace and name.
Key = tuple[str, str]

# A quiet watch says nothing for up to a minute. Opened this often, its silence is never older than that: then it is
# a failure, and facts of 60 s are stale.
WATCH_S = 40.0
_BACK_OFF_S = 0.5
_BACK_OFF_MAX_S = 15.0
# What isn't there or isn't allowed changes by a user's hand.
_DENIED_MAX_S = 60.0
# After that many answers in a row that are errors, the version itself may be the cause: an etcd that was restored from
# a backup is behind it. A server that doesn't answer isn't asked for all objects the moment it comes back.
_FAILURES_MAX = 3
_OF_VERSION = (KubeFailure.TIMEOUT, KubeFailure.SERVER_ERROR)
# A server that ends every watch at once would be asked without pause.
_WATCH_MIN_S = 1.0
_JOIN_S = 2.0
_DENIED = (KubeFailure.FORBIDDEN, KubeFailure.NOT_FOUND, KubeFailure.UNAUTHORIZED)
_random = SystemRandom()


class Shelf(Protocol[T]):
    """Where a store puts its facts. Called by the store's thread, read by others."""

    def replace(self, facts: Mapping[Key, T]) -> None:
        """These are all."""

    def put(self, key: Key, fact: T) -> None:
        """It is new or has changed."""

    def drop(self, key: Key) -> None:
        """It is gone; it may never have been there."""

    def get(self, key: Key) -> T | None:
        """The fact of an object, None where there is none."""


class Facts(Generic[T]):
    """A shelf that is a mapping. Safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[Key, T] = {}

    def replace(self, facts: Mapping[Key, T]) -> None:
        """These are all."""
        with self._lock:
            self._facts = dict(facts)

    def put(self, key: Key, fact: T) -> None:
        """It is new or has changed."""
        with self._lock:
            self._facts[key] = fact

    def drop(self, key: Key) -> None:
        """It is gone; it may never have been there."""
        with self._lock:
            self._facts.pop(key, None)

    def get(self, key: Key) -> T | None:
        """The fact of an object, None where there is none."""
        with self._lock:
            return self._facts.get(key)

    def items(self) -> list[tuple[Key, T]]:
        """All, ordered by namespace and name."""
        with self._lock:
            return sorted(self._facts.items(), key=lambda item: item[0])


class Store(Generic[T]):
    """Keeps a shelf equal to what the API server has.

    An object that can't be read (its kind promised otherwise) is a problem of its own, and the watch goes on. It keeps
    its former fact, if it had one, or what `stand_in` makes of that and of what it is now.
    """

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        *,
        namespace: str | None,
        parse: Callable[[Mapping[str, Any]], T],
        shelf: Shelf[T],
        stand_in: Callable[[Mapping[str, Any], T | None], T | None] = lambda _raw, former: former,
        on_change: Callable[[], None] = lambda: None,
        watch_s: float = WATCH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.shelf = shelf
        self._kube = kube
        self._parse = parse
        self._stand_in = stand_in
        self._on_change = on_change
        self._watch_s = watch_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._listed = threading.Event()
        self._stream: WatchStream | None = None
        self._version = ""
        self._failures = 0
        self._contact_s = clock()
        self._error: KubeError | None = None
        self._problems: dict[Key, str] = {}
        self._thread = threading.Thread(target=self._run, name=f"watch {resource.plural}", daemon=True)

    def start(self) -> None:
        """Begin to list and watch."""
        self._thread.start()

    def close(self) -> None:
        """End the watch, at once where it is silent. Doesn't wait: see `join`."""
        with self._lock:
            self._stopped.set()
            stream = self._stream
        if stream is not None:
            stream.close()

    def join(self) -> None:
        """Wait until it has ended, 2 s at most: a call under way may take as long as its timeout."""
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    @property
    def synced(self) -> bool:
        """Whether all objects have been listed once."""
        return self._listed.is_set()

    @property
    def error(self) -> KubeError | None:
        """Why the API server can't be followed now; None while it is."""
        with self._lock:
            return self._error

    @property
    def denied(self) -> bool:
        """Whether it can't be followed until a user grants or installs something."""
        error = self.error
        return error is not None and error.kind in _DENIED

    @property
    def problems(self) -> dict[Key, str]:
        """Objects that can't be read now, and why: one line each."""
        with self._lock:
            return dict(self._problems)

    def age_s(self) -> float:
        """Seconds since the API server last answered, or since the beginning."""
        with self._lock:
            return self._clock() - self._contact_s

    def _run(self) -> None:
        while not self._stopped.is_set():
            pause_s = self._try()
            if pause_s > 0.0:
                self._stopped.wait(pause_s)

    def _try(self) -> float:
        """List if need be and watch until the watch ends; how long to pause then, in seconds."""
        try:
            if not self._version:
                self._list()
            began_s = self._clock()
            if not self._stopped.is_set():
                self._watch()
        except KubeError as problem:
            return self._failed(problem)
        except Exception as problem:
            # A defect must not end the thread: the facts would stay as they are for good.
            log.exception("watch %s", self.resource.rbac_name)
            said = one_line(f"watch {self.resource.rbac_name}: {type(problem).__name__}: {problem}")
            self._version = ""
            return self._failed(KubeError(said, kind=KubeFailure.SERVER_ERROR))
        return 0.0 if self._clock() - began_s >= _WATCH_MIN_S else _jittered(_WATCH_MIN_S)

    def _failed(self, problem: KubeError) -> float:
        expired = problem.kind is KubeFailure.GONE
        self._failures += 1
        failures = self._failures
        with self._lock:
            # Versions expire in the course of things; only one that does so again and again is worth telling.
            if not expired or failures > 1:
                if self._error is None:
                    log.warning("%s", problem)
                self._error = problem
        if expired or (problem.kind in _OF_VERSION and failures % _FAILURES_MAX == 0):
            self._version = ""
        longest_s = _DENIED_MAX_S if problem.kind in _DENIED else _BACK_OFF_MAX_S
        pause_s = min(longest_s, _BACK_OFF_S * 2.0 ** min(failures - 1, 10))
        return max(_jittered(pause_s), min(problem.retry_after_s, _DENIED_MAX_S))

    def _list(self) -> None:
        facts: dict[Key, T] = {}
        problems: dict[Key, str] = {}
        version = ""
        for page, version in self._kube.list_pages(self.resource, namespace=self.namespace):  # noqa: B007 - the last's
            self._heard()
            for raw in page:
                self._read(raw, facts.__setitem__, problems)
            if self._stopped.is_set():
                return
        self.shelf.replace(facts)
        with self._lock:
            self._problems = problems
        self._version = version
        self._listed.set()
        self._on_change()

    def _watch(self) -> None:
        for change, raw in self._events():
            self._heard()
            key = _key(raw)
            if change == "DELETED":
                self.shelf.drop(key)
                with self._lock:
                    self._problems.pop(key, None)
                self._on_change()
            elif change != "BOOKMARK":
                problems: dict[Key, str] = {}
                self._read(raw, self.shelf.put, problems)
                with self._lock:
                    self._problems.pop(key, None)
                    self._problems.update(problems)
                self._on_change()
            self._version = raw["metadata"].get("resourceVersion") or self._version
            self._failures = 0

    def _events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of one watch, which `close` ends."""
        stream = self._kube.watch(
            self.resource, namespace=self.namespace, resource_version=self._version, timeout_s=self._watch_s
        )
        self._heard()
        try:
            with self._lock:
                self._stream = stream
                if self._stopped.is_set():
                    return
            yield from stream
            self._heard()
            self._failures = 0
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _read(self, raw: Mapping[str, Any], put: Callable[[Key, T], None], problems: dict[Key, str]) -> None:
        """Put the fact of an object; one that can't be read adds to `problems`, and what stands in for it is put."""
        key = _key(raw)
        try:
            put(key, self._parse(raw))
        except MALFORMED as problem:
            said = str(problem) if isinstance(problem, ValueError) else f"{type(problem).__name__} {problem}"
            problems[key] = one_line(f"{self.resource.kind} {'/'.join(key)} can't be read: {said}")
            fact = self._stand_in(raw, self.shelf.get(key))
            if fact is not None:
                put(key, fact)

    def _heard(self) -> None:
        with self._lock:
            self._contact_s = self._clock()
            if self._error is not None:
                log.info("%s: followed again", self.resource.rbac_name)
            self._error = None


def _key(raw: Mapping[str, Any]) -> Key:
    about = raw.get("metadata") or {}
    return (str(about.get("namespace") or ""), str(about.get("name") or ""))


def _jittered(pause_s: float) -> float:
    """Between half and all of it, so that many watches don't come back in step."""
    return pause_s * _random.uniform(0.5, 1.0)
