from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core import cron as cron_module
from autoscaler.core.cron import DAY_S, check_cron, check_time_zone, windows_of_day
from autoscaler.errors import UsageError


def starts(expression: str, zone: str, first: str, days: int) -> list[str]:
    """Starts in local time with their offset, in the days of UTC from `first` on."""
    day = int(datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()) // DAY_S
    found = [start_s for k in range(days) for start_s, _ in windows_of_day(expression, zone, 1.0, day + k)]
    return [f"{datetime.fromtimestamp(start_s, ZoneInfo(zone)):%d. %H:%M %z}" for start_s in found]


def test_a_time_of_day_keeps_its_place_on_the_clock_when_clocks_change():
    # Berlin goes from +01:00 to +02:00 on 29 March 2026, and back on 25 October.
    assert starts("0 9 * * *", "Europe/Berlin", "2026-03-28", 3) == [
        "28. 09:00 +0100",
        "29. 09:00 +0200",
        "30. 09:00 +0200",
    ]
    assert starts("0 9 * * SAT,SUN,MON", "Europe/Berlin", "2026-10-24", 3) == [
        "24. 09:00 +0200",
        "25. 09:00 +0100",
        "26. 09:00 +0100",
    ]


def test_a_time_that_does_not_exist_comes_right_after_the_gap():
    assert starts("30 2 * * *", "Europe/Berlin", "2026-03-28", 3) == [
        "28. 02:30 +0100",
        "29. 03:00 +0200",
        "30. 02:30 +0200",
    ]


def test_a_time_that_comes_twice_counts_once():
    assert starts("30 2 * * *", "Europe/Berlin", "2026-10-25", 1) == ["25. 02:30 +0200"]


def test_what_has_a_star_goes_by_elapsed_time():
    assert len(starts("0 * * * *", "Europe/Berlin", "2026-10-25", 1)) == 24
    assert len(starts("0 * * * *", "Europe/Berlin", "2026-03-29", 1)) == 24


def test_windows_that_overlap_are_one():
    ((start_s, end_s),) = windows_of_day("*/5 * * * *", "UTC", 600.0, 20_000)
    assert (start_s, end_s) == (20_000 * DAY_S, 20_001 * DAY_S - 300 + 600)


@settings(deadline=None, max_examples=60)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo"]),
    first=st.dates(min_value=datetime(2015, 1, 1).date(), max_value=datetime(2035, 1, 1).date()),
)
def test_a_daily_event_comes_once_on_every_local_day(hour, minute, zone, first):
    day = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()) // DAY_S
    found = [
        datetime.fromtimestamp(start_s, ZoneInfo(zone)).date()
        for k in range(-2, 6)
        for start_s, _ in windows_of_day(f"{minute} {hour} * * *", zone, 1.0, day + k)
    ]
    assert found == sorted(set(found))
    inner = [each for each in found if first <= each < first + timedelta(days=3)]
    assert len(inner) == 3


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 9 * *", "wrong number of fields"),
        ("0 0 9 * * *", "wrong number of fields"),
        ("60 9 * * *", "bad minute"),
        ("0 9 * * MONDAY", "bad day-of-week"),
        ("@daily", "wrong number of fields"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 L 2 MON#6", "bad day-of-week"),
        ("²L * * * *", "bad minute"),
    ],
)
def test_what_is_no_cron_is_refused_with_its_reason(expression, why):
    with pytest.raises(UsageError, match="must be five cron fields .* such as 0 9 ") as refused:
        check_cron(expression)
    assert str(refused.value).endswith(why)


def test_a_rare_day_comes():
    check_cron("0 0 29 2 *")
    assert starts("0 0 29 2 *", "UTC", "2028-02-28", 3) == ["29. 00:00 +0000"]


@pytest.mark.parametrize("zone", ["America", "Mars/Olympus", "../etc/passwd", "", "/etc/localtime", "Europe/Berlin\0"])
def test_what_is_no_time_zone_is_refused(zone):
    with pytest.raises(UsageError, match="must be an IANA time zone such as Europe/Berlin"):
        check_time_zone(zone)


def test_it_asks_for_no_time():
    tree = ast.parse(Path(cron_module.__file__).read_text())
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not called & {"now", "today", "utcnow"}
