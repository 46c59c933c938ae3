"""One object at work: what the controller remembers of it between ticks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from autoscaler.actuators.note import standing_floors
from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.actuators.placeholders import REVERTED, UNPLACED
from autoscaler.api.status import ConditionType, PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.controller.bin_data import BinData
from autoscaler.controller.core_spec import stated_spec
from autoscaler.controller.fleet import Fleet
from autoscaler.core.decision import UNKNOWING, Decision, Reason
from autoscaler.core.lateness import Lateness
from autoscaler.core.learned_capacity import CapacitySamples
from autoscaler.core.learned_load import LoadTimes
from autoscaler.core.node_head_start import Ahead, Placeholders
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from autoscaler.kube.facts import Target, TargetKey, Unavailable
from autoscaler.sources.presets import ResolvedQueries

# An unread history holds for up to an hour, and known demand needs its floor meanwhile.
_KNOWS_NOTHING = UNKNOWING - {Reason.HISTORY_MISSING}
# Bins that are decided on one after the other; after a longer sleep of the process the history is asked for instead,
# beside the tick: 120 bins of a thousand objects take half a minute.
_CATCH_UP_BINS = 120
# A clock that was set back by less is waited for.
_SET_BACK_S = 60.0
# Where no history can be had at all, so much of what is seen instead is enough to release replicas on.
_SEEN_ENOUGH_S = 3_600.0


class ObjectKey(NamedTuple):
    """Names a PredictiveAutoscaler."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def key_of(autoscaler: PredictiveAutoscaler) -> ObjectKey:
    """The object's name."""
    return ObjectKey(autoscaler.metadata.namespace, autoscaler.metadata.name)


def target_key(autoscaler: PredictiveAutoscaler) -> TargetKey:
    """The workload that the object scales."""
    ref = autoscaler.spec.scale_target_ref
    return TargetKey(autoscaler.metadata.namespace, ref.api_version, ref.kind, ref.name)


