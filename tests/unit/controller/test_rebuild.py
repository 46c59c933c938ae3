"""Histories: what Prometheus has of them becomes a state, or says why not; one that fails spoils no other."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from autoscaler.controller.rebuild import job_for, rebuild
from autoscaler.controller.rebuilder import ThreadedRebuilder
from autoscaler.controller.workload import new_workload
from autoscaler.sources.presets import resolve
from autoscaler.sources.ranges import Failure, RangeAnswer, SourceError

BIN_S = 600.0
NOW_S = 1_000.0 * BIN_S + 7.0


@pytest.fixture
def make_workload(object_of):
    return lambda **spec: new_workload(object_of(**spec), resolve(object_of(**spec).spec))


class Canned:
    """Answers by query; an exception is raised."""

    def __init__(self, **answers):
        self.answers = answers

    def fetch(self, requests):
        return {request: self._answer(request) for request in requests}

    def _answer(self, request):
        answer = self.answers[request.query]
        if isinstance(answer, SourceError):
            return answer
        if isinstance(answer, Exception):
            raise answer
        return RangeAnswer(np.resize(np.array(answer, dtype=np.float64), request.points))


def one(workload, **answers):
    (rebuilt,) = rebuild(Canned(**answers), [job_for(workload, workload.spec, NOW_S)])
    return rebuilt


def test_the_bin_that_ended_last_is_left_to_the_next_decision(make_workload):
    workload = make_workload()
    rebuilt = one(workload, requests=[3.0])
    assert rebuilt.state.next_start_s == 1_000 * BIN_S  # the start of the bin that runs now
    workload.go_on_with(workload.spec, rebuilt.state)
    assert workload.bin_ends_due(NOW_S) == (1_000 * BIN_S,)


def test_a_history_has_two_weeks_and_up_to_a_day_more(make_workload):
    (request,) = job_for(make_workload(), make_workload().spec, NOW_S).requests.values()
    assert 14 * 144 <= request.points < 15 * 144
    assert request.stop_s == 999 * BIN_S
    (request,) = job_for(make_workload(history="10m"), make_workload().spec, NOW_S).requests.values()
    assert 1 <= request.points <= 144


def test_unknown_bins_at_the_start_are_left_out(make_workload):
    workload = make_workload(history="600m")
    points = next(iter(job_for(workload, workload.spec, NOW_S).requests.values())).points
    rebuilt = one(workload, requests=[np.nan] * (points - 7) + [1.0, 2.0, np.nan, 4.0, 5.0, 6.0, 7.0])
    np.testing.assert_array_equal(rebuilt.demand_rps["requests"], [1.0, 2.0, np.nan, 4.0, 5.0, 6.0, 7.0])
    assert rebuilt.start_s == 1_000 * BIN_S - 8 * BIN_S
    assert rebuilt.state.bins == 7
    assert rebuilt.state.next_start_s == 1_000 * BIN_S


def test_the_first_unit_that_is_known_begins_the_history(make_workload):
    demand = [
        {"query": "requests", "capacity": 1.0},
        {"unit": "prompt_tokens", "query": "tokens", "capacity": 900.0},
    ]
    workload = make_workload(demand=demand, history="10m")
    points = next(iter(job_for(workload, workload.spec, NOW_S).requests.values())).points
    rebuilt = one(workload, requests=[np.nan] * (points - 2) + [1.0, 2.0], tokens=[np.nan] * (points - 1) + [900.0])
    np.testing.assert_array_equal(rebuilt.demand_rps["requests"], [1.0, 2.0])
    np.testing.assert_array_equal(rebuilt.demand_rps["prompt_tokens"], [np.nan, 900.0])
    assert set(rebuilt.state.forecasts) == {"requests", "prompt_tokens"}


def test_one_unit_that_fails_fails_the_history(make_workload):
    demand = [
        {"query": "requests", "capacity": 1.0},
        {"unit": "prompt_tokens", "query": "tokens", "capacity": 900.0},
    ]
    rebuilt = one(make_workload(demand=demand), requests=[1.0], tokens=SourceError(Failure.TIMEOUT, "too slow"))
    assert rebuilt.failure.failure is Failure.TIMEOUT
    assert rebuilt.demand_rps == {}
    assert rebuilt.state.bins == 0


def test_a_history_without_a_known_bin_is_no_failure(make_workload):
    rebuilt = one(make_workload(), requests=[np.nan])
    assert rebuilt.failure is None
    assert (rebuilt.state.bins, rebuilt.state.next_start_s) == (0, None)


def test_what_cannot_be_used_fails_one_object_and_no_other(make_workload, caplog):
    good, bad = make_workload(), make_workload(demand=[{"query": "broken", "capacity": 1.0}])

    class Short(Canned):
        def _answer(self, request):
            return RangeAnswer(np.zeros((2, 2))) if request.query == "broken" else super()._answer(request)

    rebuilt = rebuild(Short(requests=[3.0]), [job_for(each, each.spec, NOW_S) for each in (bad, good)])
    assert rebuilt[0].failure.failure is Failure.BAD_ANSWER
    assert "the history of llm/chat can't be used" in str(rebuilt[0].failure)
    assert rebuilt[1].failure is None
    assert "the history of llm/chat" in caplog.text


def test_a_job_knows_the_object_that_it_was_made_for(make_workload, object_of):
    workload = make_workload()
    job = job_for(workload, workload.spec, NOW_S)
    assert job.is_for(workload)
    assert job.is_for(make_workload(minReplicas=3))
    assert not job.is_for(make_workload(demand=[{"query": "sum(arrivals)", "capacity": 1.0}]))
    assert not job.is_for(make_workload(demand=[{"unit": "tokens", "query": "requests", "capacity": 1.0}]))
    assert not job.is_for(make_workload(prometheus={"serverAddress": "http://other:9090"}))
    metadata = object_of().metadata.model_copy(update={"uid": "2"})
    made_anew = object_of().model_copy(update={"metadata": metadata})
    assert not job.is_for(new_workload(made_anew, workload.queries))


def wait_for(rebuilder, count):
    done = []
    until_s = time.monotonic() + 10.0
    while len(done) < count and time.monotonic() < until_s:
        done += rebuilder.finished()
        time.sleep(0.005)
    return done


def test_threads_never_hold_up_the_tick(make_workload):
    may_answer = threading.Event()

    class Slow(Canned):
        def fetch(self, requests):
            may_answer.wait(10.0)
            return super().fetch(requests)

    rebuilder = ThreadedRebuilder(lambda _ended: Slow(requests=[3.0]))
    workload = make_workload(history="600m")
    rebuilder.submit([job_for(workload, workload.spec, NOW_S)] * 20)
    assert rebuilder.finished() == []
    may_answer.set()
    assert len(wait_for(rebuilder, 20)) == 20
    assert rebuilder.finished() == []
    rebuilder.close()


def test_each_thread_has_a_source_of_its_own(make_workload):
    both, seen = threading.Barrier(2, timeout=10.0), []

    class Own(Canned):
        def fetch(self, requests):
            both.wait()
            seen.append(self)
            return super().fetch(requests)

    rebuilder = ThreadedRebuilder(lambda _ended: Own(requests=[3.0]))
    workload = make_workload(history="600m")
    for _ in range(2):
        rebuilder.submit([job_for(workload, workload.spec, NOW_S)])
    assert len(wait_for(rebuilder, 2)) == 2
    assert seen[0] is not seen[1]
    rebuilder.close()


@pytest.mark.parametrize("where", ["made", "asked"])
def test_a_source_that_breaks_ends_each_job_with_a_failure(make_workload, where):
    def make_source(_ended):
        if where == "made":
            raise RuntimeError("no\nsource")
        return Canned(requests=RuntimeError("no\nsource"))

    rebuilder = ThreadedRebuilder(make_source)
    workload = make_workload()
    rebuilder.submit([job_for(workload, workload.spec, NOW_S)] * 3)
    done = wait_for(rebuilder, 3)
    assert {str(each.failure) for each in done} == {
        "the history of llm/chat can't be used: RuntimeError: no source",
    }
    rebuilder.close()


def test_at_the_end_nothing_more_is_asked_for_jobs_that_run(make_workload):
    asking = threading.Event()

    class Ending(Canned):
        def __init__(self, ended):
            super().__init__(requests=[3.0])
            self.ended = ended

        def fetch(self, requests):
            asking.set()
            assert self.ended.wait(10.0)
            return super().fetch(requests)

    rebuilder = ThreadedRebuilder(Ending)
    workload = make_workload(history="600m")
    rebuilder.submit([job_for(workload, workload.spec, NOW_S)])
    assert asking.wait(10.0)
    rebuilder.close()
    assert wait_for(rebuilder, 1)[0].failure is None
