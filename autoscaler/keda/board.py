"""The newest decisions, where the tick leaves them and KEDA's calls find them: memory between two threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

# Namespace and name; an ObjectKey is one.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Posted:
    """What the tick decided for one object.

    Attributes:
        desired: replicas wanted, ready and loading together.
        interval_s: time from one decision to the next.
        usable: whether it stands on data: false while demand is missing and before any history.
        reason: why it isn't usable, one line; '' where it is.
        replicas: replicas that the workload has now (status.replicas of its scale), ready or not; None where nobody
            knows.
    """

    desired: int
    interval_s: float
    usable: bool
    reason: str
    replicas: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one object.

    Attributes:
        newest: what was posted last.
        age_s: how long ago that was.
        usable: the newest usable decision; None where there was none yet.
        usable_age_s: how long ago that was posted; infinite where there was none.
    """

    newest: Posted
    age_s: float
    usable: Posted | None
    usable_age_s: float


@dataclass(frozen=True, slots=True)
class _Entry:
    newest: Posted
    newest_s: float
    usable: Posted | None
    usable_s: float


class Board:
    """Thread-safe. It holds the objects that the last `keep` named, and those posted since.

    Ages come from a clock that can't be set, so that a wall clock that jumps makes nothing look new or old.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `clock` gives seconds from any origin."""
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Key, _Entry] = {}
        self._known: frozenset[Key] | None = None
        self._listener: Callable[[Key], None] = lambda _key: None

    def post(self, key: Key, posted: Posted) -> None:
        """Leave a decision, and tell the listener."""
        now_s = self._clock()
        with self._lock:
            before = self._entries.get(key)
            if posted.usable:
                entry = _Entry(posted, now_s, posted, now_s)
            elif before is None:
                entry = _Entry(posted, now_s, None, -float("inf"))
            else:
                entry = _Entry(posted, now_s, before.usable, before.usable_s)
            self._entries[key] = entry
        self._listener(key)

    def get(self, key: Key) -> Seen | None:
        """What is known of an object; None before its first decision."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now_s = self._clock()
        return Seen(entry.newest, now_s - entry.newest_s, entry.usable, now_s - entry.usable_s)

    def everything(self) -> tuple[tuple[Key, Seen], ...]:
        """What is known of all objects, for the board of another process."""
        with self._lock:
            keys = tuple(self._entries)
        return tuple((key, seen) for key in keys if (seen := self.get(key)) is not None)

    def restore(self, before: Iterable[tuple[Key, Seen]]) -> None:
        """Take over what another board knew, as old as it was there. No listener is told."""
        now_s = self._clock()
        with self._lock:
            for key, seen in before:
                self._entries[key] = _Entry(seen.newest, now_s - seen.age_s, seen.usable, now_s - seen.usable_age_s)

    def keep(self, keys: Collection[Key]) -> None:
        """These objects exist, and no others: forget what was posted of others. Called after each tick."""
        known = frozenset(keys)
        with self._lock:
            self._known = known
            for key in [key for key in self._entries if key not in known]:
                del self._entries[key]

    def exists(self, key: Key) -> bool | None:
        """Whether the object exists; None before anybody said."""
        return None if self._known is None else key in self._known or key in self._entries

    def listen(self, listener: Callable[[Key], None]) -> None:
        """Call `listener` after each decision, in the thread that posts it; it must be quick and must not raise."""
        self._listener = listener
