"""What is typed as text, in an option or in a group's file: numbers, durations, load latencies as distributions.

Durations are an object's (`autoscaler.api.scalars`), and also '14d' or plain seconds: nothing but us reads these.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from autoscaler.api.scalars import parse_duration_s
from autoscaler.core.known_loads import KNOWN_LOADS
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError, shown

# Beyond these a mistyped unit is likelier, and numbers of bins, or of seconds to wait, would fit no machine.
_DURATION_MAX_S = 1e9
_SIGMA_MAX = 10.0
_LOAD_ALLOWED = f"write it as 600s, lognormal:120s,0.5 or empirical:FILE.csv, or name {' or '.join(KNOWN_LOADS)}"


def typed_number(given: str | float) -> float:
    """A finite number. UsageError on anything else."""
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{shown(given)} is not a number")
    return number


def typed_not_negative(given: str | float) -> float:
    """A finite number, 0 or more. UsageError on anything else."""
    number = typed_number(given)
    if number < 0:
        raise UsageError(f"{shown(given)} is negative; it must be 0 or more")
    return number


def typed_duration_s(given: str | float) -> float:
    """Seconds, 0 or more, from '600s', '1h30m', '250ms', '14d' or plain seconds. UsageError on anything else."""
    try:
        duration_s = parse_duration_s(given.strip() if isinstance(given, str) else given, typed=True)
    except ValueError:
        duration_s = math.inf
    if not math.isfinite(duration_s):
        raise UsageError(f"{shown(given)} is not a duration; write it as 600s, 10m, 1h30m, 250ms or plain seconds")
    if duration_s < 0:
        raise UsageError(f"{shown(given)} is negative; a duration is 0 or more")
    if duration_s > _DURATION_MAX_S:
        raise UsageError(f"{shown(given)} is longer than 30 years; a duration is at most that")
    return duration_s


def typed_positive_duration_s(given: str | float) -> float:
    """Seconds, more than 0, written as for `typed_duration_s`."""
    duration_s = typed_duration_s(given)
    if duration_s == 0:
        raise UsageError(f"{shown(given)} is no time at all; it must be more than 0")
    return duration_s


def typed_load_latency(given: str | float, folder: Path = Path()) -> LoadLatency:
    """A load latency: a duration, a name out of KNOWN_LOADS, 'lognormal:MEDIAN,SIGMA', or 'empirical:FILE'.

    The file holds one number of seconds per line; its path is relative to `folder`. UsageError on anything else.
    """
    text = str(given).strip()
    if text in KNOWN_LOADS:
        return KNOWN_LOADS[text]
    kind, colon, rest = text.partition(":")
    if kind == "lognormal" and colon:
        return _lognormal(text, rest)
    if kind == "empirical" and colon:
        return LoadLatency.empirical(_read_loads_s(folder / rest), label=Path(rest).name)
    near = difflib.get_close_matches(text.lower(), KNOWN_LOADS, n=1)
    if colon or near:
        meant = f"did you mean {near[0]}?" if near else _LOAD_ALLOWED
        raise UsageError(f"{shown(given)} is not a load latency; {meant}")
    return LoadLatency.constant(typed_duration_s(given))


@dataclass(frozen=True, slots=True)
class TypedLoadLatency:
    """Marks a LoadLatency that a file states as typed; the validation's context has the `folder` of its paths."""

    def parse(self, given: object, info: ValidationInfo) -> LoadLatency:
        """The load latency. ValueError, with what is allowed, on anything else."""
        if isinstance(given, LoadLatency):
            return given
        try:
            if isinstance(given, bool) or not isinstance(given, str | int | float):
                raise UsageError(f"{shown(given)} is not a load latency; {_LOAD_ALLOWED}")
            return typed_load_latency(given, (info.context or {}).get("folder", Path()))
        except UsageError as error:
            raise ValueError(str(error)) from error

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        label = core_schema.plain_serializer_function_ser_schema(lambda load: load.label)
        return core_schema.with_info_plain_validator_function(self.parse, serialization=label)


def _lognormal(text: str, parameters: str) -> LoadLatency:
    """The distribution of 'MEDIAN,SIGMA' out of `text`."""
    median, comma, sigma = parameters.partition(",")
    if not comma:
        raise UsageError(f"{shown(text)} lacks the spread; write it as lognormal:120s,0.5")
    spread = typed_not_negative(sigma)
    if spread > _SIGMA_MAX:
        raise UsageError(f"{shown(text)} spreads over all times; the second number must be at most {_SIGMA_MAX:g}")
    return LoadLatency.lognormal(typed_positive_duration_s(median), spread)


def _read_loads_s(path: Path) -> list[float]:
    """Seconds, one per line of `path`; the first line may be a header, and empty lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not text; it must hold one number of seconds per line") from error
    loads_s = [_load_s(line.strip(), path, number) for number, line in enumerate(lines, start=1) if line.strip()]
    given_s = [load_s for load_s in loads_s if load_s is not None]
    if not given_s:
        raise UsageError(f"{path}: holds no load latency; it needs one number of seconds per line")
    return given_s


def _load_s(text: str, path: Path, line: int) -> float | None:
    """The seconds on one line; None for a header."""
    try:
        load_s = float(text)
    except ValueError:
        if line == 1 and text.strip('"')[:1].isalpha():
            return None
        load_s = math.nan
    if not (math.isfinite(load_s) and load_s >= 0):
        raise UsageError(f"{path}, line {line}: {shown(text)} is not a number of seconds, 0 or more")
    return load_s