@dataclass(slots=True)
class Workload:
    """Mutable; only the tick's thread touches it.

    Attributes:
        autoscaler: the object as last read; where its spec can't be served, with the last one that could.
        seen: the object as last read without a defect.
        queries: what is asked of Prometheus for it.
        spec: what the core plans with: what was stated, and what was learned.
        state: the core's; None until the first history was asked for.
        problem: why the object, as edited last, can't be served; '' where it can.
        unread: why its spec, as edited last, can't be read; '' where it can.
        defects: step of the tick -> what went wrong in it by a defect of Headstart.
        rebuilding: whether a history is on its way.
        history_missing: whether the last one failed, was empty or came in part, and is to be asked for again, not
            before `retry_s`.
        histories_in_part: how many came in part, one after the other.
        edited: whether the object was edited since the last decision, in more than its mode.
        history_edited: whether what is asked, where, or how far back was edited since the state's history was read.
        loads, capacities, lateness: what was learned, of bins that end up to `taught_s`.
        target: the workload as last read.
        fleet: what was ready and loading at the last decision.
        bin: the last bin's data.
        looked_s: when demand was last looked at before a bin was over.
        outage_bins: bins in a row without known demand.
        budget_problem: reason and message, where its GPU budget itself is at fault, or can give it nothing to order.
        metrics_reason, metrics_message: why the last bin's demand was unknown; '' where it was known.
        decision, outcome: the last ones.
        ahead: what nodes are planned with; None where they aren't, or before a history of it is there.
        placeholders, placed: the last decision on placeholders, and what became of it.
        unplaced: whether it is known that placeholders can't be had: a load then includes a node's time.
        floor: what mode Floor writes: the last decision that stands on data, or more; None before one, or where more
            stands.
        status: as last stored; `status_stored_s` is when.
        queue_unseen: whether a queue may have grown since the last decision, or before the first, while this process
            wasn't there or slept.
    """

    autoscaler: PredictiveAutoscaler
    seen: PredictiveAutoscaler
    queries: ResolvedQueries
    spec: Spec
    state: State | None = None
    problem: str = ""
    unread: str = ""
    defects: dict[str, str] = field(default_factory=dict)
    rebuilding: bool = False
    history_missing: bool = False
    histories_in_part: int = 0
    edited: bool = False
    history_edited: bool = False
    retry_s: float = -math.inf
    loads: LoadTimes = field(default_factory=LoadTimes)
    capacities: dict[str, CapacitySamples] = field(default_factory=dict)
    lateness: Lateness = field(default_factory=Lateness)
    taught_s: float = -math.inf
    target: Target | Unavailable | None = None
    fleet: Fleet | None = None
    bin: BinData | None = None
    looked_s: float = math.nan
    outage_bins: int = 0
    budget_problem: tuple[str, str] | None = None
    metrics_reason: str = ""
    metrics_message: str = ""
    decision: Decision | None = None
    floor: int | None = None
    outcome: Outcome | None = None
    ahead: Ahead | None = None
    placeholders: Placeholders | None = None
    placed: Outcome | None = None
    unplaced: bool = False
    status: PredictiveAutoscalerStatus | None = None
    status_stored_s: float = -math.inf
    queue_unseen: bool = False

    @property
    def key(self) -> ObjectKey:
        """The object's name."""
        return key_of(self.autoscaler)

    @property
    def request_unit(self) -> str | None:
        """The unit that engines count their queues in; None where the object doesn't count requests."""
        return "requests" if "requests" in self.spec.capacity_rps else None

    def backlog_rs(self, data: BinData) -> float | None:
        """Work queued in replica-seconds; None where the queue isn't known, or the object doesn't count requests."""
        unit = self.request_unit
        return data.backlog_rs(self.spec.capacity_rps[unit]) if unit else None

    @property
    def nodes_warm(self) -> bool:
        """Whether replicas find a ready node, as far as it is known: placeholders are written, and can be had."""
        given = self.autoscaler.spec
        return given.node_head_start is not None and given.mode is not Mode.SHADOW and not self.unplaced

    @property
    def history_unknown(self) -> bool:
        """Whether demand before couldn't be read, and less than an hour of it was seen since."""
        if not self.history_missing or self.state is None:
            return False
        known = min(forecast.history.bins_known for forecast in self.state.forecasts.values())
        return known * self.spec.bin_s < _SEEN_ENOUGH_S

    def bin_ends_due(self, now_s: float) -> tuple[float, ...]:
        """Ends of the bins that are over and not decided on yet, oldest first; none where it has lapsed."""
        if self.state is None or self.lapsed(now_s):
            return ()
        first_s, latest_s = self._first_and_latest_s(self.state, now_s)
        count = round((latest_s - first_s) / self.spec.bin_s) + 1
        return tuple(first_s + k * self.spec.bin_s for k in range(max(0, count)))

    def lapsed(self, now_s: float) -> bool:
        """Whether the state belongs to another time: the process slept long, or the clock was set."""
        if self.state is None:
            return False
        bin_s = self.spec.bin_s
        first_s, latest_s = self._first_and_latest_s(self.state, now_s)
        return not -max(bin_s, _SET_BACK_S) <= latest_s + bin_s - first_s <= _CATCH_UP_BINS * bin_s

    def _first_and_latest_s(self, state: State, now_s: float) -> tuple[float, float]:
        """Ends of the first bin that wasn't decided on, and of the last that is over."""
        latest_s = math.floor(now_s / self.spec.bin_s) * self.spec.bin_s
        return latest_s if state.next_start_s is None else state.next_start_s, latest_s

    def early_s(self, now_s: float, tick_s: float) -> float | None:
        """The time to look at demand before its bin is over, once a tick; None at its end, or without a history."""
        at_s = math.floor(now_s / tick_s) * tick_s
        state = self.state
        if state is None or state.next_start_s is None or np.isnan(state.needs).any():
            return None
        inside = state.next_start_s - self.spec.bin_s < at_s < state.next_start_s
        return at_s if inside and at_s != self.looked_s else None

    def take(self, decision: Decision) -> None:
        """The newest decision. What is held for lack of data is what HPA has added too, and no floor of ours."""
        self.decision, self.edited = decision, False
        if _KNOWS_NOTHING.isdisjoint(decision.reasons):
            self.floor = decision.desired
            return
        floor = self._floor_on(decision)
        stands = isinstance(self.target, Target) and max(standing_floors(self.target.owners), default=0) >= floor
        # Where none of ours is known, one that stands is of whoever knew more.
        if floor and (self.floor is not None or not stands):
            self.floor = max(self.floor or 0, floor)

    def _floor_on(self, decision: Decision) -> int:
        """What a decision that lacks data asks for all the same: what it orders, or else what known demand needs."""
        if decision.desired > decision.current:
            return decision.desired
        if _KNOWS_NOTHING.intersection(decision.reasons) != {Reason.QUEUE_UNKNOWN}:
            return 0
        return min(decision.desired, max(self.spec.replicas_min, math.ceil(decision.high_at_lead)))

    def take_placed(self, outcome: Outcome) -> None:
        """What became of the last decision on placeholders; what may pass doesn't change what is planned with."""
        # What is written again after somebody else's number may be put back again.
        again = outcome.action is Action.PATCHED and self.placed is not None and self.placed.reason == REVERTED
        if outcome.reason in UNPLACED:
            self.unplaced = True
        elif outcome.action in (Action.NONE, Action.PATCHED) and not again:
            self.unplaced = False
        self.placed = outcome

    def go_on_with(self, spec: Spec, state: State, ahead: Ahead | None = None) -> None:
        """Plan with another spec, on a history made for it; the queue is the same, measured by another capacity."""
        if self.state is not None:
            unit = next(iter(spec.capacity_rps))
            scale = self.spec.capacity_rps.get(unit, spec.capacity_rps[unit]) / spec.capacity_rps[unit]
            unseen = self.state.unseen.in_bins_of(spec.bin_s, before_s=self.spec.bin_s)
            state = replace(state, backlog_rs=scale * self.state.backlog_rs, serving=self.state.serving, unseen=unseen)
        if ahead is not None:
            unseen = state.unseen
            if self.ahead is not None:
                unseen = self.ahead.state.unseen.in_bins_of(ahead.spec.bin_s, before_s=self.ahead.spec.bin_s)
            queued = replace(ahead.state, backlog_rs=state.backlog_rs, serving=state.serving, unseen=unseen)
            ahead = replace(ahead, state=queued, placeholders=self._placeholders_before())
        self.spec, self.state, self.ahead = spec, state, ahead

    def note_absence(self) -> None:
        """This process wasn't there for a while, and another one may have been.

        Of a queue that nobody measures only who saw it grow has an estimate: a replica that took over during one
        released 9 of the 19 replicas that were working it off. The floor that stands may be a higher one.
        """
        self.queue_unseen, self.floor = True, None

    def _placeholders_before(self) -> int:
        """Placeholders decided last, by this process or the one before it."""
        if self.placeholders is not None:
            return self.placeholders.desired
        stored = self.status.placeholder_replicas if self.status is not None else None
        return stored or 0

    def placeholders_written(self) -> frozenset[int]:
        """Numbers of placeholders that Headstart has ordered lately, as far as it is known; none where it can't."""
        if self.unplaced:
            return frozenset()
        decided = self.placeholders.desired if self.placeholders is not None else None
        stored = self.status.placeholder_replicas if self.status is not None else None
        stood = (self.placed.before, self.placed.after, self.placed.maybe) if self.placed is not None else ()
        return frozenset(count for count in (decided, stored, *stood) if count)

    def forget_placeholders(self) -> None:
        """Others are asked for from now on, or none."""
        self.placeholders, self.placed, self.unplaced = None, None, False
        self.defects.pop("place", None)

    def forget_target(self) -> None:
        """Another workload is scaled from now on: what was seen, learned and decided was of the one before."""
        self.loads, self.capacities = LoadTimes(), {}
        self.target = self.fleet = self.bin = self.decision = self.floor = self.outcome = None
        if self.status is not None:
            # Phases of loads are told on from there.
            self.status = self.status.model_copy(update={"load_latency": None})


