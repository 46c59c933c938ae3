"""What a member of the lead ensemble offers."""

from __future__ import annotations

from typing import Protocol, Self

from forecasting.lead_history import LeadHistory, Origin
from forecasting.series import FloatArray

TARGETS = 2


class LeadMember(Protocol):
    """A model of log demand in the target bin and of the log peak until then. Immutable, like all fitted models."""

    @property
    def name(self) -> str:
        """Short name for tables."""
        ...

    def learn(self, history: LeadHistory, matured: Origin | None) -> Self:
        """The member after the history's newest bin; called once per bin, missing ones included, once one is known.

        Learns from the origin whose target is known with this bin (`history.matured()`; None where there is none),
        then stands at the newest origin.
        """
        ...

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """Quantiles at increasing `levels` (q,) of log demand, shape (TARGETS, q): the target bin, then the peak."""
        ...
