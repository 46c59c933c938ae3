"""Headstart with nodes kept warm in the backtest: replicas and placeholders by the production code.

Every replica needs a node's room of its own, and every room costs what a replica costs from its order until nobody
wants it. A replica takes the room that is ready first of those that placeholders hold; what finds none, or none that is
ready before a new node would be, waits for a node of its own. What goes again leaves its room, when it has drained, to
the placeholders as far as they are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.cluster import DRAWS, drawn_loads_s, new_state, outcome, whole_bins, with_room
from autoscaler.backtest.cluster_steps import LOADING, ORDERS, READY
from autoscaler.backtest.headstart import PROGRESS_EVERY, ReportProgress, no_progress, spec_of
from autoscaler.backtest.result import Bins, Outcome
from autoscaler.backtest.rhythm import Rhythm
from autoscaler.backtest.setting import IntArray, Setting, WarmNodes
from autoscaler.core.decide import decide
from autoscaler.core.node_head_start import Ahead, decide_placeholders
from autoscaler.core.state import State
from forecasting.lead_members import DEFAULT_MEMBERS

# A stream of draws for nodes beside the one for loads of the same seed.
_NODE_STREAM = 2**32


@dataclass(frozen=True, slots=True)
class WarmReplay:
    """The run of replicas and placeholders over a trace.

    Attributes:
        outcome: what it led to; its costs include placeholders.
        placeholder_hours: what of its replica-hours placeholders are.
    """

    outcome: Outcome
    placeholder_hours: float


def replay_warm_nodes(
    setting: Setting, members: tuple[str, ...] = DEFAULT_MEMBERS, report: ReportProgress = no_progress
) -> WarmReplay:
    """Decide on replicas and placeholders interval by interval; see headstart.replay_headstart.

    ValueError where the setting has no `warm_nodes`.
    """
    nodes = setting.warm_nodes
    if nodes is None:
        raise ValueError("the setting keeps no nodes warm")
    node_and_load = spec_of(setting, members)
    spec = replace(node_and_load, load_latency=nodes.load)
    state = State.start(spec, start_s=setting.start_s)
    ahead = Ahead(node_and_load, State.start(node_and_load, start_s=setting.start_s))
    rhythm = Rhythm(setting)
    cluster = WarmCluster(setting, nodes)
    decision = None
    for t in range(len(setting)):
        ready, due_bins = cluster.begin_bin()
        if decision is None or rhythm.is_interval(t):
            observation = rhythm.observation(t, ready, due_bins)
            decision, state = decide(spec, state, observation)
            _, ahead = decide_placeholders(ahead, observation, decision, most=nodes.placeholders_max)
        cluster.scale_and_serve(decision.desired, ahead.placeholders)
        if t % PROGRESS_EVERY == 0:
            report(t, len(setting))
    report(len(setting), len(setting))
    return cluster.replay()


@dataclass(frozen=True, slots=True)
class _Room:
    """A node's room for one replica: when it was ordered, when it is ready, and from when it is paid for by itself."""

    ordered_s: float
    ready_s: float
    paid_from_s: float


@dataclass(frozen=True, slots=True)
class _Loading:
    """A replica that isn't ready: where, since when it loads or will, and the bin in which it is ready."""

    room: _Room
    load_from_s: float
    ready_bin: int


