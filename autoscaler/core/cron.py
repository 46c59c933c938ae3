"""Recurring times: five cron fields in a time zone, as starts in seconds since the epoch.

Debian's cron, by cronsim: a day of the month and one of the week are either or, unless one begins with a star. Where
clocks go forward, a time of day that doesn't exist comes right after the gap; where they go back, it comes once. What
has a star for its hour or minute goes by elapsed time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from autoscaler.errors import UsageError
from forecasting.clock import clock_of
from forecasting.errors import ModelError

DAY_S = 86_400
_FIELDS = 5
# Whether an expression ever comes is asked from here; cronsim looks 50 years ahead.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# One takes about 0.3 kB: 5,000 objects with two events of their own look at three days each.
_DAYS_CACHED = 32_768


def check_cron(expression: str) -> None:
    """UsageError where `expression` isn't five cron fields, or never comes."""
    try:
        if len(expression.split()) != _FIELDS:
            raise CronSimError("Wrong number of fields")
        next(CronSim(expression, _EPOCH))
    except CronSimError as error:
        said = str(error)
        why = f"{said[:1].lower()}{said[1:]}"
        raise UsageError(
            f"must be five cron fields (minute, hour, day, month, weekday) such as 0 9 * * MON-FRI, "
            f"got {expression!r:.60}: {why}"
        ) from error
    except StopIteration:
        raise UsageError(f"must be a time that comes, got {expression!r:.60}: it doesn't within 50 years") from None


def check_time_zone(name: str) -> None:
    """UsageError where `name` is no IANA time zone."""
    try:
        clock_of(name)
    except ModelError as error:
        raise UsageError(str(error)) from None


@lru_cache(maxsize=_DAYS_CACHED)
def windows_of_day(expression: str, time_zone: str, duration_s: float, day: int) -> tuple[tuple[float, float], ...]:
    """Start and end of the windows that start on a day of UTC, those that overlap as one.

    Args:
        expression: five cron fields.
        time_zone: IANA name.
        duration_s: length of each window.
        day: days since the epoch.
    """
    windows: list[tuple[float, float]] = []
    for start_s in _starts(expression, time_zone, day):
        if windows and start_s <= windows[-1][1]:
            windows[-1] = (windows[-1][0], start_s + duration_s)
        else:
            windows.append((start_s, start_s + duration_s))
    return tuple(windows)


def _starts(expression: str, time_zone: str, day: int) -> list[float]:
    # From a day before: a first time of day that comes twice would be read as the earlier one.
    before = datetime.fromtimestamp((day - 1) * DAY_S, UTC).astimezone(ZoneInfo(time_zone))
    starts: list[float] = []
    for found in CronSim(expression, before):
        start_s = found.timestamp()
        if start_s >= (day + 1) * DAY_S:
            break
        if start_s >= day * DAY_S:
            starts.append(start_s)
    return starts
