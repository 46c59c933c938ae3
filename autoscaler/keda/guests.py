"""Objects that exist in a trigger's metadata alone: they come with KEDA's first call and go when the calls stop."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import HeadstartError
from autoscaler.keda.board import Key
from autoscaler.keda.guest_limits import FORGET_AFTER_S, GUESTS_MAX, GUESTS_PER_NAMESPACE

_INSTEAD = "make PredictiveAutoscaler objects of some, or wait until unused ones are forgotten"


class GuestsFullError(HeadstartError):
    """There are as many objects in triggers as are served."""


@dataclass(frozen=True, slots=True)
class _Guest:
    autoscaler: PredictiveAutoscaler
    called_s: float


class Guests:
    """Thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        guests_max: int = GUESTS_MAX,
        per_namespace: int = GUESTS_PER_NAMESPACE,
        forget_after_s: float = FORGET_AFTER_S,
    ) -> None:
        """Start empty.

        Args:
            clock: gives seconds from any origin.
            guests_max: of all namespaces.
            per_namespace: of each.
            forget_after_s: after its last call.
        """
        self._clock = clock
        self._max = guests_max
        self._per_namespace = per_namespace
        self._forget_after_s = forget_after_s
        self._lock = threading.Lock()
        self._guests: OrderedDict[Key, _Guest] = OrderedDict()  # the one that was called for longest ago comes first
        self._of_namespace: Counter[str] = Counter()

    def admit(self, autoscaler: PredictiveAutoscaler) -> None:
        """Note a call for an object; its first makes it one of `objects()`.

        Raises:
            GuestsFullError: it is new, and there are too many.
        """
        key = (autoscaler.metadata.namespace, autoscaler.metadata.name)
        now_s = self._clock()
        with self._lock:
            self._forget(now_s)
            known = self._guests.pop(key, None)
            if known is None:
                self._refuse_too_many(key[0])
                self._of_namespace[key[0]] += 1
            self._guests[key] = _Guest(known.autoscaler if known else autoscaler, now_s)

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """Those that were called for lately."""
        with self._lock:
            self._forget(self._clock())
            return tuple(guest.autoscaler for guest in self._guests.values())

    def _forget(self, now_s: float) -> None:
        while self._guests:
            key, guest = next(iter(self._guests.items()))
            if now_s - guest.called_s <= self._forget_after_s:
                return
            del self._guests[key]
            self._of_namespace[key[0]] -= 1
            if not self._of_namespace[key[0]]:
                del self._of_namespace[key[0]]

    def _refuse_too_many(self, namespace: str) -> None:
        if len(self._guests) >= self._max:
            raise GuestsFullError(
                f"{self._max:,} workloads are described in trigger metadata already, and no more are served; {_INSTEAD}"
                f" ({self._forget_after_s:g} s after their last call)"
            )
        if self._of_namespace[namespace] >= self._per_namespace:
            raise GuestsFullError(
                f"{self._per_namespace:,} workloads of namespace {namespace} are described in trigger metadata already,"
                f" and --keda-guests-per-namespace allows no more; {_INSTEAD} ({self._forget_after_s:g} s after their"
                " last call)"
            )
