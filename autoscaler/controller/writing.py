"""What the leader writes: decisions carried out, statuses, Events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.outcome import Action, ActuatorMemory, Outcome
from autoscaler.actuators.restore import Held
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.controller.isolation import each, log_defect, note_defect
from autoscaler.controller.ports import Actuator, Elector
from autoscaler.controller.sentence import decision_sentence
from autoscaler.controller.status import is_due, status_of
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import ObjectKey, Workload, key_of, target_key
from autoscaler.core.decision import Decision, Reason
from autoscaler.kube.facts import Target
from autoscaler.kube.parse import WorkloadId, workload_id
from autoscaler.wording import replicas_text

_WRITERS = 8
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
NOT_LEADING = Outcome(Action.WAITING, "NotLeading", "another replica of Headstart leads")
# A decision is followed by the next one after a bin. One that is older is still there where none could be made since.
_OLD_BINS = 2
_OPEN = {Action.WAITING, Action.CONFLICT, Action.FAILED}


class Writing:
    """Writes in threads of its own, while the tick waits for them."""

    def __init__(self, actuator: Actuator, elector: Elector, teller: Teller) -> None:
        """Write nothing yet."""
        self._actuator = actuator
        self._elector = elector
        self._teller = teller
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="writer")
        # Object -> the workload whose floor it held before it was edited.
        self._left: dict[ObjectKey, WorkloadId] = {}
        # Paces putting back what was left.
        self._memory = ActuatorMemory()

    def close(self) -> None:
        """Write nothing more."""
        self._writers.shutdown(wait=True, cancel_futures=True)

    def leave(self, workload: Workload) -> None:
        """The object is edited: its floor goes if it isn't in mode Floor any more, or has another target, found or not.

        Where it was edited before and that floor still stands, that one is meant.
        """
        about = workload.autoscaler
        if about.spec.mode is Mode.FLOOR:
            self._left.setdefault(workload.key, workload_id(target_key(about)))

    def write(
        self, workloads: Mapping[ObjectKey, Workload], fresh: Collection[ObjectKey], now_s: float, *, leads: bool
    ) -> None:
        """Carry out what was just decided, for the objects in `fresh`, and try again what wasn't done before."""
        if not leads:
            self._left.clear()
            self._memory.keep(())
            for key in fresh:
                workloads[key].outcome = NOT_LEADING
            return
        self._left = {key: was for key, was in self._left.items() if key in workloads and _left(workloads[key], was)}
        leaving = {key for key, workload in workloads.items() if self._leaves(workload)}
        self._memory.keep([workloads[key].autoscaler for key in leaving])
        scalers = _scalers(workloads.values())
        busy = [one for key, one in workloads.items() if key in fresh or _is_open(one) or key in leaving]

        def carry_out(workload: Workload) -> Outcome:
            try:
                return self._carry_out(workload, scalers, now_s, fresh=workload.key in fresh)
            except Exception as problem:
                return Outcome(Action.FAILED, "InternalError", note_defect("write", workload, problem))

        outcomes = {one.key: outcome for one, outcome in zip(busy, self.all(carry_out, busy), strict=True)}

        def take_in(workload: Workload) -> None:
            outcome = outcomes[workload.key]
            self._take_in_outcome(workload, outcome)
            if outcome.action is Action.PATCHED and workload.key not in fresh:
                self.tell_later(workload, outcome, now_s)

        each("outcome", busy, take_in)

    def _carry_out(
        self, workload: Workload, scalers: Mapping[WorkloadId, list[str]], now_s: float, *, fresh: bool
    ) -> Outcome:
        if not self._elector.is_leader():
            # The lease was lost while others of this tick were written.
            return NOT_LEADING
        autoscaler, target, decision = workload.autoscaler, workload.target, workload.decision
        put_back = self._put_back_left(workload, now_s)
        if put_back is not None:
            return put_back
        if decision is None:
            return Outcome(Action.WAITING, "NoDecisionYet", "the first bin isn't over")
        if not isinstance(target, Target):
            reason, message = (target.reason, target.message) if target else ("NotReadYet", "")
            return Outcome(Action.WAITING, reason, message)
        others = _scaled_by_others(workload, target, decision, scalers.get(workload_id(target.key), ()), fresh=fresh)
        if not fresh and autoscaler.spec.mode is not Mode.SHADOW and is_old(workload, decision, now_s):
            others = Outcome(Action.WAITING, "DecidedAnew", f"nothing was decided for {now_s - decision.now_s:.0f} s")
        desired = workload.floor if autoscaler.spec.mode is Mode.FLOOR else decision.desired
        if desired is None:
            return _without_floor(decision)
        if _decided_for_another(workload, target, desired):
            others = Outcome(Action.WAITING, "DecidedAnew", "the object was edited since the last decision")
        return others or self._actuator.apply(autoscaler, target, desired, now_s=now_s)

    def _leaves(self, workload: Workload) -> bool:
        """Whether a floor may stand that it doesn't hold any more: of before an edit, or of the leader before."""
        about = workload.autoscaler
        held_before = about.spec.mode is not Mode.FLOOR and FINALIZER in about.metadata.finalizers
        return held_before or workload.key in self._left

    def _put_back_left(self, workload: Workload, now_s: float) -> Outcome | None:
        """Put back a floor that the object doesn't hold any more; None where none stands, and its decision counts."""
        if workload.autoscaler.metadata.deletion_timestamp is not None:
            return self._actuator.restore(workload.autoscaler)
        if not self._leaves(workload):
            return None
        entry = self._memory.of(workload.autoscaler)
        if entry.backs_off(now_s):
            return entry.still_failing(now_s)
        outcome = self._actuator.restore(workload.autoscaler)
        if outcome.undone:
            # It looks through a namespace each time.
            entry.note_failure(now_s, outcome.message, retry_after_s=0.0)
            return outcome
        self._left.pop(workload.key, None)
        return outcome if outcome.action is Action.PATCHED else None

    def _take_in_outcome(self, workload: Workload, outcome: Outcome) -> None:
        before, workload.outcome = workload.outcome, outcome
        if outcome.reason != "InternalError":
            workload.defects.pop("write", None)
        if outcome.action is Action.PATCHED:
            why = f"; {decision_sentence(workload.spec, workload.decision)}" if workload.decision is not None else ""
            message = f"{outcome.message}{why}"
            self.tell(workload.autoscaler, warning=False, reason=outcome.reason, message=message)
        elif needs_telling(outcome) and (before is None or before.reason != outcome.reason):
            self.tell(workload.autoscaler, warning=True, reason=outcome.reason, message=outcome.message)
        if outcome.failed:
            self.failed(outcome.reason)

    def put_back(
        self,
        floors: list[PredictiveAutoscaler],
        held: Collection[Held] | None = None,
        *,
        allowed: Callable[[], bool],
    ) -> bool:
        """Put back the bounds under floors, each if that is still `allowed` then; whether none is left to be tried."""

        def put_back(one: PredictiveAutoscaler) -> Outcome:
            try:
                return self._actuator.restore(one, held) if allowed() else NOT_LEADING
            except Exception as problem:
                # At the end there is no next tick: the others' floors go all the same.
                return Outcome(Action.FAILED, "InternalError", log_defect(str(key_of(one)), "restore", problem))

        outcomes = self.all(put_back, floors)
        for outcome in outcomes:
            self.log(outcome)
        return not any(outcome.undone for outcome in outcomes)

    def store_status(self, workloads: Collection[Workload], now_s: float, *, leads: bool) -> None:
        """Store the statuses that are due."""
        if not leads:
            return
        due: list[tuple[Workload, PredictiveAutoscalerStatus]] = []

        def look(workload: Workload) -> None:
            status = status_of(workload, now_s)
            since_s = now_s - workload.status_stored_s
            if is_due(workload.status, status, since_s, workload.spec.objective.late_budget):
                due.append((workload, status))

        each("status", workloads, look)
        for (workload, status), stored in zip(due, self.all(self._store, due), strict=True):
            if stored:
                workload.status, workload.status_stored_s = status, now_s

    def _store(self, item: tuple[Workload, PredictiveAutoscalerStatus]) -> bool:
        workload, status = item
        try:
            return self._elector.is_leader() and self._actuator.write_status(workload.autoscaler, status)
        except Exception as problem:
            note_defect("status", workload, problem)
            return False

    def tell_later(self, workload: Workload, outcome: Outcome, now_s: float, *, placeholders: bool = False) -> None:
        """Log what was written for a decision whose line is there already, and says why it had to wait."""
        self._teller.written(workload, outcome, now_s, placeholders=placeholders)

    def tell_standing(self, workloads: Iterable[Workload]) -> None:
        """Tell what is wrong with objects as they are: for whoever begins to lead, and told nothing as a standby."""
        for workload in workloads:
            about = workload.autoscaler
            for warning in workload.queries.warnings:
                self.tell(about, warning=True, reason="QueryWarning", message=warning)
            if workload.problem:
                self.tell(about, warning=True, reason="InvalidSpec", message=workload.problem)
            if workload.metrics_reason:
                self.tell(about, warning=True, reason=workload.metrics_reason, message=workload.metrics_message)

    def log(self, outcome: Outcome) -> None:
        """Log what became of something that no object holds any more."""
        self._teller.put_back(outcome)

    def failed(self, reason: str) -> None:
        """Count one write that failed."""
        self._teller.api_failed(reason)

    def tell(self, autoscaler: PredictiveAutoscaler, *, warning: bool, reason: str, message: str) -> None:
        """Tell of something on the object, if this replica leads."""
        if self._elector.is_leader():
            self._actuator.tell(autoscaler, warning=warning, reason=reason, message=message)

    def all(self, do: Callable[[_Item], _Result], items: list[_Item]) -> list[_Result]:
        """Do it for each, several at a time: a slow API server holds up eight of them, not all."""
        if len(items) <= 1:
            return [do(item) for item in items]
        return list(self._writers.map(do, items))


