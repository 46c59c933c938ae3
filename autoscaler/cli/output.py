"""Where the command line writes: tables to standard output, progress to standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from autoscaler.cli.process import go_on_unless_interrupted

if TYPE_CHECKING:
    from rich.console import Console

ReportProgress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""

PROGRESS_AFTER_S = 2.0

# rich takes 80 columns where there is no terminal, and folds a policy table into an unreadable one.
COLUMNS_WITHOUT_TERMINAL = 160


def stdout_console() -> Console:
    """A console for tables and results."""
    return _console(sys.stdout)


def table_console(*, beside: bool) -> Console:
    """A console for tables `beside` a document: that one has standard output for itself, and tables are for people."""
    return stderr_console() if beside else stdout_console()


def stderr_console() -> Console:
    """A console for progress and remarks, which a pipe or `--json` must not see."""
    return _console(sys.stderr)


@contextmanager
def progress(description: str, *, quiet: bool = False) -> Iterator[ReportProgress]:
    """Show a progress bar on standard error once the block has taken two seconds, and clear it at the end.

    Args:
        description: what goes on, in a few words.
        quiet: show nothing (with `--json`); nothing is shown without a terminal either.

    Yields:
        A function to report steps with; until its first call the bar only shows that something goes on. It raises
        KeyboardInterrupt after a Ctrl-C whose own was lost.
    """
    console = stderr_console()
    if quiet or not console.is_interactive:
        yield lambda _done, _total: go_on_unless_interrupted()
        return
    from rich.progress import Progress

    bar = Progress(console=console, transient=True)
    task = bar.add_task(description, total=None)
    show_later = threading.Timer(PROGRESS_AFTER_S, bar.start)
    show_later.daemon = True
    show_later.start()
    try:

        def show(done: int, total: int) -> None:
            go_on_unless_interrupted()
            bar.update(task, completed=done, total=total)

        yield show
    finally:
        show_later.cancel()
        show_later.join()
        bar.stop()


def _console(stream: TextIO) -> Console:
    """A console that prints text as it is: a trace may be called `[red]`."""
    from rich.console import Console

    fixed = None if stream.isatty() or "COLUMNS" in os.environ else COLUMNS_WITHOUT_TERMINAL
    return Console(file=stream, width=fixed, markup=False, highlight=False, emoji=False)
