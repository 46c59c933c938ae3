"""Models that share GPUs, division by division: a table for the terminal, and JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table

from autoscaler.backtest.group import HEADSTART, Group, GroupOutcome, ModelOutcome
from autoscaler.report import facts, words
from autoscaler.report.group_text import COLUMNS, TITLES, TOTAL, cautions, scored, sentence
from autoscaler.report.table import noted, whole


def group_table(group: Group, outcomes: Sequence[GroupOutcome]) -> RenderableType:
    """One row per division and model, at most 100 columns wide."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("division")
    table.add_column("model")
    for head in ("GPU-hours", "late", "cut", "GPUs moved", "most GPUs"):
        table.add_column(head, justify="right")
    for outcome in outcomes:
        style = "bold" if outcome.name == HEADSTART else None
        for place, model in enumerate(outcome.models):
            table.add_row(
                TITLES[outcome.name] if place == 0 else "",
                model.name,
                words.hours(model.gpu_hours),
                words.share(model.late_fraction),
                words.share(model.cut_fraction),
                words.count(model.gpus_taken),
                words.count(model.gpus_max),
                style=style,
            )
        table.add_row(
            "",
            TOTAL,
            words.hours(outcome.gpu_hours),
            words.share(outcome.late_fraction),
            "",
            words.count(sum(model.gpus_taken for model in outcome.models)),
            words.count(outcome.gpus_max),
            style=style,
            end_section=True,
        )
    return noted(whole(table), _note(group))


def group_json(group: Group, outcomes: Sequence[GroupOutcome], *, command: str | None = None) -> dict[str, object]:
    """The same for machines, shaped as a backtest's: plain values only, None for what is not finite.

    `divisions` is keyed by name, and in it and beside it `models`, too. `late_fraction` is a share, not a percentage;
    over all models it is of their work in GPU-seconds. `gpus` are those that there are, `gpus_max` the most that were
    held at once.
    """
    found: dict[str, object] = {
        "sentence": sentence(group, outcomes),
        "gpus": group.gpus,
        "divisions": {outcome.name: _division(group, outcome) for outcome in outcomes},
        "models": {
            model.name: {"settings": facts.model_facts(model), "trace": facts.trace_facts(model.setting)}
            for model in group.models
        },
        "versions": facts.versions(),
    }
    return found if command is None else {**found, "command": command}


def _division(group: Group, outcome: GroupOutcome) -> dict[str, object]:
    return {
        "title": TITLES[outcome.name],
        "gpu_hours": facts.finite(outcome.gpu_hours),
        "late_fraction": facts.finite(outcome.late_fraction),
        "gpus_max": outcome.gpus_max,
        "models": {
            model.name: _model(model, asked.setting.late_budget)
            for asked, model in zip(group.models, outcome.models, strict=True)
        },
    }


def _model(model: ModelOutcome, late_budget: float) -> dict[str, object]:
    return {
        "gpu_hours": facts.finite(model.gpu_hours),
        "late_fraction": facts.finite(model.late_fraction),
        "within_budget": not model.late_fraction > late_budget,
        "cut_fraction": facts.finite(model.cut_fraction),
        "gpus_taken": model.gpus_taken,
        "gpus_max": model.gpus_max,
    }


def _note(group: Group) -> str:
    columns = (f"{head}: {told}" for head, told in COLUMNS.items())
    return "\n".join([f"{scored(group)}; nobody gives up waiting", *columns, *cautions(group)])
