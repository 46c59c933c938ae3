"""GPU budgets, live: after all have decided, what each gets of the GPUs that it shares with others.

Counted is what exists: replicas ordered, pods that are being deleted, pods beyond the order in a rolling update, floors
that stand, and orders of ours that the watch hasn't shown yet. So a budget holds at every moment; GPUs are given on
once they are free. An object whose decisions aren't carried out takes nothing from others: it keeps what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.gpu_budget import GpuBudget
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.controller.held import Held, held_by
from autoscaler.controller.isolation import note_defect
from autoscaler.controller.step import Made
from autoscaler.controller.workload import ObjectKey, Workload, target_key
from autoscaler.core.gpu_budget import Claim, Meant, claim_of, cut, divide, state_after
from autoscaler.core.gpu_worth import common_horizon_s, firm_s, load_s
from autoscaler.kube.facts import Target, TargetKey


@dataclass(frozen=True, slots=True)
class _Share:
    """Replicas of one target, see `Division`."""

    given: int
    meant: int


class Budgets:
    """All budgets of a controller; used by the tick's thread only."""

    def __init__(
        self, gpus: Mapping[str, int], refusal: Callable[[PredictiveAutoscaler, Target], Outcome | None]
    ) -> None:
        """`gpus` are those of each budget, by its name; `refusal` is the actuator's, see ports."""
        self._gpus = gpus
        self._refusal = refusal
        self._wishes: dict[ObjectKey, Made] = {}
        self._held: dict[ObjectKey, Held] = {}
        self._meant: dict[ObjectKey, Meant] = {}

    def divide(
        self, workloads: Mapping[ObjectKey, Workload], made: Mapping[ObjectKey, list[Made]]
    ) -> dict[ObjectKey, list[Made]]:
        """What was decided in this tick, cut to what the budgets give; workloads take it on.

        Between bins nothing is released, so what was decided early and comes to nothing is left out.
        """
        self._wishes = {key: wish for key, wish in self._wishes.items() if key in workloads}
        self._held = {key: held.after(workloads[key].outcome) for key, held in self._held.items() if key in workloads}
        self._meant = {key: meant for key, meant in self._meant.items() if key in workloads}
        divided = dict(made)
        fresh = {key for key, several in made.items() if several and several[-1].newest}
        for key in fresh:
            if workloads[key].autoscaler.spec.gpu_budget is not None:
                self._wishes[key] = made[key][-1]
        for name, members in _members(workloads.values()).items():
            decided_s = [made[member.key][-1].decision.now_s for member in members if member.key in fresh]
            if not decided_s:
                continue
            try:
                given = self._divide(name, members, now_s=max(decided_s))
            except Exception as problem:
                # A defect stops the one budget, and no other: its objects stay as they are.
                for member in members:
                    note_defect("divide", member, problem)
                    divided.pop(member.key, None)
                continue
            for member, replicas in zip(members, given, strict=True):
                member.defects.pop("divide", None)
                if member.key in fresh:
                    divided[member.key] = _given(member, made[member.key], replicas)
                most = max(replicas, self._held[member.key].ordered)
                if not divided.get(member.key):
                    _cut_open(member, most)
                _bound_floor(member, most)
        return divided

    def _divide(self, name: str, members: Sequence[Workload], *, now_s: float) -> Sequence[int]:
        """Replicas that each may have, in order; in mode Shadow as many as it would have if it were carried out."""
        for member in members:
            held = self._held[member.key] = held_by(member, self._held.get(member.key), now_s=now_s)
            self._meant.setdefault(member.key, Meant.start(held.ordered, now_s=now_s))
        gpus = self._gpus.get(name)
        unread = [member for member in members if not self._held[member.key].known]
        # While nobody knows what one holds, the others keep what they hold, and get no more.
        acting = {member.key for member in members if not unread and self._acts(member)}
        shares = self._shares(members, acting, None if unread else gpus, now_s=now_s)
        _note_problem(name, gpus, members, _holders(members, acting), unread)
        for member in members:
            if wish := self._wishes.get(member.key):
                meant, within_s = shares[_target(member)].meant, firm_s(wish.spec, wish.outlook.lead_bins)
                self._meant[member.key] = self._meant[member.key].after(meant, now_s=now_s, within_s=within_s)
        shadows = {member.key for member in members if _is_shadow(member)}
        would = self._shares(members, acting | shadows, gpus, now_s=now_s) if shadows else shares
        may = []
        for member in members:
            if member.key in shadows:
                may.append(would[_target(member)].meant)
            elif member.key in acting:
                may.append(shares[_target(member)].given)
            else:
                may.append(self._kept(member, shares[_target(member)].given))
        return may

    def _shares(
        self, members: Sequence[Workload], acting: Collection[ObjectKey], gpus: int | None, *, now_s: float
    ) -> dict[TargetKey, _Share]:
        """What each target gets if the decisions of the members in `acting` are carried out, and no others."""
        holders = _holders(members, acting)
        wishes = {one.key: self._wishes[one.key] for one in holders if one.key in acting and one.key in self._wishes}
        horizon = common_horizon_s(load_s(wish.spec, wish.outlook.lead_bins) for wish in wishes.values())
        claims = [self._claim(one, wishes.get(one.key), now_s=now_s, horizon_s=horizon) for one in holders]
        # Without a number of GPUs nothing may be ordered beyond those that are held.
        division = divide(sum(claim.held_gpus for claim in claims) if gpus is None else gpus, claims)
        pairs = zip(division.given, division.meant, strict=True)
        return {_target(one): _Share(given, meant) for one, (given, meant) in zip(holders, pairs, strict=True)}

    def _claim(self, workload: Workload, wish: Made | None, *, now_s: float, horizon_s: float) -> Claim:
        part, held, minimum = _part(workload), self._held[workload.key], workload.spec.replicas_min
        if wish is None:
            # Nothing is wanted of it yet, or any more, or could be had, but what there is.
            return Claim(
                gpus_per_replica=part.gpus_per_replica,
                priority=part.priority,
                minimum=minimum,
                desired=held.ordered,
                current=held.ordered,
                leaving=held.leaving,
                saved=np.arange(held.ordered + 1.0),
                held=True,
            )
        within_s = firm_s(wish.spec, wish.outlook.lead_bins)
        return claim_of(
            replace(wish.decision, current=held.ordered),
            wish.outlook,
            wish.spec,
            gpus_per_replica=part.gpus_per_replica,
            priority=part.priority,
            minimum=minimum,
            leaving=held.leaving,
            meant_lately=self._meant[workload.key].lately(now_s=now_s, within_s=within_s),
            horizon_s=horizon_s,
        )

    def _acts(self, workload: Workload) -> bool:
        """Whether what it is given is going to be ordered, as far as that is known before it is tried."""
        about, target, outcome = workload.autoscaler, workload.target, workload.outcome
        if about.metadata.deletion_timestamp is not None or _is_shadow(workload) or not isinstance(target, Target):
            return False
        refused = outcome is not None and outcome.action is Action.REFUSED
        return not refused and self._refusal(about, target) is None

    def _kept(self, workload: Workload, held: int) -> int:
        """Replicas that one may have whose decisions aren't carried out, which `held` so many; says why no more.

        Where its target can't be read nothing is released: it comes back as it was, or is decided on anew.
        """
        wish = self._wishes.get(workload.key)
        if wish is None:
            return held
        comes_back = workload.autoscaler.spec.mode is Mode.SCALE and not isinstance(workload.target, Target)
        kept = max(held, wish.decision.current) if comes_back else held
        if workload.budget_problem is None and kept < wish.decision.desired:
            workload.budget_problem = (
                "NothingOrdered",
                f"{wish.decision.desired} are wanted; while none can be ordered, see Ready and ScalingActive, the GPU"
                f" budget keeps {kept} for it",
            )
        return kept


