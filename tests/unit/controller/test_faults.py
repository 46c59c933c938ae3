"""What a year brings: edits at the wrong moment, clocks that jump, defects, an unlisted cluster, lost leases."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.controller import controller as controller_module
from autoscaler.controller.rebuilder import InlineRebuilder
from autoscaler.controller.workload import Workload
from autoscaler.core.learned_load import LoadTimes
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.parse import UNREAD_SPEC
from autoscaler.sources.ranges import Failure, RangeAnswer

BIN_S = 600.0
LONG = 200
LONGER = {"prior": "3000s", "learn": False}


@pytest.fixture
def falling():
    return np.linspace(30.0, 5.0, LONG)


def ready(run):
    return next(each for each in run.workload.status.conditions if each.type == "Ready")


class LateRebuilder(InlineRebuilder):
    """Histories arrive when the test says so."""

    def __init__(self, source):
        super().__init__(source)
        self.jobs, self.held = [], True

    def submit(self, jobs):
        self.jobs += jobs

    def finished(self):
        if self.held:
            return []
        jobs, self.jobs = self.jobs, []
        super().submit(jobs)
        return super().finished()


@pytest.fixture
def late_run(start_run, falling):
    run = start_run(falling)
    run.rebuilder = run.controller._histories._rebuilder = LateRebuilder(run.world)
    run.rebuilder.held = False
    run.tick(50)
    run.rebuilder.held = True
    return run


# Edits.


def test_an_edit_of_the_unit_holds_the_replicas_until_its_history_is_read(late_run, object_of):
    before = late_run.replicas[-1]
    late_run.world._units["tokens"] = "requests"
    late_run.world.given = object_of(demand=[{"unit": "tokens", "query": "tokens", "capacity": 1.0}])
    late_run.tick(30)
    assert min(late_run.replicas[-30:]) >= before
    assert late_run.workload.metrics_reason == "DemandEdited"
    late_run.rebuilder.held = False
    late_run.tick(5)
    assert late_run.workload.metrics_reason == ""
    assert set(late_run.workload.spec.capacity_rps) == {"tokens"}
    assert late_run.replicas[-1] < before


def test_a_query_edited_while_its_history_is_read_is_asked_again(late_run, object_of):
    late_run.world._units["other"] = "requests"
    late_run.world.given = object_of(loadLatency=LONGER)
    late_run.tick(1)
    late_run.world.given = object_of(loadLatency=LONGER, demand=[{"query": "other", "capacity": 1.0}])
    late_run.tick(1)
    assert [request.query for job in late_run.rebuilder.jobs for request in job.requests.values()] == ["requests"]
    late_run.rebuilder.held = False
    late_run.tick(1)  # what comes is of the old query: it is dropped, and the new one is asked
    late_run.tick(1)
    assert not late_run.workload.history_missing
    assert not late_run.workload.rebuilding
    assert late_run.workload.state.lead_bins == 5


def test_bounds_edited_while_a_history_is_read_are_those_of_now(late_run, object_of):
    late_run.world.given = object_of(loadLatency=LONGER)
    late_run.tick(1)
    late_run.world.given = object_of(loadLatency=LONGER, maxReplicas=3)
    late_run.rebuilder.held = False
    late_run.tick(1)
    assert late_run.replicas[-1] == 3


@pytest.mark.parametrize(
    ("edit", "least"),
    [
        ({"minReplicas": 40}, 40),
        ({"schedule": [{"name": "launch", "cron": "* * * * *", "duration": "1h", "atLeast": 40}]}, 40),
        ({"maxReplicas": 5}, 5),
    ],
)
def test_bounds_count_at_once_beside_an_edit_whose_history_cannot_be_read_yet(late_run, object_of, edit, least):
    late_run.world.given = object_of(loadLatency=LONGER, **edit)
    late_run.tick(20)
    assert late_run.rebuilder.jobs
    assert set(late_run.replicas[-10:]) == {least}
    late_run.rebuilder.held = False
    late_run.tick(20)
    assert late_run.workload.state.lead_bins == 5
    assert set(late_run.replicas[-10:]) == {least}


@pytest.mark.parametrize(
    ("edit", "written"),
    [
        ({"minReplicas": 29}, 0),
        ({"objective": {"maxWait": "1s"}}, 0),
        ({"mode": "Floor", "minReplicas": 29}, 0),
        ({"mode": "Floor", "minReplicas": 1}, 1),
        (({"minReplicas": 29}, {"minReplicas": 29, "mode": "Floor"}), 0),
        ({}, 1),
    ],
)
def test_what_was_decided_before_an_edit_is_not_written_after_it(start_run, falling, object_of, edit, written):
    run = start_run(falling)
    run.tick(60)
    apply = run.world.apply
    run.world.apply = lambda *_, **__: Outcome(Action.WAITING, "RollingUpdate", "its rolling update isn't done")
    for _ in range(20):
        run.tick(1)
        if run.workload.decision.desired < run.workload.decision.current:
            break
    assert run.workload.decision.desired < 29
    asked = []
    run.world.apply = lambda *given, now_s: asked.append(given[-1]) or apply(*given, now_s=now_s)
    for edited in edit if isinstance(edit, tuple) else (edit,):
        run.world.given = object_of(**edited)
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(asked) == written
    assert (run.workload.outcome.reason == "DecidedAnew") == (not written)
    run.tick(1)
    assert len(asked) == written + 1
    assert asked[-1] >= run.workload.autoscaler.spec.min_replicas


@pytest.mark.parametrize("edit", [{"history": "48h"}, {"prometheus": {"serverAddress": "http://other:9090"}}])
def test_where_and_how_far_back_to_look_is_looked_up_anew(late_run, object_of, edit):
    late_run.world.given = object_of(**edit)
    late_run.tick(1)
    assert len(late_run.rebuilder.jobs) == 1


def test_a_history_that_comes_late_teaches_nothing_twice(late_run, object_of):
    late_run.world.given = object_of(history="48h")
    late_run.tick(6)
    arrived_rs = late_run.workload.lateness.arrived_rs
    late_run.rebuilder.held = False
    late_run.tick(1)
    # The six bins since it was asked for are decided on again, and one is new.
    assert late_run.workload.lateness.arrived_rs < arrived_rs + 1.5 * 30.0 * BIN_S


def test_another_target_begins_without_what_was_seen_of_the_one_before(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(60)
    assert run.workload.loads.recent_s
    run.world.given = object_of(scaleTargetRef={"name": "other"})
    run.world.hidden = True
    run.tick(3)
    assert run.workload.target.key.name == "other"
    assert (run.workload.fleet, run.workload.decision) == (None, None)
    assert run.workload.loads.recent_s == ()


def test_an_object_that_is_made_anew_begins_anew(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(60)
    before = run.workload
    run.world.given = object_of(uid="2")
    run.tick(1)
    assert run.workload is not before
    assert run.workload.autoscaler.metadata.uid == "2"
    assert run.workload.state.bins == 60


NONSENSE = {"demand": [{"preset": "vllm", "unit": "sheep", "capacity": 1.0}]}


def test_an_edit_into_nonsense_is_told_and_what_was_before_stays_in_force(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(60)
    run.world.given = object_of(**NONSENSE, minReplicas=500)
    run.tick(5)
    assert run.replicas[-1] < 40
    assert run.world.told.count("InvalidSpec") == 1
    assert (ready(run).status, ready(run).reason) == ("False", "InvalidSpec")
    assert "no query for sheep" in ready(run).message
    run.world.given = object_of(minReplicas=50)
    run.tick(1)
    assert ready(run).status == "True"
    assert run.replicas[-1] == 50


def test_an_edit_into_nonsense_that_is_taken_back_is_no_problem_any_more(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(60)
    run.world.given = object_of(**NONSENSE)
    run.tick(1)
    assert ready(run).reason == "InvalidSpec"
    run.world.given = object_of()
    run.tick(1)
    assert ready(run).status == "True"


def test_an_object_that_cannot_be_served_is_told_and_served_once_it_is_mended(start_run, falling, object_of):
    run = start_run(falling)
    run.world.given = object_of(**NONSENSE)
    run.tick(5)
    assert run.world.told == ["InvalidSpec"]
    assert ready(run).reason == "InvalidSpec"
    assert run.controller.settled  # it holds up nobody
    assert run.replicas == [0] * 5
    run.world.given = object_of()
    run.tick(3)
    assert ready(run).status == "True"
    assert run.replicas[-1] > 0


UNREAD = {("llm", "chat"): "PredictiveAutoscaler llm/chat can't be read: spec.timeZone: must be an IANA time zone"}
WHY = "can't be read: spec.timeZone: must be an IANA time zone"


def with_spec(autoscaler, spec):
    """As it is taken to be while its spec can't be read."""
    return autoscaler.model_copy(update={"spec": spec})


