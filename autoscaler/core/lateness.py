"""The late share as it was: the fluid queue over the observed demand and the replicas that were ready."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from autoscaler.core.fluid import serve_bin
from autoscaler.core.spec import Spec

# The past halves in weight in a day: the share tells of about the last two days.
_HALF_LIFE_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Lateness:
    """Decayed sums of late and of all work, replica-seconds, and what is queued."""

    late_rs: float = 0.0
    arrived_rs: float = 0.0
    backlog_rs: float = 0.0

    def with_bin(self, spec: Spec, *, demand_replicas: float, ready: int, backlog_rs: float | None) -> Self:
        """After one more bin.

        Args:
            spec: bin and objective.
            demand_replicas: what arrived, in replicas; NaN where unknown: the bin isn't counted.
            ready: replicas that served.
            backlog_rs: what is queued at the bin's end where it was measured.
        """
        if math.isnan(demand_replicas):
            return replace(self, backlog_rs=self.backlog_rs if backlog_rs is None else backlog_rs)
        arrivals_rs = demand_replicas * spec.bin_s
        end_rs, late_rs = serve_bin(self.backlog_rs, arrivals_rs, float(ready), spec.bin_s, spec.objective.max_wait_s)
        kept = 0.5 ** (spec.bin_s / _HALF_LIFE_S)
        return type(self)(
            kept * self.late_rs + late_rs,
            kept * self.arrived_rs + arrivals_rs,
            end_rs if backlog_rs is None else backlog_rs,
        )

    @property
    def late_share(self) -> float:
        """Share of the work that waited longer than the objective allows; NaN before any arrived."""
        return self.late_rs / self.arrived_rs if self.arrived_rs > 0 else math.nan
