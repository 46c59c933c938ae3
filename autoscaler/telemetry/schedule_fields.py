"""Known events in a decision line: those that the spec has, and the names of those that counted. Absent where none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autoscaler.core.event import Event
from autoscaler.telemetry.json_fields import Fields, number_content


def schedule_content(schedule: Iterable[Event]) -> dict[str, Any]:
    """The field `schedule`, or no field."""
    events = [
        {
            "name": event.name,
            "at_s": None if event.at_s is None else number_content(event.at_s),
            "cron": event.cron,
            "time_zone": event.time_zone,
            "duration_s": number_content(event.duration_s),
            "expect": number_content(event.expect),
            "at_least": int(event.at_least),
        }
        for event in schedule
    ]
    return {"schedule": events} if events else {}


def read_schedule(content: Fields) -> tuple[Event, ...]:
    """The events that `schedule_content` wrote. UsageError for anything else."""
    if "schedule" not in content.content:
        return ()
    return tuple(_event(Fields({"schedule": each}, content.where, content.path)) for each in content.items("schedule"))


def names_content(names: Iterable[str]) -> dict[str, Any]:
    """The field `scheduled`, or no field."""
    scheduled = list(names)
    return {"scheduled": scheduled} if scheduled else {}


def usual_content(median: float) -> dict[str, Any]:
    """The field `usual_median`, or no field for NaN."""
    return {} if math.isnan(median) else {"usual_median": number_content(median)}


def read_names(content: Fields) -> tuple[str, ...]:
    """The names that `names_content` wrote. UsageError for anything else."""
    names = content.items("scheduled") if "scheduled" in content.content else []
    if not all(isinstance(name, str) for name in names):
        content.refuse("scheduled", "must be a list of names")
    return tuple(names)


def _event(entry: Fields) -> Event:
    event = entry.fields("schedule")
    return Event(
        name=event.text("name"),
        duration_s=event.number("duration_s"),
        at_s=None if event.content.get("at_s") is None else event.number("at_s"),
        cron=event.text("cron"),
        time_zone=event.text("time_zone"),
        expect=event.number("expect"),
        at_least=event.integer("at_least"),
    )
