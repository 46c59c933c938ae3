"""The clocks that demand goes by: people start work at eight by theirs, which moves against UTC twice a year.

On the Monday after, the same time on the days before lies an hour off, for a week. What looks back by the clock finds
it. What comes at fixed times of UTC is unusual enough to be left to the other features.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from forecasting.errors import ModelError
from forecasting.series import FloatArray

UTC_ZONE = "UTC"
DAY_S = 86_400.0
# Changes are looked for within these years; outside of them the nearest one's clock holds.
_FIRST, _LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# Morocco's clocks go back for the month of Ramadan; none go back and forth within two weeks.
_STEP = timedelta(days=14)
_EXACT = timedelta(seconds=1)


class Clock(NamedTuple):
    """How far the clocks of a time zone are ahead of UTC. Arrays must not be written to.

    Attributes:
        changes_s: when they change, increasing, seconds since the epoch, shape (k,).
        ahead_s: how far they are ahead, before the first change and after each, shape (k + 1,).
    """

    changes_s: FloatArray
    ahead_s: FloatArray


class Days(NamedTuple):
    """How the bins of a history lie in days.

    Attributes:
        start_s: start of bin 0, seconds since the epoch.
        bin_s: width of a bin.
        day: bins in a day, at least 1.
        clock: that the days go by.
    """

    start_s: float
    bin_s: float
    day: int
    clock: Clock


@lru_cache(maxsize=256)
def clock_of(time_zone: str) -> Clock:
    """The clock of an IANA time zone. ModelError where there is none of that name."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as 'America'
        raise ModelError(f"must be an IANA time zone such as Europe/Berlin, got {time_zone!r:.60}") from None
    ahead = [_ahead(zone, _FIRST)]
    changes_s = []
    before = _FIRST
    while before < _LAST:
        after = before + _STEP
        if _ahead(zone, after) != ahead[-1]:
            changes_s.append(_change(zone, before, after).timestamp())
            ahead.append(_ahead(zone, after))
        before = after
    return Clock(np.array(changes_s, dtype=np.float64), np.array([each.total_seconds() for each in ahead]))


def _ahead(zone: ZoneInfo, moment: datetime) -> timedelta:
    ahead = moment.astimezone(zone).utcoffset()
    assert ahead is not None, "a zone has an offset at any time"
    return ahead


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second with the clock of `after`, by halving."""
    changed = _ahead(zone, after)
    while after - before > _EXACT:
        middle = before + (after - before) // _EXACT // 2 * _EXACT
        if _ahead(zone, middle) == changed:
            after = middle
        else:
            before = middle
    return after


def days_of(clock: Clock, *, start_s: float, bin_s: float) -> Days:
    """The days of bins from `start_s` on."""
    return Days(start_s, bin_s, max(1, round(DAY_S / bin_s)), clock)
