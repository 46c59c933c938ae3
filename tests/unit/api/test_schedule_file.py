"""Known events from a file: the object's own words, and each mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.api.schedule_file import read_schedule
from autoscaler.core.event import Event
from autoscaler.errors import UsageError

GOOD = """\
- name: start-of-work
  cron: 45 8 * * MON-FRI
  timeZone: Europe/Berlin
  duration: 45m
  atLeast: 12
- name: launch
  at: 2026-11-27T09:00:00+01:00
  duration: 2h
  expect: 1.5x
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "events.yaml"
    file.write_text(text)
    return file


def test_a_list_and_a_mapping_read_alike(tmp_path):
    events = (
        Event("start-of-work", 2_700.0, cron="45 8 * * MON-FRI", time_zone="Europe/Berlin", at_least=12),
        Event("launch", 7_200.0, at_s=1_795_766_400.0, expect=1.5),
    )
    assert read_schedule(written(tmp_path, GOOD)) == events
    assert read_schedule(written(tmp_path, f"schedule:\n{GOOD}")) == events
    assert read_schedule(written(tmp_path, "[]")) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("45 8 *", "45 25 *", r":2: schedule[0].cron: must be five cron fields"),
        (
            "Europe/Berlin",
            "Berlin",
            r":3: schedule[0].timeZone: must be an IANA time zone such as Europe/Berlin, got 'Berlin'",
        ),
        (
            "45m",
            "2700",
            r":4: schedule[0].duration: must be a duration such as 90s, 1h30m or 336h, got the number 2700",
        ),
        ("45m", "32d", r":4: schedule[0].duration: must be a duration such as 768h, got '32d'"),
        ("atLeast: 12", "atLeast: 0", r":5: schedule[0].atLeast: must be at least 1, got 0"),
        ("atLeast: 12", "atleast: 12", r":5: schedule[0].atleast: is no field of schedule[0]; did you mean atLeast?"),
        ("  expect: 1.5x\n", "", r":6: schedule[1]: must have exactly one of expect and atLeast"),
        ("  at: 20", "  cron: 0 9 * * *\n  at: 20", r":6: schedule[1]: must have exactly one of at and cron"),
        ("+01:00", "+01:00\n  timeZone: UTC", r":8: schedule[1].timeZone: counts with cron only"),
        ("T09:00:00+01:00", "", r":7: schedule[1].at: must be a time such as 2026-11-27T09:00:00+01:00"),
        (
            "1.5x",
            "0.9x",
            r":9: schedule[1].expect: must be above 1x and at most 100x: an event only ever adds, got 0.9x",
        ),
        ("1.5x", "3", r":9: schedule[1].expect: must be a multiple of the usual demand such as 3x or 1.5x, got 3"),
        ("name: launch", "name: start-of-work", r":1: schedule: must have each name once"),
        ("- name: launch", "- name: Launch", r":6: schedule[1].name: must be text of the form"),
        ("  cron: 45", "  cron: [", r":3: column"),
        ("- name: launch", "---\n- name: launch", r": holds 2 YAML documents; it must hold one, a schedule"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, old, new, said):
    file = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as refused:
        read_schedule(file)
    assert str(refused.value).startswith(f"{file}{said}")
    assert "\n" not in str(refused.value)


def test_what_is_no_schedule_is_refused(tmp_path):
    with pytest.raises(UsageError, match="events.yaml:1: must be a list of events, or a mapping with the key schedule"):
        read_schedule(written(tmp_path, "launch"))
    with pytest.raises(UsageError, match="holds 0"):
        read_schedule(written(tmp_path, ""))
    with pytest.raises(UsageError, match="can't be read: No such file"):
        read_schedule(tmp_path / "none.yaml")
