"""A recorded live run made again: the same histories, observations and specs through the same core."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from autoscaler.core.decide import decide, decide_early, outlook_of
from autoscaler.core.gpu_budget import cut, state_after
from autoscaler.core.history import replayed
from autoscaler.core.state import State
from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import OPENING as DECISION
from autoscaler.telemetry.decision_line import from_line, to_line
from autoscaler.telemetry.history_line import OPENING as HISTORY
from autoscaler.telemetry.history_line import HistoryRecord, from_history_line
from autoscaler.telemetry.record import Record

# A line may hold the rest of one that was cut, and then the next.
_LINES = re.compile(rf"(?={re.escape(HISTORY)}|{re.escape(DECISION)})")
_OBJECT = re.compile(r'"namespace":"([^"]*)","name":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class MadeAgain:
    """One decision of a recording, made again.

    Attributes:
        number: of its line, from 1.
        logged: the line as it was recorded.
        again: the line that the decision made again gives; equal to `logged`, byte for byte, unless something differs.
        record: the decision as logged.
    """

    number: int
    logged: str
    again: str
    record: Record

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.logged == self.again


@dataclass(frozen=True, slots=True)
class Skipped:
    """What can't be made again, and fails nothing.

    Attributes:
        number: of its line, from 1.
        cut: whether the line is cut, as a copy of a live recording or a kill leaves it; else it stands on one that is.
    """

    number: int
    cut: bool


def make_again(lines: Iterable[str], *, name: str) -> Iterator[MadeAgain | Skipped]:
    """Make each decision of a recording again, in order; `name` is the recording's in messages.

    After a line that is cut, decisions of its object are skipped until its next history: they stand on what was cut.

    Raises:
        UsageError: a whole line is damaged, or decisions come without the history that they stand on.
    """
    states = _States()
    for number, line in enumerate(lines, start=1):
        where = f"{name}, line {number}"
        for text in _LINES.split(line.rstrip("\n")):
            try:
                if text.startswith(HISTORY):
                    states.begin(from_history_line(text, where=where))
                elif text.startswith(DECISION):
                    yield states.make_again(number, text, where)
            except UsageError:
                if _is_whole(text):
                    raise
                states.lose(text)
                yield Skipped(number, cut=True)


def _is_whole(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class _States:
    """What the next decision of each object stands on."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._lost: set[str] = set()
        # A line may be cut before it names its object: it may be any one's.
        self._all_lost = False

    def begin(self, history: HistoryRecord) -> None:
        state = State.start(history.spec)
        if history.demand_rps:
            state = replayed(history.spec, start_s=history.start_s, demand_rps=history.demand_rps)
        state = replace(state, backlog_rs=history.backlog_rs, serving=history.serving, unseen=history.unseen)
        self._states[f"{history.namespace}/{history.name}"] = state

    def lose(self, cut_line: str) -> None:
        """What a line that is cut would have changed isn't known."""
        named = _OBJECT.search(cut_line)
        if named is None:
            self._all_lost = True
            self._states.clear()
        else:
            key = f"{named[1]}/{named[2]}"
            self._lost.add(key)
            self._states.pop(key, None)

    def make_again(self, number: int, text: str, where: str) -> MadeAgain | Skipped:
        record = from_line(text, where=where)
        key = record.object_name
        if key not in self._states:
            if self._all_lost or key in self._lost:
                return Skipped(number, cut=False)
            raise UsageError(f"{where}: no history of {key} comes before it; record from the start")
        state = self._states[key]
        if record.outlook.early:
            decision, outlook = decide_early(record.spec, state, record.observation)
            if record.decision.cut_from is not None:
                decision = cut(decision, record.decision.desired)
        else:
            decision, state = decide(record.spec, state, record.observation)
            outlook = outlook_of(record.spec, state)
            if record.decision.cut_from is not None:
                # What the budget gave depends on other objects: it is taken from the line.
                decision = cut(decision, record.decision.desired)
                state = state_after(state, decision)
            self._states[key] = state
        again = replace(record, decision=decision, outlook=outlook)
        return MadeAgain(number, text, to_line(again), record)
