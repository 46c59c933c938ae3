"""The external scaler beside the loop: guests among the objects, and each decision on the board.

Guests are objects that a trigger's metadata describes. Nothing is written for them: KEDA's HPA acts on what it is told.
So every replica of the controller decides on them alike, leader or not.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.actuators.restore import Held
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.ports import Actuator, Clock, Cluster
from autoscaler.controller.workload import ObjectKey, Workload, key_of, target_key
from autoscaler.core.decision import UNKNOWING, Reason
from autoscaler.errors import HeadstartError
from autoscaler.keda.board import Posted
from autoscaler.keda.desk import Desk
from autoscaler.keda.fleets import Fleets
from autoscaler.kube.facts import Target, TargetKey, Unavailable
from autoscaler.telemetry.metrics import Metrics

_LOAD_LEVEL = 0.5
# With 1,000 objects the tick, the process that answers and KEDA want more than two cores give; the tick can wait.
_TICK_NICENESS = 19
_UNUSABLE = "its demand isn't known, or its history can't be read"
_FOLLOWED = Outcome(Action.NONE, "External", "KEDA's HPA scales: it asks for the decision")

_UNKNOWN = Outcome(
    Action.NONE,
    "External",
    "KEDA's HPA scales; how many replicas there are isn't known before the first decision on data, which is made as if"
    " all that are allowed were there",
)


class ExternalScaler:
    """Takes part in the loop so that KEDA can ask: see controller.process.Extension."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        """Decisions go to `desk`, which answers, and guests come from there."""
        self._desk = desk
        self._clock = clock
        self._fleets = Fleets()
        self._by_target: dict[TargetKey, PredictiveAutoscaler] = {}

    def start(self) -> None:
        """Answer from now on: without a specification KEDA's fallback never comes.

        The calling thread, which ticks, and those that it begins give way to the process that answers from then on.
        """
        self._desk.start()
        niceness = max(os.getpriority(os.PRIO_PROCESS, 0), _TICK_NICENESS)
        os.setpriority(os.PRIO_PROCESS, 0, niceness)

    def stop(self) -> None:
        """End all streams well, and answer no more."""
        self._desk.stop()

    def observe(self, metrics: Metrics) -> None:
        """Show what KEDA asked."""
        metrics.add_scaler(self._desk.figures)

    def problem(self) -> str:
        """'' while KEDA is answered, else one line."""
        return self._desk.problem()

    def cluster(self, inner: Cluster) -> Cluster:
        """The cluster with the guests."""
        return _ClusterWithGuests(self, inner)

    def actuator(self, inner: Actuator) -> Actuator:
        """Writes what isn't a guest's."""
        return _ActuatorWithGuests(self, inner)

    def decided(self, workload: Workload) -> None:
        """A decision was made: post it, and let a guest's fleet follow."""
        decision = workload.decision
        assert decision is not None, "a decision was made"
        guest = self.is_guest(workload.autoscaler)
        # A guest's fleet is a guess: the HPA may have followed another trigger, or not have synced since.
        target = None if guest else workload.target
        replicas = target.replicas if isinstance(target, Target) else None
        # They hold what is there. Of a guest that is a guess, and held it could be fewer than there are; what is held
        # for a queue was decided on data before.
        unusable = UNKNOWING - {Reason.QUEUE_UNKNOWN} if guest else {Reason.NO_HISTORY}
        usable = not workload.metrics_reason and unusable.isdisjoint(decision.reasons)
        reason = workload.metrics_message or ("" if usable else _UNUSABLE)
        posted = Posted(decision.desired, workload.spec.bin_s, usable, reason, replicas)
        self._desk.post(workload.key, posted)
        if guest:
            load_s = workload.spec.load_latency.quantile_s(_LOAD_LEVEL)
            self._fleets.follow(workload.key, decision.desired, usable=usable, now_s=decision.now_s, load_s=load_s)

    def ticked(self, keys: Collection[ObjectKey]) -> None:
        """A tick is over: these objects exist."""
        self._desk.keep(keys)
        self._fleets.keep(keys)

    def is_guest(self, autoscaler: PredictiveAutoscaler) -> bool:
        """Whether a trigger describes it: each is a target of its own."""
        guest = self._by_target.get(target_key(autoscaler))
        return guest is not None and key_of(guest) == key_of(autoscaler)

    def guests(self) -> tuple[PredictiveAutoscaler, ...]:
        """Objects that triggers describe."""
        objects = self._desk.objects()
        self._by_target = {target_key(each): each for each in objects}
        return objects

    def guest_target(self, key: TargetKey) -> Target | None:
        """The workload of a guest, as it is taken to stand; None where it is no guest's."""
        guest = self._by_target.get(key)
        if guest is None:
            return None
        return self._fleets.target(key_of(guest), key, now_s=self._clock.now_s(), most=guest.spec.max_replicas)


