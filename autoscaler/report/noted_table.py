"""A table with a note below it, as wide as the terminal: a caption would be broken at the table's width."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def noted(table: Table, note: str) -> RenderableType:
    """`table` and below it `note`, which is broken only where the terminal ends."""
    return Group(table, Text(note, style="table.caption"))