def _members(workloads: Iterable[Workload]) -> dict[str, list[Workload]]:
    """Budget -> its workloads, in the order of their names: of equals always the same comes first."""
    members: dict[str, list[Workload]] = {}
    for workload in sorted(workloads, key=lambda one: one.key):
        if workload.autoscaler.spec.gpu_budget is not None:
            members.setdefault(workload.autoscaler.spec.gpu_budget.name, []).append(workload)
    return members


def _is_shadow(workload: Workload) -> bool:
    return workload.autoscaler.spec.mode is Mode.SHADOW


def _part(workload: Workload) -> GpuBudget:
    part = workload.autoscaler.spec.gpu_budget
    assert part is not None, "a member of a budget states its part"
    return part


def _target(workload: Workload) -> TargetKey:
    return target_key(workload.autoscaler)


def _holders(members: Iterable[Workload], acting: Collection[ObjectKey]) -> list[Workload]:
    """One member for each target, so that its GPUs are counted once: one in `acting`, of these one in mode Shadow."""
    first = sorted(members, key=lambda one: (one.key not in acting, not _is_shadow(one), one.key))
    holders: dict[TargetKey, Workload] = {}
    for member in first:
        holders.setdefault(_target(member), member)
    return sorted(holders.values(), key=lambda one: one.key)


