"""'-' as an output: standard output holds the document and nothing else, whatever document it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from decision_records import make_record

from autoscaler.cli import app as command_line
from autoscaler.cli.outs import STDOUT, check_outs, parse_out, parse_png_out, writing
from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import to_line

BACKTEST = ("--capacity", "1", "--load-latency", "60s", "--against", "none", "--policy", "hpa")


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "demand.csv"
    path.write_text("timestamp,requests\n" + "".join(f"{60 * t},{100 + t % 7}\n" for t in range(120)))
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_minus_is_standard_output_and_a_file_of_that_name_has_its_folder_before_it() -> None:
    assert [parse_out(given) for given in ("-", "/dev/stdout", "./-", "a/-")] == [
        STDOUT,
        STDOUT,
        Path("-"),
        Path("a/-"),
    ]


def test_a_picture_is_no_pdf() -> None:
    assert [parse_png_out(name) for name in ("r.png", "R.PNG", "-")] == [Path("r.png"), Path("R.PNG"), STDOUT]
    with pytest.raises(typer.BadParameter, match=r"'r.pdf' ends in '.pdf', and pictures are PNG"):
        parse_png_out("r.pdf")


def test_the_results_of_a_backtest_can_be_piped_with_the_table_on_standard_error(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run(["backtest", str(trace), *BACKTEST, "--json-out", "-", "--html-out", "r.html"]) == 0
    printed = capsys.readouterr()
    assert "hpa" in json.loads(printed.out)["policies"]
    assert printed.err.startswith("policy ")
    assert printed.err.endswith("\nwrote r.html\n")
    assert files(trace.parent) == {"demand.csv", "r.html"}


@pytest.mark.parametrize(
    ("option", "begins"), [("--plan-out", b"timestamp,demand,desired\n0,100,"), ("--html-out", b"<!DOCTYPE html>")]
)
def test_each_document_of_a_backtest_can_be_piped(
    option: str, begins: bytes, trace: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert command_line.run(["backtest", str(trace), *BACKTEST, option, "-"]) == 0
    assert capsysbinary.readouterr().out.startswith(begins)
    assert files(trace.parent) == {"demand.csv"}


def test_a_picture_can_be_piped(trace: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    arguments = ["forecast", str(trace), "--horizons", "1m", "--model", "last-value", "--png", "-"]
    assert command_line.run(arguments) == 0
    printed = capsysbinary.readouterr()
    assert printed.out.startswith(b"\x89PNG")
    assert printed.out.endswith(b"IEND\xaeB`\x82")
    assert printed.err.startswith(b"demand: requests 60 s ahead")


def test_a_trace_can_be_piped(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["trace", "import", str(trace), "--out", "-", "--bin", "2m"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("timestamp,requests\n0,201\n120,205\n")
    assert printed.err == "standard output: 60 bins of 2 min with requests\n"


def test_what_a_file_holds_already_stays_where_the_shell_appends(trace: Path) -> None:
    kept = trace.with_name("kept.csv")
    kept.write_text("before\n")
    command = "from autoscaler.cli.app import main; main()"
    with kept.open("a") as end:
        arguments = [sys.executable, "-c", command, "trace", "import", str(trace), "--out", "-"]
        assert subprocess.run(arguments, stdout=end, stderr=subprocess.PIPE, check=False).returncode == 0
    assert kept.read_text() == "before\n" + trace.read_text()


CLOSED = "headstart: standard output: is closed, and the document would be lost; send it to a file or a pipe\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["backtest", "TRACE", *BACKTEST, "--json"],
        *(["backtest", "TRACE", *BACKTEST, f"--{each}-out", "-"] for each in ("plan", "json", "html", "png")),
        ["backtest-group", "TRACE", "--json"],
        *(["backtest-group", "TRACE", f"--{each}-out", "-"] for each in ("json", "html")),
        ["crd"],
        ["crd", "--reference"],
        ["demo", "--out", "-"],
        ["explain", "LOG", "--json"],
        ["forecast", "TRACE", "--json"],
        ["forecast", "TRACE", "--png", "-"],
        ["history", "--prometheus", "http://127.0.0.1:1", "--query", "up", "--out", "-"],
        ["trace", "describe", "TRACE", "--json"],
        ["trace", "generate", "TRACE", "--out", "-"],
        ["trace", "import", "TRACE", "--out", "-"],
        ["validate", "TRACE", "--json"],
    ],
)
def test_a_document_for_a_standard_output_that_is_closed_is_refused(
    arguments: list[str], trace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = trace.with_name("log")
    log.write_text(f"{to_line(make_record())}\n")
    monkeypatch.setattr(sys, "__stdout__", None)
    given = {"TRACE": str(trace), "LOG": str(log)}
    assert command_line.run([given.get(each, each) for each in arguments]) == 1
    assert capsys.readouterr() == ("", CLOSED)


def test_a_document_is_refused_where_the_shell_has_closed_standard_output(trace: Path) -> None:
    main = "from autoscaler.cli.app import main; main()"
    command = f'"{sys.executable}" -c "{main}" trace import "{trace}" --out - >&-'
    shown = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout, shown.stderr) == (1, "", CLOSED)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["backtest", "TRACE", *BACKTEST, "--json", "--plan-out", "-"], "--plan-out and --json both go to standard"),
        (
            ["backtest", "TRACE", *BACKTEST, "--json-out", "-", "--html-out", "/dev/stdout"],
            "--json-out and --html-out both go to standard output; give --json-out a file",
        ),
        (["forecast", "TRACE", "--json", "--png", "-"], "--png and --json both go to standard output"),
        (["benchmark", "TRACE", "--out", "-"], "--out: '-' would be standard output, and results are several files"),
        (["trace", "import", "TRACE", "--out", ""], "--out: is empty; give a name"),
        (["benchmark", "TRACE", "--out", ""], "--out: is empty; give a name"),
        (["run", "--simulate", "TRACE", "--capacity", "1", "--record", "-"], "--record: '-' would be standard output"),
        (["keda", "serve", "--prometheus", "http://127.0.0.1:1", "--record", "-"], "--record: '-' would be standard"),
    ],
)
def test_what_standard_output_cannot_hold_is_one_line(
    arguments: list[str], line: str, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run([str(trace) if each == "TRACE" else each for each in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {line}")
    assert printed.err.count("\n") == 1
    assert files(trace.parent) == {"demand.csv"}


def _no_tempdir() -> str:
    raise FileNotFoundError("No usable temporary directory found")


def test_where_nothing_can_be_written_aside_a_document_is_refused_before_the_work(
    trace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("autoscaler.cli.outs.gettempdir", _no_tempdir)
    assert command_line.run(["backtest", str(trace), *BACKTEST, "--json-out", "-"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("headstart: standard output: no folder for temporary files")
    assert "set TMPDIR" in printed.err
    assert printed.err.count("\n") == 1


def test_whether_standard_output_is_taken_is_told_and_files_are_checked(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert check_outs({"--out": STDOUT, "--png": None}, source=gone)
    assert not check_outs({"--out": tmp_path / "file"}, source=gone)
    with pytest.raises(UsageError, match="does not exist"):
        check_outs({"--json-out": STDOUT, "--out": gone / "file"}, source=None)


def test_messages_name_standard_output_not_the_file_aside(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"^standard output: is too short$"), writing(STDOUT) as file:
        raise UsageError(f"{file}: is too short")
    assert capsys.readouterr().out == ""
