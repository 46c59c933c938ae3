"""`headstart explain`: a logged decision made again, and sentences with the numbers that decided it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from decision_records import MORNING_S, PATCHED, make_outlook, make_record, make_spec, without_history

from autoscaler.cli import app as command_line
from autoscaler.cli.explain import _time_s
from autoscaler.errors import UsageError
from autoscaler.report.explanation import explain
from autoscaler.telemetry.decision_line import VERSION, to_line
from autoscaler.telemetry.record import Done, Record, Write
from autoscaler.telemetry.write_line import to_write_line

UNCHANGED = Done("None", "Unchanged", "", 7, 7)


@pytest.fixture
def log(tmp_path: Path):
    """Writes records to a log, between lines of others, and returns its path."""

    def write(*records: Record) -> Path:
        path = tmp_path / "log"
        path.write_text("".join(f"starting\n2025-11-25T03:12:02Z {to_line(record)}\n" for record in records))
        return path

    return write


def run(*arguments: object) -> int:
    return command_line.run(["explain", *map(str, arguments)])


def told(record: Record) -> dict[str, str]:
    explanation = explain(record)
    assert explanation.differences == ()
    return {step.name: step.text for step in explanation.steps}


def test_it_prints_what_was_decided_why_and_each_step(log, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run(log(make_record())) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        "shop/chat, 2025-11-25 03:12:00 UTC, Floor: 5 -> 7 replicas",
        "OrderedAhead: More replicas are ordered now, so that they have loaded by the time they are needed.",
        "",
        "data      The newest bin, 03:11:00 to 03:12:00, is known; the decision came 2.0 s after its end.",
        "demand    12.48 requests/s at 3.2 per replica: worth 3.9 replicas.",
        "load      Half of the loads take at most 120 s, 90 % at most 3.8 min: a replica ordered now counts",
        "          as ready in 4 bins of 60 s, at 03:16:00.",
        "supply    3 replicas serve; 2 replicas load, 1 due at 03:13:00, 1 due at 03:15:00.",
        "forecast  For 03:16:00 to 03:17:00, when a replica ordered now serves: 4.2 replicas in the median,",
        "          more than 6.2 in 0.5 % of cases. Replicas are ordered at that risk.",
        "peak      Until 03:16:00: more than 6.8 replicas in 0.5 % of cases. Replicas are kept at that risk.",
        "risk      In the self-backtest 0.42 % of the work would have waited longer than 10 s at this risk,",
        "          of 1 % allowed.",
        "backlog   Nothing is queued now, by estimate, and nothing will be at 03:16:00.",
        "need      6.2, so 7 replicas at 03:16:00.",
        "choice    2 more than the 5 that serve or load: ordered now.",
        "bounds    7 replicas are within 1 and 20.",
        "written   5 -> 7, FloorRaised: minReplicas of HorizontalPodAutoscaler shop/chat.",
        "",
        "Made again from its line it is the same decision.",
    ]


def test_kept_for_a_peak():
    steps = told(make_record(ready=6, due=(2,), outlook=make_outlook(3.0, peak=1.6)))
    assert steps["need"] == "4.4, so 5 replicas at 03:16:00."
    assert steps["choice"] == (
        "2 fewer would do then, but a peak may come before, and one that is released now would be back too late: "
        "all 7 stay."
    )


def test_released_down_to_what_a_peak_may_want():
    steps = told(make_record(ready=9, due=(), outlook=make_outlook(3.0, peak=1.6)))
    assert steps["choice"] == "4 fewer would do, but a peak may come before: 8 cover it. 1 replica can go now."
    assert steps["supply"] == "9 replicas serve, none loads."


@pytest.mark.parametrize(
    ("ready", "choice"),
    [
        (8, "5 fewer would do then, but what came last needs 8: all 8 stay."),
        (10, "7 fewer would do, but what came last needs 8. 2 replicas can go now."),
    ],
)
def test_what_the_last_bin_needed_stays(ready, choice):
    outlook = replace(make_outlook(2.0, peak=1.6), demand_replicas=7.5)
    assert told(make_record(ready=ready, due=(), outlook=outlook))["choice"] == choice


def test_missing_demand_releases_nothing():
    steps = told(make_record(ready=9, due=(), outlook=make_outlook(missing=True), done=UNCHANGED))
    assert "is unknown: no usable value for requests. Nothing is released on that" in steps["data"]
    assert steps["demand"] == "3.9 replicas' worth is assumed in its place, from what came before."
    assert steps["choice"] == "2 fewer would do, but the newest demand is unknown: all 9 stay."
    assert steps["written"] == "Nothing; Unchanged."


def test_a_queue_that_nobody_saw_releases_nothing():
    outlook = replace(make_outlook(), queue_unseen=True)
    steps = told(make_record(ready=9, due=(), outlook=outlook, done=UNCHANGED))
    assert steps["choice"] == "2 fewer would do, but nobody saw what was queued within the last load: all 9 stay."


def test_what_rose_weekly_may_rise_again():
    steps = told(make_record(outlook=replace(make_outlook(), rises_weekly=True)))
    assert steps["peak"].endswith(
        " One and two weeks ago it came to more than twice the day before at this time, and may again."
    )


def test_what_fell_far_below_the_usual_may_come_back():
    steps = told(make_record(outlook=replace(make_outlook(), fallen_bins=20)))
    assert steps["peak"].endswith(" Demand fell far below the usual at 02:52:00, and may come back as fast.")


def test_a_demand_that_is_not_believed_is_not_called_absent():
    steps = told(make_record(outlook=make_outlook(missing=True), demand_rps={"requests": 0.0}))
    assert "is unknown: 0 requests/s isn't believed after what was before." in steps["data"]


def test_before_any_demand():
    steps = told(without_history(make_record()))
    assert steps["demand"] == "None has been seen yet."
    assert steps["forecast"] == "There is none before any demand is known."
    assert steps["choice"] == "Without a forecast all 3 stay."
    assert "peak" not in steps
    none_there = told(make_record(ready=0, due=(), outlook=replace(without_history(make_record()).outlook)))
    assert none_there["choice"] == "1 more than none: ordered now."


def test_a_backlog_beyond_the_maximum():
    outlook = make_outlook(backlog_rs=900.0, late_share=0.03)
    conflict = Done("Conflict", "Stale", "somebody else wrote it; the next tick tries again.", 5, None)
    steps = told(make_record(outlook=outlook, spec=make_spec(replicas_max=9), done=conflict))
    assert steps["backlog"].startswith("900 replica-seconds are queued now, by estimate, and 876 replica-seconds are")
    assert steps["backlog"].endswith("within 60 s, as far as twice the replicas that demand itself needs can.")
    assert steps["need"] == "6.2 and 12.3 to work the queue off, so 19 replicas at 03:16:00."
    assert steps["bounds"] == "19 are more than the maximum: 9 replicas. Work may be late."
    assert steps["risk"].startswith("In the self-backtest 3 % of the work would have waited longer than 10 s at this ")
    assert "risk, above the 1 % allowed: no risk would have avoided it" in steps["risk"]
    assert steps["written"] == "Nothing; Conflict, Stale: somebody else wrote it; the next tick tries again."


def test_a_need_within_rounding_of_whole_replicas_is_not_called_idle():
    # A history is kept to a millionth of demand, so that five replicas are enough for 5.000004.
    unit = make_outlook(1.0)
    steps = told(make_record(outlook=make_outlook(5.000004 / unit.needs[0, unit.level])))
    assert steps["need"] == "5.0, so 5 replicas at 03:16:00."


def test_below_the_minimum_and_idle():
    outlook = make_outlook(0.01, demand_replicas=0.0)
    steps = told(make_record(outlook=outlook, ready=2, due=(), spec=make_spec(replicas_min=1)))
    assert steps["need"] == "Nothing came and nothing is queued: so small a need is none."
    assert steps["choice"] == "2 fewer would do. 2 replicas can go now."
    assert steps["bounds"] == "0 are fewer than the minimum: 1 replica."


def test_several_units_and_many_loads_stay_short():
    spec = make_spec(capacity_rps={"requests": 3.2, "tokens": 9_000.0})
    record = make_record(spec=spec, due=(1, 1, 2, 3, 4, 5, 6), demand_rps={"requests": 12.48, "tokens": 3e4})
    steps = told(record)
    assert steps["demand"] == (
        "12.48 requests/s at 3.2 per replica, 30,000 tokens/s at 9,000 per replica: worth 3.9 replicas; the unit that "
        "needs most counts."
    )
    assert steps["supply"] == "3 replicas serve; 7 replicas load, 2 due at 03:13:00, ..., 1 due at 03:18:00."


def test_a_short_history_and_a_measured_backlog_are_named():
    record = make_record(outlook=make_outlook(late_share=math.nan))
    measured = replace(record, observation=replace(record.observation, backlog_rs=0.0))
    steps = told(measured)
    assert steps["risk"].startswith("The history is too short to choose the risk from it")
    assert ", as measured," in steps["backlog"]


def test_after_a_quiet_decision_the_newest_change_is_told_too(log, capsys):
    path = log(
        make_record(now_s=MORNING_S - 600),
        make_record(),
        make_record(now_s=MORNING_S + 60, ready=7, due=(), done=UNCHANGED),
    )
    assert run(path) == 0
    printed = capsys.readouterr().out
    assert printed.index("03:13:00 UTC, Floor: 7 replicas stay") < printed.index("The newest decision that changed")
    assert printed.index("The newest decision that changed") < printed.index("03:12:00 UTC, Floor: 5 -> 7 replicas")
    assert "03:02:00" not in printed


def test_at_a_time_it_tells_the_decision_that_held_then(log, capsys):
    path = log(*(make_record(now_s=MORNING_S + 60 * i) for i in range(5)))
    for at in ("2025-11-25T03:14:30", "2025-11-25T03:14:30Z", "2025-11-25 04:14:30+01:00", str(MORNING_S + 150)):
        assert run(path, "--at", at, "--json") == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert found["line"]["time"] == "2025-11-25T03:14:02.000Z"


def test_a_decision_long_before_the_time_that_was_asked_for_is_told_as_such(log, capsys):
    path = log(make_record())
    assert run(path, "--at", "2025-11-25T04:12") == 0
    assert capsys.readouterr().err == ""
    assert run(path, "--at", "2025-11-27T03:12") == 0
    assert capsys.readouterr().err == (
        "--at: warning: the newest decision until 2025-11-27 03:12:00 UTC is of 2025-11-25 03:12:00 UTC, 2 days before;"
        " write the date too if another day is meant\n"
    )


@pytest.mark.parametrize(("text", "hours_ago"), [("03:12", 1.8), ("03:12:00", 1.8), ("05:30", 23.5)])
def test_a_time_of_day_is_the_last_one_that_has_passed(text, hours_ago):
    now_s = 1_764_046_800.0  # 05:00 UTC
    assert now_s - _time_s(text, now_s=now_s) == pytest.approx(3_600 * hours_ago)


@pytest.mark.parametrize("text", ["yesterday", "25:00", "03:12:99", "", "nan", "-5"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="--at: .* is not a time; write it as 2026-11-25T03:12, UTC, or as 03:12"):
        _time_s(text, now_s=MORNING_S)


def test_several_objects_are_listed_those_that_changed_last_first(log, capsys):
    path = log(
        make_record(name="idle", ready=7, due=(), done=UNCHANGED),
        make_record(name="early"),
        make_record(name="late", now_s=MORNING_S + 60),
        make_record(name="early", now_s=MORNING_S + 120, ready=7, due=(), done=UNCHANGED),
    )
    assert run(path) == 0
    printed = capsys.readouterr()
    rows = [" ".join(line.split()) for line in printed.out.splitlines() if "shop/" in line]
    assert rows == [
        "shop/late 03:13:00 5 -> 7 03:13:00 7 OrderedAhead FloorRaised",
        "shop/early 03:12:00 5 -> 7 03:14:00 7 Steady Unchanged",
        "shop/idle - - 03:12:00 7 Steady Unchanged",
    ]
    assert "--object" in printed.err
    assert run(path, "--object", "early") == 0
    assert "shop/early, 2025-11-25 03:14:00 UTC" in capsys.readouterr().out


def test_a_decision_that_comes_out_differently_is_shown_and_exits_with_1(log, capsys):
    record = make_record()
    changed = replace(record, decision=replace(record.decision, desired=6, high_at_lead=5.5))
    assert run(log(changed)) == 1
    printed = capsys.readouterr().out
    assert "Made again from its line it is another decision:" in printed
    assert "  desired: 6 in the log, 7 now" in printed
    assert "  high_at_lead: 5.5 in the log, 6.166" in printed
    last_digit = math.nextafter(record.decision.high_at_lead, 9.0)
    assert run(log(replace(record, decision=replace(record.decision, high_at_lead=last_digit)))) == 0
    assert run(log(changed, make_record(name="other"))) == 1


def test_what_a_later_tick_wrote_is_told_with_its_time(log, capsys):
    waited = make_record(done=Done("Waiting", "TooSoon", "it was written less than 15 s ago", 5, 5))
    write = Write(MORNING_S + 17.0, "shop", "chat", MORNING_S, PATCHED)
    path = log(waited, make_record(name="code"))
    with path.open("a") as lines:
        lines.write(f"{to_write_line(write)}\n")
    assert run(path, "--object", "chat", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["written_later"] == [json.loads(to_write_line(write))]
    assert found["steps"]["written"] == (
        "Nothing; Waiting, TooSoon: it was written less than 15 s ago. At 03:12:17: 5 -> 7, FloorRaised: minReplicas of"
        " HorizontalPodAutoscaler shop/chat."
    )
    assert run(path) == 0
    assert "TooSoon" not in capsys.readouterr().out  # the overview has what was done in the end


def test_json_has_all_of_it(log, capsys):
    record = make_record(done=PATCHED)
    assert run(log(record, make_record(name="code")), "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert printed.err == ""
    assert [entry["object"] for entry in found] == ["shop/chat", "shop/code"]
    assert found[0]["line"] == json.loads(to_line(record))
    assert found[0]["same_when_made_again"] is True
    assert list(found[0]["reasons"]) == ["OrderedAhead"]
    assert found[0]["steps"]["bounds"] == "7 replicas are within 1 and 20."


def test_a_cut_line_is_a_warning_and_a_log_without_decisions_a_mistake(log, capsys):
    path = log(make_record())
    with path.open("ab") as file:
        file.write(b"\xff\xfe junk\n" + to_line(make_record(now_s=MORNING_S + 60)).encode()[:-20])
    assert run(path) == 0
    printed = capsys.readouterr()
    assert printed.err == f"{path}: warning: 1 decision line is cut, and left out\n"
    assert "03:12:00 UTC" in printed.out
    path.write_text("nothing\n")
    assert run(path) == 2
    assert capsys.readouterr().err == (
        f"headstart: {path}: holds no decision line; give the log of `headstart run`, or what it wrote with --record\n"
    )


def test_after_an_upgrade_what_this_version_logged_is_explained(tmp_path, capsys):
    def old(record):
        return to_line(record).replace(f'"version":{VERSION}', f'"version":{VERSION - 1}')

    quiet = {"now_s": MORNING_S + 60, "ready": 7, "due": (), "done": UNCHANGED}
    path = tmp_path / "log"
    path.write_text(f"{old(make_record())}\n{to_line(make_record(**quiet))}\n")
    assert run(path) == 0
    printed = capsys.readouterr()
    assert "03:13:00 UTC, Floor: 7 replicas stay" in printed.out
    assert "The newest decision that changed" not in printed.out
    assert printed.err == (
        f"warning: {path}, line 1: version is {VERSION - 1}, this Headstart reads {VERSION}: use the one that wrote the"
        " line; the last change of shop/chat is left out\n"
    )
    with path.open("a") as lines:
        for number in range(7):
            lines.write(f"{old(make_record(name=f'm{number}'))}\n{to_line(make_record(name=f'm{number}', **quiet))}\n")
        lines.write(f"{old(make_record(name='gone'))}\n")
    assert run(path) == 0
    printed = capsys.readouterr()
    rows = [" ".join(line.split()) for line in printed.out.splitlines() if "shop/" in line]
    assert rows == [f"shop/{name} - - 03:13:00 7 Steady Unchanged" for name in ("chat", *(f"m{k}" for k in range(7)))]
    assert printed.err.splitlines()[5] == "warning: and 4 more that can't be read"


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    assert run(tmp_path / "no") == 2
    assert capsys.readouterr().err == f"headstart: {tmp_path / 'no'}: can't be read: No such file or directory\n"


def test_it_reads_standard_input(log):
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from autoscaler.cli.app import main; main()", "explain", "-", "--json"],
        input=log(make_record()).read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert json.loads(shown.stdout)[0]["object"] == "shop/chat"


def test_replicas_that_nobody_knows_are_not_told_as_known(log, capsys):
    record = make_record(ready=20, due=())
    record = replace(record, observation=replace(record.observation, fleet_assumed=True))
    assert told(record)["supply"] == "Nobody knows: it is decided as if all that are allowed served, 20 replicas."
    assert run(log(record)) == 0
    assert "unknown -> " in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom autoscaler.cli.app import run\ncode = run(['explain', '--help'])\n"
        "heavy = [name for name in ('numba', 'numpy', 'pandas', 'prometheus_client') if name in sys.modules]\n"
        "print(heavy, file=sys.stderr)\nsys.exit(code)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "[]\n")
    assert "kubectl logs" in shown.stdout


def test_the_price_of_late_work_that_found_the_level_is_told():
    steps = told(make_record(outlook=make_outlook(late_price=217.0)))
    assert steps["risk"] == (
        "In the self-backtest 0.42 % of the work would have waited longer than 10 s at this risk, of 1 % allowed. "
        "One replica more would save less than 1/217 of its work from being late."
    )


def test_what_an_hpa_would_have_is_named_while_less_than_a_day_is_known():
    steps = told(make_record(outlook=make_outlook(3.0, cold_replicas=9)))
    assert steps["need"] == "4.4, but less than a day is known: 9 replicas, as an HPA at 80 % would have."
    assert steps["choice"].endswith("ordered now.")


def test_what_came_last_is_planned_for_while_work_queues():
    outlook = make_outlook(0.3, backlog_rs=220.0, demand_replicas=4.6)
    steps = told(make_record(ready=1, due=(), outlook=outlook))
    assert steps["need"].startswith("0.44 by the forecast; 4.6, as came last, since work queues, and 9.2 to")
    assert steps["choice"].endswith("more than the 1 that serves or loads: ordered now.")
    soon_gone = told(make_record(ready=1, due=(), outlook=replace(outlook, backlog_rs=0.5, demand_replicas=0.9)))
    assert soon_gone["need"].startswith("0.44 by the forecast; 0.9, as came last, since work queues, so 1 replica at")


def test_a_queue_that_keeps_replicas_busy():
    outlook = make_outlook(1.5, peak=1.6, backlog_rs=400.0, demand_replicas=2.0)
    steps = told(make_record(ready=9, due=(), outlook=outlook, done=UNCHANGED))
    assert (
        steps["backlog"]
        == "400 replica-seconds are queued now, by estimate, and nothing is expected to be at 03:16:00."
    )
    assert steps["choice"].endswith("fewer would do then, but a queue keeps 9 busy: all 9 stay.")


def test_a_decision_of_a_replica_that_does_not_lead_is_told_as_such(log, capsys):
    standby = make_record(done=Done("Waiting", "NotLeading", "another replica of Headstart leads", None, None))
    assert run(log(standby)) == 0
    said = capsys.readouterr().err
    assert "warning: the newest decision of shop/chat was made by a replica that doesn't lead; what was written" in said
    assert "-l app.kubernetes.io/name=headstart --tail=-1 --prefix" in said
    assert run(log(make_record(), standby)) == 0
    assert "doesn't lead" not in capsys.readouterr().err


def test_a_decision_beyond_the_present_is_told_as_such(log, capsys):
    ahead = make_record(now_s=60.0 * (time.time() // 60 + 1_440))
    assert run(log(ahead, make_record())) == 0
    assert "later than now: a clock was ahead" in capsys.readouterr().err
