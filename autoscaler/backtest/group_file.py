"""A group of models and its GPUs from a YAML file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from autoscaler.api.model import Model as ApiModel
from autoscaler.api.model import Rule
from autoscaler.api.problems import Problem, problems_of
from autoscaler.api.scalars import CAPACITY_MAX, CAPACITY_MIN
from autoscaler.api.schedule import NAMES_DIFFER, Schedule, TimeZone
from autoscaler.api.typed import TypedLoadLatency
from autoscaler.api.v1alpha1 import Objective
from autoscaler.api.yaml_file import FileProblem, only_document
from autoscaler.api.yaml_nodes import Document
from autoscaler.backtest.from_trace import Scenario, equally_long, setting_of, with_calendar
from autoscaler.backtest.from_trace import remarks as remarks_on
from autoscaler.backtest.group import Group, Model
from autoscaler.backtest.setting import Setting
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError, shown
from autoscaler.traces.read import read_trace

_DAY_S = 86_400.0

_Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class GroupModel(ApiModel):
    """One model of the file."""

    name: _Name
    trace: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    unit: _Name = "requests"
    capacity: float = Field(ge=CAPACITY_MIN, le=CAPACITY_MAX)
    load_latency: Annotated[LoadLatency, TypedLoadLatency()]
    objective: Objective = Objective()
    gpus_per_replica: int = Field(default=1, ge=1, le=1_024)
    priority: int = Field(default=0, ge=-1_000_000_000, le=1_000_000_000)
    min_replicas: int = Field(default=0, ge=0, le=100_000)
    max_replicas: int = Field(default=100_000, ge=1, le=100_000)
    time_zone: TimeZone = "UTC"
    schedule: Schedule = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="minReplicas",
            holds=lambda model: model.min_replicas <= model.max_replicas,
            cel="",
            message="must be at most maxReplicas ({maxReplicas}), got {minReplicas}; lower it or raise maxReplicas",
        ),
        NAMES_DIFFER,
    )


class GroupFile(ApiModel):
    """The file."""

    gpus: int = Field(ge=1, le=1_000_000)
    models: tuple[GroupModel, ...] = Field(min_length=1, max_length=1_000)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="gpus",
            holds=lambda group: (
                sum(model.gpus_per_replica * model.min_replicas for model in group.models) <= group.gpus
            ),
            cel="",
            message="must hold the GPUs of every minReplicas together, got {gpus}; raise it or lower a minReplicas",
        ),
        Rule(
            field="gpus",
            holds=lambda group: all(model.gpus_per_replica <= group.gpus for model in group.models),
            cel="",
            message="must hold a replica of each model, got {gpus}; raise it or lower a gpusPerReplica",
        ),
    )


def read_group(path: Path, *, score_from: float) -> Group:
    """The group of a file, its traces side by side from their first bins, as long as the shortest.

    Args:
        path: the file; paths in it are relative to its folder.
        score_from: share of the bins that is history.

    Raises:
        UsageError: the file or a trace can't be used, or their bins differ in width.
    """
    given, document = _parsed(path)
    settings = []
    for at, model in enumerate(given.models):
        settings.append(_setting(path, document, at, model, score_from))
    widths = {setting.bin_s for setting in settings}
    if len(widths) > 1:
        told = ", ".join(f"{setting.trace_name} {setting.bin_s:g} s" for setting in settings)
        raise UsageError(f"{path}: the traces' bins differ in width ({told}); bring them to one width")
    return Group(
        given.gpus,
        tuple(
            Model(model.name, setting, model.gpus_per_replica, model.priority)
            for model, setting in zip(given.models, equally_long(settings, score_from), strict=True)
        ),
    )


def traces_of(path: Path) -> list[Path]:
    """The files that a group is read from besides its own, which `read_group` says more of."""
    given, _ = _parsed(path)
    return [path.parent / model.trace for model in given.models]


def remarks(group: Group) -> Iterator[str]:
    """What may not be meant: peaks that meet as they never did, since traces begin at different times of day; events
    that never come.
    """
    starts = {model.setting.start_s % _DAY_S for model in group.models}
    if len(starts) > 1:
        yield "the traces begin at different times of day, and are replayed side by side from their first bins"
    for model in group.models:
        for remark in remarks_on(model.setting, interval_given=False):
            yield f"{model.name}: {_in_fields(remark)}"


def _parsed(path: Path) -> tuple[GroupFile, Document]:
    """What the file says, and the document that knows its lines."""
    document = only_document(path, "a group of models", mib=1)
    try:
        given = GroupFile.model_validate_json(
            json.dumps(document.value), strict=True, context={"folder": path.parent}, by_alias=True, by_name=False
        )
    except ValidationError as error:
        raise _mistake(path, document, problems_of(error, GroupFile)[0]) from error
    names = [model.name for model in given.models]
    for at, name in enumerate(names):
        if name in names[:at]:
            again = f"{shown(name)} is the name of models[{names.index(name)}] already; give one of them another"
            raise _mistake(path, document, Problem(("models", at, "name"), again))
    return given, document


def _setting(path: Path, document: Document, at: int, model: GroupModel, score_from: float) -> Setting:
    """The setting of the model at index `at` of the file."""
    file = path.parent / model.trace
    if not file.exists():
        missing = f"there is no {file.absolute()}; a path is from the folder that this file is in"
        raise _mistake(path, document, Problem(("models", at, "trace"), missing))
    trace = read_trace(file, (model.unit,))
    scenario = Scenario(
        capacity_rps={model.unit: model.capacity},
        load_latency=model.load_latency,
        max_wait_s=model.objective.max_wait,
        late_budget=model.objective.late_budget,
        score_from=score_from,
        replicas_min=model.min_replicas,
        replicas_max=model.max_replicas,
    )
    events = tuple(event.to_event() for event in model.schedule)
    try:
        return with_calendar(setting_of(trace, scenario), events, model.time_zone, dated=trace.dated)
    except UsageError as error:
        raise _mistake(path, document, Problem(("models", at), _in_fields(str(error)))) from error


def _mistake(path: Path, document: Document, problem: Problem) -> UsageError:
    """What is wrong at one place of the file, with its line."""
    return UsageError(str(FileProblem(path, document.line_of(problem.path), problem)))


def _in_fields(text: str) -> str:
    """A message that names options of `headstart backtest`, with the file's names of the same: '--load-latency'."""
    return re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda option: to_camel(option[1].replace("-", "_")), text)
