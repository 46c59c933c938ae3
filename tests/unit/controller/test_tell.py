"""What the controller tells: lines, counts and metrics, and nothing of objects that are gone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.controller.tell import Teller
from autoscaler.errors import HeadstartError
from autoscaler.sources.ranges import Failure, RangeAnswer, SourceError
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics


class Lines(list):
    """A writer that keeps lines."""

    write = list.append

    def __bool__(self):
        return True


@pytest.fixture
def told():
    """A teller and what it tells."""
    metrics, logged, decisions, recorded, beats = Metrics(version="0", now_s=lambda: 0.0), [], Lines(), Lines(), []
    teller = Teller(
        metrics,
        Log(logged.append, now_s=lambda: 0.0),
        decisions=decisions,
        recording=recorded,
        on_tick=lambda _keys: beats.append(1),
    )
    teller.seen = metrics, logged, decisions, recorded, beats
    return teller


def messages(logged):
    return [json.loads(line)["message"] for line in logged]


def test_queries_that_fail_are_counted_and_told_once(told):
    metrics, logged, *_ = told.seen
    failure = SourceError(Failure.TIMEOUT, "prometheus took too long")
    told.answered([failure, failure, RangeAnswer(np.zeros(1))])
    assert b'headstart_prometheus_errors_total{failure="Timeout"} 2.0' in metrics.text()
    assert messages(logged) == ["prometheus took too long"]


def test_what_the_api_refuses_is_counted(told):
    metrics, logged, *_ = told.seen
    told.api_failed("Forbidden")
    told.cluster_failed(HeadstartError("pods can't be watched"))
    assert b'headstart_api_errors_total{kind="Forbidden",verb="patch"} 1.0' in metrics.text()
    assert b'headstart_api_errors_total{kind="HeadstartError",verb="watch"} 1.0' in metrics.text()
    assert messages(logged) == []  # the watch logs it


def test_bounds_that_were_put_back_are_told_and_others_are_not(told):
    _, logged, *_ = told.seen
    told.swept(Outcome(Action.NONE, "NothingToRestore", "nothing"))
    told.swept(Outcome(Action.PATCHED, "FloorPutBack", "minReplicas 5 -> 2"))
    assert messages(logged) == ["minReplicas 5 -> 2"]


def test_a_tick_beats_the_heart(told):
    *_, beats = told.seen
    told.ticked({}, leads=True)
    assert beats == [1]


def test_decisions_are_told_with_what_was_done_and_recorded_with_their_history(start_run, told):
    metrics, _, decisions, recorded, _ = told.seen
    run = start_run(np.full(40, 5.0))
    run.controller._teller = run.controller._histories._teller = told
    run.tick(10)
    assert [json.loads(line)["kind"] for line in recorded[:2]] == ["History", "Decision"]
    assert recorded[1:] == decisions
    assert [json.loads(line)["done"]["reason"] for line in decisions][-1] in {"Unchanged", "Scaled"}
    assert b'headstart_desired_replicas{name="chat",namespace="llm"}' in metrics.text()
    run.world.leads = False
    run.tick(1)
    assert json.loads(decisions[-1])["done"]["reason"] == "NotLeading"
    run.world.objects = lambda: ()
    run.tick(1)
    assert b'name="chat"' not in metrics.text()


def test_an_object_that_never_counted_requests_is_told_of_too(start_run, told, object_of):
    _, _, decisions, _, _ = told.seen
    run = start_run(np.full(40, 5.0))
    run.controller._teller = told
    run.world._units["tokens"] = "requests"
    run.world.given = object_of(demand=[{"unit": "tokens", "query": "tokens", "capacity": 1.0}])
    run.tick(5)
    assert json.loads(decisions[-1])["observation"]["demand_rps"] == {"tokens": 5.0}
    assert json.loads(decisions[-1])["observation"]["backlog_rs"] is None
