"""Placeholders, live: written after replicas by the leader, told in Shadow, and in nobody's way where they can't be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.actuators.placeholders import NOT_FOUND, REVERTED, SHARED
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.backtest.recorded import make_again
from autoscaler.controller.core_spec import ahead_spec, learned_spec, stated_spec
from autoscaler.controller.follow import follow
from autoscaler.controller.status import status_of
from autoscaler.controller.workload import new_workload
from autoscaler.core.learned_load import LoadSample, LoadTimes
from autoscaler.core.state import lead_bins_of
from autoscaler.report.explanation import explain
from autoscaler.sources.presets import resolve
from autoscaler.sources.ranges import Failure
from autoscaler.telemetry.decision_line import from_line
from autoscaler.telemetry.decision_log import read_log

BIN_S = 600.0
DAY = [2.0] * 100 + [12.0] * 44
MOST = 20


class Placeholders:
    """What was written, and what is in the way: an outcome instead."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.held: list[bool] = []
        self.taken: list[tuple[str, frozenset[int]]] = []
        self.fault: Outcome | None = None

    def place(self, autoscaler, placeholders, *, held, now_s):
        self.counts.append(placeholders)
        self.held.append(held)
        return self.fault or Outcome(Action.PATCHED, "PlaceholdersSet", "set", None, placeholders)

    def take_away(self, autoscaler, written):
        self.taken.append((autoscaler.spec.node_head_start.placeholders.name, written))
        return self.fault or Outcome(Action.PATCHED, "PlaceholdersTakenAway", "taken away", 3, 0)


@pytest.fixture
def head_start():
    """Node 30 minutes, load 10 minutes: three bins and one."""
    return {
        "placeholders": {"name": "warm", "maxReplicas": MOST},
        "provisioning": {"prior": f"{3 * BIN_S:g}s"},
    }


@pytest.fixture
def run_of(object_of, start_run, head_start):
    def make(demand, **spec):
        stated = {"loadLatency": {"prior": f"{BIN_S:g}s"}, "nodeHeadStart": head_start}
        run = start_run(np.array(demand), object_of(**(stated | spec)), load_s=BIN_S)
        run.placed = Placeholders()
        run.world.place, run.world.take_away = run.placed.place, run.placed.take_away
        return run

    return make


def condition(workload, kind="NodeHeadStart"):
    made = status_of(workload, 0.0).conditions
    return next(((each.status, each.reason) for each in made if each.type == kind), None)


def test_nodes_are_ordered_one_node_earlier_than_replicas(run_of):
    run = run_of(DAY * 5)
    run.tick(len(DAY) * 5 - 1)
    assert run.workload.spec.load_latency.quantile_s(0.9) == BIN_S
    assert (run.workload.state.lead_bins, run.workload.ahead.state.lead_bins) == (1, 4)
    rise = 144 * 4 + 100
    counts, replicas = run.placed.counts, run.replicas
    # Four bins before the rise there is room for it; with the rise the replicas have taken it.
    assert max(counts[rise - 4 : rise]) >= 6
    assert replicas[rise] - replicas[rise - 4] >= 6
    assert counts[rise + 3] <= 3
    assert all(0 <= count <= MOST for count in counts)
    status = status_of(run.workload, 0.0)
    assert status.placeholder_replicas == counts[-1]
    assert condition(run.workload) == ("True", "PlaceholdersSet")
    assert "PlaceholdersSet" in run.world.told


def test_an_object_that_asks_for_none_has_none(run_of):
    run = run_of(DAY, nodeHeadStart=None)
    run.tick(50)
    assert (run.workload.ahead, run.placed.counts, condition(run.workload)) == (None, [], None)
    assert status_of(run.workload, 0.0).placeholder_replicas is None


def test_shadow_tells_and_writes_nothing(run_of):
    run = run_of(DAY, mode="Shadow")
    run.tick(50)
    assert run.placed.counts == []
    assert condition(run.workload) == ("False", "Shadow")
    assert status_of(run.workload, 0.0).placeholder_replicas is not None


def test_in_shadow_nothing_keeps_nodes_warm_and_loads_are_planned_whole(run_of):
    run = run_of(DAY, mode="Shadow")
    run.tick(50)
    assert not run.workload.nodes_warm
    assert run.workload.state.lead_bins == 4


