"""From a call of KEDA to the decision that answers it, or to why there is none: memory only, no network."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from autoscaler.keda.board import Board, Key, Seen
from autoscaler.keda.externalscaler_pb2 import ScaledObjectRef
from autoscaler.keda.guests import Guests, GuestsFullError
from autoscaler.keda.metadata import Inline, MetadataError, Named, OnMissing, Policy, read_metadata
from autoscaler.keda.metric import value_to_publish

# A tick that is late by less is no outage.
_LATE_S = 60.0


class RefusedError(Exception):
    """A call that has no answer.

    Attributes:
        code: the status that says so.
        details: one line: what, and what to do.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code = code
        self.details = details
        super().__init__(details)


@dataclass(frozen=True, slots=True)
class Answer:
    """What KEDA is told.

    Attributes:
        desired: replicas that were decided.
        value: the metric that makes the HPA want them.
        held: whether newer data was unusable.
    """

    desired: int
    value: int
    held: bool

    @property
    def active(self) -> bool:
        """Whether the workload needs a replica one load ahead, or now: 0 is decided only where neither is so."""
        return self.desired > 0


class Answers:
    """Thread-safe, as the board and the guests are."""

    def __init__(self, board: Board, guests: Guests, *, allow_cross_namespace: bool = False) -> None:
        """Answer from a board; a trigger may name objects of other namespaces only if that is allowed."""
        self._board = board
        self._guests = guests
        self._allow_cross_namespace = allow_cross_namespace

    def asked(self, ref: ScaledObjectRef) -> Named | Inline:
        """What a call is about.

        Raises:
            RefusedError: the metadata is wrong (INVALID_ARGUMENT), or names another namespace's object
                (PERMISSION_DENIED).
        """
        try:
            asked = read_metadata(ref.namespace, ref.name, ref.scalerMetadata)
        except MetadataError as error:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None
        if asked.key[0] != ref.namespace and not self._allow_cross_namespace:
            raise RefusedError(
                grpc.StatusCode.PERMISSION_DENIED,
                f"a ScaledObject in {ref.namespace} may not ask for PredictiveAutoscaler {_text(asked.key)}; move one"
                " of them, or allow it where Headstart is started",
            )
        return asked

    def admit(self, asked: Named | Inline) -> None:
        """Note that the workload is asked for: what is in metadata alone is planned from now on.

        Raises:
            RefusedError: there are too many (RESOURCE_EXHAUSTED).
        """
        if isinstance(asked, Inline):
            try:
                self._guests.admit(asked.autoscaler)
            except GuestsFullError as error:
                raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from None

    def answer(self, asked: Named | Inline) -> Answer:
        """The decision to answer with.

        Raises:
            RefusedError: there is no such object (NOT_FOUND), or no decision on usable data that is young enough
                (UNAVAILABLE), so that KEDA's fallback counts.
        """
        seen = self._board.get(asked.key)
        if seen is None:
            raise self._unknown(asked)
        newest, policy = seen.newest, asked.policy
        if newest.usable and seen.age_s <= newest.interval_s + _patience_s(policy):
            desired, held = newest.desired, False
        else:
            desired, held = _held(asked.key, seen, policy), True
        value = value_to_publish(desired, newest.replicas, tolerance=policy.hpa_tolerance)
        return Answer(desired, value, held)

    def _unknown(self, asked: Named | Inline) -> RefusedError:
        name = _text(asked.key)
        if isinstance(asked, Named) and self._board.exists(asked.key) is False:
            return RefusedError(
                grpc.StatusCode.NOT_FOUND,
                f"there is no PredictiveAutoscaler {name}; create it, or correct predictiveAutoscaler in the trigger",
            )
        return RefusedError(grpc.StatusCode.UNAVAILABLE, f"{name}: nothing is decided yet; its history is being read")


def _patience_s(policy: Policy) -> float:
    """How long after its interval a decision still counts."""
    return policy.max_age_s if policy.on_missing is OnMissing.HOLD else min(policy.max_age_s, _LATE_S)


def _held(key: Key, seen: Seen, policy: Policy) -> int:
    """Replicas while data is unusable: never fewer than the last usable decision, and never a 0 on no data."""
    newest, usable = seen.newest, seen.usable
    why = newest.reason or f"the last decision is {seen.age_s:.0f} s old"
    if policy.on_missing is OnMissing.UNAVAILABLE or usable is None:
        raise RefusedError(grpc.StatusCode.UNAVAILABLE, f"{_text(key)}: {why}")
    limit_s = usable.interval_s + policy.max_age_s
    if seen.usable_age_s > limit_s:
        raise RefusedError(
            grpc.StatusCode.UNAVAILABLE,
            f"{_text(key)}: {why}; the last usable decision is {seen.usable_age_s:.0f} s old, and maxAge allows"
            f" {limit_s:.0f} s",
        )
    desired = max(usable.desired, newest.desired)
    if desired == 0:
        raise RefusedError(grpc.StatusCode.UNAVAILABLE, f"{_text(key)}: {why}; 0 replicas are not held without data")
    return desired


def _text(key: Key) -> str:
    return f"{key[0]}/{key[1]}"
