"""A fleet with a constant load that does what `decide` says, for tests of the core without the simulated cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from autoscaler.core.decide import decide
from autoscaler.core.decision import Decision
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State


@dataclass
class Fleet:
    """Replicas that serve, and in how many bins the loading ones will."""

    lead: int
    ready: int = 0
    due: list[int] = field(default_factory=list)

    def pass_bins(self, bins: int) -> None:
        self.due = [due - bins for due in self.due]
        self.ready += sum(due <= 0 for due in self.due)
        self.due = [due for due in self.due if due > 0]

    def scale(self, desired: int) -> None:
        while self.ready + len(self.due) < desired:
            if self.lead:
                self.due.append(self.lead)
            else:
                self.ready += 1
        while self.ready + len(self.due) > desired:
            if self.due:
                self.due.remove(max(self.due))
            else:
                self.ready -= 1

    def observe(self, now_s: float, demand_rps: Mapping[str, float], backlog_rs: float | None = None) -> Observation:
        return Observation(now_s, demand_rps, self.ready, np.array(sorted(self.due), dtype=np.int64), backlog_rs)


@dataclass
class Run:
    """Decisions one by one, with what each was made from."""

    fleet: Fleet
    state: State
    decisions: list[Decision] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)

    @property
    def desired(self) -> list[int]:
        return [decision.desired for decision in self.decisions]


def make_spec(
    *, bin_s: float = 600.0, load_s: float = 1800.0, capacity_rps=None, max_wait_s=10.0, late_budget=0.01, **others
) -> Spec:
    return Spec(
        bin_s=bin_s,
        capacity_rps=capacity_rps or {"requests": 1.0},
        objective=Objective(max_wait_s=max_wait_s, late_budget=late_budget),
        load_latency=LoadLatency.constant(load_s),
        **others,
    )


def follow(
    spec: Spec,
    demand: Iterable[float | Mapping[str, float] | None],
    jumps: Iterable[int] = (),
    queue_rs: float | None = None,
) -> Run:
    """Decide at each bin; entry t of `demand` is what came in the bin before decision t + 1.

    Args:
        spec: the workload; a plain number is the demand of its first unit, None leaves the unit out.
        demand: per decision after the first.
        jumps: bins from one decision to the next, 1 where it ends.
        queue_rs: the backlog that is measured each time; None leaves it to be estimated.
    """
    run = Run(Fleet(math.ceil(spec.load_latency.quantile_s(0.9) / spec.bin_s)), State.start(spec))
    unit = next(iter(spec.capacity_rps))
    jump_of, now_s = iter(jumps), 0.0
    for seen in [math.nan, *demand]:
        demand_rps = seen if isinstance(seen, Mapping) else {} if seen is None else {unit: seen}
        observation = run.fleet.observe(now_s, demand_rps, queue_rs)
        decision, run.state = decide(spec, run.state, observation)
        run.fleet.scale(decision.desired)
        run.decisions.append(decision)
        run.observations.append(observation)
        jump = next(jump_of, 1)
        run.fleet.pass_bins(jump)
        now_s += jump * spec.bin_s
    return run


@pytest.fixture(scope="session")
def spec_of() -> Callable[..., Spec]:
    """Makes a spec: 10-minute bins, a load of three bins, a capacity of one request per second."""
    return make_spec


@pytest.fixture(scope="session")
def run_of() -> Callable[..., Run]:
    """Decides bin by bin on a fleet that follows: see `follow`."""
    return follow
