"""Decisions found in a log among other lines: per object the newest, and the newest that changed replicas."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import OPENING, from_line, rfc3339
from autoscaler.telemetry.record import Record

# How a line begins: enough to know whether it is the one that is looked for. Reading a day of a thousand objects whole,
# 1.4 million lines, would take minutes.
_HEAD = re.compile(
    re.escape(OPENING) + r'"version":\d+,"time":"[^"]*","time_s":(?P<time_s>[-+.\de]+),'
    r'"namespace":"(?P<namespace>[^"]*)","name":"(?P<name>[^"]*)","mode":"[^"]*",'
    r'"decision":\{"desired":(?P<desired>\d+),"current":(?P<current>\d+|null),"ready":(?:\d+|null),"lead_bins":\d+,'
    r'"reasons":\[[^]]*\],"now_s":(?P<now_s>[-+.\de]+),[^}]*\},"done":\{"action":"[^"]*","reason":"(?P<reason>[^"]*)",'
)
# What a replica that doesn't lead gives as its reason to do nothing.
_NOT_LEADING = "NotLeading"
_END = "}}"


@dataclass(frozen=True, slots=True)
class Found:
    """Decisions of one object.

    Attributes:
        newest: its newest one.
        changed: its newest one that changed replicas, which may be the same; None where none did.
    """

    newest: Record
    changed: Record | None

    def worth_telling(self) -> tuple[Record, ...]:
        """The newest, and where it changed nothing the one that did."""
        if self.changed is None or self.changed is self.newest:
            return (self.newest,)
        return (self.newest, self.changed)


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """What a log holds.

    Attributes:
        objects: 'namespace/name' -> its decisions, in the order of the names.
        decisions: decision lines in it, of whatever object and time.
        cut: decision lines that are not whole; they were skipped.
        names: all objects in it.
        first_s, last_s: times of the first and the last decision; infinite without one.
    """

    objects: dict[str, Found]
    decisions: int
    cut: int
    names: tuple[str, ...]
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a decision stands, and its rank: a later bin, then the replica that leads, then a later time."""

    rank: tuple[float, bool, float]
    number: int
    text: str


def read_log(
    lines: Iterable[str], name: str, *, object_name: str | None = None, until_s: float = math.inf
) -> DecisionLog:
    """The decisions in a log.

    Args:
        lines: of the log; what stands before a decision in its line, and lines without one, are skipped.
        name: of the log, for messages.
        object_name: 'namespace/name', or the name alone; None takes all objects.
        until_s: take no later decision.

    Raises:
        UsageError: a line that is to be told is a decision and can't be read.
    """
    newest: dict[str, _Line] = {}
    changed: dict[str, _Line] = {}
    names = set()
    decisions = cut = 0
    first_s, last_s = math.inf, -math.inf
    for number, line in enumerate(lines, start=1):
        begin = line.find(OPENING)
        if begin < 0:
            continue
        text = line[begin:].rstrip()
        head = _HEAD.match(text)
        if head is None or not text.endswith(_END):
            cut += 1
            continue
        decisions += 1
        time_s = float(head["time_s"])
        found = _Line((float(head["now_s"]), head["reason"] != _NOT_LEADING, time_s), number, text)
        full_name = f"{head['namespace']}/{head['name']}"
        names.add(full_name)
        first_s, last_s = min(first_s, time_s), max(last_s, time_s)
        if time_s > until_s or object_name not in {None, full_name, head["name"]}:
            continue
        for kept in (newest, changed) if head["current"] not in {head["desired"], "null"} else (newest,):
            # The logs of two replicas, one after the other, aren't in the order of time.
            if full_name not in kept or found.rank >= kept[full_name].rank:
                kept[full_name] = found
    objects = {key: _found(newest[key], changed.get(key), name) for key in sorted(newest)}
    return DecisionLog(objects, decisions, cut, tuple(sorted(names)), first_s, last_s)


def nothing_found(log: DecisionLog, name: str, object_name: str | None) -> UsageError:
    """What to say where no decision was found: what the log does hold."""
    if not log.decisions:
        cut = " whole" if log.cut else ""
        return UsageError(f"{name}: holds no{cut} decision line; give the log of `headstart run`")
    if object_name is not None and object_name not in {full for key in log.names for full in (key, key.split("/")[1])}:
        some = ", ".join(log.names[:5]) + (f" and {len(log.names) - 5} more" if len(log.names) > 5 else "")
        return UsageError(f"--object: {name} has no decision of {object_name!r}; it has {some}")
    return UsageError(
        f"--at: {name} has no such decision until then; its decisions are from {rfc3339(log.first_s)} to"
        f" {rfc3339(log.last_s)}"
    )


def _found(newest: _Line, changed: _Line | None, name: str) -> Found:
    record = _record(newest, name)
    if changed is None:
        return Found(record, None)
    return Found(record, record if changed is newest else _record(changed, name))


def _record(line: _Line, name: str) -> Record:
    return from_line(line.text, where=f"{name}, line {line.number}")
