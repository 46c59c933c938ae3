"""Help at a narrow terminal: every name whole, every line within it, sections kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from typer.main import get_command

from autoscaler.cli import app as command_line

COLUMNS = 80


def commands() -> Iterator[tuple[str, ...]]:
    def below(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, each in getattr(command, "commands", {}).items():
            yield from below(each, (*path, name))

    yield from below(get_command(command_line.app), ())


def help_of(*path: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert command_line.run([*path, "--help"]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_at_80_columns_every_option_is_whole_beside_or_above_its_help(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(*path, capsys=capsys)
    assert max(map(len, shown.splitlines())) <= COLUMNS
    assert "…" not in shown
    described = shown.partition("\nOptions:\n")[2]
    assert "..." not in described
    command = get_command(command_line.app)
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            name = max(parameter.opts, key=len)
            assert sum(bool(re.match(rf"  (-\w, )?{name}( |$)", line)) for line in described.splitlines()) == 1
            for word in (parameter.help or "").split():
                assert word in described


def test_no_name_is_broken_at_its_hyphens(capsys: pytest.CaptureFixture[str]) -> None:
    for path in commands():
        assert re.findall(r"\w-$", help_of(*path, capsys=capsys), re.MULTILINE) == []


def test_options_stand_under_their_headings_the_plain_ones_first(capsys: pytest.CaptureFixture[str]) -> None:
    headings = re.findall(r"^(\S.*):$", help_of("run", capsys=capsys), re.MULTILINE)
    assert headings == ["Options", "Prometheus", "Cluster", "KEDA", "Simulation"]


def test_lines_stay_readable_at_a_wide_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    longest = max(map(len, help_of("backtest", capsys=capsys).splitlines()))
    assert COLUMNS < longest <= 100


def test_a_group_without_a_command_shows_its_help_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    expected = help_of("trace", capsys=capsys)
    assert command_line.run(["trace"]) == 2
    assert capsys.readouterr() == (expected, "")
