"""`headstart history` and `headstart backtest --prometheus`: from a server to a file, or straight to the table."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fake_prometheus import FakePrometheus, matrix, text_of

from autoscaler.cli import app as command_line
from autoscaler.cli.prometheus_options import parse_query, without_secrets
from autoscaler.traces.read import read_trace

END = "2025-10-09T09:00:00Z"
END_S = 1_760_000_400.0
BINS = 300


def rate(at: float) -> float:
    """Four hours of a wave; unknown before END - 5 h and for ten minutes."""
    minute = round((at - END_S) / 60)
    return math.nan if minute <= -BINS or -100 <= minute < -90 else 5 + 4 * math.sin(minute / 38)


@pytest.fixture
def server() -> Iterator[FakePrometheus]:
    serving = FakePrometheus()
    serving.answer = lambda asked: matrix([{"metric": {}, "values": [[at, text_of(rate(at))] for at in asked.times]}])
    yield serving
    serving.close()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_PROMETHEUS_URL", raising=False)


def run(*arguments: object) -> int:
    return command_line.run([*map(str, arguments)])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_history_writes_a_trace_that_reads_back(
    server: FakePrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"demand{suffix}"
    query = "sum(rate(gateway_requests_total[1m]))"
    assert run("history", "--prometheus", server.url, "--query", query, "--end", END, "--days", 1, "-o", out) == 0
    read = read_trace(out)
    assert (read.start_s, read.bin_s, len(read)) == (END_S - 60 * BINS, 60.0, BINS)
    expected = [60 * rate(END_S - 60 * (BINS - 1 - k)) for k in range(BINS)]
    np.testing.assert_allclose(read.demand["requests"], expected, rtol=1e-15)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"{out}: 300 bins of 60 s; requests: mean 4.54/s, peak 9/s, 3.33 % missing; the server knows 5 h of the 24 h"
        " asked for\n"
    )


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_validate_takes_the_fractions_of_history_for_no_rate(
    server: FakePrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"demand{suffix}"
    assert run("history", "--prometheus", server.url, "--query", "up", "--end", END, "--days", 1, "-o", out) == 0
    assert (read_trace(out).demand["requests"] % 1 > 0).mean() > 0.5
    capsys.readouterr()
    assert run("validate", out) == 0
    assert capsys.readouterr().err == ""


def test_history_takes_several_units_and_its_options_from_the_environment(
    server: FakePrometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_PROMETHEUS_URL", server.url)
    monkeypatch.setenv("HEADSTART_PROMETHEUS_HEADERS", "X-Scope-OrgID=team-a X-Other=b=c")
    out = tmp_path / "d.csv"
    queries = ["--query", "sum(a)", "--query", "prompt_tokens = sum(rate(vllm:prompt_tokens_total[5m]))"]
    assert run("history", *queries, "--unit", "chats", "--bin", "5m", "--days", 0.5, "--end", END, "-o", out) == 0
    assert set(read_trace(out, ("chats", "prompt_tokens")).demand) == {"chats", "prompt_tokens"}
    assert {asked.params["query"] for asked in server.asked} == {
        "sum(a)", "sum(rate(vllm:prompt_tokens_total[5m]))"
    }  # fmt: skip
    assert {(a.headers["X-Scope-OrgID"], a.headers["X-Other"]) for a in server.asked} == {("team-a", "b=c")}
    assert "warning: prompt_tokens: vllm:prompt_tokens_total counts what the engine served" in capsys.readouterr().err


def test_a_query_may_be_named_and_equality_in_it_is_no_name() -> None:
    assert parse_query("tokens=sum(x)") == ("tokens", "sum(x)")
    for bare in ["a == b", "a =~ b", 'sum(x{a="b"})', "rate(x[1m])"]:
        assert parse_query(bare) == (None, bare)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-o", "x.csv", "--query", "up"], "--prometheus: is missing; give the server's address, or set HEADSTART_PRO"),
        (["-o", "x.csv", "--prometheus", "http://h"], "--query: is missing; give PromQL"),
        (["-o", "x.csv", "--query", " "], "--query: is empty"),
        (
            ["-o", "x.csv", "--query", "up", "--query", "down"],
            "--query: requests has two queries; write those of other",
        ),
        (["--query", "up"], "--out: is missing"),
        (["-o", "x.xls", "--query", "up"], "x.xls: the suffix '.xls' is unknown"),
        (["-o", "no/x.csv", "--query", "up"], "no/x.csv: the directory no does not exist"),
        (["-o", "x.csv", "--query", "up", "--end", "today"], "--end: 'today' is not a time"),
        (["-o", "x.csv", "--query", "up", "--end", "600"], "--end: '600' is no date"),
        (["-o", "x.csv", "--query", "up", "--days", "0"], "--days: '0' is not above 0"),
        (["-o", "x.csv", "--query", "up", "--prometheus-header", "secret"], "--prometheus-header: must be NAME=VALUE"),
        (["-o", "x.csv", "--query", "up", "--prometheus", "h:9"], "--prometheus: 'h:9' is no http or https address"),
        (
            ["-o", "x.csv", "--query", "up", "--unit", "timestamp", "--prometheus", "http://h"],
            "--unit: a unit must not",
        ),
        (["-o", "x.csv", "--query", "up", "--unit", "bin_seconds"], "--unit: a unit must not be called 'bin_seconds'"),
        (["-o", "x.csv", "--query", "up", "--unit", " "], "--unit: is empty"),
        (["-o", "x.csv", "--query", "up", "--end", "2199-01-01"], "--end: lies in the future"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_one_line(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("history", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"headstart: {line}")
    assert printed.err.count("\n") == 1
    assert "secret" not in printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_fails_leaves_no_file(
    server: FakePrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda _: (503, b"")
    url = server.url.replace("http://", "http://ann:secret@")
    assert run("history", "--prometheus", url, "--query", "sum(up)", "-o", tmp_path / "x.csv") == 1
    assert capsys.readouterr().err == (
        f"headstart: {server.url}: HTTP 503: the answer is of no type and not Prometheus' JSON\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_backtest_straight_from_the_server_equals_one_of_the_exported_trace(
    server: FakePrometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.url.replace("http://", "http://ann:secret@")
    asked = ["--prometheus", url, "--prometheus-header", "X-Key=secret", "--query", "sum(rate(x[1m]))"]
    options = ["--capacity", "1", "--load-latency", "600s", "--against", "none", "--policy", "static", "--json"]
    straight = ["backtest", *asked, "--days", "0.2", *options]
    monkeypatch.setattr(sys, "argv", ["headstart", *straight])
    assert run(*straight) == 0
    printed = capsys.readouterr()
    assert "secret" not in printed.out + printed.err
    assert "X-Key=..." in printed.out
    from_server = json.loads(printed.out)
    assert from_server["trace"]["name"] == "sum(rate(x[1m]))"

    end = datetime.fromtimestamp(server.asked[0].times[-1], UTC).isoformat()
    assert run("history", *asked, "--days", 0.2, "--end", end, "-o", tmp_path / "x.csv") == 0
    assert run("backtest", tmp_path / "x.csv", *options) == 0
    from_file = json.loads(capsys.readouterr().out)
    assert from_file["trace"].pop("name") == "x"
    del from_server["trace"]["name"]
    for result in (from_server, from_file):
        del result["command"], result["seconds"]
    assert from_file == from_server


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "TRACE: is missing; give a file, or --prometheus and --query"),
        (["--prometheus", "http://h"], "TRACE: is missing; give a file, or --prometheus and --query"),
        (["--query", "up"], "--prometheus: is missing"),
        (["t.csv", "--prometheus", "http://h"], "--prometheus: counts for nothing with a TRACE; give either a file or"),
        (["t.csv", "--query", "up"], "--query: counts for nothing with a TRACE"),
        (["t.csv", "--days", "3"], "--days: counts for nothing with a TRACE"),
        (["t.csv", "--bin", "60s"], "--bin: counts for nothing in counts per bin"),
        (["--query", "tokens=up", "--prometheus", "http://h"], "--query: there is none for requests, which --capacity"),
        (
            ["--query", "up", "--query", "tokens=up", "--prometheus", "http://h"],
            "--capacity: is missing for tokens, which --query names; write it as tokens=NUMBER",
        ),
        (
            ["--query", "up", "--prometheus", "http://h", "--fidelity", "request"],
            "--query: gives work per bin; --fidelity request needs a TRACE",
        ),
    ],
)
def test_a_backtest_takes_a_trace_or_a_query(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backtest", *arguments, "--capacity", "1", "--load-latency", "60s") == 2
    assert capsys.readouterr().err.startswith(f"headstart: {line}")


def test_a_server_in_the_environment_does_not_get_in_the_way_of_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_PROMETHEUS_URL", "http://127.0.0.1:1")
    assert run("backtest", tmp_path / "none.csv", "--capacity", "1", "--load-latency", "60s") == 2
    assert "none.csv: no such file" in capsys.readouterr().err


def test_a_command_line_in_a_report_has_no_secrets() -> None:
    typed = ["backtest", "--prometheus=https://u:pw@host/x", "--prometheus-header", "A=s", "--prometheus-header=B=s=t"]
    assert without_secrets(typed) == [
        "backtest",
        "--prometheus=https://host/x",
        "--prometheus-header",
        "A=...",
        "--prometheus-header=B=...",
    ]
