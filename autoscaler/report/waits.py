"""How long single requests waited, as the terminal's table and the page show it."""

from __future__ import annotations

from autoscaler.backtest.result import RequestFigures
from autoscaler.report import words

WAIT_HEADS = ("wait p50", "p90", "p99", "max", "1st token p50", "p90", "p99", "max", "late work", "in bins")


def wait_cells(figures: RequestFigures) -> list[str]:
    """The texts below WAIT_HEADS: times in seconds, then shares of late work: per request, and by the model in bins."""
    seconds = [
        words.wait_s(value)
        for told in (figures.wait, figures.first_token)
        for value in (told.p50_s, told.p90_s, told.p99_s, told.max_s)
    ]
    return [*seconds, words.share(figures.late_work_fraction), words.share(figures.fluid_late_work_fraction)]
