"""`headstart trace` and `headstart validate`: what they print, write and exit with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoscaler.cli.app import run
from autoscaler.traces.read import read_trace
from autoscaler.traces.requests import read_requests

DATA = Path(__file__).resolve().parents[3] / "data"
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n70,GPT-4,1087,230,1317,API log\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "burst.csv"
    path.write_text(BURSTGPT)
    return path


def test_import_bins_a_log(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert run(["trace", "import", str(log), "--out", str(out), "--bin", "30s", "--unit", "requests"]) == 0
    assert out.read_text() == "timestamp,requests\n5,1\n35,0\n65,1\n"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"{out}: 3 bins of 30 s with requests\n"


def test_import_keeps_requests(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert run(["trace", "import", str(log), "--out", str(out), "--format", "burstgpt", "--requests"]) == 0
    assert read_requests(out).arrival_s.tolist() == [0, 65]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--requests", "--bin", "60s"], "--requests: keeps each request as it is; leave out --bin and --unit"),
        (["--requests", "--unit", "requests"], "--requests: keeps each request as it is"),
        (["--format", "csb"], "the format 'csb' is unknown; allowed are auto, "),
        (["--bin", "0s"], "--bin: '0s' is no time at all"),
        (["--bin", "1h"], "out.csv: would hold 1 bin of 3600 s"),
        (["--unit", "tokens"], "has no unit 'tokens'; there are: requests"),
    ],
)
def test_import_refuses_in_one_line_and_writes_nothing(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    out = tmp_path / "out.csv"
    assert run(["trace", "import", str(log), "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_import_refuses_before_reading_where_it_cannot_write(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text("broken")
    assert run(["trace", "import", str(log), "--out", str(tmp_path / "absent" / "out.csv")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_import_never_overwrites_what_it_reads(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "import", str(log), "--out", str(log)]) == 2
    assert (
        capsys.readouterr().err
        == f"headstart: --out and the input are the same file, {log}; give each a name of its own\n"
    )
    assert log.read_text() == BURSTGPT


def test_describe_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "describe", str(DATA / "agents.csv")]) == 0
    printed = capsys.readouterr().out
    assert "agents: requests" in printed
    for part in ("21 days", "6,048 bins of 5 min", "1.32 %", "15.1/s", "as last week"):
        assert part in printed


def test_describe_gives_json_with_null_for_what_does_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.csv"
    path.write_text("timestamp,output_tokens\n0,600\n60,1800\n")
    assert run(["trace", "describe", str(path), "--unit", "output_tokens", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["unit"], figures["mean_per_s"], figures["week_ago_wape"]) == ("output_tokens", 20.0, None)


def test_generate_makes_the_bundled_trace_and_another_with_another_seed(tmp_path: Path) -> None:
    out = tmp_path / "chat.csv"
    assert run(["trace", "generate", str(DATA / "chat.toml"), "--out", str(out)]) == 0
    assert out.read_bytes() == (DATA / "chat.csv").read_bytes()
    assert run(["trace", "generate", str(DATA / "chat.toml"), "--out", str(out), "--seed", "7"]) == 0
    assert len(read_trace(out)) == 6048
    assert out.read_bytes() != (DATA / "chat.csv").read_bytes()


def test_validate_says_what_each_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("timestamp,requests\n0,1\n60,x\n")
    assert run(["validate", str(DATA / "agents.csv"), str(DATA / "chat.csv")]) == 0
    assert capsys.readouterr().out == (
        f"{DATA}/agents.csv: 6,048 bins of 5 min, 21 days from 2025-03-03T00:00:00Z; requests (80 missing,"
        " mean 15.1/s, peak 163/s)\n"
        f"{DATA}/chat.csv: 6,048 bins of 5 min, 21 days from 2025-03-03T00:00:00Z; requests (none missing,"
        " mean 36.2/s, peak 102/s)\n"
    )
    assert run(["validate", str(bad), str(DATA / "chat.csv")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{bad}: line 3, column 'requests': 'x' is not a number")
    assert printed.out.startswith(f"{DATA}/chat.csv: 6,048 bins")


def test_validate_gives_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(tmp_path / "absent.csv")
    arguments = ["validate", "--json", "--unit", "requests", "--unit", "output_tokens"]
    assert run([*arguments, str(DATA / "agents.csv"), absent]) == 2
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["usable"], good["bins"], good["bin_s"], good["dated"]) == (True, 6048, 300.0, True)
    assert good["missing"] == {"requests": 80, "output_tokens": 80}
    assert good["peak_per_s"]["requests"] > good["mean_per_s"]["requests"] > 1
    assert good["warnings"] == []
    assert (bad["usable"], bad["file"]) == (False, absent)
    assert "no such file" in bad["error"]


def test_validate_warns_of_a_counter_and_still_accepts_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "counter.csv"
    path.write_text("timestamp,requests\n" + "".join(f"{60 * i},{100 * i}\n" for i in range(20)))
    assert run(["validate", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("requests (none missing, mean 15.8/s, peak 31.7/s)\n")
    assert printed.err.startswith(f"{path}: warning: column 'requests' never falls, like a cumulative counter: ")
    assert printed.err.count("\n") == 1
    assert run(["validate", "--json", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert len(json.loads(printed.out)[0]["warnings"]) == 1
