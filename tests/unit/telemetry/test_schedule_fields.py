"""Known events in decision lines: all of what they say reads back, and lines without them stay as they were."""

from __future__ import annotations

import json
import math

import pytest
from decision_records import MORNING_S, make_outlook, make_record, make_spec

from autoscaler.core.decide import choose
from autoscaler.core.decision import Reason
from autoscaler.core.event import Event
from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import from_line, to_line

LAUNCH = Event("launch", 7_200.0, at_s=MORNING_S + 120.0, at_least=12)
SALE = Event("sale", 3_600.5, cron="0 3 * * 5L", time_zone="America/New_York", expect=1.1)


def scheduled():
    outlook = make_outlook(scheduled=("sale",), usual_median=3.9)
    return make_record(spec=make_spec(schedule=(LAUNCH, SALE)), outlook=outlook)


def test_events_read_back_and_make_the_same_decision_again():
    record = scheduled()
    assert record.decision.desired == 12
    assert record.decision.reasons[0] is Reason.SCHEDULED
    assert record.decision.scheduled == ("sale", "launch")
    read = from_line(to_line(record))
    assert read.spec.schedule == (LAUNCH, SALE)
    assert (read.outlook.scheduled, read.outlook.usual_median) == (("sale",), 3.9)
    assert choose(read.spec, read.outlook, read.observation) == read.decision == record.decision
    assert to_line(read) == to_line(record)


def test_without_events_a_line_has_no_word_of_them():
    line = to_line(make_record())
    assert "schedule" not in line
    assert "usual" not in line
    assert math.isnan(from_line(line).outlook.usual_median)


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("outlook", "scheduled", [1], "line 3: outlook.scheduled must be a list of names"),
        ("spec", "schedule", {}, "line 3: spec.schedule must be a list"),
        ("spec", "schedule", ["x"], "line 3: spec.schedule must be an object, not 'x'"),
        ("spec", "schedule", [{"name": "x"}], "line 3: spec.schedule.duration_s is missing"),
    ],
)
def test_damaged_events_are_refused_with_their_place(part, name, value, said):
    content = json.loads(to_line(scheduled()))
    content[part][name] = value
    with pytest.raises(UsageError, match=said):
        from_line(json.dumps(content), where="line 3")


def test_an_event_that_cannot_be_meant_is_refused():
    content = json.loads(to_line(scheduled()))
    content["spec"]["schedule"][0]["duration_s"] = -1.0
    with pytest.raises(UsageError, match="line 3: spec: event 'launch': duration must be above 0"):
        from_line(json.dumps(content), where="line 3")
