"""Models that share GPUs, in words: the same on the terminal, on the page and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from autoscaler.backtest.group import EQUAL_PARTS, FIRST_COME, HEADSTART, UNLIMITED, Group, GroupOutcome
from autoscaler.report import words
from autoscaler.report.reading import bursts_hidden, demand_above_maximum, history_told, too_short_to_judge

TITLES: Mapping[str, str] = MappingProxyType(
    {
        HEADSTART: "Headstart",
        FIRST_COME: "first come, first served",
        EQUAL_PARTS: "an equal part each",
        UNLIMITED: "without a limit",
    }
)
TOTAL = "together"
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "late": "share of the work, together in GPU-seconds",
        "cut": "share of bins with fewer replicas than wanted",
        "GPUs moved": "taken from replicas that ran and were wanted",
    }
)
"""What a column of the table counts, where its head doesn't say it."""


def sentence(group: Group, outcomes: Sequence[GroupOutcome]) -> str:
    """How much is late by the first of the divisions, and by the others."""
    first, *others = outcomes
    late = f"{words.share(first.late_fraction)} of the work would have been late"
    told = f"With {words.count(group.gpus)} GPUs divided by {TITLES[first.name]}, {late}"
    return "; ".join([told, *(f"{_otherwise(other)} {words.share(other.late_fraction)}" for other in others)]) + "."


def _otherwise(outcome: GroupOutcome) -> str:
    if outcome.name == UNLIMITED:
        return f"{TITLES[UNLIMITED]}, on up to {words.count(outcome.gpus_max)} GPUs,"
    return f"with {TITLES[EQUAL_PARTS]}" if outcome.name == EQUAL_PARTS else TITLES[outcome.name]


def scored(group: Group) -> str:
    """How many GPUs there are, and how long is scored."""
    setting = group.models[0].setting
    scored_s = (len(setting) - setting.score_from_bin) * setting.bin_s
    return f"{words.count(group.gpus)} GPUs, {words.duration(scored_s)} scored"


def how_to_read(group: Group) -> list[str]:
    """Sentences for the end of the page, those that hold for this group."""
    texts = [
        "Every model forecasts and decides as it does alone; then the GPUs are divided. Headstart gives them to "
        "minReplicas first, then by priority, and among equals so that least work is late.",
        "A replica is paid for, and holds its GPUs, from its order, and serves once it has loaded. A decision at the "
        "start of a bin knows earlier bins only.",
        "Late is the share of a model's work that on arrival finds more than its maxWait of work queued at its ready "
        "replicas; nobody gives up waiting. Of all models together it is the share of their work in GPU-seconds. Red "
        "are late shares above the model's lateBudget.",
        *(f"'{head}': {told}." for head, told in COLUMNS.items() if head != "late"),
        "Demand is in GPUs: the work that arrives, over what the GPUs of one replica sustain. Where a point of a chart "
        "stands for several bins, it shows the GPUs of the bin in which most were held.",
    ]
    # The bins are of one width for all; where the shortest wait is longer, so is any.
    strictest = min((model.setting for model in group.models), key=lambda setting: setting.max_wait_s)
    return [*texts, *bursts_hidden(strictest), *history_told(strictest)]


def cautions(group: Group) -> list[str]:
    """A line per model of which too little is scored, or whose demand there needs more replicas than it is allowed."""
    return [
        f"{model.name}: {told}"
        for model in group.models
        for told in (too_short_to_judge(model.setting), demand_above_maximum(model.setting))
        if told
    ]
