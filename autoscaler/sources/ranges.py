"""What is asked of a metrics source, and what it answers: values on a grid of times, missing apart from zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from autoscaler.errors import HeadstartError
from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """A query evaluated at start_s, start_s + step_s, ... up to and including stop_s; seconds since the epoch.

    What it returns counts as its value only if that is exactly one series: a query is to aggregate.

    Attributes:
        endpoint: another server than the source's own; '' for its own. Credentials go to the own one's origin only.
        headers: names and values sent with this request, beside the source's own.
    """

    query: str
    start_s: float
    stop_s: float
    step_s: float
    endpoint: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def points(self) -> int:
        """Evaluation times."""
        return round((self.stop_s - self.start_s) / self.step_s) + 1


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """One value per evaluation time, shape (points,); NaN where nothing usable was returned.

    Attributes:
        values: as float64.
        warnings: what the server warned of; values of a partial response are NaN already.
        behind_s: how far this machine's clock is behind the server's; NaN where the server doesn't say.
    """

    values: FloatArray
    warnings: tuple[str, ...] = ()
    behind_s: float = math.nan


class Failure(StrEnum):
    """Why a source gave no answer. The values are reasons of the condition MetricsAvailable."""

    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    UNAUTHORIZED = "Unauthorized"
    BAD_QUERY = "BadQuery"
    TOO_MANY_SERIES = "TooManySeries"
    SERVER_ERROR = "ServerError"
    BAD_ANSWER = "BadAnswer"
    CLOCK_SKEW = "ClockSkew"


class SourceError(HeadstartError):
    """A query that wasn't answered: one line with the server, the query and what to do."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class MetricsSource(Protocol):
    """Answers range queries; a failure is a value, so that one bad query doesn't spoil the others."""

    def fetch(self, requests: list[RangeRequest]) -> dict[RangeRequest, RangeAnswer | SourceError]:
        """Answer all requests, concurrently where that helps; within the source's own time limits."""
        ...
