"""Where documents go: each to its file, or one of them to standard output, which then holds nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import typer

from autoscaler.cli.output import stderr_console
from autoscaler.cli.process import check_stdout
from autoscaler.errors import HeadstartError, UsageError

STDOUT = Path("/dev/stdout")
"""What '-' is read as; a file that is called so is './-'."""

_NAME = "standard output"


def parse_out(given: str | Path) -> Path:
    """A file to write, or '-' for standard output."""
    return STDOUT if str(given) == "-" else _named(given)


def parse_png_out(given: str | Path) -> Path:
    """A file for a picture: its name ends in '.png', or has no ending; or '-' for standard output."""
    path = parse_out(given)
    if path.suffix.lower() not in {"", ".png"}:
        raise typer.BadParameter(f"'{given}' ends in '{path.suffix}', and pictures are PNG; end it in .png")
    return path


def parser_without_stdout(why: str) -> Callable[[str | Path], Path]:
    """A parser of paths that refuses '-': `why` it can't be standard output, and what to do."""

    def parse_path(given: str | Path) -> Path:
        if str(given) == "-":
            raise typer.BadParameter(f"'-' would be standard output, and {why}")
        return _named(given)

    return parse_path


def _named(given: str | Path) -> Path:
    # Nothing would be this folder: a variable of the shell's was empty.
    if not str(given):
        raise typer.BadParameter("is empty; give a name")
    return Path(given)


parse_record = parser_without_stdout("a recording is a file that is appended to; name one")
"""A file for --record."""


def check_outs(outs: Mapping[str, Path | None], *, source: Path | None, as_json: bool = False) -> bool:
    """Whether one of the documents goes to standard output.

    Args:
        outs: option name -> path; None where it is not asked for.
        source: what is read; None where it is no file.
        as_json: whether --json was given, which takes standard output.

    Raises:
        UsageError: two go to standard output, or a file can't be written to or would replace another.
        HeadstartError: one goes to standard output, which is closed, or there is nowhere to write it aside.
    """
    from autoscaler.files import check_outputs

    piped = [option for option, path in outs.items() if path == STDOUT]
    if len(printed := [*piped, *(["--json"] if as_json else [])]) > 1:
        raise UsageError(f"{printed[0]} and {printed[1]} both go to standard output; give {printed[0]} a file")
    if printed:
        check_stdout()
    if piped:
        _check_aside()
    check_outputs({option: path for option, path in outs.items() if option not in piped}, source=source)
    return bool(piped)


def _check_aside() -> None:
    try:
        gettempdir()
    except FileNotFoundError as error:
        raise HeadstartError(
            "standard output: no folder for temporary files can be written to, and documents are written aside first;"
            " set TMPDIR to one that can, or name a file"
        ) from error


@contextmanager
def writing(out: Path) -> Iterator[Path]:
    """The path to write `out` to. What goes to standard output is written aside first, so that all writers can.

    It doesn't go through /dev/stdout, which can't be opened where standard output is a socket, and which would cut
    what stands in a file that the shell appends to.
    """
    if out != STDOUT:
        yield out
        return
    with TemporaryDirectory() as folder:
        aside = Path(folder) / "stdout"
        try:
            yield aside
        except UsageError as error:
            raise UsageError(str(error).replace(str(aside), _NAME)) from error
        sys.stdout.flush()
        with aside.open("rb") as written:
            shutil.copyfileobj(written, sys.stdout.buffer)
        sys.stdout.flush()


def json_text(found: Mapping[str, object]) -> str:
    """What a command found, as the text of a JSON document."""
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def write_text(text: str, out: Path) -> None:
    """Write a document to `out`, aside and then renamed."""
    from autoscaler.files import write_aside

    with writing(out) as file:
        write_aside(file, lambda aside: aside.write_text(text, encoding="utf-8"))


def tell_written(outs: Mapping[str, Path | None]) -> None:
    """Say on standard error which files were written; see `check_outs` for `outs`."""
    for path in outs.values():
        if path not in {None, STDOUT}:
            stderr_console().print(f"wrote {path}")


def tell_appended(record: Path | None) -> None:
    """Say on standard error where a recording goes on after what its file holds, as it should after a restart."""
    if record is not None and record.is_file() and record.stat().st_size:
        stderr_console().print(f"{record}: holds a recording already; this one is appended to it")


def print_document(text: str) -> None:
    """Print what programs read, such as JSON. Raises HeadstartError where standard output is closed."""
    check_stdout()
    typer.echo(text, nl=not text.endswith("\n"))


def said_of(out: Path) -> str:
    """The path as messages name it."""
    return _NAME if out == STDOUT else str(out)
