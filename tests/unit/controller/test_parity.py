"""The live loop is the backtest: on the same trace the same plan, and a recorded run made again byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.backtest.from_trace import Scenario, setting_of, with_calendar
from autoscaler.backtest.headstart import replay_headstart
from autoscaler.backtest.recorded import make_again
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.telemetry.line_writer import LineWriter
from autoscaler.traces.trace import Trace

DAY = 144
BIN_S = 600.0


@pytest.fixture(scope="module")
def demand():
    bins = np.arange(4 * DAY)
    demand = 10 + 8 * np.sin(2 * np.pi * bins / DAY) + np.random.default_rng(1).normal(0, 1, len(bins))
    demand[300:320] = np.nan  # an outage
    demand[400:406] += 30.0  # and a burst
    return np.maximum(demand, 0.0)


@pytest.mark.parametrize("load_bins", [0, 1, 4])
def test_the_loop_on_a_trace_is_the_backtest_of_the_trace(start_run, object_of, demand, load_bins):
    load_s = load_bins * BIN_S
    run = start_run(demand, object_of(loadLatency={"prior": f"{load_s:g}s"}), load_s=load_s)
    run.tick(len(demand))
    scenario = Scenario({"requests": 1.0}, LoadLatency.constant(load_s), 10.0, 0.01, 0.0, replicas_max=1000)
    setting = setting_of(Trace("test", 0.0, BIN_S, {"requests": demand * BIN_S}, dated=False), scenario)
    np.testing.assert_array_equal(run.replicas, replay_headstart(setting).outcome.desired)


SCHEDULE = [
    {"name": "noon", "cron": "0 12 * * *", "timeZone": "Europe/Berlin", "duration": "90m", "expect": "2.5x"},
    {"name": "launch", "at": "1970-01-03T18:05:00Z", "duration": "3h", "atLeast": 60},
]


def test_known_events_count_live_as_in_the_backtest_and_made_again(start_run, object_of, demand, tmp_path):
    autoscaler = object_of(loadLatency={"prior": "2400s"}, schedule=SCHEDULE)
    path = tmp_path / "recording.jsonl"
    with path.open("ab") as file:
        run = start_run(demand, autoscaler, load_s=2400.0)
        run.controller._teller._recording = LineWriter(file.fileno())
        run.tick(len(demand))
        run.controller._teller._recording.close()
    scenario = Scenario({"requests": 1.0}, LoadLatency.constant(2400.0), 10.0, 0.01, 0.0, replicas_max=1000)
    setting = setting_of(Trace("test", 0.0, BIN_S, {"requests": demand * BIN_S}, dated=True), scenario)
    events = tuple(event.to_event() for event in autoscaler.spec.schedule)
    known = with_calendar(setting, events, "UTC", dated=True)
    np.testing.assert_array_equal(run.replicas, replay_headstart(known).outcome.desired)
    made = list(make_again(path.read_text().splitlines(), name="recording"))
    assert all(each.equal for each in made)
    assert {each.record.decision.scheduled for each in made} >= {(), ("noon",), ("launch",)}


@pytest.fixture
def recording(start_run, demand, tmp_path):
    path = tmp_path / "recording.jsonl"
    with path.open("ab") as file:
        run = start_run(demand, load_s=5 * BIN_S)  # longer than the object believes: it is learned on the way
        writer = LineWriter(file.fileno())
        run.controller._teller._recording = writer
        run.tick(350)
        writer.close()
    return path


def test_a_recorded_run_is_made_again_byte_for_byte(recording):
    lines = recording.read_text().splitlines()
    assert sum('"kind":"History"' in line for line in lines) > 1  # a longer load was learned
    made = list(make_again(lines, name="recording"))
    assert len(made) == 350
    assert all(each.equal for each in made)
    assert {each.record.outlook.lead_bins for each in made} == {3, 5}
    assert sum(each.record.outlook.queue_unseen for each in made) > 3  # as it began, and after the outage


def test_a_difference_is_found(recording):
    lines = recording.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"kind":"Decision"' in line and '"desired":1' in line and i > 200)
    lines[at] = lines[at].replace('"desired":1', '"desired":2', 1)
    assert [each.number for each in make_again(lines, name="recording") if not each.equal] == [at + 1]


def test_decisions_without_their_history_are_refused(recording):
    lines = [line for line in recording.read_text().splitlines() if '"kind":"Decision"' in line]
    with pytest.raises(UsageError, match="recording, line 1: no history of llm/chat comes before it"):
        list(make_again(lines, name="recording"))
