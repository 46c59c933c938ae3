"""Histories: what Prometheus has of them becomes a state, or says why not; one that fails spoils no other."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.controller.rebuild import brought_up_to, job_for, rebuild
from autoscaler.controller.rebuilder import ThreadedRebuilder
from autoscaler.controller.workload import new_workload
from autoscaler.core.history import replayed
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


def test_a_warning_counts_where_bins_are_missing_that_nobody_remembers(make_workload):
    workload = make_workload(history="600m")
    points = next(iter(job_for(workload, workload.spec, NOW_S).requests.values())).points

    class Warning(Canned):
        def _answer(self, request):
            return replace(super()._answer(request), warnings=("store down", "another"))

    def warned(values, **remembered):
        job = replace(job_for(workload, workload.spec, NOW_S), remembered=remembered)
        (rebuilt,) = rebuild(Warning(requests=values), [job])
        return rebuilt.warned

    in_part = [np.nan] * 5 + [1.0] * (points - 5)
    assert warned(in_part) == warned([np.nan]) == "store down; another"
    assert warned([1.0]) == ""
    assert warned(in_part, requests=np.ones(points)) == ""
    assert one(workload, requests=in_part).warned == ""


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
    assert not job.is_for(make_workload(history="480h"))
    metadata = object_of().metadata.model_copy(update={"uid": "2"})
    made_anew = object_of().model_copy(update={"metadata": metadata})
    assert not job.is_for(new_workload(made_anew, workload.queries))


def test_what_is_remembered_of_a_clock_that_was_set_back_is_of_the_bins_asked_for(make_workload):
    workload = make_workload(interval="1s")
    spec = workload.spec
    state = replayed(spec, start_s=1_000.0, demand_rps={"requests": np.array([11.0, 22.0, 33.0])})
    workload.go_on_with(spec, state)
    for now_s, known in ((1_003.5, 2), (1_002.5, 1), (1_001.5, 0), (1_000.5, 0), (999.5, 0)):
        values = job_for(workload, spec, now_s).remembered["requests"]
        assert np.count_nonzero(~np.isnan(values)) == known


class Late:
    """Answers what was known when it was asked, some rounds later, as threads do."""

    def __init__(self, source, rounds):
        self.source, self.rounds, self.waiting = source, rounds, []

    def submit(self, jobs):
        self.waiting.append([self.rounds, rebuild(self.source, jobs)])

    def finished(self):
        for each in self.waiting:
            each[0] -= 1
        done = [rebuilt for rounds, jobs in self.waiting if rounds < 0 for rebuilt in jobs]
        self.waiting = [each for each in self.waiting if each[0] >= 0]
        return done


@pytest.mark.parametrize("rounds", [0, 2, 8])
def test_a_queue_is_worked_off_once_however_late_a_history_joins(rounds, start_run, object_of):
    demand = 10.0 * np.random.default_rng(0).uniform(0.98, 1.02, 800)
    demand[700:704] = 40.0  # leaves a queue for 14 bins
    given = {"maxReplicas": 20, "objective": {"lateBudget": "10%", "maxWait": "10s"}}
    run = start_run(demand, object_of(**given))
    run.tick(706)
    run.controller._histories._rebuilder = Late(run.world, rounds)
    run.world.given = object_of(**given, loadLatency={"prior": f"{4 * BIN_S:g}s", "learn": False})
    for _ in range(14):
        run.tick()
        queued = run.world._backlog_rs
        # Bins that were decided on again moved it on again: 9 replicas went with 16 bins' work of one still queued.
        assert run.workload.state.backlog_rs == pytest.approx(queued, abs=0.05 * BIN_S)
    assert run.workload.state.lead_bins == 4


def test_bins_decided_on_meanwhile_join_a_late_history_and_what_is_recorded_of_it(make_workload):
    workload = make_workload()
    job = job_for(workload, workload.spec, NOW_S)
    (rebuilt,) = rebuild(Canned(requests=[3.0]), [job])
    before = replayed(workload.spec, start_s=998 * BIN_S, demand_rps={"requests": np.array([3.0, 7.0, np.nan, 9.0])})
    workload.go_on_with(workload.spec, before)
    longer = brought_up_to(workload, rebuilt)
    assert longer.state.next_start_s == before.next_start_s
    np.testing.assert_allclose(longer.demand_rps["requests"][-4:], [3.0, 7.0, np.nan, 9.0], rtol=1e-6)
    whole = replayed(workload.spec, start_s=longer.start_s, demand_rps=longer.demand_rps)
    np.testing.assert_array_equal(longer.state.needs, whole.needs)
    assert brought_up_to(make_workload(), rebuilt) is rebuilt


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