class WarmCluster:
    """The simulated cluster with rooms; per bin, in order: `begin_bin`, then `scale_and_serve`, at last `replay`."""

    def __init__(self, setting: Setting, nodes: WarmNodes) -> None:
        """Start with no replica and no room before bin 0."""
        self._setting = setting
        self._nodes = nodes
        self._loads_s = drawn_loads_s(nodes.load, setting.start_failure_share, setting.seed)
        self._nodes_s = nodes.provisioning.sample_s(DRAWS, setting.seed + _NODE_STREAM)
        longest = whole_bins(float(self._loads_s.max() + self._nodes_s.max()), setting.bin_s)
        # Written before each order: what is left of its node's time is part of its load.
        self._load_bins = np.full(DRAWS, longest + 1, dtype=np.int64)
        self._state = new_state(setting, replicas_max=1024, load_bins=self._load_bins)
        self._median_load_s = nodes.load.quantile_s(0.5)
        self._loading: list[_Loading] = []
        self._free: list[_Room] = []
        self._rooms = 0
        self._desired = np.zeros(len(setting), dtype=np.int32)
        self._placeholders = np.zeros(len(setting))
        self._bin = 0

    def begin_bin(self) -> tuple[int, IntArray]:
        """See SimulatedCluster.begin_bin: nodes and loads are told by their age and distribution alone."""
        cluster_steps.begin_bin(self._state, self._bin)
        self._loading = [one for one in self._loading if one.ready_bin > self._bin]
        due = [max(1, whole_bins(self._rest_s(one), self._setting.bin_s)) for one in self._loading]
        return int(self._state.counters[READY]), np.sort(np.array(due, dtype=np.int64))

    def scale_and_serve(self, desired: int, placeholders: int) -> None:
        """Order or release replicas, then rooms so that `placeholders` are held without one, and serve the bin."""
        standing = int(self._state.counters[READY] + self._state.counters[LOADING])
        orders = int(self._state.counters[ORDERS])
        for order in range(orders, orders + desired - standing):
            self._load_one(order % DRAWS)
        if desired < standing:
            self._leave(standing - desired)
        self._state = with_room(self._state, desired)
        cluster_steps.scale_and_serve(self._state, self._bin, desired)
        self._free.sort(key=lambda room: room.ready_s)
        del self._free[placeholders:]
        self._free += [self._order_room() for _ in range(placeholders - len(self._free))]
        self._desired[self._bin] = desired
        self._placeholders[self._bin] = sum(room.paid_from_s <= self._now_s for room in self._free)
        self._bin += 1

    def replay(self) -> WarmReplay:
        """What the run led to, once every bin of the trace is served."""
        found = outcome(self._setting, self._state, self._desired)
        scored = slice(self._setting.score_from_bin, None)
        placeholder_hours = float(self._placeholders[scored].sum()) * self._setting.bin_s / 3600.0
        counted = Bins(
            ready=self._state.ready,
            paid=self._state.paid + self._placeholders,
            late_rs=self._state.late_rs,
            served_rs=self._state.served_rs,
        )
        found = replace(found, replica_hours=found.replica_hours + placeholder_hours, counted=counted)
        return WarmReplay(found, placeholder_hours)

    @property
    def _now_s(self) -> float:
        return self._bin * self._setting.bin_s

    def _rest_s(self, one: _Loading) -> float:
        """Seconds until a replica is expected to serve."""
        if one.room.ready_s > self._now_s:
            return self._nodes.provisioning.remaining_s(self._now_s - one.room.ordered_s) + self._median_load_s
        return self._nodes.load.remaining_s(self._now_s - one.load_from_s)

    @property
    def _new_room(self) -> _Room:
        """The room of the next node to be ordered, if that is now."""
        return _Room(self._now_s, self._now_s + float(self._nodes_s[self._rooms % DRAWS]), self._now_s)

    def _order_room(self) -> _Room:
        room = self._new_room
        self._rooms += 1
        return room

    def _load_one(self, order: int) -> None:
        """Prepare an order: it loads in the room that is ready first."""
        first = min(self._free, key=lambda room: room.ready_s, default=None)
        if first is None or first.ready_s > self._new_room.ready_s:
            # A room may be draining for hours.
            first = self._order_room()
        else:
            self._free.remove(first)
        load_from_s = max(self._now_s, first.ready_s)
        load_s = float(self._loads_s[order])
        self._load_bins[order] = whole_bins(load_from_s - self._now_s + load_s, self._setting.bin_s)
        ready_bin = self._bin + int(self._load_bins[order])
        if ready_bin > self._bin:
            self._loading.append(_Loading(first, load_from_s, ready_bin))

    def _leave(self, replicas: int) -> None:
        """Free the rooms of replicas that go, as cluster_steps.scale takes them: the latest due first."""
        self._loading.sort(key=lambda one: one.ready_bin)
        loading = min(replicas, len(self._loading))
        kept = len(self._loading) - loading
        self._free += [one.room for one in self._loading[kept:]]
        del self._loading[kept:]
        drained_s = self._now_s + self._setting.drain_s
        self._free += [_Room(self._now_s, drained_s, drained_s)] * (replicas - loading)
