"""What the core remembers from one decision to the next. Immutable; each decision returns the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from autoscaler.core.belief import Lately
from autoscaler.core.risk import CANDIDATES, LEVELS, Risk
from autoscaler.core.schedule import expects_more
from autoscaler.core.spec import Spec
from autoscaler.core.trials import Trials
from autoscaler.core.unseen import Unseen, are_usual
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_member import TARGETS
from forecasting.series import FloatArray

# The share of loads that the lead covers: later ones are the late budget's business.
LOAD_LEVEL = 0.9
# Demand below this share of a replica doesn't matter: added before the log, so that nights near zero don't shout.
FLOOR_REPLICAS = 0.5
# A backlog is to be worked off within an eighth of a load, or a bin where that is longer: on a minute trace with a
# load of ten minutes this cost 2 % less at equal lateness than a whole load.
_DRAINS_PER_LOAD = 8.0


@dataclass(frozen=True, slots=True)
class State:
    """The core's memory.

    Attributes:
        next_start_s: start of the bin that the next decision is for; None before the first.
        lead_bins: bins from order to ready that it plans with.
        forecasts: unit -> its forecast.
        needs: what was forecast at the last decision, in replicas, shape (TARGETS, levels).
        trials: the self-backtest.
        risk: the chosen risk.
        backlog_rs: work queued at the end of the last bin, replica-seconds.
        serving: replicas that serve since the last decision, once it is carried out; None before one.
        ready: replicas that were ready at it; None where a decision isn't known.
        bins: bins seen.
        lately: unit -> what tells a fall that isn't believed.
        unseen: how long nobody has seen the queue.
        calm: unit -> the forecast of what comes without the surges that the schedule expects; empty without such.
    """

    next_start_s: float | None
    lead_bins: int
    forecasts: Mapping[str, LeadEnsemble]
    needs: FloatArray
    trials: Trials
    risk: Risk
    backlog_rs: float
    serving: int | None
    bins: int
    lately: Mapping[str, Lately]
    ready: int | None = None
    unseen: Unseen = field(default_factory=Unseen)
    calm: Mapping[str, LeadEnsemble] = field(default_factory=dict)

    @property
    def bins_known(self) -> int:
        """Bins in which all units were known: a day without an answer is no day of history."""
        return min(forecast.history.bins_known for forecast in self.forecasts.values())

    @property
    def queue_unseen(self) -> bool:
        """Whether a queue may have grown, within the last load, while nobody saw it."""
        if not self.unseen.hold_bins:
            return False
        histories = [forecast.history for forecast in self.forecasts.values()]
        return not any(are_usual(history.missing.rows[-history.day :], self.lead_bins) for history in histories)

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
                time_zone=spec.time_zone,
                members=spec.members,
            )
            for unit, capacity in spec.capacity_rps.items()
        }
        return cls(
            next_start_s=None,
            lead_bins=lead_bins,
            forecasts=forecasts,
            needs=np.full((TARGETS, len(LEVELS)), np.nan),
            trials=Trials.start(len(CANDIDATES), lead_bins=lead_bins),
            risk=Risk(),
            backlog_rs=0.0,
            serving=None,
            bins=0,
            lately=dict.fromkeys(spec.capacity_rps, Lately()),
            calm=dict(forecasts) if expects_more(spec.schedule) else {},
        )


def lead_bins_of(spec: Spec) -> int:
    """Bins from order to ready that a share LOAD_LEVEL of loads stays within."""
    # 600 s of 60.00000001 s are 10 bins, not 11.
    return math.ceil(spec.load_latency.quantile_s(LOAD_LEVEL) / spec.bin_s * (1 - 1e-12))


def in_replicas(spec: Spec, forecasts: Mapping[str, LeadEnsemble]) -> FloatArray:
    """Quantiles for the unit that needs most, in replicas, shape (TARGETS, levels)."""
    by_unit = [forecast.quantiles / spec.capacity_rps[unit] for unit, forecast in forecasts.items()]
    needs: FloatArray = by_unit[0] if len(by_unit) == 1 else np.fmax.reduce(by_unit)
    return needs


def drain_s(spec: Spec, lead_bins: int) -> float:
    """Time in which a backlog is to be worked off, seconds."""
    return max(spec.bin_s, lead_bins * spec.bin_s / _DRAINS_PER_LOAD)