def test_placeholders_that_somebody_sets_back_keep_no_node_warm(run_of, object_of, head_start):
    run = run_of(DAY * 2)
    run.tick(20)
    run.placed.fault = Outcome(Action.WAITING, REVERTED, "somebody set the replicas")
    run.tick(2)
    assert run.workload.state.lead_bins == 4
    asking = object_of(nodeHeadStart=head_start)
    standby = new_workload(asking, resolve(asking.spec))
    follow(standby, status_of(run.workload, 0.0))
    assert not standby.nodes_warm
    # One more attempt says nothing yet: it may be set back again.
    run.placed.fault = None
    run.tick()
    assert run.workload.unplaced
    run.tick(2)
    assert run.workload.state.lead_bins == 1


def test_only_the_leader_writes(run_of):
    run = run_of(DAY)
    run.world.leads = False
    run.tick(50)
    assert run.placed.counts == []
    assert run.workload.placed.reason == "NotLeading"
    run.world.leads = True
    run.tick()
    assert len(run.placed.counts) == 1


def test_an_outage_of_the_metrics_takes_no_placeholder_away(run_of):
    run = run_of(DAY * 5)
    run.tick(144 * 4 + 98)
    before = run.workload.placeholders.desired
    assert before >= 4
    run.world.failure = "Timeout"
    run.tick(20)
    assert all(count >= before for count in run.placed.counts[-20:])


def test_what_is_in_the_way_is_told_and_loads_are_planned_whole(run_of):
    run = run_of(DAY * 2)
    run.tick(20)
    run.placed.fault = Outcome(Action.REFUSED, NOT_FOUND, "Deployment llm/warm doesn't exist")
    run.tick(2)
    assert condition(run.workload) == ("False", NOT_FOUND)
    assert run.world.told.count(NOT_FOUND) == 1
    assert run.workload.spec.load_latency.quantile_s(0.9) == 4 * BIN_S
    assert run.workload.state.lead_bins == 4
    assert run.workload.placeholders.desired == 0
    assert run.workload.outcome.action is not Action.FAILED
    run.placed.fault = None
    run.tick(2)
    assert condition(run.workload)[0] == "True"
    assert run.workload.state.lead_bins == 1


def test_a_failure_that_may_pass_changes_no_plan(run_of):
    run = run_of(DAY * 2)
    run.tick(20)
    run.placed.fault = Outcome(Action.FAILED, "Timeout", "no answer")
    run.tick(3)
    assert run.workload.state.lead_bins == 1
    assert condition(run.workload) == ("False", "Timeout")


def test_a_defect_in_writing_placeholders_stops_no_replica(run_of):
    run = run_of(DAY * 2)

    def broken(autoscaler, placeholders, *, held, now_s):
        raise RuntimeError("out of order")

    run.world.place, run.broken = broken, True
    run.tick(144 + 110)
    assert "place" in run.workload.defects
    assert run.replicas[-1] >= 12


def test_placeholders_of_two_objects_are_written_by_neither(run_of, object_of, head_start):
    run = run_of(DAY)
    other = object_of(name="other", uid="2", nodeHeadStart=head_start, scaleTargetRef={"name": "other"})
    run.world.others = [other]
    run.tick(5)
    assert run.placed.counts == []
    assert condition(run.workload) == ("False", SHARED)


@pytest.mark.parametrize(
    "why", ["nodeHeadStart", "another name", "Shadow", "deleted", "made anew without", "a standby", "put back"]
)
def test_what_nobody_asks_for_any_more_is_taken_away_unless_somebody_else_wrote_it(run_of, object_of, head_start, why):
    run = run_of(DAY * 5)
    run.tick(144 * 4 + 98)
    written, stands = len(run.placed.counts), run.placed.counts[-1]
    assert stands >= 4
    stated = {"loadLatency": {"prior": f"{BIN_S:g}s"}, "nodeHeadStart": head_start}
    other = {"nodeHeadStart": head_start | {"placeholders": {"name": "other", "maxReplicas": MOST}}}
    edits = {"another name": other, "Shadow": {"mode": "Shadow"}, "made anew without": {"nodeHeadStart": None}}
    run.world.given = object_of(**(stated | edits.get(why, {"nodeHeadStart": None})), uid="2" if "anew" in why else "1")
    if why == "deleted":
        run.world.objects = lambda: ()
    run.world.leads = why != "a standby"
    run.workload.unplaced = why == "put back"
    run.tick(5)
    assert len(run.placed.counts) == written + (5 if why == "another name" else 0)
    if why in {"a standby", "put back"}:
        assert run.placed.taken == []
        return
    assert [(name, stands in numbers, 0 in numbers) for name, numbers in run.placed.taken] == [("warm", True, False)]
    assert run.world.told.count("PlaceholdersTakenAway") == 1
    if why == "nodeHeadStart":
        assert (run.workload.ahead, condition(run.workload)) == (None, None)


