"""Several workloads, one number of GPUs: who gets them while not every wish fits.

Each workload decides for itself (`decide`); this step comes after and gives it what it wants, or less. GPUs go to
guaranteed minimums first, then class by class of priority, and within a class so that least work is late in all, see
`saved_by`. It is counted in GPU-seconds: a request that occupies eight GPUs for a second counts eight times as much as
one that occupies one, so that large models don't lose to small ones for being large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from autoscaler.core.decide import serving_after
from autoscaler.core.decision import UNKNOWING, Decision, Reason
from autoscaler.core.gpu_kernels import best_counts
from autoscaler.core.gpu_worth import saved_by
from autoscaler.core.outlook import Outlook
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from forecasting.series import FloatArray

# What a replica saves that runs, and was meant to lately (`firm_s`), counts so many times. At 3 workloads took each
# other's GPUs forth and back in two of six divisions, 18,000 in ten days; at 8 peaks that come in turn wait longer.
_FIRM_WORTH = 5.0
_MOVES = {Reason.ORDERED_AHEAD, Reason.RELEASED, Reason.STEADY, Reason.KEPT}
_KEPT_FOR = {Reason.KEPT_FOR_QUEUE, Reason.KEPT_FOR_DEMAND}


@dataclass(frozen=True, slots=True)
class Claim:
    """What one workload wants of the GPUs.

    Attributes:
        gpus_per_replica: GPUs of each replica, at least 1.
        priority: classes are served strictly one after the other, the higher number first.
        minimum: replicas that come before every other wish, of whatever priority.
        desired: replicas that its own decision wants.
        current: replicas ready and loading.
        leaving: replicas that were released and aren't gone: their GPUs are taken.
        saved: what 0, 1, ... `desired` replicas save, see `saved_by`, shape (desired + 1,).
        meant_lately: most replicas that a division meant for it lately, see `Meant`.
        held: its demand or its queue is unknown: of what runs nothing is taken, as with a minimum.
    """

    gpus_per_replica: int
    priority: int
    minimum: int
    desired: int
    current: int
    leaving: int
    saved: FloatArray
    meant_lately: int = 0
    held: bool = False

    @property
    def held_gpus(self) -> int:
        """GPUs that are taken now."""
        return self.gpus_per_replica * (self.current + self.leaving)

    @property
    def guaranteed(self) -> int:
        """Replicas that come first."""
        running = min(self.current, self.desired) if self.held else 0
        return max(min(self.minimum, self.desired), running)

    def firmly(self, meant: int) -> FloatArray:
        """`saved` with more weight on what runs and was meant to lately, or is now where that is `meant`."""
        firm = min(self.current, self.desired, max(self.meant_lately, meant))
        saved: FloatArray = self.saved + (_FIRM_WORTH - 1.0) * np.minimum(self.saved, self.saved[firm])
        return saved


@dataclass(frozen=True, slots=True)
class Division:
    """Of the GPUs, for each claim in order.

    Attributes:
        given: replicas that it gets now.
        meant: replicas that it would get if what runs had no more weight.
    """

    given: tuple[int, ...]
    meant: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Meant:
    """What the divisions of the last half load, and the last one, meant for one workload.

    Nobody knows how long a burst will last. A tenant's four minutes in every seventeen moved GPUs forth and back, half
    of them to where they served nobody before the burst was over.

    Attributes:
        rows: (time, replicas), the replicas falling.
    """

    rows: tuple[tuple[float, int], ...]

    @classmethod
    def start(cls, current: int, *, now_s: float) -> Self:
        """Of a workload that wasn't known: what runs of it is meant."""
        return cls(((now_s, current),))

    def after(self, meant: int, *, now_s: float, within_s: float) -> Meant:
        """With one division more, and without those that are too long ago."""
        rows = (row for row in self._within(now_s, within_s) if row[1] > meant)
        return Meant((*rows, (now_s, meant)))

    def lately(self, *, now_s: float, within_s: float) -> int:
        """The most of them."""
        return max((replicas for _, replicas in self._within(now_s, within_s)), default=0)

    def _within(self, now_s: float, within_s: float) -> Iterable[tuple[float, int]]:
        return (row for row in self.rows if now_s - within_s <= row[0] <= now_s)


