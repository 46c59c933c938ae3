"""Ticks shorter than an object's interval: a burst is written at the next tick, not at the end of its bin."""

from __future__ import annotations

import json
from collections import Counter
from threading import Event

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.backtest.recorded import make_again
from autoscaler.controller.tell import Teller
from autoscaler.core.decision import Reason
from autoscaler.sources.ranges import RangeAnswer
from autoscaler.telemetry.decision_log import read_log
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics

BIN_S = 600.0
TICK_S = 150.0
BINS = 200
BURST = 190


@pytest.fixture
def run(start_run):
    demand = np.full(BINS, 10.0)
    demand[BURST:] = 60.0
    run = start_run(demand)
    run.controller._tick_s = TICK_S
    world = run.world

    def rates_now(requests):
        """The rate of the moment, also within a bin."""
        answers = {}
        for request in requests:
            ends_s = request.start_s + request.step_s * np.arange(request.points)
            bins = np.ceil(ends_s / BIN_S).astype(int) - 1
            inside = (bins >= 0) & (bins < BINS)
            answers[request] = RangeAnswer(np.where(inside, demand[np.clip(bins, 0, BINS - 1)], np.nan))
        return answers

    world.fetch = rates_now
    return run


def tick(run, at_s):
    run.clock.wait_until(at_s, Event())
    run.world._now_s = at_s
    run.controller.tick()
    return len(run.world.target(None).pods)


def test_a_burst_is_answered_within_a_tick(run):
    for k in range(round(BURST * BIN_S / TICK_S) + 1):
        before = tick(run, k * TICK_S)
    bins = run.workload.state.bins
    assert before < 20
    assert tick(run, BURST * BIN_S + TICK_S) > 50
    assert Reason.EARLY in run.workload.decision.reasons
    assert run.workload.state.bins == bins


def test_between_intervals_missing_demand_does_nothing(run):
    for k in range(round(BURST * BIN_S / TICK_S) + 1):
        before = tick(run, k * TICK_S)
    run.world.fetch = lambda requests: {each: RangeAnswer(np.full(each.points, np.nan)) for each in requests}
    decision = run.workload.decision
    assert tick(run, BURST * BIN_S + TICK_S) == before
    assert run.workload.decision is decision
    assert run.workload.metrics_reason == ""


class Lines(list):
    """A writer that keeps lines."""

    write = list.append

    def __bool__(self):
        return True


class Told:
    """What a run tells, from now on."""

    def __init__(self, run):
        self.metrics, self.lines, self.recorded = Metrics(version="0", now_s=run.clock.now_s), Lines(), Lines()
        log = Log([].append, now_s=run.clock.now_s)
        teller = Teller(self.metrics, log, decisions=self.lines, recording=self.recorded)
        run.controller._teller = run.controller._histories._teller = run.controller._writing._teller = teller

    @property
    def decisions(self):
        return [line for line in map(json.loads, self.lines) if line["kind"] == "Decision"]

    def counted(self, name):
        families = text_string_to_metric_families(self.metrics.text().decode())
        samples = (sample for family in families for sample in family.samples if sample.name == f"headstart_{name}")
        return {sample.labels["reason"]: sample.value for sample in samples}


def run_through_a_burst(run, bins):
    """Tick by tick, from before a burst on; only before it anything is written. What is told from the burst on."""
    told = Told(run)
    for k in range(round(BURST * BIN_S / TICK_S) + 1):
        tick(run, k * TICK_S)
    told.lines.clear()
    before = told.counted("actions_total")
    for k in range(1, 4 * bins + 1):
        tick(run, BURST * BIN_S + k * TICK_S)
    return told, Counter(told.counted("actions_total")) - Counter(before)


FORBIDDEN = Outcome(Action.FAILED, "Forbidden", "grant it", 10, None)


def test_while_nothing_is_written_a_tick_tells_and_counts_what_is_new_and_not_the_same_again(run):
    apply = run.world.apply
    run.world.apply = lambda *given, **more: apply(*given, **more) if run.world._now_s < BURST * BIN_S else FORBIDDEN
    told, counted = run_through_a_burst(run, bins=6)
    said = [(each["decision"]["desired"], set(each["decision"]["reasons"])) for each in told.decisions]
    early = [k for k, (_, reasons) in enumerate(said) if "BetweenIntervals" in reasons]
    assert (early[0], told.decisions[0]["decision"]["now_s"]) == (0, BURST * BIN_S + TICK_S), "a burst is told at once"
    assert len(said) - len(early) == 6, "each bin's own decision is told"
    assert len(said) < 14, "of 24 ticks, each of which decides"
    for k in early[1:]:
        assert said[k][0] != said[k - 1][0] or said[k][1] - {"BetweenIntervals"} != said[k - 1][1] - {
            "BetweenIntervals"
        }
    assert counted == {"Forbidden": len(said)}
    assert all(each.equal for each in make_again(told.recorded, name="recording"))


def test_a_later_write_is_told_with_the_line_of_the_decision_that_it_repeats(run):
    apply = run.world.apply
    run.world.apply = lambda *given, **more: apply(*given, **more) if run.world._now_s < BURST * BIN_S else FORBIDDEN
    told, _ = run_through_a_burst(run, bins=6)
    tick(run, BURST * BIN_S + 25 * TICK_S)
    assert run.workload.decision.now_s > told.decisions[-1]["decision"]["now_s"]
    run.world.apply = apply
    run.world.fetch = lambda requests: {each: RangeAnswer(np.full(each.points, np.nan)) for each in requests}
    tick(run, BURST * BIN_S + 26 * TICK_S)
    assert json.loads(told.lines[-1])["kind"] == "Write"
    found = read_log(told.lines, "log").objects["llm/chat"].newest
    assert found.done_at_last.action == "Patched"