def _scaled_by_others(
    workload: Workload, target: Target, decision: Decision, scalers: Collection[str], *, fresh: bool
) -> Outcome | None:
    """Why replicas aren't written: another one writes them."""
    if workload.autoscaler.spec.mode is not Mode.SCALE:
        return None
    if len(scalers) > 1:
        message = f"{' and '.join(scalers)} all scale {target.key}; leave one of them in mode Scale"
        return Outcome(Action.REFUSED, "SharedTarget", message)
    if not fresh and target.replicas not in {decision.current, decision.desired}:
        # What was decided stood on other facts. Where it is in place already, the answer to our own write was lost, or
        # the leader before wrote it.
        return Outcome(Action.WAITING, "DecidedAnew", f"{target.key} has {replicas_text(target.replicas)} by now")
    return None


def needs_telling(outcome: Outcome) -> bool:
    """Whether somebody should look at what is in the way."""
    return outcome.failed or outcome.action is Action.REFUSED


def _decided_for_another(workload: Workload, target: Target, desired: int) -> bool:
    """Whether what would be written was decided for the object as it was before an edit."""
    spec = workload.autoscaler.spec
    if not workload.edited or spec.mode is Mode.SHADOW:
        return False
    if spec.mode is Mode.FLOOR:
        return not spec.min_replicas <= desired <= spec.max_replicas
    return desired != target.replicas


