"""The command line's frame: exit codes, one line per mistake, help that is quick because it loads little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import pytest
import typer

from autoscaler.cli import app as command_line
from autoscaler.cli.params import CapacityOption, LateBudgetOption
from autoscaler.errors import HeadstartError, UsageError

HEADSTART = [sys.executable, "-W", "error", "-c", "from autoscaler.cli.app import main; main()"]


class Kind(StrEnum):
    ONE = "one"
    TWO = "two"


def headstart(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HEADSTART, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Make one function the whole command line."""

    def put(function: Callable[..., None]) -> None:
        replacement = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        replacement.command()(function)
        monkeypatch.setattr(command_line, "app", replacement)

    return put


@pytest.mark.parametrize(
    ("error", "exit_code"), [(UsageError("plan.csv: is a directory"), 2), (HeadstartError("plan.csv:\nfull"), 1)]
)
def test_an_expected_error_is_one_line_with_its_exit_code(
    error: HeadstartError, exit_code: int, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    command(fail)
    assert command_line.run([]) == exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"headstart: {str(error).replace(chr(10), ' ')}\n"


def test_a_defect_of_the_program_keeps_its_traceback(command: Callable[..., None]) -> None:
    def divide() -> None:
        raise ZeroDivisionError

    command(divide)
    with pytest.raises(ZeroDivisionError):
        command_line.run([])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, typer.Abort])
def test_an_interruption_is_quiet(
    interruption: type[BaseException], command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise interruption

    command(stop)
    assert command_line.run([]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_command_may_choose_its_exit_code(command: Callable[..., None]) -> None:
    def leave() -> None:
        raise typer.Exit(3)

    command(leave)
    assert command_line.run([]) == 3


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["t.csv", "--capacity", "3", "--late-budget", "0"],
            "--late-budget: '0' is out of range; it must be more than",
        ),
        (["t.csv", "--capacity", "0"], "--capacity: '0' is not above 0"),
        (["t.csv"], "--capacity: is missing; it must be given, see headstart"),
        (["--capacity", "3"], "TRACE: is missing; it must be given, see headstart"),
        (["t.csv", "--capacity", "3", "--seed", "x"], "--seed: must be a whole number, got 'x'\n"),
        (["t.csv", "--capacity", "3", "--seed", "1.5"], "--seed: must be a whole number, got '1.5'\n"),
        (["t.csv", "--capacity", "3", "--seed", "-1"], "--seed: must be at least 0, got '-1'\n"),
        (["t.csv", "--capacity", "3", "--seed", str(2**32)], "--seed: must be at most 4294967295, got '4294967296'\n"),
        (["t.csv", "--capacity", "3", "--kind", "x"], "--kind: 'x' is not one of 'one', 'two'\n"),
        (["t.csv", "--capacitty", "3"], "No such option: --capacitty (Possible options: --capacity); see headstart"),
    ],
)
def test_a_typing_mistake_is_one_line_that_leads_with_the_options_name(
    arguments: list[str], line: str, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def backtest(
        trace: Annotated[str, typer.Argument()],
        capacity: CapacityOption,
        late_budget: LateBudgetOption = 0.01,
        seed: Annotated[int, typer.Option(min=0, max=2**32 - 1)] = 0,
        kind: Kind = Kind.ONE,
    ) -> None:
        pytest.fail("the command was called")

    command(backtest)
    assert command_line.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {line}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("group", [[], ["trace"]])
def test_without_a_command_it_shows_the_help(group: list[str]) -> None:
    shown = headstart(*group)
    assert (shown.returncode, shown.stderr) == (2, "")
    assert shown.stdout.rstrip() == headstart(*group, "--help").stdout.rstrip()


def test_the_help_of_backtest_has_an_example_and_defaults_with_units() -> None:
    shown = headstart("backtest", "--help").stdout
    assert "Example: headstart backtest demand.csv --capacity 3.2" in " ".join(shown.split())
    for default in ("10s", "1%", "50%", "0%"):
        assert f"[default: ({default})]" in shown


def test_help_that_is_piped_has_names_whole() -> None:
    shown = headstart("run", "--help").stdout
    assert "HEADSTART_PROMETHEUS_PASSWORD_FILE" in shown
    assert "…" not in shown


def test_the_help_of_run_says_what_explain_reads_of_a_simulation() -> None:
    shown = " ".join(headstart("run", "--help").stdout.split())
    assert "With --simulate it is a sentence per change" in shown
    assert "headstart explain reads what --record writes" in shown


def test_the_help_of_generate_says_where_recipes_are() -> None:
    assert "data/chat.toml" in headstart("trace", "generate", "--help").stdout


def test_the_help_lists_every_command() -> None:
    shown = headstart("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    commands = ("run", "replay", "explain", "history", "crd", "backtest", "forecast", "trace", "demo", "validate")
    for name in commands:
        assert f"\n  {name} " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "see"),
    [
        (["validat"], "headstart --help"),
        (["validate", "--uni", "x", "t.csv"], "headstart validate --help"),
        (["trace", "describe", "t.csv", "u.csv"], "headstart trace describe --help"),
    ],
)
def test_a_mistyped_command_line_names_the_help_that_tells_more(
    arguments: list[str], see: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run(arguments) == 2
    assert capsys.readouterr().err.endswith(f"; see {see}\n")


def test_an_unknown_command_exits_with_2_and_one_line() -> None:
    shown = headstart("backtset")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith("headstart: No such command 'backtset'")
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["backtest", "--help"], ["trace", "--help"], ["forecast", "--help"]])
def test_help_loads_none_of_the_heavy_packages(arguments: list[str]) -> None:
    heavy = ["matplotlib", "numba", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "statsmodels"]
    program = (
        "import sys\nfrom autoscaler.cli.app import run\n"
        f"code = run({arguments!r})\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "[]\n")


def test_a_reader_that_goes_away_is_met_with_silence() -> None:
    program = "import typer\nfrom autoscaler.cli import app\ntable = typer.Typer(pretty_exceptions_enable=False)\n"
    program += "@table.command()\ndef show() -> None:\n    print('x' * 200_000)\napp.app = table\napp.main()\n"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1