def _given(workload: Workload, made: list[Made], replicas: int) -> list[Made]:
    """The workload's decisions with the newest one as it is carried out."""
    newest = made[-1]
    decision = cut(newest.decision, replicas)
    if newest.outlook.early and decision.desired <= decision.current:
        return made[:-1]
    if not newest.outlook.early and workload.state is not None:
        workload.state = state_after(workload.state, decision)
    workload.take(decision)
    return [*made[:-1], replace(newest, decision=decision)]


def _cut_open(workload: Workload, most: int) -> None:
    """Cut what was decided in an earlier tick and isn't ordered yet: its GPUs may be another's from now on."""
    decision, edited = workload.decision, workload.edited
    if decision is None or decision.desired <= most:
        return
    less = cut(decision, most)
    if decision.cut_from is not None:
        # Once more: what was wanted is what the first cut was from.
        less = replace(less, cut_from=decision.cut_from, reasons=less.reasons[1:])
    workload.take(less)
    workload.edited = edited


def _bound_floor(workload: Workload, most: int) -> None:
    """Cut a floor of an earlier decision, kept while demand is missing, to what the budget counts for it now.

    The decision made meanwhile may want less, so that what isn't ordered of the floor is another's. What is ordered
    stays, also where the owner hasn't followed yet.
    """
    decision = workload.decision
    if decision is not None and decision.cut_from is not None:
        most = decision.desired
    if workload.floor is not None:
        workload.floor = min(workload.floor, most)


def _note_problem(
    name: str,
    gpus: int | None,
    members: Iterable[Workload],
    holders: Iterable[Workload],
    unread: Sequence[Workload],
) -> None:
    """Say at each object what is wrong with the budget itself."""
    problem = None
    least = sum(_part(one).gpus_per_replica * one.spec.replicas_min for one in holders)
    if gpus is None:
        problem = (
            "GpuBudgetUnknown",
            f"the controller has no GPU budget {name}: nothing is ordered until it is started with"
            f" --gpu-budget {name}=GPUS, or spec.gpuBudget.name is corrected",
        )
    elif unread:
        problem = (
            "GpuBudgetUnread",
            f"nothing more is ordered in GPU budget {name} until {_target(unread[0])} was read once: nobody knows how"
            " many GPUs it holds",
        )
    elif least > gpus:
        problem = (
            "MinimumsAboveGpuBudget",
            f"minReplicas of GPU budget {name} need {least} GPUs together and it has {gpus}: the higher priorities get"
            " theirs; lower a minReplicas or raise the budget",
        )
    for member in members:
        member.budget_problem = problem
