"""Durations, shares and times as objects have them: '90s', '1h30m', '1%', '2026-11-25T03:12:00Z'.

One grammar for files and for the CustomResourceDefinition: Go's durations from hours down, which CEL reads as well. It
has no days: two weeks are 336h. A number without a unit is refused where a manifest is read, and passes as seconds or
as a share of 1 from Python. What is typed at a command line may be more, since no CEL reads it: '14d', '600', '1e-3%'.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from autoscaler.errors import shown

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_NUMBER = r"[0-9]+(\.[0-9]+)?"
DURATION_PATTERN = rf"^({_NUMBER}(ms|s|m|h))+$"
SHARE_PATTERN = rf"^{_NUMBER}( ?%)?$"
# Of what is typed. A sign is read so that the range can be told, and not the form.
_TYPED_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_PART = re.compile(rf"({_TYPED_NUMBER})\s*(ms|s|m|h|d)?")
_TYPED_DURATION = re.compile(rf"{_PART.pattern}|({_NUMBER}(ms|s|m|h|d))+")
_TYPED_SHARE = re.compile(rf"{_TYPED_NUMBER}\s*%?")
# Longer than any sensible value, and short enough for the API server's estimate of what a rule costs.
TEXT_LENGTH_MAX = 32
# Of a replica, work per second. As for counts per bin: beyond, demand in replicas would come to infinity or to nothing.
CAPACITY_MIN, CAPACITY_MAX = 1e-15, 1e15

_WHOLE = "must be in whole hours, minutes and seconds"
_SHARE_RANGE = "must be above 0% and below 100%"


def time_text(at_s: float) -> str:
    """A time, seconds since the epoch, as the API server writes it: RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration_s(given: object, *, typed: bool = False) -> float:
    """Seconds of '90s' or '1h30m'; `typed`, of '14d' and '600' too. A number passes. ValueError on anything else."""
    if _is_number(given):
        return float(given)  # type: ignore[arg-type]
    form = _TYPED_DURATION if typed else re.compile(DURATION_PATTERN)
    if not _is_of(form, given):
        days = re.fullmatch(r"([0-9]{1,6})d", given) if isinstance(given, str) else None
        example = f"{24 * int(days[1])}h" if days else "90s, 1h30m or 336h"
        raise ValueError(f"must be a duration such as {example}, got {shown(given)}")
    return sum(float(part[1]) * _UNITS_S[part[4] or "s"] for part in _PART.finditer(str(given)))


def format_duration(duration_s: float) -> str:
    """The shortest text that reads as these seconds, to the millisecond: '1m30s', '336h', '250ms', '0s'."""
    left_ms = round(duration_s * 1_000)
    text = ""
    for unit, size_ms in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        number, left_ms = divmod(left_ms, size_ms)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def parse_share(given: object, *, typed: bool = False) -> float:
    """A share of 1: '1%' and '1 %' are 0.01, and so is '0.01'; `typed`, '1e-2' too. A number passes.

    ValueError on anything else.
    """
    if _is_number(given):
        return float(given)  # type: ignore[arg-type]
    if not _is_of(_TYPED_SHARE if typed else re.compile(SHARE_PATTERN), given):
        raise ValueError(f"must be a share such as 1% or 0.01, got {shown(given)}")
    text = str(given)
    return float(text.removesuffix("%")) / 100.0 if text.endswith("%") else float(text)


def format_share(share: float) -> str:
    """A share as a percentage: '1%', '0.25%'."""
    return f"{100.0 * share:.10f}".rstrip("0").rstrip(".") + "%"


@dataclass(frozen=True, slots=True)
class DurationBetween:
    """Marks a float of seconds that YAML states as a duration.

    Attributes:
        least, most: the permitted range, both ends included.
        whole: whether it is stated in whole hours, minutes and seconds.
    """

    least: str
    most: str
    whole: bool = False

    def parse(self, given: object, info: ValidationInfo) -> float:
        """Seconds. ValueError, with what is permitted, on anything else."""
        duration_s = parse_duration_s(_as_text(given, info, "a duration such as 90s, 1h30m or 336h"))
        text = given if isinstance(given, str) else format_duration(duration_s)
        if not parse_duration_s(self.least) <= duration_s <= parse_duration_s(self.most):
            raise ValueError(f"{self._between}, got {text}")
        if self.whole and ("." in str(text) or "ms" in str(text)):
            raise ValueError(f"{_WHOLE}, got {text}")
        return duration_s

    @property
    def _between(self) -> str:
        return f"must be between {self.least} and {self.most}"

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(format_duration)
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inside = f"duration(self) >= duration('{self.least}') && duration(self) <= duration('{self.most}')"
        whole = {"!self.contains('.') && !self.contains('ms')": _WHOLE} if self.whole else {}
        return _text(DURATION_PATTERN, {inside: self._between} | whole)


@dataclass(frozen=True, slots=True)
class ShareOfOne:
    """Marks a float above 0 and below 1 that YAML states as a share."""

    def parse(self, given: object, info: ValidationInfo) -> float:
        """The share. ValueError, with the permitted range, on anything else."""
        share = parse_share(_as_text(given, info, "a share in text, such as 1% or '0.01'"))
        if not 0.0 < share < 1.0:
            text = given if isinstance(given, str) else f"{share:g}"
            raise ValueError(f"{_SHARE_RANGE}, got {text}")
        return share

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(format_share)
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = "double(self.replace('%', '').replace(' ', ''))"
        inside = f"{number} > 0.0 && {number} < (self.endsWith('%') ? 100.0 : 1.0)"
        return _text(SHARE_PATTERN, {inside: _SHARE_RANGE})


LateBudget = Annotated[float, ShareOfOne()]


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


def _as_text(given: object, info: ValidationInfo, allowed: str) -> object:
    """What was given, unless a manifest gives a number: the API server takes text only."""
    if info.mode == "json" and not isinstance(given, str):
        raise ValueError(f"must be {allowed}, got the number {given}" if _is_number(given) else f"must be {allowed}")
    return given


def _is_of(form: re.Pattern[str], given: object) -> bool:
    """Whether it is text of this form, and not longer than the API server takes."""
    return isinstance(given, str) and len(given) <= TEXT_LENGTH_MAX and form.fullmatch(given) is not None


def _text(pattern: str, rules: Mapping[str, str]) -> dict[str, Any]:
    """A structural schema for text that CEL rules check; each one's message is followed by what was given."""
    return {
        "type": "string",
        "pattern": pattern,
        "maxLength": TEXT_LENGTH_MAX,
        "x-kubernetes-validations": [
            {"rule": rule, "message": message, "messageExpression": f"'{message}, got ' + self"}
            for rule, message in rules.items()
        ],
    }
