"""Durations and shares as users write them in YAML: '90s', '1h30m', '1%'."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration_s(given: object) -> float:
    """Seconds of '90s', '1h30m' or '14d'. A number passes as seconds. ValueError on anything else."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        raise ValueError(f"must be a duration such as 90s, 10m or 1h30m, got {given!r}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(given))


def parse_share(given: object) -> float:
    """A share of 1: '1%' is 0.01, and so is 0.01. ValueError on anything else."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    if isinstance(given, str):
        try:
            return float(given[:-1]) / 100.0 if given.endswith("%") else float(given)
        except ValueError:
            pass
    raise ValueError(f"must be a share such as 1% or 0.01, got {given!r}")


Duration = Annotated[float, BeforeValidator(parse_duration_s)]
Share = Annotated[float, BeforeValidator(parse_share)]
