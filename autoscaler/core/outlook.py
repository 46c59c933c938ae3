"""What a decision weighs: all that the history comes down to at one moment.

A logged outlook is enough to make its decision again, without the weeks behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class Outlook:
    """The state of demand at the start of a bin.

    Attributes:
        needs: quantiles in replicas at risk.LEVELS, shape (2, levels): of demand one lead ahead, and of the peak until
            then; NaN before any demand is known.
        level: index into risk.LEVELS: the risk at which replicas are ordered, and kept.
        late_price: replica-seconds that one of late work is worth, by which the level was found; 0 where it is fixed.
        late_share: share of the work that was late at this risk in the last self-backtest; NaN before one.
        lead_bins: bins from order to ready.
        drain_s: time in which a backlog is to be worked off.
        demand_replicas: demand of the last bin in replicas, imputed where it is missing.
        backlog_rs: work queued now, replica-seconds.
        missing: whether the last bin's demand is unknown.
        queue_unseen: whether a queue may have grown, within the last load, while nobody saw it.
        scheduled: names of the events that raised the needs at these risks.
        usual_median: the median one lead ahead without the events, by which the queue grows until then: a surge comes
            at once, and finds the replicas ordered for it; NaN where no event multiplies the forecast.
        cold_replicas: what an HPA would have, the fewest while less than a day is known; 0 after that.
        trusted: whether the forecast has its vote; where it was clearly worse than the last value lately, the needs are
            the last value's.
        fallen_bins: bins since demand fell abruptly below the usual; 0 where it didn't. Needs beyond the chance of its
            return are at the usual.
        rises_weekly: whether demand came to more than twice the day before at this time one week ago and two: needs
            from 90 % on have it.
        early: whether the bin isn't over yet: its demand is of the last bin's width of time, and nothing is released.
    """

    needs: FloatArray
    level: int
    late_price: float
    late_share: float
    lead_bins: int
    drain_s: float
    demand_replicas: float
    backlog_rs: float
    missing: bool
    scheduled: tuple[str, ...] = ()
    usual_median: float = math.nan
    cold_replicas: int = 0
    trusted: bool = True
    early: bool = False
    fallen_bins: int = 0
    rises_weekly: bool = False
    queue_unseen: bool = False
