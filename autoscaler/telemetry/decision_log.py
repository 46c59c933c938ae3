"""Decisions found in a log among other lines: per object the newest, and the newest that changed replicas."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import OPENING, from_line, rfc3339
from autoscaler.telemetry.record import Record, Write
from autoscaler.telemetry.write_line import OPENING as WRITE
from autoscaler.telemetry.write_line import from_write_line

# How a line begins: enough to know whether it is the one that is looked for. Reading a day of a thousand objects whole,
# 1.4 million lines, would take minutes.
_HEAD = re.compile(
    re.escape(OPENING) + r'"version":\d+,"time":"[^"]*","time_s":(?P<time_s>[-+.\de]+),'
    r'"namespace":"(?P<namespace>[^"]*)","name":"(?P<name>[^"]*)","mode":"[^"]*",'
    r'"decision":\{"desired":(?P<desired>\d+),"current":(?P<current>\d+|null),"ready":(?:\d+|null),"lead_bins":\d+,'
    r'"reasons":\[[^]]*\],"now_s":(?P<now_s>[-+.\de]+),[^}]*\},"done":\{"action":"[^"]*","reason":"(?P<reason>[^"]*)",'
)
_WRITE_HEAD = re.compile(
    re.escape(WRITE) + r'"time":"[^"]*","time_s":(?P<time_s>[-+.\de]+),'
    r'"namespace":"(?P<namespace>[^"]*)","name":"(?P<name>[^"]*)","decided_s":(?P<decided_s>[-+.\de]+|null),'
)
# What a replica that doesn't lead gives as its reason to do nothing.
_NOT_LEADING = "NotLeading"
_END = "}}"
# Per object, so that a damaged line gives way to the next best. All lines of a day wouldn't fit into memory.
_CANDIDATES_MAX = 5
# A clock elsewhere may differ by as much.
_AHEAD_S = 60.0
# Logs of several replicas, one after the other, go back by a decision and what their reading took.
_BACK_BINS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """Decisions of one object.

    Attributes:
        newest: its newest one.
        changed: its newest one that changed replicas, which may be the same; None where none did, or it can't be read.
        doubt: why the newest may not be, as where a clock had been ahead; '' where nothing says so.
    """

    newest: Record
    changed: Record | None
    doubt: str = ""

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
        cut: lines of decisions and writes that are not whole; they were skipped.
        names: all objects in it.
        first_s, last_s: times of the first and the last decision; infinite without one.
        left_out: lines that were to be told and can't be read, and why, one text each: another version may have logged
            them, or they are damaged.
    """

    objects: dict[str, Found]
    decisions: int
    cut: int
    names: tuple[str, ...]
    first_s: float
    last_s: float
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a decision stands, and its rank: a later bin, then the replica that leads, then a later time."""

    rank: tuple[float, bool, float]
    number: int
    text: str


class _Reading:
    """What was found so far of what is asked for: the best lines of each object, the best of them last."""

    def __init__(self, object_name: str | None, until_s: float) -> None:
        self._object_name, self._until_s = object_name, until_s
        self.newest: dict[str, list[_Line]] = {}
        self.changed: dict[str, list[_Line]] = {}
        self.last: dict[str, _Line] = {}
        # By object and decision: a retry is rare, so that all are kept until it is known which decisions are told.
        self.writes: dict[tuple[str, float], list[_Line]] = {}
        self.names: set[str] = set()
        self.decisions = self.cut = 0
        self.first_s, self.last_s = math.inf, -math.inf

    def take_decision(self, number: int, text: str) -> None:
        head = _HEAD.match(text)
        if head is None or not text.endswith(_END):
            self.cut += 1
            return
        self.decisions += 1
        time_s = float(head["time_s"])
        found = _Line((float(head["now_s"]), head["reason"] != _NOT_LEADING, time_s), number, text)
        name = _full_name(head)
        self.names.add(name)
        self.first_s, self.last_s = min(self.first_s, time_s), max(self.last_s, time_s)
        if not self._is_asked(head):
            return
        self.last[name] = found
        changes = head["current"] not in {head["desired"], "null"}
        for kept in (self.newest, self.changed) if changes else (self.newest,):
            # The logs of two replicas, one after the other, aren't in the order of time.
            lines = kept.setdefault(name, [])
            bisect.insort(lines, found, key=lambda line: line.rank)
            del lines[:-_CANDIDATES_MAX]

    def take_write(self, number: int, text: str) -> None:
        head = _WRITE_HEAD.match(text)
        if head is None or not text.endswith(_END):
            self.cut += 1
        elif head["decided_s"] != "null" and self._is_asked(head):
            decided_s, time_s = float(head["decided_s"]), float(head["time_s"])
            lines = self.writes.setdefault((_full_name(head), decided_s), [])
            lines.append(_Line((decided_s, True, time_s), number, text))

    def _is_asked(self, head: re.Match[str]) -> bool:
        is_named = self._object_name in {None, _full_name(head), head["name"]}
        return is_named and float(head["time_s"]) <= self._until_s


def _full_name(head: re.Match[str]) -> str:
    return f"{head['namespace']}/{head['name']}"


def read_log(
    lines: Iterable[str],
    name: str,
    *,
    object_name: str | None = None,
    until_s: float = math.inf,
    now_s: float = math.inf,
) -> DecisionLog:
    """The decisions in a log, with what was written of them in later ticks.

    Args:
        lines: of the log; what stands before a decision in its line, and lines without one, are skipped.
        name: of the log, for messages.
        object_name: 'namespace/name', or the name alone; None takes all objects.
        until_s: take no later decision, and nothing that was written later.
        now_s: the present; what was decided later is doubted.

    Raises:
        UsageError: decisions are to be told, and not one object's newest can be read.
    """
    found = _Reading(object_name, until_s)
    for number, line in enumerate(lines, start=1):
        decision, write = line.rfind(OPENING), line.rfind(WRITE)
        if decision < 0 and write < 0:
            continue
        # What begins before the last one in its line was cut, with the end of its line.
        found.cut += line.count(OPENING) + line.count(WRITE) - 1
        if decision > write:
            found.take_decision(number, line[decision:].rstrip())
        else:
            found.take_write(number, line[write:].rstrip())
    telling = _Telling(found, name)
    objects = {}
    for key, lines_of_it in sorted(found.newest.items()):
        newest = telling.best(key, lines_of_it, key)
        if newest is not None:
            changed = telling.best(key, found.changed.get(key, []), f"the last change of {key}")
            doubt = telling.doubt(key, newest, now_s)
            objects[key] = Found(newest.record, changed.record if changed is not None else None, doubt)
    if telling.unread and not objects:
        raise next(iter(telling.unread.values()))
    names = tuple(sorted(found.names))
    left_out = tuple(telling.remarks.values())
    return DecisionLog(objects, found.decisions, found.cut, names, found.first_s, found.last_s, left_out)


@dataclass(frozen=True, slots=True)
class _Told:
    """A decision that was read whole, and its line."""

    number: int
    record: Record


class _Telling:
    """Reads the lines that are told whole, each once, and notes those that can't be."""

    def __init__(self, found: _Reading, name: str) -> None:
        self._found, self._name = found, name
        self._read: dict[int, Record] = {}
        self.unread: dict[int, UsageError] = {}
        self.remarks: dict[int, str] = {}

    def best(self, key: str, lines: list[_Line], what: str) -> _Told | None:
        """The best of the lines that can be read; None where none can, so that `what` is left out."""
        for line in reversed(lines):
            record = self._record(key, line)
            if record is not None:
                return _Told(line.number, record)
            self.remarks.setdefault(line.number, f"{self.unread[line.number]}; the decision before it is taken")
        for line in lines:
            del self.remarks[line.number]
        if lines:
            self.remarks[lines[-1].number] = f"{self.unread[lines[-1].number]}; {what} is left out"
        return None

    def doubt(self, key: str, told: _Told, now_s: float) -> str:
        """Why the newest decision of an object may not be its newest; '' where nothing says so."""
        last, newest = self._found.last[key], told.record
        of_newest = f"{self._name}, line {told.number}: {key} decides at {rfc3339(newest.time_s)}, which is"
        if newest.time_s > now_s + _AHEAD_S:
            return f"{of_newest} later than now: a clock was ahead"
        if newest.time_s - last.rank[2] > _BACK_BINS * newest.spec.bin_s:
            back = f"line {last.number} after it at {rfc3339(last.rank[2])}"
            return f"{of_newest} taken as the newest, and {back}: was a clock set back?"
        return ""

    def _record(self, key: str, line: _Line) -> Record | None:
        if line.number not in self._read and line.number not in self.unread:
            try:
                record = from_line(line.text, where=f"{self._name}, line {line.number}")
                self._read[line.number] = replace(record, later=self._later(key, line.rank[0]))
            except UsageError as error:
                self.unread[line.number] = error
        return self._read.get(line.number)

    def _later(self, key: str, decided_s: float) -> tuple[Write, ...]:
        """What was written of a decision in later ticks."""
        writes = []
        for line in sorted(self._found.writes.get((key, decided_s), ()), key=lambda write: write.rank):
            try:
                writes.append(from_write_line(line.text, where=f"{self._name}, line {line.number}"))
            except UsageError as error:
                self.remarks[line.number] = f"{error}; that write is left out"
        return tuple(writes)


