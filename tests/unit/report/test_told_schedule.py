"""What `headstart explain` and the sentence of a decision say of known events."""

from __future__ import annotations

from decision_records import MORNING_S, make_outlook, make_record, make_spec

from autoscaler.controller.sentence import decision_sentence
from autoscaler.core.event import Event
from autoscaler.report.explanation import explain
from autoscaler.report.reasons import MEANINGS

# The decision is of 03:12:00; a replica ordered then serves from 03:16:00 to 03:17:00.
LAUNCH = Event("launch", 7_200.0, at_s=MORNING_S + 240.0, at_least=12)
SALE = Event("sale", 86_400.0 * 2, at_s=MORNING_S - 600.0, expect=3.0)


def steps(schedule, **outlook):
    record = make_record(spec=make_spec(schedule=schedule), outlook=make_outlook(**outlook))
    told = explain(record)
    assert told.differences == ()
    return record, {step.name: step.text for step in told.steps}


def test_replicas_that_an_event_asks_for():
    record, told = steps((LAUNCH,))
    assert told["schedule"] == "launch, 03:16:00 to 05:16:00, asks for 12 ready."
    assert told["bounds"] == "7 are fewer than launch asks for: 12 replicas."
    assert decision_sentence(record.spec, record.decision).endswith("; scheduled: launch")


def test_replicas_that_are_wanted_anyway():
    _, told = steps((LAUNCH,), median=14.0)
    assert told["schedule"] == "launch, 03:16:00 to 05:16:00, asks for 12 ready, and as many are wanted without it."
    assert "launch" not in told["bounds"]


def test_a_surge():
    record, told = steps((SALE,), scheduled=("sale",))
    assert told["schedule"] == (
        "sale, 2025-11-25 03:02:00 to 2025-11-27 03:02:00, expects 3 times what would come without it: more is ordered "
        "or kept for it."
    )
    assert record.decision.scheduled == ("sale",)
    _, told = steps((SALE,))
    assert told["schedule"].endswith(": nothing beyond the usual forecast is ordered or kept for it.")


def test_of_surges_that_overlap_the_larger_one_counts():
    fair = Event("fair", 3_600.0, at_s=MORNING_S, expect=2.0)
    _, told = steps((SALE, fair), scheduled=("sale",))
    assert told["schedule"].endswith(
        "fair, 03:12:00 to 04:12:00, expects 2 times what would come without it: the more that sale expects counts."
    )


def test_no_event_near_and_none_at_all():
    later = Event("later", 60.0, at_s=MORNING_S + 300.0, at_least=12)
    assert steps((later,))[1]["schedule"] == "No event before 03:17:00."
    assert "schedule" not in steps(())[1]


def test_each_reason_has_a_meaning():
    record, _ = steps((LAUNCH,))
    assert all(MEANINGS[reason] for reason in record.decision.reasons)
