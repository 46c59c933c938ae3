"""Several models on one number of GPUs: each trace with its own simulated cluster, side by side, bin by bin.

Once per interval the models decide as they do alone, and then the GPUs are divided. Headstart's own division is the
production code; what it is compared with is what people do without one: no limit, an equal part for each, and first
come, first served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from autoscaler.backtest.cluster import SimulatedCluster
from autoscaler.backtest.headstart import ReportProgress, no_progress, spec_of
from autoscaler.backtest.result import Outcome
from autoscaler.backtest.rhythm import Rhythm
from autoscaler.backtest.setting import IntArray, Setting
from autoscaler.core.decide import decide, outlook_of
from autoscaler.core.gpu_budget import Claim, Division, Meant, claim_of, cut, divide, state_after
from autoscaler.core.gpu_worth import common_horizon_s, firm_s, load_s
from autoscaler.core.state import State

Divide = Callable[[int, Sequence[Claim]], Division]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a group; what is guaranteed to it are its setting's `replicas_min`."""

    name: str
    setting: Setting
    gpus_per_replica: int
    priority: int


@dataclass(frozen=True, slots=True)
class Group:
    """Models that share `gpus`; their settings have bins of one width, equally many, the first ones at one time."""

    gpus: int
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """What a division led to for one model, over the scored bins.

    Attributes:
        name: the model's.
        gpu_hours: paid for.
        late_fraction: late work over arrived work.
        late_gpu_hours, arrived_gpu_hours: late and arrived work, in GPU-hours of one that is fully used.
        cut_fraction: share of the bins in which it got less than it wanted.
        gpus_taken: GPUs of running replicas that it wanted to keep, summed over the decisions.
        gpus_max: most GPUs that it held at any moment, scored or not, those being released included.
        outcome: the same in replicas, and what `cluster.bins_of` needs to run its plan again.
    """

    name: str
    gpu_hours: float
    late_fraction: float
    late_gpu_hours: float
    arrived_gpu_hours: float
    cut_fraction: float
    gpus_taken: int
    gpus_max: int
    outcome: Outcome = field(compare=False)


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """One division over all models.

    Attributes:
        name: a key of DIVISIONS.
        models: in the group's order.
        gpus_max: most GPUs that all held together at any moment, as in ModelOutcome.
    """

    name: str
    models: tuple[ModelOutcome, ...]
    gpus_max: int

    @property
    def late_fraction(self) -> float:
        """Late work of all models over all their work, in GPU-seconds."""
        return late_fraction(self.models)

    @property
    def gpu_hours(self) -> float:
        """Paid for by all models."""
        return sum(model.gpu_hours for model in self.models)


def late_fraction(models: Sequence[ModelOutcome]) -> float:
    """Late work of several models over all their work, in GPU-seconds; 0 where none arrived."""
    arrived = sum(model.arrived_gpu_hours for model in models)
    return sum(model.late_gpu_hours for model in models) / arrived if arrived else 0.0


def _unlimited(_gpus: int, claims: Sequence[Claim]) -> Division:
    return _as_given([claim.desired for claim in claims])


