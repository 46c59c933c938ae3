"""Decisions found among other lines: the newest, the newest that changed, whatever the order and the prefixes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from decision_records import MORNING_S, make_outlook, make_record

from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import VERSION, to_line
from autoscaler.telemetry.decision_log import by_standby, doubts, nothing_found, read_log
from autoscaler.telemetry.record import Done, Record, Write
from autoscaler.telemetry.write_line import to_write_line


def minutes(minute: int, *, name: str = "chat", changes: bool = True) -> Record:
    ready = 3 if changes else 7
    return make_record(now_s=MORNING_S + 60 * minute, name=name, ready=ready, due=())


def times(record: Record | None) -> float | None:
    return None if record is None else (record.observation.now_s - MORNING_S) / 60


def test_the_newest_and_the_newest_that_changed_are_found_in_any_order_among_other_lines() -> None:
    lines = [
        "starting",
        to_line(minutes(1)),
        '{"kind":"Log","level":"info","message":"7 replicas"}',
        f"2025-11-25T03:16:00Z [pod/headstart-0/main] {to_line(minutes(4, changes=False))}\n",
        to_line(minutes(2)) + "\r\n",
        to_line(minutes(3, changes=False)),
        to_line(minutes(9, name="code", changes=False)),
        "",
    ]
    log = read_log(lines, "log")
    assert list(log.objects) == ["shop/chat", "shop/code"]
    chat, code = log.objects.values()
    assert (times(chat.newest), times(chat.changed)) == (4, 2)
    assert [times(record) for record in chat.worth_telling()] == [4, 2]
    assert (times(code.newest), times(code.changed)) == (9, None)
    assert code.worth_telling() == (code.newest,)
    assert (log.decisions, log.cut, log.names) == (5, 0, ("shop/chat", "shop/code"))


def test_of_a_newest_that_changed_there_is_only_one_to_tell() -> None:
    found = read_log([to_line(minutes(1)), to_line(minutes(2))], "log").objects["shop/chat"]
    assert found.changed is found.newest
    assert len(found.worth_telling()) == 1


def test_it_stops_at_the_asked_time_and_takes_the_asked_object_only() -> None:
    lines = [to_line(minutes(minute, name=name)) for minute in range(5) for name in ("chat", "code")]
    until_s = MORNING_S + 3 * 60 + 2.0  # the decision comes two seconds after its bin
    for asked in ("shop/code", "code"):
        log = read_log(lines, "log", object_name=asked, until_s=until_s)
        assert list(log.objects) == ["shop/code"]
        assert times(log.objects["shop/code"].newest) == 3
    assert not read_log(lines, "log", object_name="op/code").objects
    assert not read_log(lines, "log", until_s=MORNING_S).objects


def test_lines_that_are_cut_are_counted_and_never_taken_for_the_newest() -> None:
    whole, newer = to_line(minutes(1)), to_line(minutes(2))
    log = read_log([whole, newer[:-1], newer[:200], newer[:30]], "log")
    assert times(log.objects["shop/chat"].newest) == 1
    assert log.cut == 3


def test_a_damaged_line_gives_way_to_the_one_before_it_and_names_its_number() -> None:
    bad = to_line(minutes(2)).replace('"level":14', '"level":99')
    with pytest.raises(UsageError, match="^log, line 2: outlook.level must be 0 to 20, not 99$"):
        read_log(["x", bad], "log")
    log = read_log(["x", to_line(minutes(1)), bad, bad], "log")
    found = log.objects["shop/chat"]
    assert (times(found.newest), found.changed) == (1, found.newest)
    assert log.left_out == tuple(
        f"log, line {number}: outlook.level must be 0 to 20, not 99; the decision before it is taken"
        for number in (4, 3)
    )
    later = read_log([bad, to_line(minutes(3))], "log")
    assert times(later.objects["shop/chat"].newest) == 3
    assert later.left_out == ()


def test_a_torn_line_and_the_next_on_the_same_line() -> None:
    torn, whole = to_line(minutes(1))[:900], to_line(minutes(2))
    log = read_log([to_line(minutes(0)), torn + whole], "log")
    assert times(log.objects["shop/chat"].newest) == 2
    assert (log.decisions, log.cut, log.left_out) == (2, 1, ())


def test_a_clock_that_was_ahead_is_told_with_the_lines() -> None:
    ahead = minutes(24 * 60)
    lines = [to_line(minutes(1)), to_line(ahead), to_line(minutes(2)), to_line(minutes(3))]
    newest = "log, line 2: shop/chat decides at 2025-11-26T03:12:02.000Z, which is"
    assert doubts(read_log(lines, "log", now_s=MORNING_S + 300.0)) == (f"{newest} later than now: a clock was ahead",)
    assert doubts(read_log(lines, "log", now_s=ahead.time_s)) == (
        f"{newest} taken as the newest, and line 4 after it at 2025-11-25T03:15:02.000Z: was a clock set back?",
    )
    assert doubts(read_log(lines, "log", until_s=MORNING_S + 300.0, now_s=ahead.time_s)) == ()


def test_logs_of_two_replicas_one_after_the_other_are_not_doubted() -> None:
    lines = [to_line(minutes(minute)) for minute in (1, 2, 3, 1, 2)]
    assert doubts(read_log(lines, "log", now_s=minutes(3).time_s)) == ()


def test_a_damaged_write_is_left_out_and_not_the_decision() -> None:
    record = minutes(1)
    write = Write(record.time_s + 15.0, "shop", "chat", record.observation.now_s, record.done)
    damaged = to_write_line(write).replace('"placeholders":false', '"placeholders":0')
    log = read_log([to_line(record), damaged, to_write_line(write)], "log")
    assert log.objects["shop/chat"].newest.later == (write,)
    assert log.left_out == ("log, line 2: placeholders must be true or false, not 0; that write is left out",)


def of_another_version(record: Record) -> str:
    return to_line(record).replace(f'"version":{VERSION}', f'"version":{VERSION - 1}')


def test_a_last_change_that_another_version_logged_is_left_out() -> None:
    lines = [of_another_version(minutes(1)), to_line(minutes(2, changes=False))]
    log = read_log(lines, "log", object_name="chat")
    found = log.objects["shop/chat"]
    assert (times(found.newest), times(found.changed)) == (2, None)
    assert log.left_out == (
        f"log, line 1: version is {VERSION - 1}, this Headstart reads {VERSION}: use the one that wrote the line;"
        " the last change of shop/chat is left out",
    )
    assert read_log([lines[1], to_line(minutes(3))], "log").left_out == ()


def test_of_several_objects_one_that_cannot_be_read_is_left_out() -> None:
    bad = to_line(minutes(2)).replace('"level":14', '"level":99')
    log = read_log([bad, to_line(minutes(1, name="code")), of_another_version(minutes(1, name="old"))], "log")
    assert list(log.objects) == ["shop/code"]
    assert [remark.rpartition("; ")[2] for remark in log.left_out] == ["shop/chat is left out", "shop/old is left out"]
    with pytest.raises(UsageError, match=f"^log, line 1: version is {VERSION - 1}, this Headstart reads {VERSION}: "):
        read_log([of_another_version(minutes(1))], "log")


def test_of_two_replicas_the_one_that_leads_is_told_and_of_bins_caught_up_the_last() -> None:
    leads, stands_by = (
        make_record(),
        make_record(done=Done("Waiting", "NotLeading", "another replica leads", None, None)),
    )
    later = replace(stands_by, time_s=leads.time_s + 1.0)
    for lines in ([leads, later], [later, leads]):
        found = read_log(map(to_line, lines), "log").objects["shop/chat"]
        assert found.newest.done.reason == "FloorRaised"
    assert by_standby(read_log([to_line(leads), to_line(stands_by)], "log")) == ()
    assert by_standby(read_log([to_line(stands_by)], "log")) == ("shop/chat",)
    at_once = [replace(minutes(minute), time_s=leads.time_s + 600.0) for minute in (2, 3, 1)]
    assert times(read_log(map(to_line, at_once), "log").objects["shop/chat"].newest) == 3


def test_a_record_of_every_kind_is_recognised_by_its_head() -> None:
    quiet = make_record(outlook=make_outlook(late_share=math.nan, missing=True))
    assert read_log([to_line(quiet)], "log").decisions == 1


@pytest.mark.parametrize(
    ("lines", "object_name", "message"),
    [
        (["x"], None, "log: holds no decision line; give the log of `headstart run`, or what it wrote with --record"),
        (
            [to_line(minutes(1))[:-5]],
            None,
            "log: holds no whole decision line; give the log of `headstart run`, or what it wrote with --record",
        ),
        (
            [to_line(minutes(1, name=f"m{i}")) for i in range(7)],
            "chat",
            "--object: log has no decision of 'chat'; it has shop/m0, shop/m1, shop/m2, shop/m3, shop/m4 and 2 more",
        ),
        (
            [to_line(minutes(1)), to_line(minutes(3))],
            "chat",
            "--at: log has no such decision until then; its decisions are from 2025-11-25T03:13:02.000Z to"
            " 2025-11-25T03:15:02.000Z",
        ),
    ],
)
def test_where_nothing_is_found_it_says_what_there_is(lines: list[str], object_name: str | None, message: str) -> None:
    log = read_log(lines, "log", object_name=object_name, until_s=0.0)
    assert str(nothing_found(log, "log", object_name)) == message


def test_a_decision_on_replicas_that_nobody_knows_changed_none() -> None:
    record = minutes(2)
    assumed = replace(record, observation=replace(record.observation, fleet_assumed=True))
    found = read_log([to_line(minutes(1)), to_line(assumed)], "log").objects["shop/chat"]
    assert (times(found.newest), times(found.changed)) == (2, 1)
    assert found.newest.assumed