@pytest.mark.parametrize("first", ["the object", "the problem", "both"])
def test_an_edit_that_cannot_be_read_is_told_once_and_what_was_before_stays_in_force(
    start_run, falling, object_of, first
):
    run = start_run(falling)
    run.tick(60)
    before = run.workload.autoscaler.spec
    if first != "the problem":
        run.world.given = with_spec(object_of(generation=2), before)
    if first != "the object":
        run.world.unread = UNREAD
    run.tick(1)
    run.world.given, run.world.unread = with_spec(object_of(generation=2), before), UNREAD
    run.tick(20)
    assert run.replicas[-1] < run.replicas[-22]  # it decides on
    assert run.workload.autoscaler.spec is before
    assert (ready(run).reason, ready(run).message, ready(run).observed_generation) == ("InvalidSpec", WHY, 2)
    assert run.world.told.count("InvalidSpec") == 1
    assert [line.count(f"PredictiveAutoscaler llm/chat: {WHY}") for line in run.logged] == [1]
    run.world.given, run.world.unread = object_of(generation=3, minReplicas=50), {}
    run.tick(1)
    assert ready(run).status == "True"
    assert run.replicas[-1] == 50


def test_an_object_that_cannot_be_read_is_let_go(start_run, falling, object_of):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(20)
    run.world.given, run.world.unread = with_spec(object_of(deleting=True), run.workload.autoscaler.spec), UNREAD
    run.tick(1)
    assert run.world.restored == ["chat"]


@pytest.mark.parametrize("first", ["the object", "both"])
def test_an_object_that_never_could_be_read_is_told_and_served_once_it_can(start_run, falling, object_of, first):
    asked = []
    run = start_run(falling)
    rebuilder = run.controller._histories._rebuilder
    submit = rebuilder.submit
    rebuilder.submit = lambda jobs: (asked.extend(jobs), submit(jobs))
    run.world.given, run.world.unread = with_spec(object_of(), UNREAD_SPEC), UNREAD if first == "both" else {}
    run.tick(1)
    run.world.unread = UNREAD
    run.tick(5)
    assert (ready(run).reason, ready(run).message) == ("InvalidSpec", WHY)
    assert run.world.told == ["InvalidSpec"]
    assert run.controller.settled  # it holds up nobody
    assert asked == []
    assert run.replicas == [0] * 6
    assert run.world.restored == []
    assert run.world.spared == ({"llm/chat"} if first == "both" else set())
    sweeps = len(run.world.swept)
    run.world.given, run.world.unread = object_of(), {}
    run.tick(3)
    assert ready(run).status == "True"
    assert run.replicas[-1] > 0
    assert len(run.world.swept) == sweeps + 1  # a floor of its former spec may have been spared


