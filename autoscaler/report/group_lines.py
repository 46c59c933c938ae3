"""What the charts of a group show as one: a model, or those that have no colour of their own, together."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.backtest.group import Group, Model
from autoscaler.report import words
from autoscaler.report.palette import MODEL_LOOKS, TOGETHER_LOOK, Look


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the charts.

    Attributes:
        title: the model's name, shortened, or how many models it is.
        look: how it is drawn.
        places: of its models in the group.
    """

    title: str
    look: Look
    places: tuple[int, ...]


def lines_of(group: Group) -> list[Line]:
    """One line per model, in the group's order; of many, those with the most work have one, and all others the last."""
    places = range(len(group.models))
    if len(places) > len(MODEL_LOOKS):
        most = sorted(places, key=lambda place: -_work_gpu_s(group.models[place]))
        own = sorted(most[: len(MODEL_LOOKS)])
    else:
        own = list(places)
    lines = [
        Line(words.shortened(group.models[place].name), look, (place,))
        for place, look in zip(own, MODEL_LOOKS, strict=False)
    ]
    rest = tuple(place for place in places if place not in own)
    if rest:
        title = words.shortened(group.models[rest[0]].name) if len(rest) == 1 else f"{len(rest)} other models"
        lines.append(Line(title, TOGETHER_LOOK, rest))
    return lines


def _work_gpu_s(model: Model) -> float:
    """What arrives in the scored bins, in seconds of GPUs that are fully used."""
    return float(model.setting.arrivals_rs[model.setting.score_from_bin :].sum()) * model.gpus_per_replica
