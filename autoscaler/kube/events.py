"""Kubernetes Events about an object, from a thread of their own: recording one never waits for the API server.

Equal Events (object, type, reason and message) of 10 minutes are one with a count. Each object has a budget of 25
Events that fills by one every 5 minutes, as in Kubernetes' own recorder; beyond it, and when the API server can't be
reached for long, Events are dropped and counted.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

from autoscaler.api.scalars import time_text
from autoscaler.errors import one_line
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.resources import EVENTS

COUNTED_FOR_S = 600.0
BUDGET = 25.0
REFILL_S = 300.0
_QUEUE_MAX = 2_000
# Objects and Events that are remembered; the oldest are forgotten. 1,000 objects with four kinds of Event each.
_REMEMBERED_MAX = 4_096
_TIMEOUT_S = 5.0
_COMPONENT = "headstart"

_log = logging.getLogger(__name__)


EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about, in its namespace."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def reference(self) -> dict[str, str]:
        """As Events have it."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }


@dataclass(frozen=True, slots=True)
class _Event:
    regarding: Regarding
    type: EventType
    reason: str
    message: str
    at_s: float

    @property
    def key(self) -> tuple[str, ...]:
        about = self.regarding
        return (about.kind, about.namespace, about.name, about.uid, self.type, self.reason, self.message)


@dataclass(slots=True)
class _Recorded:
    name: str
    first_s: float
    last_s: float
    count: int


@dataclass(slots=True)
class _Budget:
    left: float
    at_s: float


class EventRecorder:
    """Records Events; `instance` (the pod's name) tells which process did. Stop it to send what is left."""

    def __init__(self, kube: Kube, *, instance: str) -> None:
        self._kube = kube
        self._instance = instance
        self._queue: queue.Queue[_Event | None] = queue.Queue(_QUEUE_MAX)
        self._recorded: OrderedDict[tuple[str, ...], _Recorded] = OrderedDict()
        self._budgets: OrderedDict[tuple[str, str, str], _Budget] = OrderedDict()
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many Events weren't recorded, for whatever reason."""
        return self._dropped

    def record(
        self, regarding: Regarding, *, type: EventType, reason: str, message: str, now_s: float | None = None
    ) -> None:
        """Record an Event, soon. Never waits, never raises."""
        event = _Event(regarding, type, reason, one_line(message), time.time() if now_s is None else now_s)
        if self._stopping.is_set():
            self._dropped += 1
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._dropped += 1

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send what is queued, for at most `timeout_s`, and end."""
        self._stopping.set()
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            # It ends after the call that is under way, without the rest.
            self._thread.join(timeout_s)
            return
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            if not self._within_budget(event):
                self._dropped += 1
                continue
            try:
                self._send(event)
            except Exception as problem:
                # An Event is worth less than the thread that sends them.
                self._dropped += 1
                _log.warning("an Event isn't recorded: %s", problem)

    def _send(self, event: _Event) -> None:
        known = self._recorded.get(event.key)
        if known is not None and 0.0 <= event.at_s - known.last_s < COUNTED_FOR_S:
            try:
                self._count(event, known)
                return
            except KubeError as problem:
                # Events are deleted after an hour, or by whoever likes to.
                if problem.kind is not KubeFailure.NOT_FOUND:
                    raise
        name = f"{event.regarding.name[:200]}.{uuid.uuid4().hex[:16]}"
        self._kube.create(EVENTS, self._body(event, name), namespace=event.regarding.namespace, timeout_s=_TIMEOUT_S)
        self._remember(event, _Recorded(name, event.at_s, event.at_s, 1))

    def _count(self, event: _Event, known: _Recorded) -> None:
        change = {"count": known.count + 1, "lastTimestamp": time_text(event.at_s)}
        self._kube.patch(EVENTS, change, namespace=event.regarding.namespace, name=known.name, timeout_s=_TIMEOUT_S)
        self._remember(event, _Recorded(known.name, known.first_s, event.at_s, known.count + 1))

    def _body(self, event: _Event, name: str) -> dict[str, Any]:
        at = time_text(event.at_s)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": event.regarding.namespace},
            "involvedObject": event.regarding.reference(),
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "source": {"component": _COMPONENT, "host": self._instance},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._instance,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }

    def _remember(self, event: _Event, recorded: _Recorded) -> None:
        self._recorded[event.key] = recorded
        self._recorded.move_to_end(event.key)
        if len(self._recorded) > _REMEMBERED_MAX:
            self._recorded.popitem(last=False)

    def _within_budget(self, event: _Event) -> bool:
        key = (event.regarding.kind, event.regarding.namespace, event.regarding.name)
        budget = self._budgets.setdefault(key, _Budget(BUDGET, event.at_s))
        self._budgets.move_to_end(key)
        if len(self._budgets) > _REMEMBERED_MAX:
            self._budgets.popitem(last=False)
        budget.left = min(BUDGET, budget.left + max(0.0, event.at_s - budget.at_s) / REFILL_S)
        budget.at_s = event.at_s
        if budget.left < 1.0:
            return False
        budget.left -= 1.0
        return True
