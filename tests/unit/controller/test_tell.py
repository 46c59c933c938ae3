"""What the controller tells: lines, counts and metrics, and nothing of objects that are gone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.backtest.recorded import make_again
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import ObjectKey
from autoscaler.errors import HeadstartError
from autoscaler.report.explanation import explain
from autoscaler.sources.ranges import Failure, RangeAnswer, SourceError
from autoscaler.telemetry.decision_log import read_log
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics

KEY, OTHER = ObjectKey("llm", "chat"), ObjectKey("llm", "code")


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
    told.answered([(KEY, failure), (OTHER, failure), (KEY, RangeAnswer(np.zeros(1)))])
    assert b'headstart_prometheus_errors_total{failure="Timeout"} 2.0' in metrics.text()
    assert messages(logged) == ["prometheus took too long"]


@pytest.mark.parametrize("failure", [Failure.BAD_QUERY, Failure.TOO_MANY_SERIES])
def test_a_query_that_is_wrong_is_told_with_each_object_that_asks_it(told, failure):
    _, logged, *_ = told.seen
    wrong = SourceError(failure, "the query 'up' returns 5 series; aggregate it to one")
    told.answered([(KEY, wrong), (OTHER, wrong)])
    told.prometheus_failed(KEY, wrong)  # its history says the same
    assert messages(logged) == [f"llm/chat: {wrong}", f"llm/code: {wrong}"]


def test_what_the_api_refuses_is_counted(told):
    metrics, logged, *_ = told.seen
    told.api_failed("Forbidden")
    told.cluster_failed(HeadstartError("pods can't be watched"))
    assert b'headstart_api_errors_total{kind="Forbidden",verb="patch"} 1.0' in metrics.text()
    assert b'headstart_api_errors_total{kind="HeadstartError",verb="watch"} 1.0' in metrics.text()
    assert messages(logged) == []  # the watch logs it


def test_bounds_that_were_put_back_are_told_and_others_are_not(told):
    _, logged, *_ = told.seen
    told.put_back(Outcome(Action.NONE, "NothingToRestore", "nothing"))
    told.put_back(Outcome(Action.PATCHED, "FloorPutBack", "minReplicas 5 -> 2"))
    told.put_back(Outcome(Action.FAILED, "Timeout", "no answer"))
    assert messages(logged) == ["minReplicas 5 -> 2", "no answer"]


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


TOO_SOON = Outcome(Action.WAITING, "TooSoon", "it was written less than 15 s ago", 1, 1)


def tells(run, teller):
    """A run that tells of itself by `teller`."""
    run.controller._teller = run.controller._histories._teller = run.controller._writing._teller = teller
    return run


def ticks_in_between(run, ticks):
    for _ in range(ticks):
        run.clock._jumped_s += 15.0
        run.controller.tick()


def test_a_write_that_had_to_wait_for_a_later_tick_has_a_line_of_its_own(start_run, told):
    metrics, _, decisions, recorded, _ = told.seen
    run = tells(start_run(np.array([5.0] * 30 + [20.0] * 10)), told)
    run.tick(31)
    apply, run.world.apply = run.world.apply, lambda *_, **__: TOO_SOON
    run.tick(1)
    ticks_in_between(run, 2)
    assert json.loads(decisions[-1])["kind"] == "Decision"  # nothing was written
    run.world.apply = apply
    ticks_in_between(run, 2)
    *_, decision, write = map(json.loads, decisions)
    assert (decision["done"]["reason"], write["kind"]) == ("TooSoon", "Write")
    desired, current = decision["decision"]["desired"], decision["decision"]["current"]
    assert [write["done"][name] for name in ("reason", "before", "after")] == ["Scaled", current, desired]
    assert (write["decided_s"], write["time_s"]) == (31 * 600.0, 31 * 600.0 + 45.0)
    assert recorded[-1] == decisions[-1]
    assert b'action="Patched",name="chat",namespace="llm",reason="Scaled"' in metrics.text()
    # Both commands that read logs take it in, or pass it over.
    found = read_log(decisions, "log").objects["llm/chat"].newest
    assert found.done_at_last.reason == "Scaled"
    written = next(step.text for step in explain(found).steps if step.name == "written")
    waited = "Nothing; Waiting, TooSoon: it was written less than 15 s ago."
    assert written.startswith(f"{waited} At 05:10:45: {current} -> {desired}, Scaled: ")
    assert all(each.equal for each in make_again(recorded, name="recording"))


def test_whoever_takes_over_logs_what_it_writes_of_its_decision_as_a_standby(start_run, told):
    _, _, decisions, _, _ = told.seen
    run = tells(start_run(np.full(40, 5.0)), told)
    run.world.leads = False
    run.tick(10)
    run.world.leads = True
    ticks_in_between(run, 1)
    assert json.loads(decisions[-2])["done"]["reason"] == "NotLeading"
    assert json.loads(decisions[-1])["done"]["reason"] == "Scaled"


def test_a_floor_that_is_put_back_for_an_object_without_a_decision_is_told(start_run, told, object_of):
    _, _, decisions, _, _ = told.seen
    run = tells(start_run(np.full(40, 5.0)), told)
    run.world.restore = lambda *_: Outcome(Action.PATCHED, "FloorPutBack", "minReplicas 5 -> 2", 5, 2)
    run.world.others = [object_of(name="gone", uid="2", mode="Floor", deleting=True)]
    run.world.hidden = True
    run.tick(1)
    (write,) = map(json.loads, decisions)
    assert (write["name"], write["decided_s"], write["done"]["reason"]) == ("gone", None, "FloorPutBack")
    assert run.world.told == ["FloorPutBack"]
    assert read_log(decisions, "log").cut == 0
