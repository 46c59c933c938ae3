"""Divisions of GPUs made by hand: three models whose peaks alternate. For the tests of a group's report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from report_results import make_setting, outcome_of

from autoscaler.backtest.group import DIVISIONS, UNLIMITED, Group, GroupOutcome, Model, ModelOutcome

PART = 20  # GPUs per model
_NAMES = ("chat", "code", "agents")


def make_group(names: tuple[str, ...] = _NAMES, *, bins: int = 576) -> Group:
    """Models that take 8 to 28 replicas and more in bursts, the second with two GPUs each; the later half is scored."""
    settings = (make_setting(bins, seed=7 + place, name=name) for place, name in enumerate(names))
    return Group(
        PART * len(names),
        tuple(
            Model(name, setting, 2 if place == 1 else 1, place)
            for place, (name, setting) in enumerate(zip(names, settings, strict=True))
        ),
    )


def make_outcomes(group: Group) -> list[GroupOutcome]:
    """All divisions: what is wanted, cut to a part that is another one in each."""
    return [_outcome(group, name, place) for place, name in enumerate(DIVISIONS)]


def _outcome(group: Group, name: str, place: int) -> GroupOutcome:
    models = []
    for at, model in enumerate(group.models):
        wanted = np.ceil(1.1 * model.setting.arrivals_rs / model.setting.bin_s).astype(np.int64)
        part = PART // model.gpus_per_replica - (at + place) % 3
        models.append(_model(model, wanted if name == UNLIMITED else np.minimum(wanted, part)))
    held = sum(model.outcome.desired * each.gpus_per_replica for model, each in zip(models, group.models, strict=True))
    return GroupOutcome(name, tuple(models), int(held.max()))


def _model(model: Model, plan: np.ndarray) -> ModelOutcome:
    outcome = outcome_of(model.setting, plan, 2)
    arrived = float(model.setting.arrivals_rs[model.setting.score_from_bin :].sum()) * model.gpus_per_replica / 3600
    return ModelOutcome(
        name=model.name,
        gpu_hours=outcome.replica_hours * model.gpus_per_replica,
        late_fraction=outcome.late_fraction,
        late_gpu_hours=outcome.late_fraction * arrived,
        arrived_gpu_hours=arrived,
        cut_fraction=0.25,
        gpus_taken=7,
        gpus_max=int(plan.max()) * model.gpus_per_replica,
        outcome=outcome,
    )


def with_maximum(group: Group, place: int, replicas_max: int) -> Group:
    """The group with another maximum for one of its models."""
    models = list(group.models)
    models[place] = replace(models[place], setting=replace(models[place].setting, replicas_max=replicas_max))
    return replace(group, models=tuple(models))
