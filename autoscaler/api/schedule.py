"""Known events as the user's object states them: when, how long, and how much more of what.

Times and time zones are checked to the last detail where a file or an object is read. The API server checks their form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from autoscaler.api.model import Model, Rule
from autoscaler.api.scalars import DurationBetween, time_text
from autoscaler.core.cron import check_cron, check_time_zone
from autoscaler.core.event import EXPECT_MAX, Event
from autoscaler.errors import UsageError, shown

EVENTS_MAX = 32

_TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$"
_CRON_PATTERN = r"^[0-9*,/-]+ +[0-9*,/-]+ +[0-9LWlw*,/-]+ +[0-9A-Za-z*,/-]+ +[0-9A-Za-z*,/#-]+$"
_ZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
_FACTOR_PATTERN = r"^[0-9]+(\.[0-9]+)?x$"
_TEXT_LENGTH_MAX = 128
_FACTOR_LENGTH_MAX = 16
_FACTOR_RANGE = f"must be above 1x and at most {EXPECT_MAX:g}x: an event only ever adds"


@dataclass(frozen=True, slots=True)
class PointInTime:
    """Marks a float, seconds since the epoch, that YAML states in RFC 3339."""

    def parse(self, given: object, info: ValidationInfo) -> float:
        """Seconds since the epoch. A number passes from Python. ValueError, with what is allowed, on anything else."""
        if info.mode != "json" and isinstance(given, float):
            return given
        try:
            if isinstance(given, str) and re.fullmatch(_TIME_PATTERN, given):
                return datetime.fromisoformat(given).timestamp()
        except ValueError:  # the 30th of February
            pass
        raise ValueError(
            f"must be a time such as 2026-11-27T09:00:00+01:00 or 2026-11-27T08:00:00Z, got {shown(given)}"
        )

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(time_text)
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "date-time", "pattern": _TIME_PATTERN, "maxLength": 25}


@dataclass(frozen=True, slots=True)
class Factor:
    """Marks a float that YAML states as '3x'."""

    def parse(self, given: object, info: ValidationInfo) -> float:
        """The factor. A number passes from Python. ValueError, with what is permitted, on anything else."""
        factor = given if info.mode != "json" and isinstance(given, float) else None
        if isinstance(given, str) and len(given) <= _FACTOR_LENGTH_MAX and re.fullmatch(_FACTOR_PATTERN, given):
            factor = float(given[:-1])
        if factor is None:
            raise ValueError(f"must be a multiple of the usual demand such as 3x or 1.5x, got {shown(given)}")
        if not 1.0 < factor <= EXPECT_MAX:
            raise ValueError(f"{_FACTOR_RANGE}, got {given}")
        return factor

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema("{:g}x".format)
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = "double(self.replace('x', ''))"
        return {
            "type": "string",
            "pattern": _FACTOR_PATTERN,
            "maxLength": _FACTOR_LENGTH_MAX,
            "x-kubernetes-validations": [
                {
                    "rule": f"{number} > 1.0 && {number} <= {EXPECT_MAX}",
                    "message": _FACTOR_RANGE,
                    "messageExpression": f"'{_FACTOR_RANGE}, got ' + self",
                }
            ],
        }


@dataclass(frozen=True, slots=True)
class _Checked:
    """Marks text that a function of the core checks whole, and the API server by its form."""

    check: Callable[[str], None]
    pattern: str

    def parse(self, given: object) -> str:
        """The text. ValueError, with what is permitted, on anything else."""
        if not isinstance(given, str) or len(given) > _TEXT_LENGTH_MAX:
            raise ValueError(f"must be text of at most {_TEXT_LENGTH_MAX} characters, got {shown(given)}")
        try:
            self.check(given)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return given

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern, "maxLength": _TEXT_LENGTH_MAX}


TimeZone = Annotated[str, _Checked(check_time_zone, _ZONE_PATTERN)]


class ScheduledEvent(Model):
    """An event known to come: a multiple of the usual demand, or replicas to be ready."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=63)] = Field(
        description="What decisions, `headstart explain` and status call it."
    )
    at: Annotated[float, PointInTime()] | None = Field(
        default=None,
        description="When it starts, once: 2026-11-27T09:00:00+01:00. Exactly one of at and cron is given.",
    )
    cron: Annotated[str, _Checked(check_cron, _CRON_PATTERN)] | None = Field(
        default=None,
        description="When it starts, again and again: minute, hour, day of the month, month, weekday, as in"
        " 0 9 * * MON-FRI. Where clocks go forward, a time that doesn't exist comes right after the gap.",
    )
    time_zone: TimeZone | None = Field(
        default=None, description="The IANA time zone that cron is in, such as Europe/Berlin; UTC where it isn't given."
    )
    duration: Annotated[float, DurationBetween("1s", "744h")] = Field(
        description="How long it lasts from each start. At its end what is surplus goes by the ordinary rules."
    )
    expect: Annotated[float, Factor()] | None = Field(
        default=None,
        description="How many times the demand that would come without it: 3x. Exactly one of expect and atLeast is"
        " given.",
    )
    at_least: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Replicas to be ready from its start to its end, whatever demand is; they are ordered one load"
        " before.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            holds=lambda event: (event.at is None) != (event.cron is None),
            cel="has(self.at) != has(self.cron)",
            message="must have exactly one of at and cron: at for once, cron for again and again",
        ),
        Rule(
            field="timeZone",
            holds=lambda event: event.time_zone is None or event.cron is not None,
            cel="!has(self.timeZone) || has(self.cron)",
            message="counts with cron only, and there is none; write it into at, as in 2026-11-27T09:00:00+01:00",
        ),
        Rule(
            field="",
            holds=lambda event: (event.expect is None) != (event.at_least is None),
            cel="has(self.expect) != has(self.atLeast)",
            message="must have exactly one of expect and atLeast; give two events where both are meant",
        ),
    )

    def to_event(self) -> Event:
        """The event as the core plans with it."""
        return Event(
            name=self.name,
            duration_s=self.duration,
            at_s=self.at,
            cron=self.cron or "",
            time_zone=self.time_zone or "UTC",
            expect=self.expect or 1.0,
            at_least=self.at_least or 0,
        )


Schedule = Annotated[
    tuple[ScheduledEvent, ...],
    Field(
        max_length=EVENTS_MAX,
        description="Known events, such as a launch or the start of work. An event only ever adds to the forecast: more"
        " demand than it can know of (expect), or replicas to be ready (atLeast).",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]

NAMES_DIFFER = Rule(
    field="schedule",
    holds=lambda model: len({event.name for event in model.schedule}) == len(model.schedule),
    cel="",  # the list is a map keyed by name
    message="must have each name once; give the second of two equal events another name",
)
"""For a model with a field `schedule`."""
