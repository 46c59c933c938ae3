"""What a member of the lead ensemble offers."""

from __future__ import annotations

from typing import Protocol, Self

from forecasting.lead_bins import LeadBins
from forecasting.series import FloatArray

TARGETS = 2


class LeadMember(Protocol):
    """A model of log demand in the target bin and of the log peak until then. Immutable, like all fitted models."""

    @property
    def name(self) -> str:
        """Short name for tables."""
        ...

    def learn(self, bins: LeadBins, levels: FloatArray) -> tuple[Self, FloatArray]:
        """The member after some more bins, and what it said after each: log quantiles, shape (n, TARGETS, q).

        At each bin it learns from the origin whose target is known with it, where there is one, then stands at its
        own. Bins come in runs of any length, missing ones included, once one is known: how they are cut into runs
        must not change a single bit.
        """
        ...

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """Quantiles at increasing `levels` (q,) of log demand, shape (TARGETS, q): the target bin, then the peak."""
        ...