def learned_loads(status: PredictiveAutoscalerStatus) -> LoadTimes:
    """What the status says was learned of loads."""
    loads, nodes = status.load_latency, status.node_provisioning
    return LoadTimes.restored(
        loads.recent_seconds if loads else (),
        loads.recent_node_seconds if loads else (),
        nodes.recent_seconds if nodes else (),
    )


def says_unplaced(status: PredictiveAutoscalerStatus) -> bool:
    """Whether the status says that placeholders can't be had."""
    return any(each.type == ConditionType.NODE_HEAD_START and each.reason in UNPLACED for each in status.conditions)


def new_workload(autoscaler: PredictiveAutoscaler, queries: ResolvedQueries) -> Workload:
    """A workload that remembers what its object's status says was learned."""
    status = autoscaler.status or PredictiveAutoscalerStatus()
    capacities: Mapping[str, CapacitySamples] = {
        learned.unit: CapacitySamples.of(learned.recent_per_second) for learned in status.capacity
    }
    return Workload(
        autoscaler=autoscaler,
        seen=autoscaler,
        queries=queries,
        spec=stated_spec(autoscaler.spec),
        loads=learned_loads(status),
        capacities=dict(capacities),
        unplaced=says_unplaced(status),
        status=autoscaler.status,
    )
