"""Label selectors, as the API writes them: in an object (matchLabels, matchExpressions) and in a line of text.

A scale subresource tells its pods by a line such as 'app=llm,tier in (gpu,cpu),!canary'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_IN, _NOT_IN, _EXISTS, _ABSENT = "In", "NotIn", "Exists", "DoesNotExist"
_KEY = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_VALUE = r"[A-Za-z0-9._-]*"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s+\(([^()]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_PRESENT = re.compile(rf"(!?)\s*({_KEY})")
_COMMAS_OUTSIDE = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label; `operator` is as in matchExpressions."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it. NotIn holds where the label is absent, as in the API."""
        value = labels.get(self.key)
        if self.operator == _IN:
            return value in self.values
        if self.operator == _NOT_IN:
            return value not in self.values
        return (value is not None) == (self.operator == _EXISTS)


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions that must all hold. Without any it would match every pod: `parse_selector` refuses that."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects what has these labels."""
        return all(requirement.holds(labels) for requirement in self.requirements)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Labels that everything selected has: for an index."""
        return tuple(
            (requirement.key, next(iter(requirement.values)))
            for requirement in self.requirements
            if requirement.operator == _IN and len(requirement.values) == 1
        )


def selector_of(given: Mapping[str, Any]) -> Selector:
    """The selector of an object's `spec.selector`. ValueError where it has no condition, or one unknown."""
    requirements = [
        Requirement(key, _IN, frozenset((value,))) for key, value in (given.get("matchLabels") or {}).items()
    ]
    for each in given.get("matchExpressions") or ():
        if each["operator"] not in (_IN, _NOT_IN, _EXISTS, _ABSENT):
            raise ValueError(f"unknown operator {each['operator']!r} of the selector")
        requirements.append(Requirement(each["key"], each["operator"], frozenset(each.get("values") or ())))
    return _selector(requirements)


def parse_selector(text: str) -> Selector:
    """The selector of a line of text. ValueError where it has no condition, or one that can't be read."""
    return _selector([_requirement(part.strip()) for part in _COMMAS_OUTSIDE.split(text) if part.strip()])


def _selector(requirements: list[Requirement]) -> Selector:
    if not requirements:
        raise ValueError("the selector is empty: it would select every pod of the namespace")
    return Selector(tuple(requirements))


def _requirement(text: str) -> Requirement:
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found[3].split(","))
        return Requirement(found[1], _IN if found[2] == "in" else _NOT_IN, values)
    if found := _EQUAL.fullmatch(text):
        return Requirement(found[1], _NOT_IN if found[2] == "!=" else _IN, frozenset((found[3],)))
    if found := _PRESENT.fullmatch(text):
        return Requirement(found[2], _ABSENT if found[1] else _EXISTS)
    raise ValueError(f"can't read {text!r} of the selector")
