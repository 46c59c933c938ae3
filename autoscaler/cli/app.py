"""The `headstart` command: its sub-commands, and errors as one line with an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from autoscaler.cli import (
    backtest,
    backtest_group,
    benchmark,
    crd,
    demo,
    explain,
    forecast,
    history,
    keda,
    keda_serve,
    replay,
    trace,
    validate,
)
from autoscaler.cli import run as run_command
from autoscaler.cli.plain_help import use_plain_help
from autoscaler.cli.process import (
    StdoutError,
    discard_stdout,
    go_on_unless_interrupted,
    note_interruptions,
    prepare_streams,
    was_interrupted,
)
from autoscaler.errors import HeadstartError, UsageError

INTERRUPTED = 130

app = typer.Typer(
    name="headstart",
    help="A predictive GPU autoscaler: forecasts demand one model load ahead.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("backtest")(backtest.backtest)
app.command("backtest-group")(backtest_group.backtest_group)
app.command("benchmark")(benchmark.benchmark)
app.command("forecast")(forecast.forecast)
app.command("history")(history.history)
app.add_typer(trace.app, name="trace")
app.command("demo")(demo.demo)
app.command("validate")(validate.validate)
app.command("explain")(explain.explain)
app.command("run")(run_command.run)
app.command("replay")(replay.replay)
app.command("crd")(crd.crd)
keda.app.command("serve")(keda_serve.serve)
app.add_typer(keda.app, name="keda")


for each in (app, trace.app, keda.app):
    use_plain_help(each)


def main() -> None:
    """Run the command line that the process was started with, and exit."""
    prepare_streams()
    note_interruptions()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    The user's mistakes become one line on standard error: 2 for what was typed or a file that can't be used, 1 for what
    failed on the way. Anything else is a defect of the program and keeps its traceback.
    """
    try:
        return _run(arguments)
    except HeadstartError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(_typing_mistake(error), error.exit_code)
    except StdoutError as error:
        discard_stdout()
        # A reader that has gone wants no more: `headstart ... | head`.
        return 1 if error.reader_gone else _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception:
        if not was_interrupted():
            raise
        return INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    for argument in arguments:
        if not _is_text(argument):
            raise UsageError(f"{argument!a} is not UTF-8, which reports are written in; give the file another name")
    code = app(args=list(arguments), prog_name="headstart", standalone_mode=False)
    go_on_unless_interrupted()
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _is_text(argument: str) -> bool:
    """Whether it is UTF-8; Python keeps other bytes of a command line as characters that no encoding has."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"headstart {version('headstart-gpu')}")
        raise typer.Exit


@app.callback()
def _headstart(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options before the command."""


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(f"headstart: {' '.join(message.splitlines())}\n")
    return exit_code


def _typing_mistake(error: typer.TyperException) -> str:
    """What was mistyped, led by the option's or the argument's name: '--late-budget: 0 is out of range; ...'."""
    if not isinstance(error, typer.BadParameter) or error.param is None:
        return f"{error.format_message().removesuffix('.')}; {_help_of(error)}"
    is_option = error.param.param_type_name == "option"
    name = max(error.param.opts, key=len) if is_option else str(error.param.name).upper()
    return f"{name}: {_wrong_value(error) or f'is missing; it must be given, {_help_of(error)}'}"


def _help_of(error: typer.TyperException) -> str:
    """'see headstart backtest --help', of the command that was typed."""
    context = getattr(error, "ctx", None)
    return f"see {context.command_path if context else 'headstart'} --help"


def _wrong_value(error: typer.BadParameter) -> str:
    """What is wrong with a value; typer itself passes on pydantic's sentence, which doesn't name what was given."""
    from pydantic import BaseModel, ValidationError

    from autoscaler.api.problems import problems_of

    cause = error.__cause__
    return (
        problems_of(cause, BaseModel)[0].message.removesuffix(".")
        if isinstance(cause, ValidationError)
        else error.message
    )
