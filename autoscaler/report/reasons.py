"""Headstart's reasons in plain words: the one place that says what a reason code means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from autoscaler.backtest.result import BacktestResult
from autoscaler.core.decision import Reason
from autoscaler.report.summary import HEADSTART

CodeArray = npt.NDArray[np.int16]

MEANINGS: Mapping[Reason, str] = {
    Reason.NO_HISTORY: "No demand has been seen yet, so there is no forecast: the replicas stay, or one is ordered.",
    Reason.SHORT_HISTORY: "The history is still too short to choose the risk from it, so a cautious one is used.",
    Reason.COLD_START: "Less than a day is known: at least as many replicas as an HPA at 80 % would have.",
    Reason.NOT_TRUSTED: "The forecast was clearly worse than the last value lately, so that one decides in its place.",
    Reason.DEMAND_MISSING: "The demand of the last bin is unknown, so nothing is released.",
    Reason.HISTORY_MISSING: "The history couldn't be read, and little was seen since, so nothing is released.",
    Reason.QUEUE_UNKNOWN: "Nobody saw what was queued within the last load, so nothing is released until it is over.",
    Reason.EARLY: "Demand rose before its interval was over: more replicas are ordered at once, and none is released.",
    Reason.ORDERED_AHEAD: "More replicas are ordered now, so that they have loaded by the time they are needed.",
    Reason.BACKLOG: "Work would still be queued when a replica ordered now serves: some are added to work it off.",
    Reason.KEPT_FOR_QUEUE: "Fewer would do for the forecast, but a queue keeps these busy: until it is gone they stay.",
    Reason.KEPT_FOR_DEMAND: "Fewer would do by the forecast, but as many as the last bin needed stay, it may go on.",
    Reason.KEPT: "Fewer would do one load from now, but a peak may come before: a released one would be back too late.",
    Reason.RELEASED: "Replicas are released: until others could have loaded, these are not expected to be needed.",
    Reason.STEADY: "As many replicas are there as are wanted: nothing is ordered or released.",
    Reason.SCHEDULED: "A known event is on or near: more replicas are wanted for it than without it.",
    Reason.AT_MIN: "Fewer replicas are wanted than the minimum that is set: the minimum is used.",
    Reason.AT_MAX: "More replicas are wanted than the maximum that is set: the maximum is used, and work may be late.",
    Reason.GPU_BUDGET: "The GPU budget has less than all of its models want: others save more late work with them.",
}


def meanings(reasons: str) -> list[str]:
    """One sentence per code in `reasons`, codes joined by spaces, in their order."""
    return [MEANINGS[Reason(code)] for code in reasons.split()]


def headstart_reasons(result: BacktestResult) -> tuple[str, ...]:
    """Headstart's reasons per bin of the trace, codes joined by spaces; empty where it was not run."""
    return next((row.reasons for row in result.policies if row.name == HEADSTART), ())


def shares(reasons: Sequence[str], score_from_bin: int) -> dict[str, float]:
    """Code -> share of the scored bins that have it, the most frequent first; only codes that occur.

    A bin may have several, so the shares may add up to more than 1. `reasons` are per bin of the trace.
    """
    bins: Counter[str] = Counter()
    for text, count in Counter(islice(reasons, score_from_bin, None)).items():
        for code in text.split():
            bins[code] += count
    scored_bins = len(reasons) - score_from_bin
    return {code: count / scored_bins for code, count in bins.most_common()}


def coded(reasons: Sequence[str], first_bin: int = 0) -> tuple[list[str], CodeArray]:
    """The distinct texts from `first_bin` on, and per bin which one it has: two bytes instead of a text."""
    places: dict[str, int] = {}
    bins = max(0, len(reasons) - first_bin)
    codes = (places.setdefault(text, len(places)) for text in islice(reasons, first_bin, None))
    numbers = np.fromiter(codes, dtype=np.int16, count=bins)
    return list(places), numbers
