"""A benchmark on the terminal: policies over all cases, Headstart by budget, load and trace, what parts are worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from autoscaler.cli.output import stdout_console

if TYPE_CHECKING:
    from rich.table import Table

    from autoscaler.backtest.benchmark.run_job import Finished


def print_benchmark(results: Sequence[Finished]) -> None:
    """Three tables and the headline on standard output."""
    from autoscaler.report import benchmark_text as text
    from autoscaler.report.benchmark_summary import headstart_of, pool, worth_of_parts

    console = stdout_console()
    grouped = ([name, *text.group_cells(headstart_of(group))] for name, group in text.groups(results))
    for table in (
        _table(text.POLICY_HEADS, map(text.policy_cells, pool(results)), text.LEGEND),
        _table(("Headstart", *text.GROUP_HEADS), grouped, text.GAP_NOTE),
        _table(text.WORTH_HEADS, map(text.worth_cells, worth_of_parts(results)), ""),
    ):
        console.print(table, crop=False)
        console.print()
    console.print(text.headline(results), style="bold")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    from autoscaler.report.table import whole

    table = Table(caption=caption, caption_justify="left", box=None, header_style="bold", pad_edge=False)
    table.add_column(heads[0])
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*map(Text, row), style="bold" if row[0] in {"Headstart", "all"} else None)
    return whole(table)
