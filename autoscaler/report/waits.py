"""How long single requests waited, as the terminal's table and the page show it."""

from __future__ import annotations

from autoscaler.backtest.result import RequestFigures
from autoscaler.report import words

WAIT_HEADS = ("wait p50", "p90", "p99", "max", "1st token p50", "p90", "p99", "max")


def wait_cells(figures: RequestFigures) -> list[str]:
    """The texts below WAIT_HEADS, in seconds."""
    return [
        words.wait_s(value)
        for told in (figures.wait, figures.first_token)
        for value in (told.p50_s, told.p90_s, told.p99_s, told.max_s)
    ]