class _ClusterWithGuests:
    """See ports.Cluster."""

    def __init__(self, scaler: ExternalScaler, inner: Cluster) -> None:
        self._scaler = scaler
        self._inner = inner

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """The cluster's, and the guests."""
        return (*self._inner.objects(), *self._scaler.guests())

    def problems(self) -> Mapping[tuple[str, str], str]:
        """The cluster's."""
        return self._inner.problems()

    def errors(self) -> Collection[HeadstartError]:
        """The cluster's."""
        return self._inner.errors()

    def synced(self) -> bool:
        """Whether the cluster's objects are known."""
        return self._inner.synced()

    def target(self, key: TargetKey) -> Target | Unavailable:
        """A guest's fleet, or what the cluster has."""
        return self._scaler.guest_target(key) or self._inner.target(key)


class _ActuatorWithGuests:
    """See ports.Actuator."""

    def __init__(self, scaler: ExternalScaler, inner: Actuator) -> None:
        self._scaler = scaler
        self._inner = inner

    def apply(self, autoscaler: PredictiveAutoscaler, target: Target, desired: int, *, now_s: float) -> Outcome:
        """Nothing, for a guest."""
        if self._scaler.is_guest(autoscaler):
            return _UNKNOWN if target.assumed else _FOLLOWED
        return self._inner.apply(autoscaler, target, desired, now_s=now_s)

    def refusal(self, autoscaler: PredictiveAutoscaler, target: Target) -> Outcome | None:
        """Nothing, for a guest: KEDA carries out what it asks for."""
        return None if self._scaler.is_guest(autoscaler) else self._inner.refusal(autoscaler, target)

    def place(self, autoscaler: PredictiveAutoscaler, placeholders: int, *, held: bool, now_s: float) -> Outcome:
        """The cluster's: a trigger describes none."""
        return self._inner.place(autoscaler, placeholders, held=held, now_s=now_s)

    def take_away(self, autoscaler: PredictiveAutoscaler, written: Collection[int]) -> Outcome:
        """The cluster's."""
        return self._inner.take_away(autoscaler, written)

    def held(self) -> Collection[Held] | None:
        """The cluster's."""
        return self._inner.held()

    def restore(self, autoscaler: PredictiveAutoscaler, held: Collection[Held] | None = None) -> Outcome:
        """Nothing, for a guest."""
        if self._scaler.is_guest(autoscaler):
            return _FOLLOWED
        return self._inner.restore(autoscaler, held)

    def sweep(self, autoscalers: Collection[PredictiveAutoscaler], spared: Collection[str]) -> Collection[Outcome]:
        """The cluster's."""
        return self._inner.sweep(autoscalers, spared)

    def keep(self, autoscalers: Collection[PredictiveAutoscaler]) -> None:
        """The cluster's."""
        self._inner.keep(autoscalers)

    def write_status(self, autoscaler: PredictiveAutoscaler, status: PredictiveAutoscalerStatus) -> bool:
        """A guest has none."""
        if self._scaler.is_guest(autoscaler):
            return True
        return self._inner.write_status(autoscaler, status)

    def tell(self, autoscaler: PredictiveAutoscaler, *, warning: bool, reason: str, message: str) -> None:
        """A guest has no Events; the decision lines tell."""
        if not self._scaler.is_guest(autoscaler):
            self._inner.tell(autoscaler, warning=warning, reason=reason, message=message)
