"""`headstart run --simulate` and `headstart replay`: a run told line by line, recorded, and made again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from autoscaler.cli import app as command_line

BINS = 120


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "day.csv"
    demand = 1_800 + 1_500 * np.sin(2 * np.pi * np.arange(BINS) / BINS)
    times = np.datetime64("2026-03-02T00:00:00") + np.arange(BINS) * np.timedelta64(600, "s")
    lines = [f"{time}Z,{value:.0f}" for time, value in zip(times, demand, strict=True)]
    path.write_text("timestamp,requests\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def recorded(trace):
    """What a run printed, and its recording."""
    recording = trace.with_name("recording.jsonl")
    arguments = ["run", "--simulate", trace, "--capacity", "1", "--load-latency", "30m", "--speed", "max"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        assert command_line.run([*map(str, arguments), "--record", str(recording)]) == 0
    return recording


def headstart(capsys, *arguments):
    capsys.readouterr()
    code = command_line.run([str(argument) for argument in arguments])
    return code, capsys.readouterr()


def test_a_simulated_run_tells_each_change_and_what_it_came_to(trace, capsys):
    code, printed = headstart(
        capsys,
        "run",
        "--simulate",
        trace,
        "--capacity",
        "1",
        "--load-latency",
        "30m",
        "--speed",
        "max",
        "--late-budget",
        "5%",
    )
    assert (code, printed.err) == (0, "")
    *changes, summary = printed.out.splitlines()
    assert len(changes) > 10
    assert all(re.match(r"2026-03-02 \d\d:\d0 +\d+ -> \d+ +\d+ replicas? \(", line) for line in changes)
    assert re.fullmatch(
        r"120 of 120 bins: \d+\.\d replica-hours, \d+(\.\d+)? % of the work waited longer than 10 s", summary
    )


def test_a_run_is_recorded_and_made_again(recorded, capsys):
    kinds = [json.loads(line)["kind"] for line in recorded.read_text().splitlines()]
    assert kinds[0] == "History"
    assert kinds.count("Decision") == BINS
    code, printed = headstart(capsys, "replay", recorded)
    assert (code, printed.err) == (0, "")
    assert printed.out == f"{recorded}: 120 decisions of 1 object made again, all equal byte for byte\n"


def test_a_second_run_records_on_to_the_same_file(trace, recorded, tmp_path, capsys):
    twice = tmp_path / "twice.jsonl"
    twice.write_bytes(recorded.read_bytes())
    code, _ = headstart(
        capsys,
        "run",
        "--simulate",
        trace,
        "--capacity",
        "2",
        "--load-latency",
        "30m",
        "--speed",
        "max",
        "--record",
        twice,
    )
    assert code == 0
    code, printed = headstart(capsys, "replay", twice)
    assert code == 0
    assert "240 decisions" in printed.out


def damaged(recorded, tmp_path, change):
    path = tmp_path / "damaged.jsonl"
    lines = recorded.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    return path


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda lines: [], 2, "holds no decisions; give what headstart run --record wrote"),
        (lambda lines: [b"\xff\xfe\x00binary\x80" * 50], 2, "holds no decisions"),
        (lambda lines: [lines[0], lines[1].replace(b'"mode"', b'"m\xffde"')], 2, "line 2: mode is missing"),
        (lambda lines: lines[1:], 2, "line 1: no history of simulated/simulated comes before it"),
        (
            lambda lines: [*lines[:60], re.sub(rb'"ready":\d+', b'"ready":4711', lines[60], count=1), *lines[61:]],
            1,
            "line 61: the decision of simulated/simulated comes out otherwise",
        ),
    ],
)
def test_a_damaged_recording_is_told_in_one_line(recorded, tmp_path, capsys, change, code, told):
    path = damaged(recorded, tmp_path, change)
    came, printed = headstart(capsys, "replay", path)
    assert came == code
    assert printed.err.startswith(f"headstart: {path}")
    assert told in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_cut_line_is_left_out_of_a_recording_with_what_stands_on_it(recorded, tmp_path, capsys):
    path = damaged(recorded, tmp_path, lambda lines: [*lines[:50], lines[50][:-300]])
    code, printed = headstart(capsys, "replay", path)
    assert code == 0
    assert printed.err == f"{path}, line 51: warning: is cut, and left out\n"
    assert printed.out == f"{path}: 49 decisions of 1 object made again, all equal byte for byte\n"
    path = damaged(recorded, tmp_path, lambda lines: [lines[0][:-40], b"\n", *lines[1:]])
    code, printed = headstart(capsys, "replay", path)
    assert code == 2
    first, last = printed.err.splitlines()
    assert first == f"{path}, line 1: warning: is cut, and left out"
    assert last == f"headstart: {path}: all of its 120 decisions stand on a cut line; give one with a whole history"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run"], "--prometheus: is missing; give the server's address"),
        (["run", "--prometheus", "http://127.0.0.1:1", "--listen", "8080"], "--listen: must be HOST:PORT"),
        (["run", "--prometheus", "http://127.0.0.1:1", "--listen", ":70000"], "--listen: must be HOST:PORT"),
        (["run", "--prometheus", "http://127.0.0.1:1", "--capacity", "1"], "--capacity: is for --simulate"),
        (
            ["run", "--prometheus", "http://127.0.0.1:1", "--config", "/none"],
            "--config: there is no /none; name a YAML",
        ),
        (["run", "--prometheus", "http://127.0.0.1:1", "--keda-listen", "1"], "--keda-listen: must be HOST:PORT"),
        (["run", "--prometheus", "http://127.0.0.1:1", "--tick", "0s"], "--tick: '0s' is no time at all"),
        (["run", "--simulate", "TRACE"], "--capacity: is missing"),
        (["run", "--simulate", "/none.csv", "--capacity", "1"], "/none.csv: no such file"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--speed", "0"], "--speed: '0' is not above 0"),
        (["run", "--simulate", "TRACE", "--capacity", "tokens=1"], "tokens"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--record", "/none/r.jsonl"], "/none does not exist"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--prometheus", "http://x"], "--prometheus: counts for"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--speed", "1e-300"], "--speed: '1e-300' is as good as"),
        (["run", "--simulate", "TRACE", "--capacity", "1e-9"], "peak would need 5.5e+09 replicas, more than 100,000"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--max-wait", "25h"], "--max-wait: must be between 0s and"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--late-budget", "1e-15"], "--late-budget: must be above"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--load-latency", "25h"], "--load-latency: must be between"),
        (["run", "--simulate", "DAYS", "--capacity", "1"], "--simulate: the width of the trace's bins, at which it is"),
        (["replay", "/"], "headstart: /: can't be read: Is a directory"),
        (["replay", "/none.jsonl"], "/none.jsonl: there is no such file"),
        (["replay"], "RECORDING: is missing"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(trace, capsys, monkeypatch, arguments, told):
    monkeypatch.delenv("HEADSTART_PROMETHEUS_URL", raising=False)
    days = trace.with_name("days.csv")
    days.write_text("timestamp,requests\n0,1\n86400,2\n172800,3\n")
    files = {"TRACE": str(trace), "DAYS": str(days)}
    code, printed = headstart(capsys, *(files.get(each, each) for each in arguments))
    assert code == 2
    assert told in printed.err
    assert printed.err.startswith("headstart: ")
    assert printed.err.count("\n") == 1


def test_a_recording_that_lacks_lines_is_told(trace, capsys):
    arguments = ["run", "--simulate", trace, "--capacity", "1", "--speed", "max", "--record", "/dev/full"]
    code, printed = headstart(capsys, *arguments)
    assert code == 1
    assert printed.err.startswith("headstart: /dev/full: 121 lines couldn't be written")
    assert "replica-hours" in printed.out


def test_a_recording_may_come_through_a_pipe(recorded, capsys):
    reader, writer = os.pipe()
    with subprocess.Popen(["cat", recorded], stdout=writer):
        os.close(writer)
        code, printed = headstart(capsys, "replay", f"/dev/fd/{reader}")
    os.close(reader)
    assert (code, printed.err) == (0, "")
    assert "120 decisions of 1 object made again" in printed.out


def test_a_recording_that_goes_on_in_a_file_says_so(trace, tmp_path, capsys):
    arguments = ["run", "--simulate", trace, "--capacity", "1", "--speed", "max", "--record", tmp_path / "r.jsonl"]
    assert headstart(capsys, *arguments)[1].err == ""
    lines = len((tmp_path / "r.jsonl").read_text().splitlines())
    told = f"{tmp_path / 'r.jsonl'}: holds a recording already; this one is appended to it\n"
    assert headstart(capsys, *arguments)[1].err.replace("\n", "") == told.replace("\n", "")
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) > lines


def test_without_a_cluster_it_says_so() -> None:
    command = "from autoscaler.cli.app import main; main()"
    arguments = ["run", "--prometheus", "http://127.0.0.1:1", "--kubeconfig", "/none"]
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", command, *arguments], capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == "headstart: /none: there is no such kubeconfig; name one with --kubeconfig\n"