def divide(cap_gpus: int, claims: Sequence[Claim]) -> Division:
    """Replicas that each claim gets now, in order; never more than it desires.

    First the goal: of everything, running replicas included, the best that fits into the cap, whatever exists already.
    Where it is less than what runs, replicas are released. Where it is more, they are ordered as far as they fit beside
    all that still exists: GPUs are free once their replicas are gone. So the cap holds at every moment, unless more
    than it was there before. A replica that doesn't fit is passed over, and smaller ones may fit.

    Where even the minimums don't fit they are cut like any other wish, by priority and worth.
    """
    goals, meant = _goals(cap_gpus, claims)
    kept = [min(goal, claim.current) for goal, claim in zip(goals, claims, strict=True)]
    free = cap_gpus - sum(claim.held_gpus for claim in claims)
    least = [min(max(few, claim.guaranteed), goal) for few, goal, claim in zip(kept, goals, claims, strict=True)]
    given, free = _filled(max(0, free), claims, kept, least)
    given, _ = _filled(free, claims, given, goals)
    return Division(tuple(given), tuple(meant))


def _goals(room: int, claims: Sequence[Claim]) -> tuple[list[int], list[int]]:
    """Replicas to come to, and those that it would be if what runs had no more weight."""
    firm_lately = [replace(claim, saved=claim.firmly(0)) for claim in claims]
    least, room = _filled(room, firm_lately, [0] * len(claims), [claim.guaranteed for claim in claims])
    goals, meant = list(least), list(least)
    for members in _classes(claims):
        part = [claims[k] for k in members]
        low, high = [least[k] for k in members], [claim.desired for claim in part]
        anew = _best(room, part, low, high)
        firm = [replace(claim, saved=claim.firmly(best)) for claim, best in zip(part, anew, strict=True)]
        part_goals = _best(room, firm, low, high)
        room -= _gpus(part, part_goals) - _gpus(part, low)
        for k, goal, best in zip(members, part_goals, anew, strict=True):
            goals[k], meant[k] = goal, best
    return goals, meant


def _filled(room: int, claims: Sequence[Claim], first: Sequence[int], last: Sequence[int]) -> tuple[list[int], int]:
    """From `first` replicas on, up to `last`, class by class those that are worth most and fit; and the room left."""
    given = list(first)
    for members in _classes(claims):
        part = [claims[k] for k in members]
        low, high = [first[k] for k in members], [last[k] for k in members]
        counts = _best(room, part, low, high)
        room -= _gpus(part, counts) - _gpus(part, low)
        for k, count in zip(members, counts, strict=True):
            given[k] = count
    return given, room


def _classes(claims: Sequence[Claim]) -> Iterable[list[int]]:
    """Numbers of the claims, one list per class, the highest priority first."""
    for priority in sorted({claim.priority for claim in claims}, reverse=True):
        yield [k for k, claim in enumerate(claims) if claim.priority == priority]


def _gpus(claims: Sequence[Claim], counts: Sequence[int]) -> int:
    return sum(claim.gpus_per_replica * count for claim, count in zip(claims, counts, strict=True))


def _best(room: int, claims: Sequence[Claim], first: Sequence[int], last: Sequence[int]) -> list[int]:
    """From `first` replicas on, up to `last`, those that save most together in `room` GPUs beyond the first."""
    if _gpus(claims, last) - _gpus(claims, first) <= room:
        return list(last)
    rows = [
        claim.gpus_per_replica * claim.saved[low : high + 1]
        for claim, low, high in zip(claims, first, last, strict=True)
    ]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    sizes = np.array([claim.gpus_per_replica for claim in claims])
    more = best_counts(room, sizes, starts, np.concatenate(rows))
    return [low + count for low, count in zip(first, more.tolist(), strict=True)]


def claim_of(
    decision: Decision,
    outlook: Outlook,
    spec: Spec,
    *,
    gpus_per_replica: int,
    priority: int,
    minimum: int,
    leaving: int,
    meant_lately: int,
    horizon_s: float,
) -> Claim:
    """The claim of a workload that has just been decided on; `horizon_s` is the same for all of a division."""
    return Claim(
        gpus_per_replica=gpus_per_replica,
        priority=priority,
        minimum=minimum,
        desired=decision.desired,
        current=decision.current,
        leaving=leaving,
        saved=saved_by(outlook, spec, current=decision.current, count=decision.desired, horizon_s=horizon_s),
        meant_lately=meant_lately,
        held=not UNKNOWING.isdisjoint(decision.reasons),
    )


def cut(decision: Decision, given: int) -> Decision:
    """The decision with the replicas that the budget gives it; unchanged where that is all it wants."""
    if given >= decision.desired:
        return decision
    if given == decision.current:
        move = Reason.STEADY
    else:
        move = Reason.ORDERED_AHEAD if given > decision.current else Reason.RELEASED
    left = (reason for reason in decision.reasons if reason not in _KEPT_FOR)
    reasons = tuple(move if reason in _MOVES else reason for reason in left)
    return replace(decision, desired=given, reasons=(Reason.GPU_BUDGET, *reasons), cut_from=decision.desired)


def state_after(state: State, decision: Decision) -> State:
    """The state that `decide` returned, where the decision was cut afterwards."""
    return replace(state, serving=serving_after(decision), ready=decision.ready)
