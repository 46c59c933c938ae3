"""Objects that exist in a trigger's metadata alone: they come with KEDA's first call and go when the calls stop."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import HeadstartError
from autoscaler.keda.board import Key

# Each costs a forecast per interval and queries to Prometheus.
GUESTS_MAX = 2_000
# KEDA polls every 30 s, and an hour at most makes sense; an edited trigger leaves its old self behind for as long.
FORGET_AFTER_S = 600.0


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
        forget_after_s: float = FORGET_AFTER_S,
    ) -> None:
        """Start empty; `clock` gives seconds from any origin."""
        self._clock = clock
        self._max = guests_max
        self._forget_after_s = forget_after_s
        self._lock = threading.Lock()
        self._guests: OrderedDict[Key, _Guest] = OrderedDict()  # the one that was called for longest ago comes first

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
            if known is None and len(self._guests) >= self._max:
                raise GuestsFullError(
                    f"{self._max:,} workloads are described in trigger metadata already, and no more are served;"
                    " make PredictiveAutoscaler objects of some, or wait until unused ones are forgotten"
                    f" ({self._forget_after_s:g} s after their last call)"
                )
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
