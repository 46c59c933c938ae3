"""Known events from a file of their own, for a backtest: what an object has under `schedule`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError

from autoscaler.api.model import Model, Rule
from autoscaler.api.problems import problems_of
from autoscaler.api.schedule import NAMES_DIFFER, Schedule
from autoscaler.api.yaml_file import FILE_MIB_MAX, FileProblem, only_document
from autoscaler.core.event import Event
from autoscaler.errors import UsageError


class _ScheduleFile(Model):
    """The file as a mapping."""

    schedule: Schedule

    rules: ClassVar[tuple[Rule, ...]] = (NAMES_DIFFER,)


def read_schedule(path: Path) -> tuple[Event, ...]:
    """The events of a YAML file: a list of them, or a mapping with the one key `schedule`.

    Raises:
        UsageError: the file can't be read or anything in it is wrong; one line with the first problem and its place.
    """
    document = only_document(path, "a schedule", mib=FILE_MIB_MAX)
    # A list stands for the mapping.
    above = ("schedule",) if isinstance(document.value, list) else ()
    stated = {"schedule": document.value} if above else document.value
    if not isinstance(stated, dict):
        raise UsageError(f"{path}:{document.line}: must be a list of events, or a mapping with the key schedule")
    try:
        read = _ScheduleFile.model_validate_json(json.dumps(stated), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = problems_of(error, _ScheduleFile)
        first = FileProblem(path, document.line_of(problems[0].path[len(above) :]), problems[0])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UsageError(f"{first}{more}") from error
    return tuple(event.to_event() for event in read.schedule)
