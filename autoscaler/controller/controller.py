"""The loop: once per tick it looks at what changed, asks for the bins that ended, decides, writes and tells.

Every replica of the controller does all of it but the writing, which is the leader's: whoever takes over has the same
history and makes the same decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.controller import status as status_of_object
from autoscaler.controller.ports import Actuator, Clock, Cluster, Elector
from autoscaler.controller.pull import Pulled, pull_for, read
from autoscaler.controller.rebuild import Rebuilt, job_for
from autoscaler.controller.rebuilder import Rebuilder
from autoscaler.controller.sentence import decision_sentence
from autoscaler.controller.step import Made, decide_between, decide_on, wants_rebuild
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import ObjectKey, Workload, key_of, new_workload, target_key
from autoscaler.errors import UsageError
from autoscaler.kube.facts import Target
from autoscaler.sources.presets import resolve
from autoscaler.sources.ranges import MetricsSource

# Bins without data after which the history is asked for again: the outage may have been the way to Prometheus only.
_OUTAGE_BINS = 5
# A failed history is asked for again so often.
_HISTORY_RETRY_S = 60.0
_WRITERS = 8
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
# Ticks fall so long after the clock's even times: a bin's last scrape has arrived by then.
SETTLE_S = 1.0


_NOT_LEADING = Outcome(Action.WAITING, "NotLeading", "another replica of Headstart leads")
_OPEN = {Action.WAITING, Action.CONFLICT, Action.FAILED}


def _is_open(workload: Workload) -> bool:
    """Whether there is something to try that isn't a fresh decision."""
    if workload.autoscaler.metadata.deletion_timestamp is not None:
        return True
    return workload.decision is not None and (workload.outcome is None or workload.outcome.action in _OPEN)


