"""Streams that are closed, full or of another encoding, and interruptions at a bad moment: no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "import typer\nfrom autoscaler.cli import app\ntable = typer.Typer(pretty_exceptions_enable=False)\n"
MAIN = "app.app = table\napp.main()\n"
SHOW = f"{PROGRAM}@table.command()\ndef show() -> None:\n    typer.echo('12\\u00a0% of \\u221e')\n{MAIN}"
FULL = Path("/dev/full")


def shell(redirected: str, program: str = SHOW, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f'"{sys.executable}" -c "$PROGRAM" {redirected}'
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PROGRAM": program, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirected", "out"), [(">&-", ""), ("2>&-", "12\xa0% of ∞\n"), ("<&-", "12\xa0% of ∞\n"), (">&- 2>&- <&-", "")]
)
def test_what_is_said_on_a_closed_stream_goes_nowhere(redirected: str, out: str) -> None:
    shown = shell(redirected, PYTHONUTF8="1")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, out, "")


def test_a_file_does_not_get_the_number_of_a_closed_stream() -> None:
    program = f"{PROGRAM}@table.command()\ndef show() -> None:\n    print(open('/dev/null').fileno() > 2)\n{MAIN}"
    assert shell("<&- 2>&-", program).stdout == "True\n"


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    shown = shell(f"> {FULL}")
    assert (shown.returncode, shown.stderr) == (1, "headstart: standard output: No space left on device\n")


@pytest.mark.parametrize("what", ["ENOSPC", "EIO", "EBADF", "EPIPE"])
def test_an_error_without_a_file_is_not_told_as_standard_outputs(what: str) -> None:
    """As of a socket, or of a file that was open already; a reader that is said to have gone was another one's."""
    fail = f"    print('said')\n    raise OSError(errno.{what}, 'of something else')\n"
    shown = shell("", f"import errno\n{PROGRAM}@table.command()\ndef show() -> None:\n{fail}{MAIN}")
    assert (shown.returncode, shown.stdout) == (1, "said\n")
    assert "standard output" not in shown.stderr
    assert ("of something else" in shown.stderr) == (what != "EPIPE")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_document_that_finds_the_disk_full_is_one_line(unbuffered: str) -> None:
    """One beyond all buffers, which is written at once and not kept for another try."""
    write = "    sys.stdout.buffer.write(b'x' * 300_000)\n"
    program = f"import sys\n{PROGRAM}@table.command()\ndef show() -> None:\n{write}{MAIN}"
    shown = shell(f"> {FULL}", program, PYTHONUNBUFFERED=unbuffered)
    assert (shown.returncode, shown.stderr) == (1, "headstart: standard output: No space left on device\n")


def test_what_the_encoding_lacks_is_a_question_mark() -> None:
    """Of tables: what typer itself prints is UTF-8 then."""
    shown = shell("", SHOW.replace("typer.echo", "print"), PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "12?% of ?\n", "")


def test_a_name_that_is_not_utf_8_is_one_line() -> None:
    program = "from autoscaler.cli.app import main\nmain()\n"
    command = f'"{sys.executable}" -c "$PROGRAM" trace describe "$(printf \'\\377.csv\')"'
    shown = subprocess.run(
        ["/bin/sh", "-c", command], env={"PROGRAM": program}, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(r"headstart: '\udcff.csv' is not UTF-8, which reports are written in; ")
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize(("interrupted", "code"), [(True, 130), (False, 1)])
def test_an_error_that_follows_an_interruption_is_quiet(interrupted: bool, code: int) -> None:
    """As numba's does, which loses the interruption itself in a callback of LLVM's."""
    kill = "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt:\n        pass\n"
    fail = "    raise RuntimeError('no compiled object yet')\n"
    program = f"import os, signal\n{PROGRAM}@table.command()\ndef show() -> None:\n{kill * interrupted}{fail}{MAIN}"
    shown = shell("", program)
    assert shown.returncode == code
    assert ("Traceback" in shown.stderr) == (not interrupted)


@pytest.mark.parametrize(
    "rest", ["    typer.echo('done')\n", "    with progress('x') as report:\n        report(1, 2)\n"]
)
def test_an_interruption_that_is_lost_ends_the_command_all_the_same(rest: str) -> None:
    kill = "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt:\n        pass\n"
    more = "import os, signal\nfrom autoscaler.cli.output import progress\n"
    program = f"{more}{PROGRAM}@table.command()\ndef show() -> None:\n{kill}{rest}{MAIN}"
    shown = shell("", program)
    assert (shown.returncode, shown.stderr) == (130, "")
