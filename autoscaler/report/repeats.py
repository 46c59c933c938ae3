"""Policies that did as the HPA beside them: where no day or week before is known, the same time then adds nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autoscaler.backtest.result import BacktestResult
from autoscaler.report.summary import RIVAL_FAMILY

_SAME_TIME = "same-time-"


def without_repeats(result: BacktestResult) -> BacktestResult:
    """The result as people are shown it: without the same time yesterday or last week where it only repeats the HPA."""
    repeats = _repeats(result)
    return replace(result, policies=tuple(row for row in result.policies if row.name not in repeats))


def repeats_told(result: BacktestResult) -> str:
    """A line on what `without_repeats` leaves out of the whole result; '' where that is nothing."""
    repeats = _repeats(result).values()
    if not repeats:
        return ""
    return (
        f"left out, with the HPA's replicas in every bin, as where no such time before is known: {'; '.join(repeats)}"
    )


def _repeats(result: BacktestResult) -> dict[str, str]:
    """Name -> title of each policy that wanted as many replicas as the HPA in every bin."""
    hpa = next((row.outcome.desired for row in result.policies if row.name == RIVAL_FAMILY), None)
    return {
        row.name: row.title
        for row in result.policies
        if hpa is not None and row.name.startswith(_SAME_TIME) and np.array_equal(row.outcome.desired, hpa)
    }