def is_old(workload: Workload, decision: Decision, now_s: float) -> bool:
    """Whether the decision stands on facts that are gone, and is no reason any more to write what wasn't written."""
    return not 0.0 <= now_s - decision.now_s < _OLD_BINS * workload.spec.bin_s


def _without_floor(decision: Decision) -> Outcome:
    """Why no floor is written yet."""
    if Reason.QUEUE_UNKNOWN in decision.reasons:
        message = "nobody saw what was queued within the last load: the floor that stands is left as it is"
        return Outcome(Action.NONE, str(Reason.QUEUE_UNKNOWN), message)
    return Outcome(Action.WAITING, "NoHistory", "no floor is raised before any demand is known")


def _left(workload: Workload, was: WorkloadId) -> bool:
    """Whether the object holds no floor of the workload that it `was` for: an edit may have been taken back."""
    about = workload.autoscaler
    return about.spec.mode is not Mode.FLOOR or workload_id(target_key(about)) != was


def _is_open(workload: Workload) -> bool:
    """Whether there is something to try that isn't a fresh decision."""
    if workload.autoscaler.metadata.deletion_timestamp is not None:
        return True
    return workload.decision is not None and (workload.outcome is None or workload.outcome.action in _OPEN)


def _scalers(workloads: Iterable[Workload]) -> dict[WorkloadId, list[str]]:
    """Who would write the replicas of each workload: two of them would undo each other's work for good."""
    scalers: dict[WorkloadId, list[str]] = {}
    for workload in workloads:
        about = workload.autoscaler
        if about.spec.mode is Mode.SCALE and about.metadata.deletion_timestamp is None:
            scalers.setdefault(workload_id(target_key(about)), []).append(str(workload.key))
    return scalers
