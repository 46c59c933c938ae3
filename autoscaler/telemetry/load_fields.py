"""What a decision line says of loads and of nodes kept warm, and of what was done. Absent where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import Placeholders
from autoscaler.telemetry.json_fields import Fields, number_content
from autoscaler.telemetry.record import Done

_NUMBERS = tuple(field.name for field in fields(Placeholders) if field.name != "held")


def done_content(done: Done) -> dict[str, Any]:
    """What was done, as JSON."""
    return asdict(done)


def read_done(content: Fields) -> Done:
    """What `done_content` wrote. UsageError for anything else."""
    return Done(
        action=content.text("action"),
        reason=content.text("reason"),
        message=content.text("message"),
        before=content.integer_or_none("before"),
        after=content.integer_or_none("after"),
    )


def phases_content(phases: Mapping[str, LoadLatency]) -> dict[str, Any]:
    """The field `phases_s`, quantiles by the phase's name, or no field."""
    told = {phase: [number_content(took_s) for took_s in took.quantiles_s] for phase, took in phases.items()}
    return {"phases_s": told} if told else {}


def read_phases(line: Fields) -> dict[str, LoadLatency]:
    """The phases that `phases_content` wrote. UsageError for anything else."""
    if "phases_s" not in line.content:
        return {}
    told = line.fields("phases_s")
    return {phase: LoadLatency(read_quantiles(told, phase), phase) for phase in told.content}


def read_quantiles(content: Fields, name: str) -> tuple[float, ...]:
    """Quantiles of a time. UsageError for anything else."""
    times_s = content.numbers(name)
    if not times_s or not all(math.isfinite(took_s) for took_s in times_s) or times_s != sorted(times_s):
        content.refuse(name, "must be increasing numbers of seconds, at least one")
    return tuple(times_s)


def placeholders_content(placeholders: Placeholders | None, placed: Done | None) -> dict[str, Any]:
    """The field `placeholders`, or no field."""
    if placeholders is None or placed is None:
        return {}
    numbers = {name: int(getattr(placeholders, name)) for name in _NUMBERS}
    return {"placeholders": {**numbers, "held": placeholders.held, "done": done_content(placed)}}


def read_placeholders(line: Fields) -> tuple[Placeholders | None, Done | None]:
    """The placeholders that `placeholders_content` wrote. UsageError for anything else."""
    if "placeholders" not in line.content:
        return None, None
    told = line.fields("placeholders")
    numbers = {name: told.integer(name) for name in _NUMBERS}
    return Placeholders(**numbers, held=told.boolean("held")), read_done(told.fields("done"))
