"""Recordings of runs that aren't smooth: made again byte for byte all the same."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.backtest.recorded import MadeAgain, Skipped, make_again
from autoscaler.errors import UsageError
from autoscaler.sources.ranges import Failure

BINS = 300


class Lines(list):
    """A writer that keeps lines."""

    write = list.append


@pytest.fixture
def recorded_run(start_run):
    """A run over two days and the lines that it records."""
    demand = 10 + 8 * np.sin(2 * np.pi * np.arange(BINS) / 144)

    def start(lines):
        run = start_run(demand)
        run.controller._teller._recording = lines
        return run

    return start


def make(lines):
    made = list(make_again(lines, name="recording"))
    assert all(each.equal for each in made)
    return made


def test_two_objects_between_each_other(recorded_run, object_of):
    lines = Lines()
    run = recorded_run(lines)
    demand = [{"query": "half", "capacity": 2.0}]
    run.world._units["half"] = "requests"
    run.world.others = [object_of(name="embed", uid="2", mode="Shadow", demand=demand)]
    run.tick(60)
    names = [each.record.object_name for each in make(lines)]
    assert names == ["llm/chat", "llm/embed"] * 60


def test_bins_that_were_caught_up_on(recorded_run):
    lines = Lines()
    run = recorded_run(lines)
    run.tick(60)
    for _ in range(9):
        run.next_bin += 1
        run.world.begin(run.next_bin * 600.0)
    run.tick(20)
    made = make(lines)
    assert len(made) == 60 + 9 + 20
    assert [each.record.done.reason for each in made].count("CaughtUp") == 9


def test_an_outage_and_a_history_read_again(recorded_run):
    lines = Lines()
    run = recorded_run(lines)
    run.tick(60)
    run.world.failure = Failure.TIMEOUT
    run.tick(20)
    run.world.failure = None
    run.tick(20)
    assert len(make(lines)) == 100
    assert sum('"kind":"History"' in line for line in lines) == 2


def test_a_start_without_prometheus(recorded_run):
    lines = Lines()
    run = recorded_run(lines)
    run.world.failure = Failure.UNREACHABLE
    run.tick(10)
    run.world.failure = None
    run.tick(20)
    assert len(make(lines)) == 30


def test_a_process_that_was_started_again_records_on(recorded_run):
    lines = Lines()
    recorded_run(lines).tick(60)
    run = recorded_run(lines)
    run.next_bin = 60
    run.world.begin(0.0)
    for bin_index in range(60):
        run.world.begin(bin_index * 600.0)
    run.tick(30)
    assert len(make(lines)) == 90


def test_an_object_that_was_made_anew(recorded_run, object_of):
    lines = Lines()
    run = recorded_run(lines)
    run.tick(60)
    run.world.given = object_of(uid="2")
    run.tick(20)
    assert len(make(lines)) == 80


def test_a_clock_that_was_set_back(recorded_run):
    lines = Lines()
    run = recorded_run(lines)
    run.tick(100)
    run.next_bin = 60
    run.clock._jumped_s = run.world._now_s = 59 * 600.0
    run.tick(20)
    assert len(make(lines)) == 120  # the history is asked for, and comes within the tick


def test_lines_of_other_kinds_are_passed_over(recorded_run):
    lines = Lines()
    recorded_run(lines).tick(5)
    assert len(make(['{"kind":"Log","message":"hello"}', "", *lines, "headstart: ready"])) == 5


def made_and_skipped(lines):
    found = list(make_again(lines, name="recording"))
    made = [each for each in found if isinstance(each, MadeAgain)]
    assert all(each.equal for each in made)
    return len(made), [(each.number, each.cut) for each in found if isinstance(each, Skipped)]


def test_a_cut_line_at_the_end_is_skipped(recorded_run):
    lines = Lines()
    recorded_run(lines).tick(5)
    lines[-1] = lines[-1][:-9]
    assert made_and_skipped(lines) == (4, [(len(lines), True)])


@pytest.mark.parametrize("kept", [-9, 40, 25], ids=["named", "without its name", "hardly begun"])
def test_after_a_cut_line_its_object_waits_for_its_next_history(recorded_run, kept):
    lines = Lines()
    recorded_run(lines).tick(5)
    again = [*lines]
    lines[-3] = lines[-3][:kept]
    number = len(lines) - 2
    assert made_and_skipped([*lines, *again]) == (2 + 5, [(number, True), (number + 1, False), (number + 2, False)])


def test_a_cut_line_with_the_next_run_on_the_same_line(recorded_run):
    lines = Lines()
    recorded_run(lines).tick(5)
    glued = [*lines[:-1], lines[-1][:-9] + lines[0], *lines[1:]]
    assert made_and_skipped(glued) == (4 + 5, [(len(lines), True)])


def test_a_history_that_is_cut(recorded_run, object_of):
    lines = Lines()
    run = recorded_run(lines)
    run.world.others = [object_of(name="embed", uid="2", mode="Shadow")]
    run.tick(5)
    at = next(i for i, line in enumerate(lines) if line.startswith('{"kind":"History",'))
    lines[at] = lines[at][:-9]
    made, skipped = made_and_skipped(lines)
    assert (made, len(skipped)) == (5, 1 + 5)


def test_a_whole_line_that_is_damaged_is_told_with_its_number(recorded_run):
    lines = Lines()
    recorded_run(lines).tick(5)
    lines[-1] = lines[-1].replace('"version":', '"version":9')
    with pytest.raises(UsageError, match=f"recording, line {len(lines)}: version is 9"):
        make(lines)
