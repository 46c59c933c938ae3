"""What the leader writes beside replicas: how many placeholders keep nodes warm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.actuators.placeholders import SHARED, placeholders_name
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.controller.isolation import each, note_defect
from autoscaler.controller.ports import Actuator, Elector
from autoscaler.controller.workload import ObjectKey, Workload, target_key
from autoscaler.controller.writing import NOT_LEADING, Writing, is_old, needs_telling

_OPEN = {Action.WAITING, Action.CONFLICT, Action.FAILED}


class Placing:
    """Writes in the threads of `Writing`, after replicas: those take the place of placeholders first."""

    def __init__(self, actuator: Actuator, elector: Elector, writing: Writing) -> None:
        """Write nothing yet."""
        self._actuator = actuator
        self._elector = elector
        self._writing = writing
        # Placeholders that nobody may ask for any more -> the object that did, and what was ordered for it.
        self._left: dict[str, tuple[PredictiveAutoscaler, frozenset[int]]] = {}

    def leave(self, workload: Workload) -> None:
        """The object is edited or gone: what it asked for before goes, unless it is still asked for."""
        autoscaler, written = workload.autoscaler, workload.placeholders_written()
        if autoscaler.spec.node_head_start is not None and autoscaler.spec.mode is not Mode.SHADOW and written:
            self._left[placeholders_name(autoscaler)] = (autoscaler, written)

    def place(
        self, workloads: Mapping[ObjectKey, Workload], fresh: Collection[ObjectKey], now_s: float, *, leads: bool
    ) -> None:
        """Write the placeholders just decided, for the objects in `fresh`, and try again what wasn't done before."""
        asking = [workload for workload in workloads.values() if _asks(workload)]
        if not leads:
            self._left.clear()
            for workload in asking:
                workload.placed = NOT_LEADING
            return
        users = _users(workloads.values())
        self._take_away(users)
        busy = [workload for workload in asking if workload.key in fresh or _is_open(workload, now_s)]

        def carry_out(workload: Workload) -> Outcome:
            try:
                return self._carry_out(workload, users, now_s)
            except Exception as problem:
                return Outcome(Action.FAILED, "InternalError", note_defect("place", workload, problem))

        outcomes = {one.key: outcome for one, outcome in zip(busy, self._writing.all(carry_out, busy), strict=True)}

        def take_in(workload: Workload) -> None:
            outcome = outcomes[workload.key]
            self._take_in(workload, outcome)
            if outcome.action is Action.PATCHED and workload.key not in fresh:
                self._writing.tell_later(workload, outcome, now_s, placeholders=True)

        each("placed", busy, take_in)

    def _take_away(self, users: Collection[str]) -> None:
        """Take away what nobody asks for any more: it would hold GPUs for nothing. What fails is tried again."""
        self._left = {name: left for name, left in self._left.items() if name not in users}

        def take(left: tuple[PredictiveAutoscaler, frozenset[int]]) -> Outcome:
            return self._actuator.take_away(*left) if self._elector.is_leader() else NOT_LEADING

        outcomes = self._writing.all(take, list(self._left.values()))
        for (name, (autoscaler, _)), outcome in zip(list(self._left.items()), outcomes, strict=True):
            if outcome.undone:
                self._writing.log(outcome)
                continue
            if outcome.action is Action.PATCHED:
                self._writing.tell(autoscaler, warning=False, reason=outcome.reason, message=outcome.message)
            del self._left[name]

    def _carry_out(self, workload: Workload, users: Mapping[str, list[str]], now_s: float) -> Outcome:
        if not self._elector.is_leader():
            return NOT_LEADING
        autoscaler, told = workload.autoscaler, workload.placeholders
        assert told is not None, "placeholders were decided on"
        name = placeholders_name(autoscaler)
        if autoscaler.spec.mode is Mode.SHADOW:
            message = f"mode is Shadow: {name} isn't written, and loads are planned with a node's time"
            return Outcome(Action.NONE, "Shadow", message)
        if len(users[name]) > 1:
            message = f"{' and '.join(users[name])} all write {name}; give each placeholders of its own"
            return Outcome(Action.REFUSED, SHARED, message)
        return self._actuator.place(autoscaler, told.desired, held=told.held, now_s=now_s)

    def _take_in(self, workload: Workload, outcome: Outcome) -> None:
        before = workload.placed
        workload.take_placed(outcome)
        if outcome.reason != "InternalError":
            workload.defects.pop("place", None)
        told = workload.placeholders
        if outcome.action is Action.PATCHED and told is not None:
            message = (
                f"{outcome.message}; {told.replicas_ahead} replicas may be needed one node and one load ahead,"
                f" {told.replicas} are there or ordered"
            )
            self._writing.tell(workload.autoscaler, warning=False, reason=outcome.reason, message=message)
        elif needs_telling(outcome) and (before is None or before.reason != outcome.reason):
            self._writing.tell(workload.autoscaler, warning=True, reason=outcome.reason, message=outcome.message)
        if outcome.failed:
            self._writing.failed(outcome.reason)


def _asks(workload: Workload) -> bool:
    return workload.placeholders is not None and workload.autoscaler.metadata.deletion_timestamp is None


def _is_open(workload: Workload, now_s: float) -> bool:
    """Whether there is something to try that isn't a fresh decision."""
    if workload.decision is None or is_old(workload, workload.decision, now_s):
        return False
    return workload.placed is None or workload.placed.action in _OPEN


def _users(workloads: Iterable[Workload]) -> dict[str, list[str]]:
    """Who writes each workload: as placeholders, or as replicas to scale."""
    users: dict[str, list[str]] = {}
    for workload in workloads:
        about = workload.autoscaler
        if about.metadata.deletion_timestamp is None and about.spec.mode is not Mode.SHADOW:
            users.setdefault(str(target_key(about)), []).append(str(workload.key))
            if about.spec.node_head_start is not None:
                users.setdefault(placeholders_name(about), []).append(str(workload.key))
    return users