def doubts(log: DecisionLog) -> tuple[str, ...]:
    """Why newest decisions may not be, one text per object of which that is so."""
    return tuple(found.doubt for found in log.objects.values() if found.doubt)


def by_standby(log: DecisionLog) -> tuple[str, ...]:
    """Objects whose newest decision was made by a replica that doesn't lead: the leader's log says what was written."""
    return tuple(name for name, found in log.objects.items() if found.newest.done_at_last.reason == _NOT_LEADING)


def nothing_found(log: DecisionLog, name: str, object_name: str | None) -> UsageError:
    """What to say where no decision was found: what the log does hold."""
    if not log.decisions:
        cut = " whole" if log.cut else ""
        return UsageError(
            f"{name}: holds no{cut} decision line; give the log of `headstart run`, or what it wrote with --record"
        )
    if object_name is not None and object_name not in {full for key in log.names for full in (key, key.split("/")[1])}:
        some = ", ".join(log.names[:5]) + (f" and {len(log.names) - 5} more" if len(log.names) > 5 else "")
        return UsageError(f"--object: {name} has no decision of {object_name!r}; it has {some}")
    return UsageError(
        f"--at: {name} has no such decision until then; its decisions are from {rfc3339(log.first_s)} to"
        f" {rfc3339(log.last_s)}"
    )
