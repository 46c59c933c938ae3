"""`headstart backtest --fidelity request`: a log in, the waits of its requests out; options of the other fidelity."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from autoscaler.cli import app as command_line
from autoscaler.traces.requests import RequestLog, write_requests

SPEEDS = ["--concurrency", "4", "--prefill-speed", "4000", "--decode-speed", "50"]
REQUEST = ["--fidelity", "request", *SPEEDS, "--load-latency", "60s"]


def run(*arguments: object) -> int:
    return command_line.run(["backtest", *map(str, arguments)])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour with two requests a second."""
    rng = np.random.default_rng(1)
    arrival_s = np.round(np.sort(rng.uniform(0.0, 3599.0, 7200)), 3)
    tokens = rng.integers(10, 2000, 7200), rng.integers(1, 300, 7200)
    path = tmp_path_factory.mktemp("log") / "hour.csv"
    write_requests(RequestLog("hour", 1_700_000_000.0, arrival_s, *tokens, dated=True), path)
    return path


def test_the_tables_and_the_files_tell_of_single_requests(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, found = tmp_path / "plan.csv", tmp_path / "result.json"
    assert run(log, *REQUEST, "--against", "hpa", "--bin", "20s", "--plan-out", plan, "--json-out", found) == 0
    printed = capsys.readouterr().out
    assert "late: requests that waited longer than 10 s" in printed
    assert "1st token p50" in printed
    assert "% of requests" in printed
    result = json.loads(found.read_text())
    assert result["fidelity"] == "request"
    assert result["trace"]["bin_s"] == 20.0
    assert result["policies"].keys() == {"headstart", "hpa", "optimum"}
    for row in result["policies"].values():
        assert 0 <= row["requests"]["wait_s"]["p50"] <= row["requests"]["first_token_s"]["p50"]
    with plan.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 180
    assert sum(int(float(row["demand"])) for row in rows) == 7200


def test_bins_are_of_ten_seconds_where_nothing_is_said(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(log, *REQUEST, "--policy", "hpa", "--against", "none", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["trace"]["bin_s"], result["trace"]["bins"]) == (10.0, 360)
    assert result["settings"]["concurrency"] == 4


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([*REQUEST, "--capacity", "3"], "--capacity: follows from the speeds with --fidelity request; leave it out"),
        ([*REQUEST, "--unit", "requests"], "--unit: follows from the speeds with --fidelity request; leave it out"),
        ([*REQUEST, "--drain", "0s"], "--drain: lasts as long as its requests with --fidelity request; leave it out"),
        (
            ["--load-latency", "60s", "--fidelity", "request", "--concurrency", "4"],
            "--prefill-speed: is missing; --fidelity request needs --concurrency, --prefill-speed, --decode-speed",
        ),
        ([*REQUEST, "--concurrency", "0"], "--concurrency: "),
        ([*REQUEST, "--concurrency", "9" * 30], "--concurrency: must be at most 1000000"),
        ([*REQUEST, "--decode-speed", "0"], "--decode-speed: '0' is not above 0"),
        ([*REQUEST, "--prefill-speed", "1e-300"], "--prefill-speed: '1e-300' is out of range; it must be 0.001 to"),
        (["--load-latency", "60s"], "--capacity: is missing; give the work per second that one replica sustains"),
        *(
            (
                ["--load-latency", "60s", "--capacity", "3", option, "5"],
                f"{option}: counts for nothing in counts per bin; leave it out, or give a log and --fidelity request",
            )
            for option in ("--concurrency", "--prefill-speed", "--decode-speed", "--bin")
        ),
    ],
)
def test_an_option_that_is_missing_or_counts_for_nothing_is_one_line(
    options: list[str], line: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(log, *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {line}")
    assert printed.err.count("\n") == 1


def test_counts_per_bin_are_no_log_though_they_have_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("timestamp,requests,prompt_tokens,output_tokens\n0,5,900,80\n60,7,1000,90\n")
    assert run(counts, *REQUEST) == 2
    assert f"{counts}: has counts per bin, in its column 'requests'" in capsys.readouterr().err
