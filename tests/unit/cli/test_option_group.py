"""A dataclass of options in a command's signature is an option per field on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from autoscaler.cli.option_group import with_groups


@dataclass(frozen=True, kw_only=True)
class Place:
    host: Annotated[str, typer.Option("--host", help="Where.")] = "here"
    ports: Annotated[list[int] | None, typer.Option("--port")] = None


@with_groups
def ask(
    context: typer.Context, word: str, *, loud: bool = False, place: Place, last: Annotated[int, typer.Option()] = 1
) -> None:
    """Ask."""
    typer.echo(f"{word} {loud} {place.host} {place.ports} {last} {sorted(context.params)}")


def asked(*arguments: str) -> str:
    app = typer.Typer(add_completion=False)
    app.command()(ask)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_fields_are_options_with_their_defaults() -> None:
    names = "['host', 'last', 'loud', 'ports', 'word']"
    assert asked("why") == f"why False here None 1 {names}\n"
    given = asked("why", "--host", "there", "--port", "1", "--port", "2", "--loud", "--last", "3")
    assert given == f"why True there [1, 2] 3 {names}\n"


def test_they_stand_in_the_help_in_the_place_of_the_group() -> None:
    shown = asked("--help")
    places = [shown.index(option) for option in ("Ask.", "--loud", "--host", "Where.", "--port", "--last")]
    assert places == sorted(places)