def test_what_another_object_asks_for_or_scales_is_not_taken_away(run_of, object_of, head_start):
    run = run_of(DAY * 5)
    run.tick(144 * 4 + 98)
    assert run.placed.counts[-1] >= 4
    run.world.others = [object_of(name="other", uid="2", scaleTargetRef={"name": "warm"})]
    run.world.given = object_of()
    run.tick(3)
    assert run.placed.taken == []


def test_what_cannot_be_taken_away_yet_is_tried_again(run_of, object_of):
    run = run_of(DAY * 5)
    run.tick(144 * 4 + 98)
    run.placed.fault = Outcome(Action.FAILED, "Timeout", "no answer")
    run.world.given = object_of()
    run.tick(3)
    run.placed.fault = None
    run.tick(3)
    assert len(run.placed.taken) == 4
    assert sum("no answer" in line for line in run.logged) == 3


def test_an_object_that_comes_to_ask_for_them_gets_them(run_of, object_of, head_start):
    run = run_of(DAY * 2, nodeHeadStart=None)
    run.tick(120)
    run.world.given = object_of(loadLatency={"prior": f"{BIN_S:g}s"}, nodeHeadStart=head_start)
    run.tick(2)
    assert run.workload.ahead.state.bins >= 120
    assert run.placed.counts


def test_after_a_restart_there_are_as_many_as_before_until_something_is_known(run_of, object_of, head_start):
    status = PredictiveAutoscalerStatus(placeholder_replicas=3)
    asking = object_of(loadLatency={"prior": f"{BIN_S:g}s"}, nodeHeadStart=head_start)
    run = run_of([np.nan] * 10)
    run.world._autoscaler = asking.model_copy(update={"status": status})
    run.world.empty = True
    run.tick(3)
    assert run.placed.counts == [3, 3, 3]


def test_after_a_restart_in_an_outage_without_a_status_what_stands_is_held(run_of):
    run = run_of(DAY)
    run.world.failure = Failure.UNREACHABLE
    run.tick(5)
    assert run.workload.status is None or not run.workload.status.placeholder_replicas
    assert run.placed.counts == [0] * 5
    assert run.placed.held == [True] * 5
    run.world.failure = None
    run.tick(10)
    assert not run.placed.held[-1]


def test_what_was_learned_of_nodes_is_planned_with(object_of, head_start):
    given = object_of(loadLatency={"prior": f"{BIN_S:g}s"}, nodeHeadStart=head_start).spec
    loads = LoadTimes(
        samples=(LoadSample(total_s=5 * BIN_S, node_s=4 * BIN_S), *(LoadSample(total_s=2 * BIN_S),) * 5),
        node_waits_s=(4 * BIN_S,) * 5,
    )
    stated = stated_spec(given)
    spec = learned_spec(given, stated, loads, {}, nodes_warm=True)
    ahead = ahead_spec(given, spec, None, loads)
    assert (lead_bins_of(spec), lead_bins_of(ahead)) == (2, 6)
    whole = learned_spec(given, stated, loads, {}, nodes_warm=False)
    # Most of the loads seen found a warm node; without placeholders none does.
    assert lead_bins_of(whole) == 6
    kept = head_start | {"provisioning": {"prior": f"{3 * BIN_S:g}s", "learn": False}}
    kept_given = object_of(loadLatency={"prior": f"{BIN_S:g}s"}, nodeHeadStart=kept).spec
    assert lead_bins_of(ahead_spec(kept_given, spec, None, loads)) == 5