class Controller:
    """All objects, tick by tick. `tick` and `stop` are called by one thread."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        source: MetricsSource,
        rebuilder: Rebuilder,
        actuator: Actuator,
        elector: Elector,
        clock: Clock,
        teller: Teller,
        tick_s: float,
        settle_s: float = SETTLE_S,
    ) -> None:
        """Nothing is read or written before the first tick."""
        self._cluster = cluster
        self._source = source
        self._rebuilder = rebuilder
        self._actuator = actuator
        self._elector = elector
        self._clock = clock
        self._teller = teller
        self._tick_s = tick_s
        self._settle_s = settle_s
        self._workloads: dict[ObjectKey, Workload] = {}
        self._led = False
        # Of the last tick; the first one is what finds the objects.
        self._settled = False
        self._history_asked_s = -math.inf
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="writer")

    def run(self, stop: Event) -> None:
        """Tick until `stop` is set, then put back what was written."""
        try:
            while not stop.is_set():
                self.tick()
                self._clock.wait_until(self._next_tick_s(), stop)
        finally:
            self.stop()

    @property
    def settled(self) -> bool:
        """Whether every object's history was asked for, and answered or refused; any thread may ask."""
        return self._settled

    def _next_tick_s(self) -> float:
        if not self._settled:
            # What waits for a history decides as soon as it is there.
            return self._clock.now_s() + 1.0
        now_s = self._clock.now_s() - self._settle_s
        return (math.floor(now_s / self._tick_s) + 1) * self._tick_s + self._settle_s

    def tick(self) -> None:
        """One round over all objects."""
        now_s = self._clock.now_s()
        step = self._teller.step
        with step("objects"):
            self._take_in_objects()
        for error in self._cluster.errors():
            self._teller.cluster_failed(error)
        with step("leadership"):
            leads = self._take_in_leadership()
        with step("targets"):
            self._look_at_targets()
        with step("history"):
            self._go_on_with_history(now_s)
        with step("pull"):
            pulled = self._pull(now_s)
        with step("decide"):
            made = {key: self._decide(self._workloads[key], each) for key, each in pulled.items()}
        with step("write"):
            self._write(made, now_s, leads=leads)
        with step("tell"):
            for key, decisions in made.items():
                self._teller.decided(self._workloads[key], decisions, now_s)
        with step("status"):
            self._store_status(now_s, leads=leads)
        self._settled = all(workload.state is not None for workload in self._workloads.values())
        self._teller.ticked(self._workloads, leads=leads)

    def stop(self) -> None:
        """Put the user's own bounds back, if this replica leads; then write nothing more."""
        if self._elector.is_leader():
            everything = (workload.autoscaler for workload in self._workloads.values())
            floors = [each for each in everything if each.spec.mode is Mode.FLOOR]
            if floors:
                held = self._actuator.held()
                self._all(lambda each: self._actuator.restore(each, held), floors)
        self._writers.shutdown(wait=True, cancel_futures=True)

    @property
    def workloads(self) -> Iterable[Workload]:
        """What it looks after."""
        return self._workloads.values()

    # What changed.

    def _take_in_objects(self) -> None:
        seen: dict[ObjectKey, PredictiveAutoscaler] = {key_of(each): each for each in self._cluster.objects()}
        gone = [self._workloads.pop(key).autoscaler for key in self._workloads.keys() - seen.keys()]
        if self._led:
            # One from the API was let go by its finalizer; one from a file just isn't there any more.
            self._all(self._actuator.restore, [each for each in gone if each.spec.mode is Mode.FLOOR])
        for key, autoscaler in seen.items():
            workload = self._workloads.get(key)
            if workload is None or workload.autoscaler.metadata.uid != autoscaler.metadata.uid:
                self._add(autoscaler)
            elif workload.autoscaler is not autoscaler:
                self._take_in_edit(workload, autoscaler)
        self._actuator.keep(seen.values())

    def _add(self, autoscaler: PredictiveAutoscaler) -> None:
        try:
            queries = resolve(autoscaler.spec)
        except UsageError as problem:
            self._teller.unusable(autoscaler, str(problem))
            return
        self._workloads[key_of(autoscaler)] = new_workload(autoscaler, queries)
        for warning in queries.warnings:
            self._tell(autoscaler, warning=True, reason="QueryWarning", message=warning)

    def _take_in_edit(self, workload: Workload, autoscaler: PredictiveAutoscaler) -> None:
        """A new spec takes effect now; a status is our own, or the leader's."""
        edited = workload.autoscaler.spec != autoscaler.spec
        demand_edited = edited and workload.autoscaler.spec.demand != autoscaler.spec.demand
        workload.autoscaler = autoscaler
        if not self._led:
            workload.status = autoscaler.status
        if not edited:
            return
        workload.outcome = None
        try:
            workload.queries = resolve(autoscaler.spec)
        except UsageError as problem:
            self._teller.unusable(autoscaler, str(problem))
            return
        workload.history_missing = workload.history_missing or demand_edited

    def _take_in_leadership(self) -> bool:
        """Whether this replica leads; a new leader puts back floors that nobody claims."""
        leads = self._elector.is_leader()
        if leads and not self._led:
            spared = {f"{namespace}/{name}" for namespace, name in self._cluster.problems()}
            autoscalers = [workload.autoscaler for workload in self._workloads.values()]
            for outcome in self._actuator.sweep(autoscalers, spared):
                self._teller.swept(outcome)
        self._led = leads
        return leads

    def _look_at_targets(self) -> None:
        for workload in self._workloads.values():
            workload.target = self._cluster.target(target_key(workload.autoscaler))
            if isinstance(workload.target, Target):
                workload.loads = workload.loads.with_pods(workload.target.pods)

    # History.

    def _go_on_with_history(self, now_s: float) -> None:
        for rebuilt in self._rebuilder.finished():
            self._join(rebuilt)
        retry = now_s - self._history_asked_s >= _HISTORY_RETRY_S
        jobs = []
        for workload in self._workloads.values():
            spec = wants_rebuild(workload)
            wanted = workload.state is None or spec is not None or (workload.history_missing and retry)
            if wanted and not workload.rebuilding:
                jobs.append(job_for(workload, spec or workload.spec, now_s - self._settle_s))
                workload.rebuilding = True
        if jobs:
            self._history_asked_s = now_s
            self._rebuilder.submit(jobs)
            for rebuilt in self._rebuilder.finished():
                self._join(rebuilt)

    def _join(self, rebuilt: Rebuilt) -> None:
        workload = self._workloads.get(rebuilt.job.key)
        if workload is None or workload.autoscaler.metadata.uid != rebuilt.job.uid:
            return
        workload.rebuilding = False
        workload.history_missing = rebuilt.failure is not None
        if rebuilt.failure is not None:
            self._teller.prometheus_failed(rebuilt.failure)
        if rebuilt.failure is not None and workload.state is not None:
            return
        workload.go_on_with(rebuilt.job.spec, rebuilt.state)
        self._teller.rebuilt(rebuilt)

    # Decisions.

    def _pull(self, now_s: float) -> dict[ObjectKey, Pulled]:
        pulls = {}
        for key, workload in self._workloads.items():
            if workload.fleet is None and not isinstance(workload.target, Target):
                continue
            ends_s = workload.bin_ends_due(now_s - self._settle_s)
            early_s = workload.early_s(now_s - self._settle_s, self._tick_s)
            if ends_s:
                pulls[key] = pull_for(workload, ends_s)
            elif early_s is not None:
                pulls[key] = pull_for(workload, (early_s,), early=True)
        answers = self._source.fetch([request for pull in pulls.values() for request in pull.requests])
        self._teller.answered(answers.values())
        pulled = {key: read(pull, answers) for key, pull in pulls.items()}
        for key, each in pulled.items():
            workload = self._workloads[key]
            if workload.outage_bins >= _OUTAGE_BINS and each.bins[-1].known and not each.early:
                workload.history_missing = True
        return pulled

    def _decide(self, workload: Workload, pulled: Pulled) -> list[Made]:
        if pulled.early:
            return decide_between(workload, pulled)
        reason = workload.metrics_reason
        made = decide_on(workload, pulled)
        if workload.metrics_reason != reason:
            if workload.metrics_reason:
                self._tell(
                    workload.autoscaler, warning=True, reason=workload.metrics_reason, message=workload.metrics_message
                )
            else:
                self._tell(workload.autoscaler, warning=False, reason="MetricsBack", message="demand is known again")
        return made

    def _write(self, made: dict[ObjectKey, list[Made]], now_s: float, *, leads: bool) -> None:
        """Carry out what was just decided, and try again what wasn't done before."""
        fresh = {key for key, each in made.items() if each}
        if not leads:
            for key in fresh:
                self._workloads[key].outcome = _NOT_LEADING
            return
        busy = [workload for key, workload in self._workloads.items() if key in fresh or _is_open(workload)]
        outcomes = self._all(
            lambda workload: self._carry_out(workload, now_s, fresh=workload.key in fresh),
            busy,
        )
        for workload, outcome in zip(busy, outcomes, strict=True):
            self._take_in_outcome(workload, outcome)

    def _carry_out(self, workload: Workload, now_s: float, *, fresh: bool) -> Outcome:
        autoscaler, target, decision = workload.autoscaler, workload.target, workload.decision
        if autoscaler.metadata.deletion_timestamp is not None:
            return self._actuator.restore(autoscaler)
        if decision is None:
            return Outcome(Action.WAITING, "NoDecisionYet", "the first bin isn't over")
        if not isinstance(target, Target):
            reason, message = (target.reason, target.message) if target else ("NotReadYet", "")
            return Outcome(Action.WAITING, reason, message)
        if not fresh and autoscaler.spec.mode is Mode.SCALE and target.replicas != decision.current:
            # Someone scaled it since: what was decided stood on other facts.
            return Outcome(Action.WAITING, "DecidedAnew", f"{target.key} has {target.replicas} replicas by now")
        return self._actuator.apply(autoscaler, target, decision.desired, now_s=now_s)

    def _take_in_outcome(self, workload: Workload, outcome: Outcome) -> None:
        before, workload.outcome = workload.outcome, outcome
        if outcome.action is Action.PATCHED and workload.decision is not None:
            message = f"{outcome.message}; {decision_sentence(workload.spec, workload.decision)}"
            self._tell(workload.autoscaler, warning=False, reason=outcome.reason, message=message)
        elif outcome.action in {Action.REFUSED, Action.FAILED} and (before is None or before.reason != outcome.reason):
            self._tell(workload.autoscaler, warning=True, reason=outcome.reason, message=outcome.message)
        if outcome.action is Action.FAILED:
            self._teller.api_failed(outcome.reason)

    def _store_status(self, now_s: float, *, leads: bool) -> None:
        if not leads:
            return
        due = []
        for workload in self._workloads.values():
            status = status_of_object.status_of(workload, now_s)
            if status_of_object.is_due(workload.status, status, now_s - workload.status_stored_s):
                due.append((workload, status))
        stored = self._all(lambda each: self._actuator.write_status(each[0].autoscaler, each[1]), due)
        for (workload, status), done in zip(due, stored, strict=True):
            if done:
                workload.status, workload.status_stored_s = status, now_s

    def _tell(self, autoscaler: PredictiveAutoscaler, *, warning: bool, reason: str, message: str) -> None:
        if self._elector.is_leader():
            self._actuator.tell(autoscaler, warning=warning, reason=reason, message=message)

    def _all(self, do: Callable[[_Item], _Result], each: list[_Item]) -> list[_Result]:
        """Do it for each, several at a time: a slow API server holds up eight of them, not all."""
        if len(each) <= 1:
            return [do(item) for item in each]
        return list(self._writers.map(do, each))
