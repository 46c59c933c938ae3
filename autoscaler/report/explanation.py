"""A logged decision made again, and why it came out so: step by step, in sentences with the numbers that count."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from autoscaler.core.decide import choose
from autoscaler.core.decision import Decision
from autoscaler.core.gpu_budget import cut
from autoscaler.report.decision_steps import ToldSteps
from autoscaler.report.words import count
from autoscaler.telemetry.record import Record
from autoscaler.wording import replicas_text

# The same arithmetic on another processor may differ in the last of 16 digits.
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a decision: its name, and what happened in it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision came out as it did.

    Attributes:
        record: the decision as it was logged.
        steps: in the order in which they were taken.
        differences: where making it again gives something else: field, logged, now. Empty where it is the same.
    """

    record: Record
    steps: tuple[Step, ...]
    differences: tuple[tuple[str, str, str], ...]


def explain(record: Record) -> Explanation:
    """Make the logged decision again from its outlook, and tell its steps."""
    again = choose(record.spec, record.outlook, record.observation)
    if record.decision.cut_from is not None:
        again = cut(again, record.decision.desired)
    told = ToldSteps(record)
    steps = (
        Step("data", told.data()),
        Step("demand", told.demand()),
        Step("load", told.load()),
        Step("supply", told.supply()),
        *((Step(name, text) for name, text in told.forecast().items())),
        *((Step("schedule", told.schedule()),) if record.spec.schedule else ()),
        Step("backlog", told.backlog()),
        Step("need", told.need()),
        Step("choice", told.choice()),
        Step("bounds", told.bounds()),
        Step("written", told.written()),
        *((Step("nodes", told.nodes()),) if record.placeholders is not None else ()),
    )
    return Explanation(record, steps, _differences(record.decision, again))


def change(record: Record) -> str:
    """'5 -> 7 replicas', '1 replica stays', 'unknown -> 7 replicas'."""
    decision = record.decision
    if record.assumed:
        return f"unknown -> {replicas_text(decision.desired)}"
    if decision.desired == decision.current:
        return f"{replicas_text(decision.current)} stay{'s' if decision.current == 1 else ''}"
    return f"{count(decision.current)} -> {replicas_text(decision.desired)}"


def _differences(logged: Decision, again: Decision) -> tuple[tuple[str, str, str], ...]:
    found = []
    for field in fields(Decision):
        old, new = getattr(logged, field.name), getattr(again, field.name)
        if isinstance(old, float):
            same = math.isclose(old, new, rel_tol=_SAME) or (math.isnan(old) and math.isnan(new))
        else:
            same = old == new
        if not same:
            found.append((field.name, _plain(old), _plain(new)))
    return tuple(found)


def _plain(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
