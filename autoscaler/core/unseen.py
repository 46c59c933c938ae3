"""What was queued while nobody looked: after that nothing is released for one load.

A queue that isn't measured is estimated from demand and replicas, bin by bin. Through a gap the estimate goes on by the
usual demand, and a surge in it leaves a queue that nobody knows of: the first known demand after one let go 8 of the 11
replicas that worked it off. One load later what was ordered for such a queue has come, and has worked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from autoscaler.core.trials import BoolArray

# A slow tick finds two bins over at once, and a Prometheus that starts again has no rates for as many.
_SHORT_BINS = 2
# So many long gaps within a day are its rule, and no outage: with every fifth minute known and a load of three, each
# known one ended a gap, and nothing would be released any more. A Prometheus that crashes for an hour has as many.
_GAPS_PER_DAY = 12


def short_gap_bins(lead_bins: int) -> int:
    """The longest gap after which what was queued in it, and nobody saw, doesn't hold what is there."""
    return max(_SHORT_BINS, lead_bins)


def are_usual(missing: BoolArray, lead_bins: int) -> bool:
    """Whether long gaps are so frequent that nothing can be held after each.

    Args:
        missing: whether the demand of each bin of the last day is unknown, shape (n,).
        lead_bins: bins from order to ready.
    """
    gaps = np.diff(np.flatnonzero(~missing)) - 1
    return int(np.count_nonzero(gaps > short_gap_bins(lead_bins))) > _GAPS_PER_DAY


@dataclass(frozen=True, slots=True)
class Unseen:
    """How long nobody has seen the queue, and how long nothing is released for that.

    Attributes:
        gap_bins: bins in a row, up to the newest one, of which neither demand nor the queue was known.
        hold_bins: bins in which nothing is released, the one that starts now among them.
    """

    gap_bins: int = 0
    hold_bins: int = 0

    def after(self, missing: BoolArray, *, lead_bins: int) -> Self:
        """After more bins, of which no queue was measured.

        Args:
            missing: whether the demand of each is unknown, shape (n,), at least one.
            lead_bins: bins from order to ready: so long a gap is short, and so long lasts the hold after a longer one.
        """
        bins = len(missing)
        hold_bins = max(0, self.hold_bins - bins)
        if not (self.gap_bins or missing.any()):
            return replace(self, hold_bins=hold_bins)
        known = np.flatnonzero(~missing)
        if len(known) == 0:
            return replace(self, gap_bins=self.gap_bins + bins, hold_bins=hold_bins)
        gaps = np.diff(known, prepend=-1) - 1
        gaps[0] += self.gap_bins
        ends = known[gaps > short_gap_bins(lead_bins)]
        if len(ends):
            hold_bins = max(0, lead_bins - (bins - 1 - int(ends[-1])))
        return replace(self, gap_bins=bins - 1 - int(known[-1]), hold_bins=hold_bins)

    def begun(self, lead_bins: int) -> Self:
        """After a time of which nobody here knows anything."""
        return replace(self, hold_bins=lead_bins)

    def in_bins_of(self, bin_s: float, *, before_s: float) -> Self:
        """The same times, at least, in bins of another width than `before_s`."""
        return type(self)(math.ceil(self.gap_bins * before_s / bin_s), math.ceil(self.hold_bins * before_s / bin_s))
