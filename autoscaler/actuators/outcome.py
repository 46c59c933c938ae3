"""What became of a decision: whether it was written, and if not, why. Also the memory that paces the writing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import Owner, OwnerKind
from autoscaler.kube.parse import MALFORMED

# HPA's own sync period: whatever is written in between is not looked at.
WRITE_PERIOD_S = 15.0
# A failing write is tried again after 15 s, 30 s, 60 s, ..., and then every 5 min.
BACKOFF_S_MAX = 300.0
# A floor that somebody puts back (GitOps) is written again after 15 s, 30 s, ..., and then every 10 min.
REVERTED_S_MAX = 600.0
# The reason of a write whose answer was lost. It hasn't failed: the next look tells whether it was carried out.
UNANSWERED = "Unanswered"


class Action(StrEnum):
    """What was done."""

    NONE = "None"
    PATCHED = "Patched"
    REFUSED = "Refused"
    WAITING = "Waiting"
    CONFLICT = "Conflict"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt to carry out a decision.

    Attributes:
        action: what was done.
        reason: why, in CamelCase; stable, for conditions, Events and counters.
        message: one line.
        before: the replicas, or the lower bound, before; None where unset or not looked at.
        after: the same afterwards; of a PATCHED outcome what was written.
        maybe: the same if a write whose answer was lost was carried out; None without one.
    """

    action: Action
    reason: str
    message: str
    before: int | None = None
    after: int | None = None
    maybe: int | None = None

    @property
    def failed(self) -> bool:
        """Whether a write failed, as far as it is known: one whose answer was lost may be done."""
        return self.action is Action.FAILED or self.reason == UNANSWERED

    @property
    def undone(self) -> bool:
        """Whether what was tried isn't done, as far as it is known, and is to be tried again."""
        return self.failed or self.action is Action.CONFLICT


@dataclass(frozen=True, slots=True)
class OwnerId:
    """Which owner a floor was written to."""

    kind: OwnerKind
    namespace: str
    name: str

    @classmethod
    def of(cls, owner: Owner) -> OwnerId:
        """Without the owner's state."""
        return cls(owner.kind, owner.namespace, owner.name)


