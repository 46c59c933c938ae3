"""Help as lines of text that fit the terminal, each option's name whole.

typer's own tables, drawn by rich, give 80 columns to a frame, names, types and help side by side: names of options and
of environment variables end in '…', and help is a column of 20 characters.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Longer lines are hard to read, whatever the terminal's width.
_COLUMNS_MAX = 100
# Stands for '-' while lines are broken: an option that is broken there can't be found, nor an example copied.
_HYPHEN = "\ue000"


def use_plain_help(group: typer.Typer) -> None:
    """Give a group and its commands this help; they need rich_markup_mode=None."""
    group.info.cls = _Group
    group.info.context_settings = {"max_content_width": _COLUMNS_MAX}
    for command in group.registered_commands:
        text = _whole(inspect.cleandoc(command.callback.__doc__ or "")) if command.callback else ""
        command.cls, command.help = _Command, text
        # Without it, the list of commands cuts the first sentence off with '...'.
        command.short_help = text.partition("\n\n")[0]


class _Command(TyperCommand):
    # Any: the types of typer's copy of click have no public name.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options under the headings that rich_help_panel names: typer leaves them out of plain help."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                names, text = record
                heading = getattr(parameter, "rich_help_panel", None) or kind
                sections.setdefault(heading, []).append((names, _whole(text)))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx).replace(_HYPHEN, "-")


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Without a command it shows the help; typer's no_args_is_help would make the help an error's message."""
        if not args:
            typer.echo(self.get_help(ctx))
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx).replace(_HYPHEN, "-")


def _whole(text: str) -> str:
    return text.replace("-", _HYPHEN)