def test_status_tells_the_phases_and_a_standby_takes_them_on(run_of, object_of, head_start):
    run = run_of(DAY)
    run.tick(20)
    workload = run.workload
    workload.loads = LoadTimes(
        samples=(LoadSample(260.04, 200.0, None, 10.0, 50.0), LoadSample(60.0, 0.0, 1.0, 9.0, 50.0)),
        node_waits_s=(200.0,),
    )
    status = status_of(workload, 0.0)
    assert {each.phase: (each.samples, each.p50_seconds) for each in status.load_latency.phases} == {
        "Node": (1, 200.0),
        "Scheduling": (1, 1.0),
        "Starting": (2, 9.5),
        "Readying": (2, 50.0),
    }
    assert (status.node_provisioning.samples, status.node_provisioning.recent_seconds) == (1, (200.0,))
    asking = object_of(nodeHeadStart=head_start)
    started = new_workload(asking.model_copy(update={"status": status}), resolve(asking.spec))
    assert started.loads.recent_node_s == (200.0, 0.0)
    assert started.loads.node_waits_s == (200.0,)
    # The newly started controller has seen no phase itself.
    again = status_of(started, 0.0).load_latency.phases
    assert {each.phase for each in again} == {"Node", "Scheduling", "Starting", "Readying"}
    standby = new_workload(asking, resolve(asking.spec))
    follow(standby, status)
    assert standby.loads.recent_node_s == (200.0, 0.0)
    assert standby.loads.node_waits_s == (200.0,)


def test_phases_of_the_workload_before_are_not_told_of_another(run_of, object_of):
    run = run_of(DAY)
    run.tick(20)
    assert status_of(run.workload, 0.0).load_latency.phases
    assert run.workload.status.load_latency is not None
    run.workload.forget_target()
    run.workload.loads = LoadTimes(samples=(LoadSample(60.0),))
    assert status_of(run.workload, 0.0).load_latency.phases == ()


def test_a_standby_knows_from_the_status_that_placeholders_cannot_be_had(run_of, object_of, head_start):
    run = run_of(DAY)
    run.placed.fault = Outcome(Action.REFUSED, NOT_FOUND, "it doesn't exist")
    run.tick(3)
    status = status_of(run.workload, 0.0)
    asking = object_of(nodeHeadStart=head_start)
    standby = new_workload(asking, resolve(asking.spec))
    assert standby.nodes_warm
    follow(standby, status)
    assert not standby.nodes_warm
    assert not new_workload(asking.model_copy(update={"status": status}), resolve(asking.spec)).nodes_warm
    # Told again before its first decision, it stays.
    assert condition(replace(standby, status=status)) == ("False", NOT_FOUND)


def test_decisions_are_logged_explained_and_made_again(run_of, monkeypatch):
    run = run_of(DAY * 2)
    lines: list[str] = []

    class Writer:
        def write(self, line):
            lines.append(line)

    run.controller._teller._recording = Writer()
    run.tick(144 + 99)
    decided = [line for line in lines if line.startswith('{"kind":"Decision"')]
    record = from_line(decided[-1])
    assert record.placeholders == run.workload.placeholders
    assert record.placed.reason == "PlaceholdersSet"
    steps = {step.name: step.text for step in explain(record).steps}
    assert f"{record.placeholders.desired} placeholder" in steps["nodes"]
    assert max(len(line) for line in decided) < 16_384
    again = list(make_again(lines, name="recording"))
    assert len(again) == len(decided)
    assert all(each.equal for each in again)
    text = run.metrics.text().decode()
    assert 'headstart_placeholder_replicas{name="chat",namespace="llm"}' in text
    assert 'headstart_load_phase_seconds{name="chat",namespace="llm",phase="Readying",quantile="0.9"} 600.0' in text


def test_placeholders_written_in_a_later_tick_have_a_line_of_their_own(run_of):
    class Lines(list):
        write = list.append

    run = run_of(DAY)
    lines = run.controller._teller._decisions = Lines()
    run.tick(20)
    run.placed.fault = Outcome(Action.WAITING, "TooSoon", "it was written less than 15 s ago", 2, 2)
    run.tick(1)
    run.placed.fault = None
    for _ in range(2):
        run.clock._jumped_s += 15.0
        run.controller.tick()
    found = read_log(lines, "log").objects["llm/chat"].newest
    assert [write.done.reason for write in found.later] == ["PlaceholdersSet"]
    nodes = next(step.text for step in explain(found).steps if step.name == "nodes")
    assert "Nothing written: it was written less than 15 s ago. At 03:20:15: unset -> " in nodes
    assert found.done_at_last == found.done  # that is of replicas
