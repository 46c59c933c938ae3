"""What the core remembers from one decision to the next. Immutable; each decision returns the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from autoscaler.core.risk import LEVELS, WINDOW_DAYS, Risk
from autoscaler.core.spec import Spec
from forecasting.append_log import AppendLog
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_features import DAY_S
from forecasting.lead_member import TARGETS

# The share of loads that the lead covers: later ones are the late budget's business.
LOAD_LEVEL = 0.9
# Demand below this share of a replica doesn't matter: added before the log, so that nights near zero don't shout.
FLOOR_REPLICAS = 0.5
# Bins that the self-backtest looks back on, at most: 28 days of minutes. Each takes 0.3 kB.
_WINDOW_BINS_MAX = 40_320


@dataclass(frozen=True, slots=True)
class State:
    """The core's memory.

    Attributes:
        next_start_s: start of the bin that the next decision is for; None before the first.
        lead_bins: bins from order to ready that it plans with.
        forecasts: unit -> its forecast.
        needs: what was forecast at the start of each bin, in replicas, rows of shape (TARGETS, levels).
        demand: what came in each bin, in replicas, imputed where missing; one entry less than `needs`.
        missing: 1 where demand is imputed.
        risk: the chosen risk level.
        backlog_rs: work queued at the end of the last bin, replica-seconds.
        serving: replicas that serve since the last decision.
        bins: bins seen.
    """

    next_start_s: float | None
    lead_bins: int
    forecasts: Mapping[str, LeadEnsemble]
    needs: AppendLog
    demand: AppendLog
    missing: AppendLog
    risk: Risk
    backlog_rs: float
    serving: int
    bins: int

    @classmethod
    def start(cls, spec: Spec, *, start_s: float = 0.0) -> Self:
        """A state without history; `start_s` is the start of the first bin that will be observed."""
        lead_bins = lead_bins_of(spec)
        forecasts = {
            unit: LeadEnsemble.start(
                lead=lead_bins,
                bin_s=spec.bin_s,
                floor=FLOOR_REPLICAS * capacity,
                start_s=start_s,
                members=spec.members,
            )
            for unit, capacity in spec.capacity_rps.items()
        }
        window = min(_WINDOW_BINS_MAX, max(1, round(WINDOW_DAYS * DAY_S / spec.bin_s)))
        return cls(
            next_start_s=None,
            lead_bins=lead_bins,
            forecasts=forecasts,
            needs=AppendLog.empty((TARGETS, len(LEVELS)), rows_max=window),
            demand=AppendLog.empty(rows_max=window),
            missing=AppendLog.empty(rows_max=window),
            risk=Risk(),
            backlog_rs=0.0,
            serving=0,
            bins=0,
        )


def lead_bins_of(spec: Spec) -> int:
    """Bins from order to ready that a share LOAD_LEVEL of loads stays within."""
    # 600 s of 60.00000001 s are 10 bins, not 11.
    return math.ceil(spec.load_latency.quantile_s(LOAD_LEVEL) / spec.bin_s * (1 - 1e-12))
