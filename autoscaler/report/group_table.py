"""Models that share GPUs, division by division: a table for the terminal, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from autoscaler.backtest.group import HEADSTART, UNLIMITED, Group, GroupOutcome
from autoscaler.report import facts, words
from autoscaler.report.table import noted

_TITLES = {
    HEADSTART: "Headstart",
    "first come": "first come, first served",
    "equal parts": "an equal part each",
    UNLIMITED: "without a limit",
}
_TOTAL = "together"


def group_table(group: Group, outcomes: Sequence[GroupOutcome]) -> RenderableType:
    """One row per division and model, at most 100 columns wide."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("division", no_wrap=True)
    table.add_column("model", overflow="fold")
    for head in ("GPU-hours", "late", "cut", "GPUs moved", "most GPUs"):
        table.add_column(head, justify="right", no_wrap=True)
    for outcome in outcomes:
        style = "bold" if outcome.name == HEADSTART else None
        for place, model in enumerate(outcome.models):
            table.add_row(
                _TITLES[outcome.name] if place == 0 else "",
                model.name,
                words.hours(model.gpu_hours),
                words.share(model.late_fraction),
                words.share(model.cut_fraction),
                words.count(model.gpus_taken),
                "",
                style=style,
            )
        table.add_row(
            "",
            _TOTAL,
            words.hours(outcome.gpu_hours),
            words.share(outcome.late_fraction),
            "",
            words.count(sum(model.gpus_taken for model in outcome.models)),
            words.count(outcome.gpus_max),
            style=style,
            end_section=True,
        )
    return noted(table, _note(group))


def group_json(group: Group, outcomes: Sequence[GroupOutcome]) -> dict[str, Any]:
    """The same for machines: division -> its models and its totals."""
    return {
        "gpus": group.gpus,
        "divisions": {
            outcome.name: {
                "gpu_hours": facts.finite(outcome.gpu_hours),
                "late_fraction": facts.finite(outcome.late_fraction),
                "gpus_max": outcome.gpus_max,
                "models": {
                    model.name: {
                        "gpu_hours": facts.finite(model.gpu_hours),
                        "late_fraction": facts.finite(model.late_fraction),
                        "cut_fraction": facts.finite(model.cut_fraction),
                        "gpus_taken": model.gpus_taken,
                    }
                    for model in outcome.models
                },
            }
            for outcome in outcomes
        },
    }


def _note(group: Group) -> str:
    setting = group.models[0].setting
    scored_s = (len(setting) - setting.score_from_bin) * setting.bin_s
    lines = (
        f"{words.count(group.gpus)} GPUs, {words.duration(scored_s)} scored; nobody gives up waiting",
        "late: share of the work, together in GPU-seconds",
        "cut: share of bins with fewer replicas than wanted",
        "GPUs moved: taken from replicas that ran and were wanted",
    )
    return "\n".join(lines)
