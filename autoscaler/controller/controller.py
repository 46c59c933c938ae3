"""The loop: once per tick it looks at what changed, asks for the bins that ended, decides, writes and tells.

Every replica of the controller does all of it but the writing, which is the leader's: whoever takes over has the same
history and makes the same decision.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping
from threading import Event
from types import MappingProxyType

from autoscaler.actuators.outcome import Action, Entry, Outcome
from autoscaler.actuators.restore import Held
from autoscaler.api.v1alpha1 import KIND, Mode, PredictiveAutoscaler
from autoscaler.controller.budgets import Budgets
from autoscaler.controller.edit import take_edit
from autoscaler.controller.follow import follow
from autoscaler.controller.histories import Histories
from autoscaler.controller.isolation import each, log_defect, note_defect
from autoscaler.controller.placing import Placing
from autoscaler.controller.ports import Actuator, Clock, Cluster, Elector
from autoscaler.controller.pull import Pull, Pulled, pull_for, read
from autoscaler.controller.rebuilder import Rebuilder
from autoscaler.controller.step import Made, decide_between, decide_on
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import ObjectKey, Workload, key_of, new_workload, target_key
from autoscaler.controller.writing import Writing
from autoscaler.errors import UsageError
from autoscaler.kube.facts import Target
from autoscaler.kube.parse import UNREAD_SPEC
from autoscaler.sources.presets import ResolvedQueries, resolve
from autoscaler.sources.ranges import MetricsSource

log = logging.getLogger(__name__)

# Bins without data after which the history is asked for again: the outage may have been the way to Prometheus only.
_OUTAGE_BINS = 5
# A standby looks at the lease every 2 s.
_HAND_OVER_S = 5.0
# While histories are read, a tick pauses for so many times as long as it took.
_PAUSES_PER_TICK = 4.0
# Ticks fall so long after the clock's even times: a bin's last scrape has arrived by then.
SETTLE_S = 1.0


def _resolved(autoscaler: PredictiveAutoscaler, unread: str) -> tuple[ResolvedQueries | None, str]:
    """The object's queries, or why it has none; '' where the cluster tells that with the next tick."""
    if unread or autoscaler.spec is UNREAD_SPEC:
        return None, unread
    try:
        return resolve(autoscaler.spec), ""
    except UsageError as problem:
        return None, str(problem)


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
        gpu_budgets: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Nothing is read or written before the first tick."""
        self._cluster = cluster
        self._source = source
        self._actuator = actuator
        self._elector = elector
        self._clock = clock
        self._teller = teller
        self._tick_s = tick_s
        self._settle_s = settle_s
        self._workloads: dict[ObjectKey, Workload] = {}
        # Objects that a defect kept from being taken in: they hold what they hold.
        self._unread: set[ObjectKey] = set()
        self._led = False
        # Of the last tick, and of any; the first one is what finds the objects.
        self._settled = self._was_settled = False
        self._sweep_due = False
        # Paces a sweep that fails: each looks through all HPAs and ScaledObjects.
        self._sweep_pace = Entry()
        self._took_s = 0.0
        self._budgets = Budgets(gpu_budgets, actuator.refusal)
        self._histories = Histories(rebuilder, teller)
        self._writing = Writing(actuator, elector, teller)
        self._placing = Placing(actuator, elector, self._writing)

    def run(self, stop: Event) -> None:
        """Tick until `stop` is set, then put back what was written."""
        try:
            while not stop.is_set():
                try:
                    self.tick()
                except Exception:
                    # The next one may do better. /healthz fails where none does: the heart beats at a tick's end.
                    log.exception("a defect of Headstart in a tick")
                self._clock.wait_until(self._next_tick_s(), stop)
        finally:
            self.stop()

    @property
    def settled(self) -> bool:
        """Whether every object's history was once asked for, and answered or refused; any thread may ask.

        Objects that come later don't take it back: a replica that scales a thousand stays ready while one is new.
        """
        return self._was_settled

    def _next_tick_s(self) -> float:
        now_s = self._clock.now_s()
        regular_s = (math.floor((now_s - self._settle_s) / self._tick_s) + 1) * self._tick_s + self._settle_s
        if self._settled:
            return regular_s
        # What waits for a history decides soon after it is there; reading a thousand gets most of the time.
        return min(regular_s, now_s + max(1.0, _PAUSES_PER_TICK * self._took_s))

    def tick(self) -> None:
        """One round over all objects."""
        now_s = self._clock.now_s()
        step = self._teller.step
        with step("objects"):
            self._take_in_objects()
        for error in self._cluster.errors():
            self._teller.cluster_failed(error)
        with step("leadership"):
            leads = self._take_in_leadership(now_s)
        with step("targets"):
            self._look_at_targets()
        with step("history"):
            self._histories.go_on(self._workloads, now_s - self._settle_s)
        with step("pull"):
            pulled = self._pull(now_s)
        with step("decide"):
            made = each("decide", self._of(pulled), lambda one: self._decide(one, pulled[one.key]))
        with step("divide"):
            made = self._budgets.divide(self._workloads, made)
        with step("write"):
            fresh = {key for key, some in made.items() if some}
            self._writing.write(self._workloads, fresh, now_s, leads=leads)
            # Between bins placeholders stay as they are.
            asked = {key for key in fresh if made[key][-1].placeholders is not None}
            self._placing.place(self._workloads, asked, now_s, leads=leads)
        with step("tell"):
            each("tell", self._of(made), lambda one: self._teller.decided(one, made[one.key], now_s))
        with step("status"):
            self._writing.store_status(self._workloads.values(), now_s, leads=leads)
        self._settled = all(workload.state is not None or workload.problem for workload in self._workloads.values())
        self._was_settled = self._was_settled or self._settled
        self._teller.ticked(self._workloads, leads=leads)
        self._took_s = self._clock.now_s() - now_s

    def stop(self) -> None:
        """Put the user's own bounds back, unless another replica takes them over; then write nothing more.

        In a rolling update the next leader holds the floors on. Put back and raised again, they would let an HPA that
        syncs in between release what was ordered ahead. One that comes late is left those that still stand.
        """
        everything = (workload.autoscaler for workload in self._workloads.values())
        floors = [each for each in everything if each.spec.mode is Mode.FLOOR]
        if self._elector.is_leader() and floors and not self._elector.hand_over(within_s=_HAND_OVER_S):
            held = self._held()
            self._writing.put_back(floors, held, allowed=lambda: not self._elector.another_leads())
        self._writing.close()

    def _held(self) -> Collection[Held] | None:
        try:
            return self._actuator.held()
        except Exception as problem:
            # Each is looked up by itself then.
            log_defect("all objects", "held", problem)
            return None

    @property
    def workloads(self) -> Iterable[Workload]:
        """What it looks after."""
        return self._workloads.values()

    def _of(self, keys: Iterable[ObjectKey]) -> list[Workload]:
        return [self._workloads[key] for key in keys]

    # What changed.

    def _take_in_objects(self) -> None:
        seen: dict[ObjectKey, PredictiveAutoscaler] = {key_of(one): one for one in self._cluster.objects()}
        gone = [self._workloads.pop(key) for key in self._workloads.keys() - seen.keys()]
        if self._led:
            for one in gone:
                self._placing.leave(one)
            # One from the API was let go by its finalizer; one from a file just isn't there any more.
            floors = [one.autoscaler for one in gone if one.autoscaler.spec.mode is Mode.FLOOR]
            self._sweep_due |= not self._writing.put_back(floors, allowed=self._elector.is_leader)
        self._unread.clear()
        problems = self._cluster.problems()
        for key, autoscaler in seen.items():
            workload = self._workloads.get(key)
            try:
                self._take_in(autoscaler, workload, problems.get(key, "").removeprefix(f"{KIND} {key} "))
            except Exception as problem:
                self._unread.add(key)
                # Its former self stays, if there was one, and the others are looked after.
                if workload is None:
                    log.exception("%s: a defect of Headstart as the object was read", key)
                else:
                    note_defect("objects", workload, problem)
            else:
                self._workloads[key].defects.pop("objects", None)
        # What another leader wrote meanwhile would pass for somebody's edit.
        self._actuator.keep(seen.values() if self._led else ())

    def _take_in(self, autoscaler: PredictiveAutoscaler, workload: Workload | None, unread: str) -> None:
        if workload is None or workload.autoscaler.metadata.uid != autoscaler.metadata.uid:
            if workload is not None and self._led:
                self._placing.leave(workload)
            self._add(autoscaler, unread)
        elif workload.autoscaler.spec is UNREAD_SPEC and autoscaler.spec is not UNREAD_SPEC:
            self._add(autoscaler, unread)
            # Its floor was spared: it may be of another target, or another mode.
            self._sweep_due = self._led
        elif workload.seen is not autoscaler or workload.unread != unread:
            self._take_in_edit(workload, autoscaler, unread)
            # Last: an edit that met a defect is tried again.
            workload.seen, workload.unread = autoscaler, unread

    def _add(self, autoscaler: PredictiveAutoscaler, unread: str) -> None:
        queries, problem = _resolved(autoscaler, unread)
        workload = self._workloads[key_of(autoscaler)] = new_workload(autoscaler, queries or ResolvedQueries({}))
        workload.unread = unread
        self._note_problem(workload, problem)
        if self._led:
            self._writing.tell_standing([workload])

    def _take_in_edit(self, workload: Workload, autoscaler: PredictiveAutoscaler, unread: str) -> None:
        """A new spec takes effect now, unless it can't be served; a status is our own, or the leader's."""
        in_force = workload.autoscaler.spec
        workload.autoscaler = autoscaler.model_copy(update={"spec": in_force})
        if not self._led:
            follow(workload, autoscaler.status)
        if autoscaler.spec == in_force and not workload.problem and not unread:
            return
        queries, problem = _resolved(autoscaler, unread)
        if self._note_problem(workload, problem) and self._led:
            self._writing.tell(autoscaler, warning=True, reason="InvalidSpec", message=problem)
        if queries is None:
            return
        if self._led:
            self._placing.leave(workload)
            self._writing.leave(workload)
        take_edit(workload, autoscaler, queries)

    def _note_problem(self, workload: Workload, problem: str) -> bool:
        """Whether it is a new one."""
        new = problem not in {"", workload.problem}
        if new:
            self._teller.unusable(workload.autoscaler, problem)
        workload.problem = problem
        return new

    def _take_in_leadership(self, now_s: float) -> bool:
        """Whether this replica leads; a new leader tells what is wrong, and puts back floors that nobody claims."""
        leads = self._elector.is_leader()
        if leads and not self._led:
            self._writing.tell_standing(self._workloads.values())
            self._sweep_pace = Entry()
        self._sweep_due = leads and (self._sweep_due or not self._led)
        # An object that isn't listed yet claims its floor none the less.
        if self._sweep_due and self._cluster.synced() and not self._cluster.errors():
            self._sweep(now_s)
        self._led = leads
        return leads

    def _sweep(self, now_s: float) -> None:
        if self._sweep_pace.backs_off(now_s):
            return
        spared = {f"{namespace}/{name}" for namespace, name in (*self._cluster.problems(), *self._unread)}
        try:
            outcomes = self._actuator.sweep([workload.autoscaler for workload in self._workloads.values()], spared)
        except Exception as problem:
            outcomes = (Outcome(Action.FAILED, "InternalError", log_defect("all objects", "sweep", problem)),)
        for outcome in outcomes:
            self._teller.put_back(outcome)
        undone = [outcome.message for outcome in outcomes if outcome.undone]
        self._sweep_due = bool(undone)
        if undone:
            self._sweep_pace.note_failure(now_s, undone[0], retry_after_s=0.0)
        else:
            self._sweep_pace.note_success()

    def _look_at_targets(self) -> None:
        each("target", self._workloads.values(), self._look_at_target)

    def _look_at_target(self, workload: Workload) -> None:
        workload.target = self._cluster.target(target_key(workload.autoscaler))
        if isinstance(workload.target, Target):
            workload.loads = workload.loads.with_pods(workload.target.pods)

    # Decisions.

    def _pull(self, now_s: float) -> dict[ObjectKey, Pulled]:
        asked = each("pull", self._workloads.values(), lambda one: self._pull_for(one, now_s - self._settle_s))
        pulls = {key: pull for key, pull in asked.items() if pull is not None}
        answers = self._source.fetch([request for pull in pulls.values() for request in pull.requests])
        askers = {request: key for key, pull in pulls.items() for request in pull.requests}
        self._teller.answered((askers[request], answer) for request, answer in answers.items())
        pulled = each("read", self._of(pulls), lambda one: read(pulls[one.key], answers))
        for key, some in pulled.items():
            workload = self._workloads[key]
            if workload.outage_bins and some.bins[-1].known and not some.early:
                # What failed for the outage needn't wait for its time.
                workload.retry_s = -math.inf if workload.history_missing else workload.retry_s
                workload.history_missing = workload.history_missing or workload.outage_bins >= _OUTAGE_BINS
        return pulled

    def _pull_for(self, workload: Workload, now_s: float) -> Pull | None:
        if workload.fleet is None and not isinstance(workload.target, Target):
            return None
        if ends_s := workload.bin_ends_due(now_s):
            return pull_for(workload, ends_s)
        early_s = workload.early_s(now_s, self._tick_s)
        if early_s is None:
            return None
        # While histories are read there is a tick each second.
        workload.looked_s = early_s
        return pull_for(workload, (early_s,), early=True)

    def _decide(self, workload: Workload, pulled: Pulled) -> list[Made]:
        if pulled.early:
            return decide_between(workload, pulled)
        reason = workload.metrics_reason
        made = decide_on(workload, pulled)
        if workload.metrics_reason != reason:
            if workload.metrics_reason:
                self._writing.tell(
                    workload.autoscaler, warning=True, reason=workload.metrics_reason, message=workload.metrics_message
                )
            else:
                self._writing.tell(
                    workload.autoscaler, warning=False, reason="MetricsBack", message="demand is known again"
                )
        return made
