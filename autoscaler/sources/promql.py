"""The parts of a PromQL expression that is understood well enough to be asked for several values of a label at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matcher:
    """`label op "text"` as written; `text` with its quotes."""

    label: str
    op: str
    text: str

    @property
    def plain_value(self) -> str | None:
        """The value of an equality whose text needs no escapes; None for all others, and for an empty value."""
        value = self.text[1:-1]
        return value if self.op == "=" and value and "\\" not in value and value.isprintable() else None

    def __str__(self) -> str:
        return f"{self.label}{self.op}{self.text}"


@dataclass(frozen=True, slots=True)
class Selector:
    """`metric{matchers}`; the metric may be empty."""

    metric: str
    matchers: tuple[Matcher, ...]

    def values(self) -> dict[str, str]:
        """Label -> the value that it is fixed to, for labels with one matcher only."""
        labels = [matcher.label for matcher in self.matchers]
        fixed = ((matcher.label, matcher.plain_value) for matcher in self.matchers if matcher.label != "__name__")
        return {label: value for label, value in fixed if value is not None and labels.count(label) == 1}

    def without(self, labels: Collection[str]) -> Selector:
        """The selector without the matchers of `labels`."""
        return Selector(self.metric, tuple(matcher for matcher in self.matchers if matcher.label not in labels))

    def __str__(self) -> str:
        return f"{self.metric}{{{','.join(map(str, self.matchers))}}}"


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`sum`, `max`, ... at the place where ` by (labels)` may follow."""

    name: str


@dataclass(frozen=True, slots=True)
class Expression:
    """A read expression: text, selectors and aggregations in order."""

    parts: tuple[str | Selector | Aggregation, ...]

    @property
    def selectors(self) -> int:
        """How many selectors it has."""
        return sum(isinstance(part, Selector) for part in self.parts)

    def values(self) -> dict[str, str]:
        """Label -> value, for the labels that every selector fixes to the same value."""
        selectors = [part for part in self.parts if isinstance(part, Selector)]
        common = set.intersection(*(set(selector.values().items()) for selector in selectors))
        return dict(sorted(common))

    def without(self, labels: Collection[str]) -> Expression:
        """The expression with `labels` free in every selector: what expressions share that differ by their values."""
        return Expression(tuple(part.without(labels) if isinstance(part, Selector) else part for part in self.parts))

    def by(self, values: Mapping[str, Collection[str]]) -> str:
        """PromQL for all values (label -> values) at once, in an expression without these labels.

        It returns one series for each combination of values that has one.
        """
        matchers = tuple(Matcher(label, "=~", _alternatives(several)) for label, several in values.items())
        labels = ",".join(values)
        text = []
        for part in self.parts:
            if isinstance(part, Selector):
                text.append(str(Selector(part.metric, (*matchers, *part.matchers))))
            else:
                text.append(f"{part.name} by ({labels}) " if isinstance(part, Aggregation) else part)
        return "".join(text)


def escape_re2(value: str) -> str:
    """A pattern of RE2 that matches `value` only."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)


def _alternatives(values: Collection[str]) -> str:
    """A quoted pattern that matches `values` only."""
    pattern = "|".join(map(escape_re2, values)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{pattern}"'
