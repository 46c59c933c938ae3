"""Several workloads, one number of GPUs: who gets them while not every wish fits.

Each workload decides for itself (`decide`); this step comes after and gives it what it wants, or less. GPUs go to
guaranteed minimums first, then class by class of priority, and within a class to the replicas that save most late work.
The late work that the n-th replica saves is the share of the time in which demand one load ahead wants it, by the
forecast's quantiles. It is counted in GPU-seconds: a request that occupies eight GPUs for a second counts eight times
as much as one that occupies one, so that large models don't lose to small ones for being large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.core.decide import serving_after
from autoscaler.core.decision import UNKNOWING, Decision, Reason
from autoscaler.core.gpu_kernels import best_replicas
from autoscaler.core.outlook import Outlook
from autoscaler.core.risk import LEVELS
from autoscaler.core.state import State
from forecasting.series import FloatArray

# A GPU that moves serves nobody for one load, and could be back one load after that at the earliest: a replica that
# runs counts for twice its use, or the GPUs stay where they are. On a week of the bundled traces with 48 GPUs 42 % of
# the work was late at 2, 45 % at 1.2, and 56 % at 1, which moved 575 GPUs instead of 330.
RUNNING_WORTH = 2.0
# What is wanted though the forecast sees no use for it still comes before nothing.
_LEAST_USE = 1e-6
_MOVES = {Reason.ORDERED_AHEAD, Reason.RELEASED, Reason.STEADY, Reason.KEPT}


@dataclass(frozen=True, slots=True)
class Claim:
    """What one workload wants of the GPUs.

    Attributes:
        gpus_per_replica: GPUs of each replica, at least 1.
        priority: classes are served strictly one after the other, the higher number first; equals share by use.
        minimum: replicas that come before every other wish, of whatever priority.
        desired: replicas that its own decision wants.
        current: replicas ready and loading.
        leaving: replicas that were released and aren't gone: their GPUs are taken.
        use: expected use of the n-th replica at [n - 1], falling, within (0, 1], shape (desired,); see `use_of`.
        use_running: the same of those that run, which serve from now on and not from one load ahead; nowhere less.
        held: its demand or its queue is unknown: of what runs nothing is taken, as with a minimum.
    """

    gpus_per_replica: int
    priority: int
    minimum: int
    desired: int
    current: int
    leaving: int
    use: FloatArray
    use_running: FloatArray
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

    def worth(self, first: int, last: int) -> FloatArray:
        """Of the replicas from number `first` to `last`, counted from 0, what each GPU saves."""
        running = max(0, min(self.current, last) - first)
        return np.concatenate(
            (RUNNING_WORTH * self.use_running[first : first + running], self.use[first + running : last])
        )


def divide(cap_gpus: int, claims: Sequence[Claim]) -> list[int]:
    """Replicas that each claim gets now, in order; never more than it desires.

    First the goal: of everything, running replicas included, the best that fits into the cap, whatever exists already.
    Where it is less than what runs, replicas are released. Where it is more, they are ordered as far as they fit beside
    all that still exists: GPUs are free once their replicas are gone. So the cap holds at every moment, unless more
    than it was there before. A replica that doesn't fit is passed over, and smaller ones may fit.

    Where even the minimums don't fit they are cut like any other wish, by priority and use.
    """
    if sum(claim.gpus_per_replica * claim.desired for claim in claims) <= cap_gpus:
        goals = [claim.desired for claim in claims]
    else:
        nothing = [0] * len(claims)
        goals = _fill(cap_gpus, claims, nothing, [claim.desired for claim in claims])
    kept = [min(goal, claim.current) for goal, claim in zip(goals, claims, strict=True)]
    free = cap_gpus - sum(claim.held_gpus for claim in claims)
    return _fill(max(0, free), claims, kept, goals)


def _fill(room: int, claims: Sequence[Claim], first: Sequence[int], last: Sequence[int]) -> list[int]:
    """From `first` replicas on, up to `last`, those that are worth most and fit into `room` GPUs."""
    given = list(first)
    bounds: tuple[Callable[[int], int], ...] = (
        lambda k: min(max(claims[k].guaranteed, first[k]), last[k]),
        lambda k: last[k],
    )
    for bound in bounds:
        for members in _classes(claims):
            offers = [claims[k].worth(given[k], bound(k)) for k in members]
            sizes = [claims[k].gpus_per_replica for k in members]
            taken = _best(room, sizes, offers)
            for k, count in zip(members, taken, strict=True):
                given[k] += count
                room -= count * claims[k].gpus_per_replica
    return given


def _classes(claims: Sequence[Claim]) -> Iterable[list[int]]:
    """Numbers of the claims, one list per class, the highest priority first."""
    for priority in sorted({claim.priority for claim in claims}, reverse=True):
        yield [k for k, claim in enumerate(claims) if claim.priority == priority]


def _best(room: int, sizes: Sequence[int], offers: Sequence[FloatArray]) -> list[int]:
    """Of each offer, how many from its beginning are worth most together in `room` GPUs."""
    if sum(size * len(offer) for size, offer in zip(sizes, offers, strict=True)) <= room:
        return [len(offer) for offer in offers]
    taken = [0] * len(offers)
    owners = np.repeat(np.arange(len(offers)), [len(offer) for offer in offers])
    worth = np.concatenate(offers)
    # Stable: among equals the first claim's come first, always the same ones.
    order = np.argsort(-worth, kind="stable")
    chosen = best_replicas(room, np.asarray(sizes, dtype=np.int64)[owners][order], worth[order])
    for owner in owners[order][chosen].tolist():
        taken[owner] += 1
    return taken


def use_of(outlook: Outlook, row: int, backlog_at_lead_rs: float, count: int) -> FloatArray:
    """Expected use of each of `count` replicas, by the quantiles of the outlook's `row` and the backlog on top.

    With demand D in replicas, the n-th one works for the share of the time P(D > x), on average over x from n - 1 to n:
    what E[max(D - n, 0)] falls by. Between the quantiles the distribution is a straight line; it begins at 0 and ends
    at the last of them. Before anything is known, every replica is taken to be in use.

    Args:
        outlook: of the decision.
        row: 0 for demand one load ahead, 1 for the peak until then.
        backlog_at_lead_rs: as in the decision: to be worked off in `outlook.drain_s`, it counts as demand.
        count: replicas.
    """
    needs = outlook.needs[row]
    if math.isnan(float(needs[0])):
        return np.ones(count)
    order = float(outlook.needs[0, outlook.level])
    knots = np.maximum.accumulate(np.maximum(needs, 0.0)) + min(backlog_at_lead_rs / outlook.drain_s, order)
    knots = np.concatenate(([0.0], knots))
    unused = np.concatenate(([0.0], LEVELS))
    # The integral of P(D > x) from 0 to each knot, and from there on to each whole number.
    areas = np.concatenate(([0.0], np.cumsum(np.diff(knots) * (1.0 - (unused[:-1] + unused[1:]) / 2.0))))
    at = np.arange(count + 1, dtype=np.float64)
    inside = np.minimum(at, knots[-1])
    segment = np.searchsorted(knots, inside, side="right") - 1
    levels = np.interp(inside, knots, unused)
    integral = areas[segment] + (inside - knots[segment]) * (1.0 - (unused[segment] + levels) / 2.0)
    # Rounding must not let a later replica be worth more than one before it.
    return np.minimum.accumulate(np.clip(np.diff(integral), _LEAST_USE, 1.0))


def claim_of(
    decision: Decision, outlook: Outlook, *, gpus_per_replica: int, priority: int, minimum: int, leaving: int
) -> Claim:
    """The claim of a workload that has just been decided on."""
    ahead = use_of(outlook, 0, decision.backlog_at_lead_rs, decision.desired)
    until = use_of(outlook, 1, decision.backlog_at_lead_rs, decision.desired)
    return Claim(
        gpus_per_replica=gpus_per_replica,
        priority=priority,
        minimum=minimum,
        desired=decision.desired,
        current=decision.current,
        leaving=leaving,
        use=ahead,
        use_running=np.maximum(ahead, until),
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
    reasons = tuple(move if reason in _MOVES else reason for reason in decision.reasons)
    return replace(decision, desired=given, reasons=(Reason.GPU_BUDGET, *reasons), cut_from=decision.desired)


def state_after(state: State, decision: Decision) -> State:
    """The state that `decide` returned, where the decision was cut afterwards."""
    return replace(state, serving=serving_after(decision), ready=decision.ready)
