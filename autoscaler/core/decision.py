"""A decision, and why: the output of the core."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why the number of replicas is what it is. The values are stable: logs, metrics and status carry them."""

    NO_HISTORY = "NoHistory"
    SHORT_HISTORY = "ShortHistory"
    COLD_START = "ColdStart"
    NOT_TRUSTED = "ForecastNotTrusted"
    DEMAND_MISSING = "DemandMissing"
    HISTORY_MISSING = "HistoryMissing"
    QUEUE_UNKNOWN = "QueueUnknown"
    EARLY = "BetweenIntervals"
    ORDERED_AHEAD = "OrderedAhead"
    BACKLOG = "Backlog"
    KEPT_FOR_QUEUE = "KeptForQueue"
    KEPT_FOR_DEMAND = "KeptForDemand"
    KEPT = "KeptForPeak"
    RELEASED = "Released"
    STEADY = "Steady"
    SCHEDULED = "Scheduled"
    AT_MIN = "AtMinReplicas"
    AT_MAX = "AtMaxReplicas"
    GPU_BUDGET = "GpuBudget"


# By each of these nothing is released: too little is known.
UNKNOWING = frozenset({Reason.NO_HISTORY, Reason.DEMAND_MISSING, Reason.HISTORY_MISSING, Reason.QUEUE_UNKNOWN})


@dataclass(frozen=True, slots=True)
class Decision:
    """Replicas wanted from now on.

    Attributes:
        now_s: start of the bin that it is for.
        desired: replicas, ready and loading together.
        current: replicas ready and loading before it.
        ready: replicas ready before it.
        reasons: most important first.
        lead_bins: bins until a replica ordered now serves.
        median_at_lead, low_at_lead, high_at_lead: forecast for that bin in replicas: median, 5 % quantile, and the
            quantile at the chosen risk, which is the need.
        peak_until_lead: largest demand from now until then at the chosen risk, in replicas.
        risk_level: the chosen risk: level of `high_at_lead` and `peak_until_lead`.
        late_price: replica-seconds that one of late work is worth, which found the level; 0 where it is fixed.
        backlog_rs: work queued now, replica-seconds.
        backlog_at_lead_rs: work expected in the queue then.
        expected_late_share: share of the work that was late at this risk in the last self-backtest; NaN before one.
        scheduled: names of the events for which there are more replicas than there would be without them.
        cut_from: replicas wanted, where a GPU budget gave less; None where it did not.
    """

    now_s: float
    desired: int
    current: int
    ready: int
    reasons: tuple[Reason, ...]
    lead_bins: int
    median_at_lead: float
    low_at_lead: float
    high_at_lead: float
    peak_until_lead: float
    risk_level: float
    late_price: float
    backlog_rs: float
    backlog_at_lead_rs: float
    expected_late_share: float
    scheduled: tuple[str, ...] = ()
    cut_from: int | None = None