@dataclass(slots=True)
class Entry:
    """What is remembered of one object. Times are seconds since the epoch.

    Attributes:
        wrote_s: when something was last written for it.
        written: the replicas or the floor that was written then; None before, and after a floor was put back.
        original: the user's own lower bound under that floor.
        owner: where that floor is; None without one.
        reverts: how often in a row the floor was written again because somebody had put it back.
        failures: in a row.
        not_before_s: when a failed write may be tried again.
        failure: the last failure's message.
        unanswered: what a write did whose answer was lost, if it was carried out; None where all were answered since.
        unanswered_owner: the owner whose floor that write moved; None where it ordered replicas.
        found: what such a write is known to have done, not told yet.
    """

    wrote_s: float | None = None
    written: int | None = None
    original: int | None = None
    owner: OwnerId | None = None
    reverts: int = 0
    failures: int = 0
    not_before_s: float = 0.0
    failure: str = ""
    unanswered: Outcome | None = None
    unanswered_owner: OwnerId | None = None
    found: Outcome | None = None

    def too_soon(self, now_s: float, period_s: float = WRITE_PERIOD_S) -> bool:
        """Whether the last write is less than a period old. A clock that was set back doesn't block for longer."""
        return self.wrote_s is not None and 0.0 <= now_s - self.wrote_s < period_s

    def backs_off(self, now_s: float) -> bool:
        """Whether a failure is too fresh to try again."""
        return self.failures > 0 and 0.0 < self.not_before_s - now_s <= BACKOFF_S_MAX

    def note_failure(self, now_s: float, message: str, *, retry_after_s: float) -> None:
        """Wait twice as long as after the failure before, or as long as the server asked for."""
        pause_s = min(BACKOFF_S_MAX, WRITE_PERIOD_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
        self.not_before_s = now_s + min(BACKOFF_S_MAX, max(pause_s, retry_after_s))
        self.failure = message

    def note_write(self, now_s: float, written: int | None) -> None:
        """Something was written."""
        self.wrote_s, self.written = now_s, written

    def note_success(self) -> None:
        """All is as it should be, whether it had to be written or not: the next failure is the first one in a row."""
        self.failures, self.failure, self.unanswered = 0, "", None

    @contextmanager
    def trying(self, outcome: Outcome, now_s: float, *, owner: OwnerId | None = None) -> Iterator[None]:
        """Around a write, of an owner's floor or of replicas; `outcome` is what it may have done if its answer is lost.

        As with any other write, the next one is a period later.
        """
        try:
            yield
        except (KubeError, *MALFORMED) as problem:
            # What can't be read is an answer to a write that was carried out.
            if not isinstance(problem, KubeError) or problem.may_be_done:
                self.unanswered, self.unanswered_owner, self.wrote_s = outcome, owner, now_s
            raise

    def find_done(self, standing: Collection[int | None]) -> bool:
        """Whether what was written without an answer stands; then it is done, and remains to be `told`."""
        if self.unanswered is None or self.unanswered.after not in standing:
            return False
        done = replace(self.unanswered, message=f"{self.unanswered.message}, by a write whose answer was lost")
        self.found, self.written = _after(self.found, done), done.after
        self.note_success()
        return True

    def told(self, outcome: Outcome) -> Outcome:
        """`outcome`, or what was found done before it, or both.

        What is found isn't told at once where a newer order has to wait or failed: told as done, that order would not
        be tried again before the next decision. And one that can be written isn't put off for the telling.
        """
        if self.found is None or outcome.action not in {Action.NONE, Action.PATCHED}:
            return outcome
        found, self.found = self.found, None
        return found if outcome.action is Action.NONE else _after(found, outcome)

    def still_failing(self, now_s: float) -> Outcome:
        """What is told while it backs off."""
        message = f"tried again in {self.not_before_s - now_s:.0f} s: {self.failure}"
        return Outcome(Action.WAITING, "BackingOff", message, maybe=self._maybe)

    def failed(self, problem: Exception, now_s: float) -> Outcome:
        """The outcome of an error; unless that is a conflict, what was tried waits until it is tried again."""
        outcome = outcome_of(problem)
        if outcome.action is not Action.CONFLICT:
            after_s = problem.retry_after_s if isinstance(problem, KubeError) else 0.0
            self.note_failure(now_s, outcome.message, retry_after_s=after_s)
        return replace(outcome, maybe=self._maybe)

    @property
    def _maybe(self) -> int | None:
        return self.unanswered.after if self.unanswered is not None else None


def _after(found: Outcome | None, outcome: Outcome) -> Outcome:
    """`outcome`, whose message tells first what was found done before it."""
    return outcome if found is None else replace(outcome, message=f"{found.message}; {outcome.message}")


def outcome_of(problem: Exception) -> Outcome:
    """The outcome of an error."""
    if not isinstance(problem, KubeError):
        return Outcome(Action.FAILED, "Malformed", f"the API server answered what it shouldn't: {problem!r}")
    if problem.kind is KubeFailure.CONFLICT:
        return Outcome(Action.CONFLICT, "Conflict", str(problem))
    if problem.may_be_done:
        return Outcome(Action.WAITING, UNANSWERED, str(problem))
    return Outcome(Action.FAILED, str(problem.kind), str(problem))


@dataclass(slots=True)
class ActuatorMemory:
    """Paces the writes of each object. Lost at a restart without harm: what matters is in annotations."""

    _entries: dict[str, Entry] = field(default_factory=dict)

    def of(self, autoscaler: PredictiveAutoscaler) -> Entry:
        """The object's entry; a new one for an object that was deleted and made again."""
        return self._entries.setdefault(_key(autoscaler), Entry())

    def forget(self, autoscaler: PredictiveAutoscaler) -> None:
        """Begin anew with an object: its floor was put back."""
        self._entries.pop(_key(autoscaler), None)

    def keep(self, autoscalers: Iterable[PredictiveAutoscaler]) -> None:
        """Forget all others."""
        kept = {_key(autoscaler) for autoscaler in autoscalers}
        for key in [key for key in self._entries if key not in kept]:
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)


def _key(autoscaler: PredictiveAutoscaler) -> str:
    about = autoscaler.metadata
    # An object from a file has no uid.
    return about.uid or f"{about.namespace}/{about.name}"
