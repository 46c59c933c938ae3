"""`headstart explain`: make a logged decision again, and say why it came out so."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from autoscaler.cli.output import progress, stderr_console, stdout_console
from autoscaler.cli.outs import print_document

if TYPE_CHECKING:
    from rich.table import Table

    from autoscaler.report.explanation import Explanation
    from autoscaler.telemetry.decision_log import DecisionLog, Found

_DIFFERS = 1
_STANDARD_INPUT = Path("-")
_TIME_OF_DAY = re.compile(r"\d\d:\d\d(:\d\d)?")
_SECONDS = re.compile(r"\d+(\.\d+)?")
_DAY_S = 86_400.0
# No object is decided on less often.
_INTERVAL_MAX_S = 3600.0
_TEXT_WIDTH_MIN = 20
_LOGS = "kubectl logs -n headstart-system -l app.kubernetes.io/name=headstart --tail=-1 --prefix"
# After an upgrade each of a thousand objects may have one.
_REMARKS_MAX = 5


def explain(
    log: Annotated[
        Path, typer.Argument(metavar="FILE | -", help="A log with decision lines; - is standard input.")
    ] = _STANDARD_INPUT,
    *,
    object_name: Annotated[
        str | None,
        typer.Option(
            "--object", metavar="[NAMESPACE/]NAME", help="The PredictiveAutoscaler to explain.", show_default=False
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Its newest decision until then, UTC: 2026-11-25T03:12, or 03:12 in the last 24 hours.",
            show_default="the end of the log",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object per decision.")] = False,
) -> None:
    """Make a logged decision again and say, step by step, why it came out so. Other lines are skipped.

    Of one object it tells the newest decision and, where that one changed nothing, the newest that did. Where the log
    has several objects it lists them all; name one with --object. The exit code is 1 where a decision that is made
    again comes out differently.

    Give it the logs of all replicas: the one that leads writes, and says so.

    Example: kubectl logs -n headstart-system -l app.kubernetes.io/name=headstart --tail=-1 --prefix | headstart explain
    --object shop/chat
    """
    import json

    from autoscaler.report.explanation import explain as explain_record

    found = _find(log, object_name, at, quiet=as_json)
    several = len(found) > 1
    records = [entry.newest for entry in found] if several else found[0].worth_telling()
    explanations = [explain_record(record) for record in records]
    if as_json:
        print_document(json.dumps([_to_json(explanation) for explanation in explanations], indent=2))
    elif several:
        stdout_console().print(_overview(found, explanations), crop=False)
        stderr_console().print("Name one with --object to have it explained.")
    else:
        for place, explanation in enumerate(explanations):
            _print(explanation, later=place > 0)
    if any(explanation.differences for explanation in explanations):
        raise typer.Exit(_DIFFERS)


def _find(log: Path, object_name: str | None, at: str | None, *, quiet: bool) -> list[Found]:
    """The decisions to tell of, at least one. Raises UsageError where there is none."""
    import time

    from autoscaler.errors import UsageError
    from autoscaler.telemetry.decision_log import doubts, nothing_found, read_log

    now_s = time.time()
    until_s = math.inf if at is None else _time_s(at, now_s=now_s)
    name = "standard input" if log == _STANDARD_INPUT else str(log)
    try:
        with progress(f"reading {name}", quiet=quiet), _opened(log) as lines:
            # Other programs may write to the same log: what is no text is not to stop this.
            texts = (line.decode("utf-8", errors="replace") for line in lines)
            found = read_log(texts, name, object_name=object_name, until_s=until_s, now_s=now_s)
    except OSError as error:
        raise UsageError(f"{name}: can't be read: {error.strerror or error}") from error
    if found.cut:
        cut = "1 decision line is" if found.cut == 1 else f"{found.cut:,} decision lines are"
        typer.echo(f"{name}: warning: {cut} cut, and left out", err=True)
    _remark(found.left_out, "that can't be read")
    _remark(doubts(found), "whose time is in doubt")
    _remark_on_age(found, until_s)
    _remark_on_standby(found)
    if not found.objects:
        raise nothing_found(found, name, object_name)
    return list(found.objects.values())


def _remark(remarks: Sequence[str], of_what: str) -> None:
    for remark in remarks[:_REMARKS_MAX]:
        typer.echo(f"warning: {remark}", err=True)
    if (more := len(remarks) - _REMARKS_MAX) > 0:
        typer.echo(f"warning: and {more:,} more {of_what}", err=True)


def _remark_on_standby(found: DecisionLog) -> None:
    """Say so where what is told was made by a replica that doesn't lead: what was done stands in another log."""
    from autoscaler.telemetry.decision_log import by_standby

    if names := by_standby(found):
        some = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
        typer.echo(
            f"warning: the newest decision of {some} was made by a replica that doesn't lead; what was written stands"
            f" in the log of the one that does: give those of all, as {_LOGS} has them",
            err=True,
        )


