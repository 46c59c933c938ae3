"""A write as a line: it reads back as it was, a damaged one is told with its field, and it joins its decision."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from decision_records import MORNING_S, make_record
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import to_line
from autoscaler.telemetry.decision_log import read_log
from autoscaler.telemetry.record import Done, Write
from autoscaler.telemetry.write_line import OPENING, from_write_line, to_write_line

SCALED = Done("Patched", "Scaled", 'Deployment shop/chat: "replicas"\n5 -> 7', 5, 7)
TOO_SOON = Done("Waiting", "TooSoon", "it was written less than 15 s ago", 5, 5)
WAITED = make_record(done=TOO_SOON)


def make_write(*, seconds: float = 15.0, of: float | None = MORNING_S, name: str = "chat", **others: object) -> Write:
    return replace(Write(MORNING_S + seconds, "shop", name, of, SCALED), **others)


@given(
    time_s=st.floats(0.0, 1e11),
    decided_s=st.none() | st.floats(-1e12, 1e12),
    before=st.none() | st.integers(0, 10**6),
    placeholders=st.booleans(),
    message=st.text(),
)
def test_it_reads_back_as_it_was(
    time_s: float, decided_s: float | None, before: int | None, placeholders: bool, message: str
) -> None:
    done = replace(SCALED, before=before, message=message)
    write = Write(time_s, "shop", "chat", decided_s, done, placeholders)
    line = to_write_line(write)
    assert line.startswith(OPENING)
    assert "\n" not in line
    assert line.isascii()
    assert from_write_line(line) == write


DAMAGES = {
    "another kind": (lambda content: content.update(kind="Decision"), "kind must be 'Write'"),
    "no time": (lambda content: content.pop("time_s"), "time_s is missing"),
    "text for a decision": (lambda content: content.update(decided_s="x"), "decided_s must be a number"),
    "text for replicas": (lambda content: content["done"].update(after="7"), "done.after must be a whole number"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_is_told_with_its_field(damage: str) -> None:
    spoil, said = DAMAGES[damage]
    content = json.loads(to_write_line(make_write()))
    spoil(content)
    with pytest.raises(UsageError, match=f"^log, line 3: {said}"):
        from_write_line(json.dumps(content), where="log, line 3")


def test_it_joins_the_decision_that_it_is_of_in_whatever_order_and_behind_prefixes() -> None:
    later = [make_write(seconds=30.0, placeholders=True), make_write(), make_write(seconds=45.0)]
    others = [make_write(name="code"), make_write(of=MORNING_S - 60.0), make_write(of=None)]
    lines = [
        *(f"[pod/headstart-1/main] {to_write_line(write)}\n" for write in (*later, *others)),
        to_line(WAITED),
        to_line(make_record(name="code")),
    ]
    objects = read_log(lines, "log").objects
    assert [write.time_s - MORNING_S for write in objects["shop/chat"].newest.later] == [15.0, 30.0, 45.0]
    assert objects["shop/chat"].newest.done_at_last == SCALED
    assert objects["shop/code"].newest.later == (make_write(name="code"),)
    assert read_log(lines[-1:], "log").objects["shop/code"].newest.done_at_last == make_record().done


def test_what_was_written_after_the_asked_time_is_not_told() -> None:
    lines = [to_line(WAITED), to_write_line(make_write(seconds=15.0)), to_write_line(make_write(seconds=30.0))]
    found = read_log(lines, "log", until_s=MORNING_S + 20.0).objects["shop/chat"].newest
    assert [write.time_s - MORNING_S for write in found.later] == [15.0]


def test_a_write_that_is_cut_is_counted_and_a_damaged_one_is_left_out_with_its_line() -> None:
    line = to_write_line(make_write())
    assert read_log([to_line(WAITED), line[:-2], line[:40]], "log").cut == 2
    found = read_log([to_line(WAITED), line.replace('"after":7', '"after":"7"')], "log")
    assert found.objects["shop/chat"].newest.later == ()
    (told,) = found.left_out
    assert told.startswith("log, line 2: done.after must be a whole number")
    assert told.endswith("that write is left out")
