"""What one replica sustains, learned while replicas are saturated: only then is the work done all that they can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Self

WINDOW = 50
# A wrong capacity buys too few replicas everywhere, so it takes ten saturated bins to be believed.
SAMPLES_MIN = 10
# One waiting request per replica at both ends of a bin: every replica had work all the time.
_WAITING_PER_REPLICA = 1.0
# What leaves came in before. A query that counts the completions of other engines too finds more, and would teach a
# capacity that lets replicas go; a fifth is for rates over windows that don't end together.
_COMPLETED_MAX = 1.2
# A quarter of the bins did less per replica than this: short prompts of one hour don't set the size of the fleet.
_QUARTILE = 0
# What is used changes by a tenth at least, since each change forecasts the history anew.
_CHANGE = 0.1
# Beyond four times, or a quarter, of what the user stated, a query is wrong rather than the user.
_PRIOR_FACTOR = 4.0


@dataclass(frozen=True, slots=True)
class SaturatedBin:
    """What the engines of one target said of a bin; NaN where it is unknown.

    Attributes:
        arrived_rps: work that arrived per second.
        completed_rps: work that was completed per second; NaN has it worked out from the two below.
        waiting_before, waiting: requests queued at the bin's start and end.
        in_system_before, in_system: queued or being served at the bin's start and end.
        ready: replicas that served during the whole bin; None where their number changed.
        bin_s: width of the bin in seconds.
    """

    arrived_rps: float
    completed_rps: float
    waiting_before: float
    waiting: float
    in_system_before: float
    in_system: float
    ready: int | None
    bin_s: float

    @property
    def per_replica_rps(self) -> float | None:
        """Work per second and replica; None where the bin wasn't saturated, a replica was cold, or data is missing."""
        if not self.ready:
            return None
        enough = _WAITING_PER_REPLICA * self.ready
        # Unknown queues are no queues: min() of a number and NaN would be the number.
        if not (self.waiting_before >= enough and self.waiting >= enough):
            return None
        done_rps = self.completed_rps
        if math.isnan(done_rps):
            done_rps = self.arrived_rps - (self.in_system - self.in_system_before) / self.bin_s
        elif not done_rps <= _COMPLETED_MAX * self._available_rps:
            return None
        if not math.isfinite(done_rps) or done_rps <= 0:
            return None
        return done_rps / self.ready

    @property
    def _available_rps(self) -> float:
        """Work per second that arrived, or had been queued and isn't any more; NaN where it is unknown."""
        left = self.in_system_before - self.in_system
        if math.isnan(left):
            left = self.waiting_before - self.waiting
        return self.arrived_rps + max(0.0, left) / self.bin_s


@dataclass(frozen=True, slots=True)
class CapacitySamples:
    """Work per second and replica in the latest saturated bins, oldest first, at most WINDOW."""

    recent_rps: tuple[float, ...] = ()

    @classmethod
    def of(cls, recent_rps: Sequence[float]) -> Self:
        """Samples that were stored; what isn't a positive number is left out."""
        return cls(tuple(value for value in recent_rps if math.isfinite(value) and value > 0)[-WINDOW:])

    def with_bin(self, seen: SaturatedBin) -> Self:
        """The samples after one more bin."""
        per_replica_rps = seen.per_replica_rps
        return self if per_replica_rps is None else type(self)((*self.recent_rps, per_replica_rps)[-WINDOW:])

    def capacity_rps(self, prior_rps: float) -> float:
        """What a replica sustains: `prior_rps` until enough is seen, never far from it."""
        if len(self.recent_rps) < SAMPLES_MIN:
            return prior_rps
        learned_rps = quantiles(self.recent_rps, n=4)[_QUARTILE]
        return min(max(learned_rps, prior_rps / _PRIOR_FACTOR), prior_rps * _PRIOR_FACTOR)


def effective_capacity_rps(current_rps: float, learned_rps: float) -> float:
    """The capacity to plan with: what was planned with so far, unless the learned one is a tenth away."""
    return learned_rps if abs(learned_rps - current_rps) > _CHANGE * current_rps else current_rps
