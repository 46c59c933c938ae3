"""An object, and the controller on a simulated world whose parts can fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from autoscaler.actuators.note import ANNOTATION, Note
from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.clock import VirtualClock
from autoscaler.controller.controller import Controller
from autoscaler.controller.rebuilder import InlineRebuilder
from autoscaler.controller.simulated import SimulatedWorld
from autoscaler.controller.tell import Teller
from autoscaler.core.load_latency import LoadLatency
from autoscaler.kube.facts import Owner, OwnerKind, TargetKey, Unavailable
from autoscaler.sources.ranges import Failure, RangeAnswer, SourceError
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics
from autoscaler.traces.trace import Trace

# The hand-made decisions are shared with the tests of telemetry.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

BIN_S = 600.0


def make_object(
    *, name: str = "chat", uid: str = "1", generation: int = 1, deleting: bool = False, **spec: Any
) -> PredictiveAutoscaler:
    stated = {
        "scaleTargetRef": {"name": "chat"},
        "mode": "Scale",
        "minReplicas": 0,
        "maxReplicas": 1000,
        "interval": f"{BIN_S:g}s",
        "demand": [{"query": "requests", "capacity": 1.0}],
        "loadLatency": {"prior": f"{3 * BIN_S:g}s"},
    }
    return PredictiveAutoscaler.from_manifest(
        {
            "apiVersion": "headstart.dev/v1alpha1",
            "kind": "PredictiveAutoscaler",
            "metadata": {
                "name": name,
                "namespace": "llm",
                "uid": uid,
                "generation": generation,
                "deletionTimestamp": "2026-01-01T00:00:00Z" if deleting else None,
            },
            "spec": stated | spec,
        }
    )


class FaultyWorld(SimulatedWorld):
    """Faults are set by the test: what Prometheus answers instead, and whether the target can be read."""

    failure: Failure | None = None
    empty = False
    hidden = False
    leads = True
    owners: tuple[Owner, ...] = ()
    listed = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.given: PredictiveAutoscaler | None = None  # an edit of the object; the world goes by the first one
        self.others: list[PredictiveAutoscaler] = []  # objects beside the one that scales, which write nothing
        self.unread: dict[tuple[str, str], str] = {}  # what the cluster says of objects that can't be read
        self.told: list[str] = []  # reasons of Events
        self.restored: list[str] = []
        self.swept: list[list[str]] = []  # names that were said to hold floors, of each sweep
        self.spared: set[str] = set()
        self.sweep_fails = False
        self.statuses = 0

    def objects(self):
        return (self.given or self._autoscaler, *self.others)

    def synced(self):
        return self.listed

    def problems(self):
        return self.unread

    def fetch(self, requests):
        if self.failure is not None:
            return {request: SourceError(self.failure, f"no answer ({self.failure})") for request in requests}
        answers = super().fetch(requests)
        if self.empty:
            answers = {request: RangeAnswer(np.full(request.points, np.nan)) for request in requests}
        return answers

    def target(self, key: TargetKey):
        if self.hidden:
            return Unavailable(key, "ClusterStale", "not heard of")
        return replace(super().target(key), owners=self.owners)

    def leave_floor(self, floor: int) -> None:
        """A floor stands that another process wrote."""
        annotations = {ANNOTATION: Note(1, floor, "llm/chat").dump()}
        self.owners = (Owner(OwnerKind.HPA, "llm", "chat", floor, 1000, "", annotations, "1"),)

    def apply(self, autoscaler, target, desired, *, now_s):
        if autoscaler.metadata.name != self._autoscaler.metadata.name:
            return Outcome(Action.NONE, "Unchanged", "another's")
        return super().apply(autoscaler, target, desired, now_s=now_s)

    def tell(self, autoscaler, *, warning, reason, message):
        self.told.append(reason)

    def restore(self, autoscaler, held=None):
        self.restored.append(autoscaler.metadata.name)
        return super().restore(autoscaler, held)

    def sweep(self, autoscalers, spared):
        self.swept.append([each.metadata.name for each in autoscalers])
        self.spared = set(spared)
        return [Outcome(Action.FAILED, "Timeout", "no answer")] if self.sweep_fails else []

    def write_status(self, autoscaler, status):
        self.statuses += 1
        return True

    def is_leader(self) -> bool:
        return self.leads


@dataclass
class Run:
    """A controller over a trace, tick by tick."""

    world: FaultyWorld
    controller: Controller
    metrics: Metrics
    logged: list[str]
    next_bin: int = 0
    replicas: list[int] = field(default_factory=list)
    broken: bool = False  # whether the test brings a defect about

    def tick(self, bins: int = 1) -> None:
        for _ in range(bins):
            at_s = self.world.start_s + self.next_bin * BIN_S
            self.clock.wait_until(at_s, Event())
            self.world.begin(at_s)
            self.controller.tick()
            assert self.broken or not any(workload.defects for workload in self.controller.workloads)
            self.next_bin += 1
            self.replicas.append(len(self.world.target(None).pods) if not self.world.hidden else -1)

    clock: VirtualClock = None

    def restart(self) -> None:
        """Another process goes on, that knows what can be read."""
        self.controller = controller_of(self.world, self.clock, self.metrics, self.logged)

    @property
    def workload(self):
        return next(iter(self.controller.workloads))


def start(demand: np.ndarray, autoscaler: PredictiveAutoscaler | None = None, load_s: float = 3 * BIN_S) -> Run:
    trace = Trace("test", 0.0, BIN_S, {"requests": np.asarray(demand) * BIN_S}, dated=False)
    world = FaultyWorld(autoscaler or make_object(), trace, LoadLatency.constant(load_s))
    clock = VirtualClock(0.0, speed=float("inf"))
    metrics = Metrics(version="0", now_s=clock.now_s)
    logged: list[str] = []
    return Run(world, controller_of(world, clock, metrics, logged), metrics, logged, clock=clock)


def controller_of(world: FaultyWorld, clock: VirtualClock, metrics: Metrics, logged: list[str]) -> Controller:
    return Controller(
        cluster=world,
        source=world,
        rebuilder=InlineRebuilder(world),
        actuator=world,
        elector=world,
        clock=clock,
        teller=Teller(metrics, Log(logged.append, now_s=clock.now_s)),
        tick_s=BIN_S,
        settle_s=0.0,
    )


@pytest.fixture(scope="session")
def object_of() -> Callable[..., PredictiveAutoscaler]:
    return make_object


@pytest.fixture(scope="session")
def start_run() -> Callable[..., Run]:
    return start