def _equal_split(gpus: int, claims: Sequence[Claim]) -> Division:
    """Each model has its part for good."""
    given = []
    for claim in claims:
        part = gpus // len(claims)
        beside = max(claim.current, part // claim.gpus_per_replica - claim.leaving)
        given.append(min(claim.desired, part // claim.gpus_per_replica, beside))
    return _as_given(given)


def _first_come(gpus: int, claims: Sequence[Claim]) -> Division:
    """Whoever wants more takes what is free, in the group's order; nothing that runs is taken from anybody."""
    free = gpus - sum(claim.held_gpus for claim in claims)
    given = []
    for claim in claims:
        more = min(max(0, claim.desired - claim.current), free // claim.gpus_per_replica)
        free -= more * claim.gpus_per_replica
        given.append(min(claim.desired, claim.current + more))
    return _as_given(given)


def _as_given(given: Sequence[int]) -> Division:
    """A division that means what it gives."""
    return Division(tuple(given), tuple(given))


HEADSTART, FIRST_COME, EQUAL_PARTS, UNLIMITED = "headstart", "first come", "equal parts", "unlimited"
DIVISIONS: Mapping[str, Divide] = MappingProxyType(
    {HEADSTART: divide, FIRST_COME: _first_come, EQUAL_PARTS: _equal_split, UNLIMITED: _unlimited}
)


def run_group(group: Group, name: str, report: ReportProgress = no_progress) -> GroupOutcome:
    """Replay the group under one of DIVISIONS.

    Args:
        group: the models; at least one.
        name: of the division.
        report: called with (bins done, bins in all).
    """
    runs = [_Run(model) for model in group.models]
    setting = group.models[0].setting
    rhythm = Rhythm(setting)
    gpus_max = 0
    horizon = common_horizon_s(run.load_s for run in runs)
    claims: list[Claim] = []
    given: Sequence[int] = ()
    for t in range(len(setting)):
        fleets = [run.cluster.begin_bin() for run in runs]
        if rhythm.is_interval(t):
            claims = [run.decide(t, *fleet, horizon) for run, fleet in zip(runs, fleets, strict=True)]
            division = DIVISIONS[name](group.gpus, claims)
            given = division.given
            shares = zip(runs, claims, given, division.meant, strict=True)
            held = [run.give(t, claim, replicas, meant) for run, claim, replicas, meant in shares]
            gpus_max = max(gpus_max, sum(held))
        for run, claim, replicas in zip(runs, claims, given, strict=True):
            run.serve(t, claim, replicas)
        report(t + 1, len(setting))
    return GroupOutcome(name, tuple(run.outcome() for run in runs), gpus_max)


class _Run:
    """One model under way."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._setting = model.setting
        self._spec = spec_of(model.setting)
        self._state = State.start(self._spec, start_s=model.setting.start_s)
        self.load_s = load_s(self._spec, self._state.lead_bins)
        self._firm_s = firm_s(self._spec, self._state.lead_bins)
        self._meant = Meant.start(0, now_s=model.setting.start_s)
        self._rhythm = Rhythm(model.setting)
        self.cluster = SimulatedCluster(model.setting)
        self._cut_bins = self._gpus_taken = self._gpus_max = 0

    def decide(self, t: int, ready: int, due_bins: IntArray, horizon_s: float) -> Claim:
        """What the model wants from bin t on, known bins before it only, with the fleet as its bin begins."""
        observation = self._rhythm.observation(t, ready, due_bins)
        self._decision, self._state = decide(self._spec, self._state, observation)
        return claim_of(
            self._decision,
            outlook_of(self._spec, self._state),
            self._spec,
            gpus_per_replica=self._model.gpus_per_replica,
            priority=self._model.priority,
            minimum=self._setting.replicas_min,
            leaving=self.cluster.draining,
            meant_lately=self._meant.lately(now_s=observation.now_s, within_s=self._firm_s),
            horizon_s=horizon_s,
        )

    def give(self, t: int, claim: Claim, replicas: int, meant: int) -> int:
        """What it has from bin t until the next decision, and what was meant for it; GPUs of what runs or leaves."""
        self._meant = self._meant.after(meant, now_s=self._decision.now_s, within_s=self._firm_s)
        self._state = state_after(self._state, cut(self._decision, replicas))
        if t >= self._setting.score_from_bin:
            self._gpus_taken += claim.gpus_per_replica * max(0, min(claim.current, claim.desired) - replicas)
        held = claim.gpus_per_replica * (max(claim.current, replicas) + claim.leaving)
        self._gpus_max = max(self._gpus_max, held)
        return held

    def serve(self, t: int, claim: Claim, replicas: int) -> None:
        """Serve bin t with what it was given."""
        self.cluster.scale_and_serve(replicas)
        if t >= self._setting.score_from_bin:
            self._cut_bins += replicas < claim.desired

    def outcome(self) -> ModelOutcome:
        """What it came to."""
        outcome = self.cluster.outcome()
        scored = self._setting.arrivals_rs[self._setting.score_from_bin :]
        arrived_gpu_hours = float(scored.sum()) * self._model.gpus_per_replica / 3600.0
        return ModelOutcome(
            name=self._model.name,
            gpu_hours=outcome.replica_hours * self._model.gpus_per_replica,
            late_fraction=outcome.late_fraction,
            late_gpu_hours=outcome.late_fraction * arrived_gpu_hours,
            arrived_gpu_hours=arrived_gpu_hours,
            cut_fraction=self._cut_bins / len(scored),
            gpus_taken=self._gpus_taken,
            gpus_max=self._gpus_max,
            outcome=outcome,
        )
