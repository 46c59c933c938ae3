"""Events: counted, bounded, and never in anybody's way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster.waiting import wait_until
from fake_api.server import FakeApi

from autoscaler.kube.client import Kube
from autoscaler.kube.events import BUDGET, REFILL_S, EventRecorder, Regarding

NOW_S = 1_767_614_400.0
LLM = Regarding("headstart.dev/v1alpha1", "PredictiveAutoscaler", "team", "llm", "uid-1")


@pytest.fixture
def recorder(kube: Kube) -> Iterator[EventRecorder]:
    recording = EventRecorder(kube, instance="headstart-0")
    yield recording
    recording.stop()


def record(recorder: EventRecorder, message: str, at_s: float = NOW_S, regarding: Regarding = LLM) -> None:
    recorder.record(regarding, type="Normal", reason="Scaled", message=message, now_s=at_s)


def test_an_event_says_what_happened_to_which_object(api: FakeApi, recorder: EventRecorder) -> None:
    record(recorder, "replicas 3 -> 5:\na peak is near")
    recorder.stop()
    (event,) = api.items("events")
    assert event["involvedObject"] == {
        "apiVersion": "headstart.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "namespace": "team",
        "name": "llm",
        "uid": "uid-1",
    }
    assert (event["type"], event["reason"], event["count"]) == ("Normal", "Scaled", 1)
    assert event["message"] == "replicas 3 -> 5: a peak is near"
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-05T12:00:00Z"
    assert event["reportingInstance"] == "headstart-0"
    assert recorder.dropped == 0


def test_equal_events_of_ten_minutes_are_counted(api: FakeApi, recorder: EventRecorder) -> None:
    for after_s in (0.0, 300.0, 800.0, 1_500.0):
        record(recorder, "3 -> 5", NOW_S + after_s)
    record(recorder, "5 -> 3", NOW_S)
    record(recorder, "3 -> 5", NOW_S, Regarding("v1", "Pod", "team", "llm", "uid-2"))
    recorder.stop()
    counts = sorted(
        (event["message"], event["involvedObject"]["kind"], event["count"]) for event in api.items("events")
    )
    assert counts == [
        ("3 -> 5", "Pod", 1),
        ("3 -> 5", "PredictiveAutoscaler", 1),
        ("3 -> 5", "PredictiveAutoscaler", 3),
        ("5 -> 3", "PredictiveAutoscaler", 1),
    ]


def test_an_event_that_was_deleted_meanwhile_is_made_anew(api: FakeApi, recorder: EventRecorder) -> None:
    record(recorder, "3 -> 5")
    wait_until(lambda: len(api.items("events")) == 1, timeout_s=10.0, what="the first event", every_s=0.01)
    (event,) = api.items("events")
    api.remove("events", event["metadata"]["name"])
    record(recorder, "3 -> 5")
    recorder.stop()
    (again,) = api.items("events")
    assert again["count"] == 1
    assert again["metadata"]["name"] != event["metadata"]["name"]


def test_an_object_has_a_budget_that_fills_again(api: FakeApi, recorder: EventRecorder) -> None:
    for number in range(40):
        record(recorder, f"message {number}")
    record(recorder, "of another", regarding=Regarding("v1", "Pod", "team", "other", "uid-3"))
    record(recorder, "later", NOW_S + REFILL_S)
    record(recorder, "too much", NOW_S + REFILL_S)
    recorder.stop()
    assert len(api.items("events")) == int(BUDGET) + 2
    assert recorder.dropped == 40 - int(BUDGET) + 1


def test_failures_are_counted_and_the_next_event_is_recorded(api: FakeApi, recorder: EventRecorder) -> None:
    with api.fault("POST", "/events", status=403, times=2):
        record(recorder, "a")
        record(recorder, "b")
        record(recorder, "c")
        recorder.stop()
    assert [event["message"] for event in api.items("events")] == ["c"]
    record(recorder, "after the end")
    assert recorder.dropped == 3