def _remark_on_age(found: DecisionLog, until_s: float) -> None:
    """Say so where the newest decision is long before the time that was asked for: another day was meant."""
    from autoscaler.report.words import duration, moment

    times_s = [entry.newest.observation.now_s for entry in found.objects.values()]
    if not times_s or math.isinf(until_s) or until_s - max(times_s) <= _INTERVAL_MAX_S:
        return
    newest, asked = (f"{moment(time_s, dated=True)} UTC" for time_s in (max(times_s), until_s))
    typer.echo(
        f"--at: warning: the newest decision until {asked} is of {newest}, {duration(until_s - max(times_s))} before;"
        " write the date too if another day is meant",
        err=True,
    )


@contextmanager
def _opened(log: Path) -> Iterator[BinaryIO]:
    from autoscaler.errors import UsageError

    if log != _STANDARD_INPUT:
        with log.open("rb") as lines:
            yield lines
    elif sys.stdin.isatty():
        raise UsageError("FILE: is missing; name a log, or pipe one in from kubectl logs")
    else:
        yield sys.stdin.buffer


def _time_s(text: str, *, now_s: float) -> float:
    """Seconds since the epoch of '2026-11-25T03:12:00Z', of '03:12' in the 24 hours before `now_s`, or of a number."""
    from datetime import UTC, datetime, time

    from autoscaler.errors import UsageError, shown

    try:
        if _SECONDS.fullmatch(text):
            return float(text)
        if _TIME_OF_DAY.fullmatch(text):
            today = datetime.fromtimestamp(now_s, UTC).date()
            given_s = datetime.combine(today, time.fromisoformat(text), UTC).timestamp()
            return given_s if given_s <= now_s else given_s - _DAY_S
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at: {shown(text)} is not a time; write it as 2026-11-25T03:12, UTC, or as 03:12") from None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _print(explanation: Explanation, *, later: bool) -> None:
    """One decision with its steps; `later` where another one was printed before it."""
    from rich.text import Text

    from autoscaler.report.explanation import change
    from autoscaler.report.reasons import MEANINGS
    from autoscaler.report.words import moment

    console, record = stdout_console(), explanation.record
    if later:
        console.print("\nThe newest decision that changed replicas:\n", style="italic")
    console.print(
        f"{record.object_name}, {moment(record.observation.now_s, dated=True)} UTC, {record.mode}: {change(record)}",
        style="bold",
    )
    for reason in record.decision.reasons:
        console.print(f"{reason}: {MEANINGS[reason]}")
    console.print()
    width = 2 + max(len(step.name) for step in explanation.steps)
    for step in explanation.steps:
        name = step.name
        for line in Text(step.text).wrap(console, max(_TEXT_WIDTH_MIN, console.width - width)):
            line.rstrip()
            console.print(Text.assemble((name.ljust(width), "cyan"), line))
            name = ""
    console.print()
    if not explanation.differences:
        console.print("Made again from its line it is the same decision.", style="green")
        return
    console.print("Made again from its line it is another decision:", style="bold red")
    for name, logged, again in explanation.differences:
        console.print(f"  {name}: {logged} in the log, {again} now", style="red")


def _overview(found: list[Found], explanations: list[Explanation]) -> Table:
    """All objects, those that changed last first."""
    from rich.table import Table

    from autoscaler.report.table import whole
    from autoscaler.report.words import NOTHING, moment

    last_s = max(entry.newest.observation.now_s for entry in found)
    title = f"{len(found)} objects until {moment(last_s, dated=True)} UTC, those that changed last first"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("object")
    for header in ("changed", "from -> to", "newest", "wants"):
        table.add_column(header, no_wrap=True)
    table.add_column("why")
    table.add_column("done")
    rows = sorted(
        zip(found, explanations, strict=True),
        key=lambda row: -row[0].changed.observation.now_s if row[0].changed else math.inf,
    )
    for entry, explanation in rows:
        newest, changed = entry.newest, entry.changed
        reasons = " ".join(newest.decision.reasons)
        table.add_row(
            newest.object_name,
            _recent(changed.observation.now_s, last_s) if changed else NOTHING,
            f"{changed.decision.current} -> {changed.decision.desired}" if changed else NOTHING,
            _recent(newest.observation.now_s, last_s),
            str(newest.decision.desired),
            f"differs when made again: {reasons}" if explanation.differences else reasons,
            newest.done_at_last.reason,
            style="red" if explanation.differences else "",
        )
    return whole(table)


def _recent(time_s: float, last_s: float) -> str:
    """The time of day; the date alone where that is more than a day before `last_s`."""
    from autoscaler.report.words import moment

    return moment(time_s) if last_s - time_s < _DAY_S else moment(time_s, dated=True).split()[0]


def _to_json(explanation: Explanation) -> dict[str, Any]:
    import json

    from autoscaler.report.reasons import MEANINGS
    from autoscaler.telemetry.decision_line import to_line
    from autoscaler.telemetry.write_line import to_write_line

    record = explanation.record
    return {
        "object": record.object_name,
        "changed": record.changed,
        "same_when_made_again": not explanation.differences,
        "differences": [
            {"field": name, "logged": logged, "again": again} for name, logged, again in explanation.differences
        ],
        "reasons": {str(reason): MEANINGS[reason] for reason in record.decision.reasons},
        "steps": {step.name: step.text for step in explanation.steps},
        "line": json.loads(to_line(record)),
        "written_later": [json.loads(to_write_line(write)) for write in record.later],
    }
