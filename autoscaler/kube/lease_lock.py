"""The lock of the leader election: a Lease, and for how long leading by it is safe."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord

from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.resources import LEASES

_log = logging.getLogger(__name__)


class TermOverError(Exception):
    """Leaves the client's loop, which has no other way out."""


class Term:
    """From when to when it leads, by the monotonic clock. At most one for each run of the client's loop."""

    def __init__(self, renew_deadline_s: float) -> None:
        self.closed = threading.Event()
        self._renew_deadline_s = renew_deadline_s
        self._changed = threading.Condition()
        self._begun = self._ended = False
        self._end_s = 0.0

    def is_on(self) -> bool:
        """Whether it has begun, and was renewed within the deadline."""
        with self._changed:
            return self._begun and time.monotonic() < self._end_s

    def is_over(self) -> bool:
        """Whether it has begun and can't be renewed any more; or never will begin."""
        with self._changed:
            return self.closed.is_set() or self._ended or (self._begun and time.monotonic() >= self._end_s)

    def renew(self, asked_s: float) -> bool:
        """Begin or renew it as of when that was asked for. False when it is over, or the answer took too long."""
        with self._changed:
            if self.is_over() or time.monotonic() >= asked_s + self._renew_deadline_s:
                return False
            self._begun, self._end_s = True, asked_s + self._renew_deadline_s
            self._changed.notify_all()
            return True

    def end(self) -> bool:
        """End it; whether it had begun, and nobody had ended it."""
        with self._changed:
            begun, self._begun = self._begun, False
            self._ended = self._ended or begun
            return begun

    def reset(self) -> None:
        """A new one may begin."""
        with self._changed:
            self._ended = False

    def close(self) -> None:
        """No more terms."""
        with self._changed:
            self.closed.set()
            self._changed.notify_all()

    def wait_for_end(self) -> bool:
        """Wait until the deadline has passed, or for a term to begin, or for `close`; whether the first."""
        with self._changed:
            left_s = self._end_s - time.monotonic() if self._begun else None
            if left_s is not None and left_s <= 0.0:
                return True
            if not self.closed.is_set():
                self._changed.wait(left_s)
            return False


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a lease can't be read, in the manner of the client's exception."""

    body: str
    reason: str


class LeaseLock:
    """The Lease, as the client's loop wants it: `get`, `create`, `update`, which never raise but to leave the loop."""

    def __init__(
        self, kube: Kube, namespace: str, name: str, identity: str, term: Term, *, lease_s: int, timeout_s: float
    ) -> None:
        self.namespace, self.name, self.identity = namespace, name, identity
        self.seen_holder = ""
        self._kube = kube
        self._term = term
        self._lease_s = lease_s
        self._timeout_s = timeout_s
        self._lease: dict[str, Any] = {}
        # The lease's holder and renewal, and when they were first seen like that.
        self._seen: tuple[object, ...] = ()
        self._seen_s = 0.0
        # A renewal that is under way when `release` comes must not follow it.
        self._writing = threading.Lock()

    def get(self, name: str, namespace: str) -> tuple[bool, LeaderElectionRecord | _Refusal]:
        """The record. Without a holder where the lease may be taken."""
        if self._term.is_over():
            raise TermOverError
        try:
            self._lease = self._kube.get(LEASES, namespace=namespace, name=name, timeout_s=self._timeout_s)
        except KubeError as problem:
            missing = problem.kind is KubeFailure.NOT_FOUND
            if not missing:
                _log.warning("the lease can't be read: %s", problem)
            return False, _Refusal(json.dumps({"code": 404 if missing else 500}), str(problem))
        spec = self._lease.get("spec") or {}
        self.seen_holder = spec.get("holderIdentity") or ""
        seen = (self.seen_holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_s = seen, time.monotonic()
        holder = None if self._is_free() else self.seen_holder
        acquired = spec.get("acquireTime") or _now()
        return True, LeaderElectionRecord(  # type: ignore[no-untyped-call] # the client's, without annotations
            holder, str(self._lease_s), acquired, spec.get("renewTime") or acquired
        )

    def create(self, name: str, namespace: str, election_record: object) -> bool:  # noqa: ARG002 - the client's record
        """Make the lease, held."""
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}}
        spec = {**self._held(), "acquireTime": _now(), "leaseTransitions": 0}
        return self._write(
            lambda: self._kube.create(LEASES, {**body, "spec": spec}, namespace=namespace, timeout_s=self._timeout_s)
        )

    def update(self, name: str, namespace: str, updated_record: object) -> bool:  # noqa: ARG002 - the client's record
        """Renew the lease, or take it over where it is free."""
        spec = self._lease.get("spec") or {}
        if self.seen_holder == self.identity:
            spec = {**spec, **self._held()}
        elif self._is_free():
            transitions = int(spec.get("leaseTransitions") or 0) + 1
            spec = {**spec, **self._held(), "acquireTime": _now(), "leaseTransitions": transitions}
        else:
            return False
        body = {**self._lease, "spec": spec}
        return self._write(
            lambda: self._kube.replace(LEASES, body, namespace=namespace, name=name, timeout_s=self._timeout_s)
        )

    def release(self) -> None:
        """Empty the lease if it is held by this candidate. A standby needn't wait for its end."""
        with self._writing:
            if self.seen_holder != self.identity:
                return
            try:
                lease = self._kube.get(LEASES, namespace=self.namespace, name=self.name, timeout_s=self._timeout_s)
                spec = lease.get("spec") or {}
                if spec.get("holderIdentity") != self.identity:
                    return
                # A duration of 1 s, as client-go leaves it, for those that look at the time only.
                lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                self._kube.replace(LEASES, lease, namespace=self.namespace, name=self.name, timeout_s=self._timeout_s)
            except KubeError as problem:
                _log.warning("the lease isn't released and ends by itself within %d s: %s", self._lease_s, problem)

    def read_holder(self) -> str | None:
        """Who holds the lease now, '' for nobody; None where it can't be read."""
        try:
            lease = self._kube.get(LEASES, namespace=self.namespace, name=self.name, timeout_s=self._timeout_s)
        except KubeError as problem:
            _log.warning("the lease can't be read: %s", problem)
            return None
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    def _write(self, send: Callable[[], dict[str, Any]]) -> bool:
        with self._writing:
            if self._term.is_over():
                raise TermOverError
            asked_s = time.monotonic()
            try:
                self._lease = send()
                self.seen_holder = self.identity
            except KubeError as problem:
                _log.warning("the lease isn't renewed: %s", problem)
                return False
        return self._term.renew(asked_s)

    def _is_free(self) -> bool:
        """Whether nobody holds it, or whoever does didn't renew it for its duration while it was watched from here."""
        return not self.seen_holder or (
            self.seen_holder != self.identity and time.monotonic() - self._seen_s >= self._lease_s
        )

    def _held(self) -> dict[str, Any]:
        return {"holderIdentity": self.identity, "leaseDurationSeconds": self._lease_s, "renewTime": _now()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