def test_what_was_learned_outlives_a_spec_that_cannot_be_read(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(60)
    learned = run.workload.status
    assert learned.load_latency.samples
    edited = with_spec(object_of(generation=2), UNREAD_SPEC).model_copy(update={"status": learned})
    run.world.given, run.world.unread = edited, UNREAD
    run.restart()
    run.tick(5)
    status = run.workload.status
    assert (ready(run).reason, status.observed_generation) == ("InvalidSpec", 2)
    assert status.model_copy(update={"conditions": (), "observed_generation": 1}) == learned.model_copy(
        update={"conditions": ()}
    )


def test_a_floor_that_may_be_of_an_object_that_never_could_be_read_is_put_back_at_the_end(
    start_run, falling, object_of
):
    run = start_run(falling)
    run.world.given, run.world.unread = with_spec(object_of(), UNREAD_SPEC), UNREAD
    run.tick(5)
    assert run.world.restored == []
    run.controller.stop()
    assert run.world.restored == ["chat"]


def test_two_that_scale_one_target_are_refused_and_named(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(20)
    before = run.replicas[-1]
    run.world.others = [object_of(name="twin", uid="2")]
    run.tick(30)
    assert run.replicas[-1] == before
    assert run.workload.outcome.reason == "SharedTarget"
    assert "llm/chat and llm/twin all scale Deployment llm/chat" in run.workload.outcome.message
    run.world.others = [object_of(name="twin", uid="2", mode="Shadow")]
    run.tick(1)
    assert run.replicas[-1] != before


def test_two_versions_of_an_api_name_one_target(start_run, falling, object_of):
    run = start_run(falling, object_of(scaleTargetRef={"name": "chat", "apiVersion": "apps/v1"}))
    run.tick(20)
    before = run.replicas[-1]
    run.world.others = [object_of(name="twin", uid="2", scaleTargetRef={"name": "chat", "apiVersion": "apps/v1beta2"})]
    run.tick(30)
    assert run.replicas[-1] == before
    assert [each.outcome.reason for each in run.controller.workloads] == ["SharedTarget"] * 2


def test_objects_that_come_later_leave_the_process_ready(late_run, object_of):
    assert late_run.controller.settled
    late_run.world.others = [object_of(name="new", uid="2", mode="Shadow")]
    late_run.tick(1)
    assert late_run.controller.settled


FLOOR_LEFT = [{"mode": "Shadow"}, {"mode": "Scale"}, {"mode": "Floor", "scaleTargetRef": {"name": "nosuch"}}]
PUT_BACK = Outcome(Action.PATCHED, "FloorPutBack", "minReplicas 8 -> 1", 8, 1)


@pytest.mark.parametrize("edit", FLOOR_LEFT)
def test_an_edit_puts_back_the_floor_that_it_leaves_though_the_target_cannot_be_found(
    start_run, falling, object_of, edit
):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(20)
    assert run.world.restored == []
    run.world.hidden, run.world.given = True, object_of(**edit)
    run.world.restore = lambda one, *_: run.world.restored.append(one.metadata.name) or PUT_BACK
    run.tick(5)
    assert run.world.restored == ["chat"]
    assert run.world.told.count("FloorPutBack") == 1


def test_a_floor_that_is_still_held_is_not_put_back(start_run, falling, object_of):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(20)
    run.world.hidden = True
    for edit in ({"minReplicas": 2}, {"scaleTargetRef": {"name": "chat", "apiVersion": "apps/v1beta2"}}):
        run.world.given = object_of(mode="Floor", **edit)
        run.tick(2)
    assert run.world.restored == []


@pytest.mark.parametrize("action", [Action.FAILED, Action.CONFLICT])
def test_a_floor_that_cannot_be_put_back_is_tried_ever_less_often(start_run, falling, object_of, action):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(20)
    tried, answer = [], Outcome(action, str(action), "not now")
    run.world.restore = lambda one, *_: tried.append(one.metadata.name) or answer
    run.world.hidden, run.world.given = True, object_of()
    for _ in range(40):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(tried) == 6  # after 15, 30, 60, 120 and 240 s, in ten minutes
    answer = PUT_BACK
    for _ in range(40):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(tried) == 7


def test_a_floor_of_the_leader_before_is_put_back_where_only_the_finalizer_tells_of_it(start_run, falling, object_of):
    shadow = object_of(mode="Shadow")
    held = shadow.metadata.model_copy(update={"finalizers": (FINALIZER,)})
    run = start_run(falling, shadow.model_copy(update={"metadata": held}))
    run.world.hidden = True
    run.tick(1)
    assert run.world.restored == ["chat"]
    run.world.given = shadow
    run.tick(3)
    assert run.world.restored == ["chat"]


def test_what_a_standby_saw_edited_is_the_leaders_to_put_back(start_run, falling, object_of):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(20)
    run.world.leads = False
    for edit in ({"mode": "Shadow"}, {"mode": "Floor"}):
        run.world.given = object_of(**edit)
        run.tick(1)
    run.world.leads = True
    run.tick(2)
    assert run.world.restored == []


def test_a_floor_left_before_the_lease_was_lost_is_whoever_leads_to_put_back(start_run, falling, object_of):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(20)
    restored = run.world.restored
    run.world.restore = lambda one, *_: restored.append(one.metadata.name) or Outcome(Action.FAILED, "Timeout", "")
    run.world.given = object_of(mode="Shadow")
    run.tick(1)
    assert restored == ["chat"]
    run.world.leads = False
    run.tick(1)
    run.world.leads = True
    run.tick(3)
    assert restored == ["chat"]


# Clocks.


def test_a_clock_set_back_by_hours_does_not_stop_decisions(start_run, falling):
    run = start_run(falling)
    run.tick(100)
    run.next_bin = 60
    run.clock._jumped_s = run.world._now_s = 59 * BIN_S
    run.tick(5)
    assert run.workload.decision.now_s == 64 * BIN_S
    assert run.workload.state.bins < 70  # from the history, as it is now


def test_a_clock_set_back_into_the_night_releases_nothing_while_the_server_knows_better(start_run):
    demand = np.tile(np.repeat([2.0, 12.0], 72), 4)  # nights and days of ten minutes' bins
    run = start_run(demand)
    run.tick(300)
    run.next_bin = 300 + 72 + 36  # at noon, and the world stays there
    run.clock._jumped_s = run.world._now_s = (run.next_bin - 1) * BIN_S
    run.tick(3)
    noon = run.replicas[-1]
    fetch = run.world.fetch

    def dated(requests):
        return {
            request: replace(answer, behind_s=6 * 3_600.0) if isinstance(answer, RangeAnswer) else answer
            for request, answer in fetch(requests).items()
        }

    run.world.fetch = dated
    run.next_bin -= 60
    run.clock._jumped_s = run.world._now_s = (run.next_bin - 1) * BIN_S
    run.tick(12)
    assert min(run.replicas[-12:]) >= noon >= 12
    assert run.workload.metrics_reason == "ClockSkew"


def test_a_step_back_of_a_bin_is_waited_for(start_run, falling):
    run = start_run(falling)
    run.tick(100)
    state = run.workload.state
    run.next_bin = 99
    run.clock._jumped_s = run.world._now_s = 98 * BIN_S
    run.tick(1)
    assert run.workload.state is state
    run.tick(1)
    assert run.workload.state.bins == state.bins + 1


def test_after_a_long_sleep_the_history_is_asked_for_instead_of_bin_by_bin(start_run):
    run = start_run(np.full(2_000, 10.0))
    run.tick(50)
    for _ in range(1_000):  # the world goes on without the process
        run.next_bin += 1
        run.world.begin(run.next_bin * BIN_S)
    decided = []
    run.controller._teller.decided = lambda workload, made, now_s: decided.extend(made)
    run.tick(2)
    assert len(decided) == 2
    assert run.workload.state.bins == run.next_bin - 1  # and nothing of it is missing
    assert run.replicas[-1] >= 10


def test_a_short_sleep_is_made_up_for_bin_by_bin(start_run):
    run = start_run(np.full(400, 10.0))
    run.tick(50)
    for _ in range(30):
        run.next_bin += 1
        run.world.begin(run.next_bin * BIN_S)
    decided = []
    run.controller._teller.decided = lambda workload, made, now_s: decided.extend(made)
    run.tick(1)
    assert [each.newest for each in decided] == [False] * 30 + [True]


# Histories that fail.


def test_a_history_that_fails_is_not_asked_for_at_each_tick(start_run, falling, object_of):
    run = start_run(falling)
    run.tick(20)
    asked = []
    rebuilder = run.controller._histories._rebuilder
    submit = rebuilder.submit
    rebuilder.submit = lambda jobs: (asked.extend(jobs), submit(jobs))
    run.world.failure = Failure.UNREACHABLE
    run.world.given = object_of(loadLatency=LONGER)  # wants a history with a longer lead
    for _ in range(8):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(asked) == 2  # in two minutes
    run.world.failure = None
    for _ in range(4):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert run.workload.state.lead_bins == 5


def test_a_history_that_breaks_as_it_joins_is_not_asked_for_at_each_tick(start_run, falling, monkeypatch):
    run = start_run(falling)
    asked = []
    rebuilder = run.controller._histories._rebuilder
    submit = rebuilder.submit
    rebuilder.submit = lambda jobs: (asked.extend(jobs), submit(jobs))
    monkeypatch.setattr(Workload, "go_on_with", lambda *_: breaks())
    run.broken = True
    for _ in range(8):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(asked) == 2  # in two minutes
    monkeypatch.undo()
    for _ in range(5):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert run.workload.state is not None
    assert not run.workload.defects


# Defects.


@pytest.fixture
def run_of_two(start_run, falling, object_of):
    run = start_run(falling)
    run.world.others = [object_of(name="bad", uid="2", mode="Shadow", demand=[{"query": "bad", "capacity": 1.0}])]
    run.world._units["bad"] = "requests"
    run.tick(60)
    return run


def test_a_defect_in_one_object_stops_no_other(run_of_two, caplog):
    run, fetch = run_of_two, run_of_two.world.fetch

    def torn(requests):
        answers = fetch(requests)
        return {
            request: RangeAnswer(np.zeros(0)) if request.query == "bad" else answer
            for request, answer in answers.items()
        }

    run.broken, run.world.fetch = True, torn
    before = run.replicas[-1]
    run.tick(30)
    good, bad = run.controller.workloads
    assert run.replicas[-1] < before  # the good one goes on
    assert not good.defects
    reason = next(each for each in bad.status.conditions if each.type == "Ready")
    assert (reason.status, reason.reason) == ("False", "InternalError")
    assert "IndexError" in reason.message
    assert "llm/bad: a defect of Headstart in the step read" in caplog.text
    run.world.fetch = fetch
    run.tick(3)
    assert not bad.defects
    assert bad.decision.now_s == good.decision.now_s


@pytest.mark.parametrize("port", ["apply", "write_status"])
def test_a_write_that_breaks_is_a_failure_of_its_object(run_of_two, port):
    run = run_of_two
    kept = getattr(run.world, port)

    def breaks(autoscaler, *args, **kwargs):
        if autoscaler.metadata.name == "bad":
            raise ZeroDivisionError
        return kept(autoscaler, *args, **kwargs)

    setattr(run.world, port, breaks)
    run.broken = True
    run.tick(30)
    good, bad = run.controller.workloads
    assert bad.defects
    assert not good.defects
    assert good.outcome.reason != "InternalError"
    setattr(run.world, port, kept)
    run.tick(3)
    assert not bad.defects


HEAD_START = {"placeholders": {"name": "warm", "maxReplicas": 5}, "provisioning": {"prior": "1800s"}}


def breaks(*_args, **_kwargs):
    raise ZeroDivisionError


@pytest.mark.parametrize("step", ["divide", "place"])
def test_a_defect_goes_with_the_step_that_it_was_in(start_run, falling, object_of, step):
    asked = {"divide": {"gpuBudget": {"name": "a", "gpusPerReplica": 1}}, "place": {"nodeHeadStart": HEAD_START}}
    run = start_run(falling, object_of(**asked[step]))
    run.tick(20)
    run.broken = True
    run.controller._budgets._divide = run.world.place = breaks
    run.tick(2)
    assert ready(run).reason == "InternalError"
    run.world.given = object_of()
    run.tick(2)
    assert ready(run).reason == "Deciding"


@pytest.mark.parametrize("step", ["read", "join", "outcome", "placed"])
def test_a_defect_that_one_object_brings_to_light_stops_no_other(start_run, falling, object_of, monkeypatch, step):
    run = start_run(falling, object_of(nodeHeadStart=HEAD_START))
    # The first in each step.
    bad = object_of(
        name="bad",
        uid="2",
        scaleTargetRef={"name": "bad"},
        nodeHeadStart={**HEAD_START, "placeholders": {"name": "cold", "maxReplicas": 5}},
    )
    objects = run.world.objects
    run.world.objects = lambda: (bad, *objects())
    run.broken = True
    histories, writing, placing = run.controller._histories, run.controller._writing, run.controller._placing
    where = {
        "read": (controller_module, "resolve", lambda spec: spec.scale_target_ref.name),
        "join": (histories, "_join", lambda workload, *_: workload.key.name),
        "outcome": (writing, "_take_in_outcome", lambda workload, _: workload.key.name),
        "placed": (placing, "_take_in", lambda workload, _: workload.key.name),
    }
    owner, name, name_of = where[step]
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *given: breaks() if name_of(*given) == "bad" else real(*given))
    run.tick(20)
    good = next(each for each in run.controller.workloads if each.key.name == "chat")
    assert good.state is not None
    assert good.decision is not None
    assert good.outcome is not None
    assert good.placed is not None
    assert good.status is not None
    assert not good.defects
    assert run.replicas[-1] > 0
    # Nobody's floor is put back for it.
    assert run.world.spared == ({"llm/bad"} if step == "read" else set())


@pytest.mark.parametrize("where", ["resolve", "take_edit", "forget_placeholders"])
def test_an_edit_that_meets_a_defect_is_told_and_tried_again(start_run, falling, object_of, monkeypatch, where):
    run = start_run(falling, object_of(nodeHeadStart=HEAD_START))
    run.tick(60)
    spec, queries = run.workload.autoscaler.spec, run.workload.queries
    edited = object_of(demand=[{"query": "tokens", "capacity": 0.25}], minReplicas=40)
    run.world._units["tokens"] = "requests"
    run.broken, run.world.given = True, edited
    with monkeypatch.context() as patch:
        patch.setattr(Workload if where == "forget_placeholders" else controller_module, where, breaks)
        run.tick(2)
        assert (run.workload.autoscaler.spec, run.workload.queries) == (spec, queries)
        assert run.replicas[-1] < 40
        assert ready(run).reason == "InternalError"
        assert "ZeroDivisionError" in ready(run).message
    run.broken = False
    run.tick(1)
    assert run.workload.autoscaler.spec == edited.spec
    assert run.workload.queries.demand["requests"] == "tokens"
    assert ready(run).status == "True"
    assert run.replicas[-1] >= 40


def test_an_object_that_was_not_read_once_is_spared_until_it_is(start_run, falling, object_of, monkeypatch):
    run = start_run(falling)
    run.world.others = [object_of(name="bad", uid="2", mode="Shadow")]
    real = controller_module.resolve
    run.world.sweep_fails = True
    with monkeypatch.context() as patch:
        patch.setattr(controller_module, "resolve", lambda spec: breaks() if spec.mode == "Shadow" else real(spec))
        run.tick(2)
    assert run.world.spared == {"llm/bad"}
    run.tick(1)
    assert run.world.spared == set()


@pytest.mark.parametrize("why", ["a defect", "a sleep"])
def test_what_was_decided_long_ago_is_no_reason_to_release_now(start_run, falling, object_of, why):
    run = start_run(falling, object_of(nodeHeadStart=HEAD_START))
    run.tick(60)
    apply = run.world.apply
    late = Outcome(Action.WAITING, "RollingUpdate", "its rolling update isn't done", None, None)
    run.world.apply = run.world.place = lambda *_, **__: late
    for _ in range(20):
        run.tick(1)
        if run.workload.decision.desired < run.workload.decision.current:
            break
    else:
        raise AssertionError("demand falls: there is something to release")
    before = run.replicas[-1]
    if why == "a defect":
        run.broken, run.controller._decide = True, breaks
        run.tick(20)
    else:
        run.controller._histories._rebuilder = LateRebuilder(run.world)
        for _ in range(130):
            run.next_bin += 1
            run.world.begin(run.next_bin * BIN_S)
    placed = []
    run.world.apply, run.world.place = apply, lambda *_, **__: placed.append(1) or late
    run.tick(1)
    assert run.replicas[-1] == before
    assert run.workload.outcome.reason == "DecidedAnew"
    assert not placed


@pytest.mark.parametrize("what", ["replicas", "placeholders"])
def test_a_write_without_an_answer_is_no_failure_and_its_end_is_told_once(start_run, falling, object_of, what):
    run = start_run(falling, object_of(nodeHeadStart=HEAD_START))
    run.tick(20)
    lost = Outcome(Action.WAITING, "Unanswered", "whether it was carried out isn't known", maybe=5)
    found = Outcome(Action.PATCHED, "Found", "by a write whose answer was lost", 3, 5)
    stands = Outcome(Action.NONE, "InPlace", "5 are ordered", 5, 5)
    answers = iter([lost, lost, found, stands, stands])
    setattr(run.world, {"replicas": "apply", "placeholders": "place"}[what], lambda *_, **__: next(answers))
    run.world.told.clear()
    run.tick(1)
    for _ in range(3):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    told = [reason for reason in run.world.told if reason in {"Unanswered", "Found"}]
    assert told == ["Unanswered", "Found"]
    assert 'headstart_api_errors_total{kind="Unanswered",verb="patch"} 2.0' in run.metrics.text().decode()


def test_the_loop_outlives_a_tick_that_breaks(start_run, falling, caplog):
    run, stop = start_run(falling), Event()
    fetch, breaks = run.world.fetch, [RuntimeError("no room")] * 2

    def sometimes(requests):
        if breaks:
            raise breaks.pop()
        return fetch(requests)

    def wait_until(at_s, _stop):
        run.clock._jumped_s = max(run.clock._jumped_s, at_s)
        run.world.begin(at_s)
        if at_s > 20 * BIN_S:
            stop.set()

    run.clock.wait_until, run.world.fetch = wait_until, sometimes
    run.controller.run(stop)
    assert run.workload.decision is not None
    assert [record.message for record in caplog.records] == ["a defect of Headstart in a tick"] * 2


# Leadership.


def test_floors_are_not_swept_before_the_cluster_is_listed(start_run, falling):
    run = start_run(falling)
    run.world.listed = False
    run.tick(2)
    assert run.world.swept == []
    run.world.listed = True
    run.world.errors = lambda: [KubeError("no answer", kind=KubeFailure.TIMEOUT)]
    run.tick(2)
    assert run.world.swept == []
    run.world.errors = lambda: ()
    run.tick(3)
    assert run.world.swept == [["chat"]]


def test_a_sweep_that_fails_is_tried_again(start_run, falling):
    run = start_run(falling)
    run.world.sweep_fails = True
    run.tick(3)
    run.world.sweep_fails = False
    run.tick(3)
    assert len(run.world.swept) == 4


def test_a_sweep_that_cannot_succeed_is_tried_ever_less_often_and_each_term_begins_anew(start_run, falling):
    run = start_run(falling)
    run.world.sweep_fails = True
    for _ in range(40):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(run.world.swept) == 6  # after 15, 30, 60, 120 and 240 s, in ten minutes
    for leads in (False, True):
        run.world.leads = leads
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(run.world.swept) == 7


def test_a_sweep_that_breaks_stops_no_tick(start_run, falling):
    run = start_run(falling)
    run.world.sweep = breaks
    run.tick(5)
    assert run.replicas[-1] > 0
    assert any("ZeroDivisionError" in line for line in run.logged)


@pytest.mark.parametrize("port", ["held", "restore"])
def test_a_defect_at_the_end_keeps_no_others_floor(start_run, falling, object_of, port):
    run = start_run(falling, object_of(mode="Floor"))
    run.world.others = [object_of(name="other", uid="2", mode="Floor")]
    run.tick(5)
    restore = run.world.restore
    run.world.restore = lambda one, held=None: breaks() if one.metadata.name == "chat" else restore(one, held)
    if port == "held":
        run.world.held, run.world.restore = breaks, restore
    run.controller.stop()
    assert run.world.restored == (["chat", "other"] if port == "held" else ["other"])


def test_what_cannot_be_served_keeps_its_floor(start_run, falling, object_of):
    run = start_run(falling, object_of(**NONSENSE, mode="Floor"))
    run.tick(1)
    assert run.world.swept == [["chat"]]  # among those that hold theirs


def test_each_new_term_begins_with_a_sweep(start_run, falling):
    run = start_run(falling)
    for leads in (True, False, False, True, False, True):
        run.world.leads = leads
        run.tick(1)
    assert len(run.world.swept) == 3


def test_what_paces_writes_is_forgotten_with_the_lease(start_run, falling):
    run, kept = start_run(falling), []
    run.world.keep = lambda autoscalers: kept.append([each.metadata.name for each in autoscalers])
    for leads in (True, True, False, False, True, True):
        run.world.leads = leads
        run.tick(1)
    assert kept == [[], ["chat"], ["chat"], [], [], ["chat"]]


def test_what_the_leader_before_has_written_needs_no_new_decision(start_run, falling):
    run = start_run(falling)
    run.world.leads = False
    run.tick(20)
    run.world.apply(run.workload.autoscaler, run.world.target(None), run.workload.decision.desired, now_s=0.0)
    run.world.leads = True
    run.clock._jumped_s += 15.0
    run.controller.tick()
    assert run.workload.outcome.reason == "Unchanged"
    active = next(each for each in run.workload.status.conditions if each.type == "ScalingActive")
    assert active.status == "True"


def test_what_is_wrong_before_it_leads_is_told_once_it_does(start_run, falling, object_of):
    run = start_run(falling)
    run.world.others = [object_of(name="bad", uid="2", mode="Shadow", **NONSENSE)]
    run.world.leads = False
    run.tick(5)
    run.world.failure = Failure.TIMEOUT
    run.tick(5)
    assert run.world.told == []
    run.world.leads = True
    run.tick(3)
    assert run.world.told[:2] == ["Timeout", "InvalidSpec"]
    assert (run.world.told.count("Timeout"), run.world.told.count("InvalidSpec")) == (1, 1)


def test_nothing_is_written_once_the_lease_is_lost_within_a_tick(start_run, falling):
    run = start_run(falling)
    run.tick(20)
    fetch, before, statuses = run.world.fetch, run.replicas[-1], run.world.statuses

    def lose_the_lease(requests):
        run.world.leads = False
        return fetch(requests)

    run.world.fetch = lose_the_lease
    run.tick(1)
    assert run.workload.outcome.reason == "NotLeading"
    run.world.fetch = fetch
    run.tick(30)
    assert (run.replicas[-1], run.world.statuses) == (before, statuses)
    run.world.leads = True
    run.tick(1)
    assert run.replicas[-1] < before


def test_an_object_is_let_go_although_it_was_never_decided_on(start_run, falling, object_of):
    run = start_run(falling)
    run.world.others = [object_of(name="gone", uid="2", mode="Floor", deleting=True, **NONSENSE)]
    run.tick(1)
    assert run.world.restored == ["gone"]


def test_the_end_puts_back_floors_of_the_leader_only(start_run, falling, object_of):
    for leads in (True, False):
        run = start_run(falling, object_of(mode="Floor"))
        run.tick(5)
        run.world.leads = leads
        run.controller.stop()
        assert run.world.restored == (["chat"] if leads else [])


def test_who_takes_over_late_is_left_the_floors_that_still_stand(start_run, falling, object_of):
    run = start_run(falling, object_of(mode="Floor"))
    run.world.others = [object_of(name=f"other-{i}", uid=f"{i}", mode="Floor") for i in range(20)]
    run.tick(5)
    restored = run.world.restored
    run.world.another_leads = lambda: len(restored) >= 3

    def one_at_a_time(do, items):
        return [do(item) for item in items]

    run.controller._writing.all = one_at_a_time
    run.controller.stop()
    assert len(restored) == 3


def test_a_floor_that_stays_at_the_end_is_told(start_run, falling, object_of):
    run = start_run(falling, object_of(mode="Floor"))
    run.tick(5)
    run.world.restore = lambda *_: Outcome(Action.FAILED, "Timeout", "HorizontalPodAutoscaler llm/chat: no answer")
    run.controller.stop()
    assert "HorizontalPodAutoscaler llm/chat: no answer" in run.logged[-1]


@pytest.mark.parametrize("action", [Action.FAILED, Action.CONFLICT])
def test_a_floor_of_an_object_that_is_gone_is_tried_again(start_run, falling, object_of, action):
    run = start_run(falling)
    run.world.others = [object_of(name="gone", uid="", mode="Floor")]
    run.tick(5)
    sweeps = len(run.world.swept)
    run.world.restore = lambda *_: Outcome(action, str(action), "not now")
    run.world.others = []
    run.world.sweep = lambda *args: run.world.swept.append(args) or [Outcome(action, str(action), "not now")]
    run.tick(3)
    assert len(run.world.swept) == sweeps + 3
    run.world.sweep = lambda *args: run.world.swept.append(args) or []
    run.tick(3)
    assert len(run.world.swept) == sweeps + 4


def test_a_floor_of_an_object_that_is_gone_is_left_to_whoever_leads_by_then(start_run, falling, object_of):
    run = start_run(falling)
    run.world.others = [object_of(name="gone", uid="", mode="Floor")]
    run.tick(5)
    run.world.leads, run.world.others = False, []
    run.tick(1)
    assert run.world.restored == []


# A server that lost its past, or hasn't found it yet.


def forget_the_past(run, from_bin):
    """Prometheus comes back with an empty disk: it knows nothing before `from_bin`."""
    answer = run.world._answer

    def without_past(request):
        values = answer(request).values.copy()
        ends = request.start_s + BIN_S * np.arange(request.points)
        values[ends <= from_bin * BIN_S] = np.nan
        return RangeAnswer(values)

    run.world._answer = without_past


@pytest.fixture
def wavy():
    """Six bins of next to nothing in the middle of a busy day, from bin 200 on."""
    demand = 10 + 8 * np.sin(2 * np.pi * np.arange(400) / 144)
    demand[200:206] = 0.5
    return demand


def test_one_quiet_bin_after_empty_answers_releases_nothing_that_the_history_wants(start_run, wavy):
    run = start_run(wavy + 5.0)
    for k in range(201):
        run.world.begin(k * BIN_S)
    run.next_bin, run.clock._jumped_s = 201, 201 * BIN_S
    run.world.apply(run.world._autoscaler, run.world.target(None), 12, now_s=0.0)
    run.world.empty = True
    run.tick(3)
    run.world.empty = False
    rebuilder = run.controller._histories._rebuilder = LateRebuilder(run.world)
    run.tick(3)
    assert run.replicas == [12] * 6
    rebuilder.held = False
    run.tick(1)
    assert run.workload.state.bins > 200  # the history was there after all


def test_an_empty_history_is_not_asked_for_at_each_tick(start_run, falling):
    run = start_run(falling)
    run.world.empty = True
    asked, rebuilder = [], run.controller._histories._rebuilder
    submit = rebuilder.submit
    rebuilder.submit = lambda jobs: (asked.extend(jobs), submit(jobs))
    for _ in range(100):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    assert len(asked) == 3  # in 25 minutes


def known_bins(run):
    history = run.workload.state.forecasts["requests"].history
    return int(np.count_nonzero(~history.missing.rows))


def test_a_server_that_lost_its_past_does_not_take_it_from_us(start_run, wavy):
    run = start_run(wavy)
    run.tick(180)
    before = known_bins(run)
    run.world.failure = Failure.UNREACHABLE
    run.tick(10)
    run.world.failure = None
    forget_the_past(run, 189)
    run.tick(5)
    assert not run.workload.history_missing
    assert known_bins(run) == before + 5


def test_a_longer_lead_is_planned_with_all_that_is_remembered(start_run, wavy, object_of):
    run = start_run(wavy)
    run.tick(180)
    before = known_bins(run)
    rows = run.workload.state.forecasts["requests"].history.log_demand.rows.copy()
    forget_the_past(run, 175)
    run.world.given = object_of(loadLatency=LONGER)
    run.tick(1)
    assert run.workload.state.lead_bins == 5
    assert known_bins(run) == before + 1
    again = run.workload.state.forecasts["requests"].history.log_demand.rows
    np.testing.assert_allclose(again[: len(rows)], rows, atol=1e-9)


def test_another_query_begins_with_its_own_past_alone(start_run, wavy, object_of):
    run = start_run(wavy)
    run.tick(180)
    run.world._units["other"] = "requests"
    forget_the_past(run, 170)
    run.world.given = object_of(demand=[{"query": "other", "capacity": 1.0}])
    run.tick(2)
    assert known_bins(run) == 11
    assert not run.workload.history_edited


# A history that comes in part.

PARTIAL = "store-gateway unavailable"


def leave_out(run, until_bin):
    """What Thanos answers without its store: bins up to `until_bin` are missing and warned of. Gives what was asked."""
    answer, asked = run.world._answer, []

    def in_part(request):
        values = answer(request).values.copy()
        ends = request.start_s + BIN_S * np.arange(request.points)
        left_out = ends <= run.left_out_until * BIN_S
        values[left_out] = np.nan
        if request.points > 1:
            asked.append(run.clock.now_s())
        return RangeAnswer(values, (PARTIAL,) if left_out.any() else ())

    run.left_out_until, run.world._answer = until_bin, in_part
    return asked


def start_late(start_run, demand, bins):
    """A process that begins with so many bins behind it."""
    run = start_run(demand)
    for k in range(bins):
        run.world.begin(k * BIN_S)
    run.next_bin, run.clock._jumped_s = bins, bins * BIN_S
    return run


def told_of_parts(run):
    return [line for line in run.logged if PARTIAL in line]


def test_parts_of_a_history_that_were_left_out_are_asked_for_again(start_run, wavy):
    run = start_late(start_run, wavy, 300)
    asked = leave_out(run, 290)
    run.tick(1)
    assert known_bins(run) == 10
    assert run.workload.history_missing
    run.left_out_until = -np.inf
    run.tick(2)
    assert known_bins(run) == 302
    assert not run.workload.history_missing
    run.tick(20)
    assert len(asked) == 2
    (told,) = told_of_parts(run)
    assert "llm/chat: Prometheus left parts of its history out: store-gateway unavailable; they are asked" in told


def test_a_server_that_always_warns_of_old_bins_is_decided_on_and_asked_ever_less_often(start_run, wavy):
    run = start_late(start_run, wavy, 200)
    asked = leave_out(run, 150)
    run.tick(150)
    assert run.workload.histories_in_part == len(asked)
    assert np.diff(asked).tolist() == [BIN_S * min(k, 24) for k in range(1, len(asked))]
    assert len(asked) < 20  # in 25 hours
    assert len(told_of_parts(run)) == 1
    assert known_bins(run) == 199
    assert not run.workload.history_unknown
    assert ready(run).reason == "Deciding"


def test_a_part_that_is_missing_holds_up_no_longer_lead(start_run, wavy):
    run = start_late(start_run, wavy, 200)
    asked = leave_out(run, 150)
    run.tick(30)
    in_part = len(asked)
    run.workload.retry_s = run.clock.now_s() + 3 * 3_600.0
    run.workload.loads = LoadTimes.restored([3_000.0] * 20, (), ())
    run.tick(1)
    assert run.workload.state.lead_bins > 4
    assert len(asked) == in_part + 1


def test_another_query_whose_history_comes_in_part_is_told_too(start_run, wavy, object_of):
    run = start_late(start_run, wavy, 200)
    leave_out(run, 150)
    run.tick(5)
    run.world._units["other"] = "requests"
    run.world.given = object_of(demand=[{"query": "other", "capacity": 1.0}])
    run.tick(2)
    assert len(told_of_parts(run)) == 2


def test_after_a_history_without_any_bin_but_a_warning_there_may_be_a_queue(start_run, wavy):
    run = start_late(start_run, wavy, 200)
    leave_out(run, 200)
    run.controller._pull = lambda _: {}
    run.tick(1)
    assert run.workload.queue_unseen
    assert run.workload.retry_s == run.clock.now_s() + 600.0
