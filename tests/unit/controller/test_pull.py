"""What is asked of Prometheus for the bins that ended, and what is made of the answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoscaler.controller.pull import pull_for, read
from autoscaler.controller.rebuild import job_for, rebuild
from autoscaler.controller.step import decide_on
from autoscaler.controller.workload import new_workload
from autoscaler.kube.facts import Pod, Target, TargetKey
from autoscaler.sources.presets import resolve
from autoscaler.sources.ranges import Failure, RangeAnswer, SourceError

ENGINE = {"queueLength": "waiting", "running": "running", "completions": "done", "gpuUtilization": "gpu"}
TWO_UNITS = [{"query": "requests", "capacity": 1.0}, {"unit": "tokens", "query": "tokens", "capacity": 100.0}]


@pytest.fixture
def workload(object_of):
    autoscaler = object_of(demand=TWO_UNITS, engine=ENGINE)
    return new_workload(autoscaler, resolve(autoscaler.spec))


def answered(pull, **values):
    """Answers by query; a list, a failure, or NaN where nothing is given."""
    answers = {}
    for request in pull.requests:
        given = values.get(request.query, [math.nan] * request.points)
        answers[request] = given if isinstance(given, SourceError | RangeAnswer) else RangeAnswer(np.array(given))
    return answers


def test_each_query_is_asked_once_for_all_bins(workload):
    pull = pull_for(workload, (600.0, 1_200.0, 1_800.0))
    asked = {request.query: (request.start_s, request.stop_s, request.step_s) for request in pull.requests}
    assert asked == dict.fromkeys(["requests", "tokens", *ENGINE.values()], (600.0, 1_800.0, 600.0))


@pytest.mark.parametrize(("interval", "step_s"), [("5s", 60.0), ("60s", 60.0), ("10m", 600.0)])
@pytest.mark.parametrize("early", [False, True])
def test_a_single_point_is_asked_with_a_step_that_victoriametrics_takes_for_finished(
    object_of, interval, step_s, early
):
    autoscaler = object_of(interval=interval)
    workload = new_workload(autoscaler, resolve(autoscaler.spec))
    pull = pull_for(workload, (1_200.0,), early=early)
    assert [(each.start_s, each.stop_s, each.step_s) for each in pull.requests] == [(1_200.0, 1_200.0, step_s)]
    assert [each.points for each in pull.requests] == [1]
    assert read(pull, answered(pull, requests=[3.0])).bins[0].demand_rps == {"requests": 3.0}
    several = pull_for(workload, (600.0, 600.0 + autoscaler.spec.interval), early=early)
    assert [each.step_s for each in several.requests] == [autoscaler.spec.interval]


def test_bins_are_read_by_name_and_what_was_not_answered_is_unknown(workload):
    pull = pull_for(workload, (600.0, 1_200.0))
    pulled = read(pull, answered(pull, requests=[1.0, 2.0], tokens=[100.0, 200.0], waiting=[3.0, 4.0], gpu=[0.5, 0.6]))
    assert [data.end_s for data in pulled.bins] == [600.0, 1_200.0]
    assert pulled.bins[1].demand_rps == {"requests": 2.0, "tokens": 200.0}
    assert (pulled.bins[1].engine.waiting, pulled.bins[1].engine.gpu_utilization) == (4.0, 0.6)
    assert math.isnan(pulled.bins[1].engine.running)
    assert (pulled.reason, pulled.message) == ("", "")


@pytest.mark.parametrize(
    ("tokens", "reason", "message"),
    [
        (SourceError(Failure.TIMEOUT, "prometheus took too long"), "Timeout", "prometheus took too long"),
        ([200.0, math.nan], "NoData", "the query for tokens has no value now: tokens"),
        (RangeAnswer(np.array([1.0, math.nan]), ("partial response",)), "NoData", "partial response"),
    ],
)
def test_why_the_newest_bin_is_unknown(workload, tokens, reason, message):
    pull = pull_for(workload, (600.0, 1_200.0))
    pulled = read(pull, answered(pull, requests=[1.0, 2.0], tokens=tokens))
    assert (pulled.reason, pulled.message) == (reason, message)
    assert not pulled.bins[1].known
    assert pulled.bins[1].demand_rps["requests"] == 2.0


@pytest.mark.parametrize(
    ("behind_s", "told"),
    [
        (math.nan, ""),
        (59.0, ""),
        (-9.0, ""),
        (21_600.0, "this machine's clock is 21,600 s behind the server's, so that what it takes for now is long over"),
        (-45.0, "this machine's clock is 45 s ahead of the server's, so that what it takes for over isn't"),
    ],
)
def test_answers_of_another_time_than_the_clocks_are_missing(workload, behind_s, told):
    pull = pull_for(workload, (600.0,))
    values = dict.fromkeys(["requests", "tokens", *ENGINE.values()], RangeAnswer(np.ones(1), behind_s=behind_s))
    pulled = read(pull, answered(pull, **values))
    assert pulled.reason == ("ClockSkew" if told else "")
    assert pulled.message == (f"{told}; nothing is released: set both by NTP" if told else "")
    assert pulled.bins[0].known is not bool(told)
    assert math.isnan(pulled.bins[0].engine.waiting) is bool(told)


def test_what_was_not_answered_is_told_before_what_has_no_value(workload):
    pull = pull_for(workload, (600.0,))
    pulled = read(pull, answered(pull, requests=[math.nan], tokens=SourceError(Failure.TIMEOUT, "too long")))
    assert (pulled.reason, pulled.message) == ("Timeout", "too long")


def test_an_older_bin_that_is_unknown_is_no_trouble_now(workload):
    pull = pull_for(workload, (600.0, 1_200.0))
    pulled = read(pull, answered(pull, requests=[math.nan, 2.0], tokens=[math.nan, 200.0]))
    assert pulled.reason == ""
    assert [data.known for data in pulled.bins] == [False, True]


def test_an_engine_that_fails_is_no_trouble_of_the_demand(workload):
    pull = pull_for(workload, (600.0,))
    pulled = read(pull, answered(pull, requests=[1.0], tokens=[1.0], waiting=SourceError(Failure.BAD_QUERY, "no")))
    assert pulled.reason == ""
    assert math.isnan(pulled.bins[0].engine.waiting)


def test_a_unit_whose_query_went_is_unknown_and_one_that_came_waits_for_its_history(workload, object_of):
    autoscaler = object_of(demand=[TWO_UNITS[0], {"unit": "images", "query": "images", "capacity": 1.0}])
    workload.autoscaler, workload.queries = autoscaler, resolve(autoscaler.spec)
    pull = pull_for(workload, (600.0,))
    assert [request.query for request in pull.requests] == ["requests"]
    pulled = read(pull, answered(pull, requests=[1.0]))
    assert set(pulled.bins[0].demand_rps) == {"requests", "tokens"}
    assert pulled.reason == "DemandEdited"


def test_saturated_bins_teach_the_capacity(object_of):
    autoscaler = object_of(demand=[TWO_UNITS[0]], engine=ENGINE)
    workload = new_workload(autoscaler, resolve(autoscaler.spec))

    class Nothing:
        def fetch(self, requests):
            return {request: RangeAnswer(np.full(request.points, 4.0)) for request in requests}

    (rebuilt,) = rebuild(Nothing(), [job_for(workload, workload.spec, 600_000.0)])
    workload.go_on_with(workload.spec, rebuilt.state)
    pods = tuple(Pod(str(k), str(k), "n", 0.0, 0.0, 0.0, True, 1.0, 0, False, False) for k in range(2))
    workload.target = Target(TargetKey("llm", "apps/v1", "Deployment", "chat"), 2, "1", pods)
    for k in range(14):
        pull = pull_for(workload, workload.bin_ends_due(600_000.0 + 600.0 * k))
        queued = 600.0 * (k + 1)
        values = {"requests": [4.0], "done": [3.0], "waiting": [queued], "running": [8.0], "gpu": [1.0]}
        decide_on(workload, read(pull, answered(pull, **values)))
    # The first bin has no fleet before it, and the second a fleet that may have changed.
    assert workload.capacities["requests"].recent_rps == (1.5,) * 12
