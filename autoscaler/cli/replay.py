"""`headstart replay`: make the decisions of a recorded live run again, and say whether they are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TextIO

import typer

from autoscaler.cli.output import progress
from autoscaler.errors import HeadstartError, UsageError


def replay(
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="What headstart run --record wrote.", show_default=False)
    ],
) -> None:
    """Make each decision of a recorded live run again: byte for byte the same, or the exit code is 1.

    A line that is cut is left out with a warning, as are its object's decisions until its history comes again.

    What runs in the cluster is what the backtest runs; this proves it on your own traffic.
    """
    from autoscaler.backtest.recorded import Skipped, make_again

    count = skipped = 0
    objects: set[str] = set()
    with progress(f"replaying {recording.name}"), _opened(recording) as lines:
        for made in make_again(lines, name=str(recording)):
            if isinstance(made, Skipped):
                skipped += not made.cut
                if made.cut:
                    typer.echo(f"{recording}, line {made.number}: warning: is cut, and left out", err=True)
                continue
            count += 1
            objects.add(made.record.object_name)
            if not made.equal:
                raise HeadstartError(
                    f"{recording}, line {made.number}: the decision of {made.record.object_name} comes out otherwise:"
                    f" {_difference(made.logged, made.again)}"
                )
    if not count and skipped:
        raise UsageError(
            f"{recording}: all of its {skipped:,} decisions stand on a cut line; give one with a whole history"
        )
    if not count:
        raise UsageError(f"{recording}: holds no decisions; give what headstart run --record wrote")
    noun = "object" if len(objects) == 1 else "objects"
    left_out = f"; {skipped:,} that stand on a cut line left out" if skipped else ""
    told = f"{count:,} decisions of {len(objects)} {noun} made again, all equal byte for byte{left_out}"
    typer.echo(f"{recording}: {told}")


def _opened(recording: Path) -> TextIO:
    try:
        # What is no text is a damaged line, and told as one.
        return recording.open(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        advice = "record one with headstart run --record FILE"
        raise UsageError(f"{recording}: there is no such file; {advice}") from error
    except OSError as error:
        raise UsageError(f"{recording}: can't be read: {error.strerror}") from error


def _difference(logged: str, again: str) -> str:
    """Where two lines part, with some context."""
    at = next((i for i, (one, other) in enumerate(zip(logged, again, strict=False)) if one != other), len(logged))
    first = max(0, at - 30)
    return f"...{logged[first : at + 30]}... was logged, ...{again[first : at + 30]}... comes out"
