"""A recorded live run made again: the same histories, observations and specs through the same core."""

from __future__ import annotations

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
from autoscaler.telemetry.history_line import from_history_line
from autoscaler.telemetry.record import Record


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


def make_again(lines: Iterable[str], *, name: str) -> Iterator[MadeAgain]:
    """Make each decision of a recording again, in order; `name` is the recording's in messages.

    Raises:
        UsageError: a line is damaged, or decisions come without the history that they stand on.
    """
    states: dict[str, State] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{name}, line {number}"
        text = line.rstrip("\n")
        if text.startswith(HISTORY):
            history = from_history_line(text, where=where)
            key = f"{history.namespace}/{history.name}"
            state = State.start(history.spec)
            if history.demand_rps:
                state = replayed(history.spec, start_s=history.start_s, demand_rps=history.demand_rps)
            state = replace(state, backlog_rs=history.backlog_rs, serving=history.serving, unseen=history.unseen)
            states[key] = state
        elif text.startswith(DECISION):
            record = from_line(text, where=where)
            if record.object_name not in states:
                raise UsageError(f"{where}: no history of {record.object_name} comes before it; record from the start")
            state = states[record.object_name]
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
                states[record.object_name] = state
            again = replace(record, decision=decision, outlook=outlook)
            yield MadeAgain(number, text, to_line(again), record)
