"""A small part of PromQL, read strictly: what it doesn't know for certain, it doesn't read at all.

It reads an aggregation without `by` or `without` over selectors that functions and operators combine series by series,
and arithmetic between such aggregations: `clamp_min(sum(rate(a{pod="x"}[1m])) + sum(deriv(b{pod="x"}[1m])), 0)`. In
such an expression no series ever meets one with another value of a label that all selectors fix by `=`: neither in a
function, nor by matching on all labels, nor in an aggregation once it goes `by` that label. So the value for `pod="x"`
is that of the series `{pod="x"}` of the same expression over `pod=~"x|y|z"`, aggregated by pod. The same holds for the
values of two labels together.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from autoscaler.sources.promql import Aggregation, Expression, Matcher, Selector

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<range>\[[\dmshdwy:.]+\])
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w:.]))
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<op>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},])
    )""",
    re.VERBOSE,
)
_AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count", "stddev", "stdvar", "group"})
# Functions that keep all labels but the name, and look at one series at a time.
_OVER_RANGE = frozenset(
    {
        "avg_over_time",
        "changes",
        "count_over_time",
        "delta",
        "deriv",
        "idelta",
        "increase",
        "irate",
        "last_over_time",
        "max_over_time",
        "min_over_time",
        "present_over_time",
        "rate",
        "resets",
        "stddev_over_time",
        "stdvar_over_time",
        "sum_over_time",
    }
)
_OF_INSTANT = frozenset({"abs", "ceil", "floor", "sqrt", "exp", "ln"})
_CLAMPS = frozenset({"clamp_min", "clamp_max"})
_OPERATORS = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"})
_DEPTH_MAX = 20


class _UnreadError(Exception):
    """The expression holds what is not read."""


def read_expression(query: str) -> Expression | None:
    """The expression in `query`; None where it is not of the part of PromQL that is read."""
    try:
        reader = _Reader(_tokens(query))
        reader.aggregated(0)
        reader.expect_end()
    except _UnreadError:
        return None
    expression = Expression(tuple(reader.parts))
    return expression if any(isinstance(part, Selector) for part in expression.parts) else None


def read_matchers(text: str) -> tuple[Matcher, ...] | None:
    """Matchers as between the braces of a selector, such as `model_name="m",namespace="n"`; None where they aren't."""
    try:
        reader = _Reader([("op", "{"), *_tokens(text), ("op", "}")])
        matchers = reader.matchers()
        reader.expect_end()
    except _UnreadError:
        return None
    return matchers


def _tokens(query: str) -> list[tuple[str, str]]:
    tokens = []
    at = 0
    query = query.strip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            raise _UnreadError
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Reader:
    """Recursive descent; `parts` grows as tokens are read. Raises _UnreadError at the first thing that is not known."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.parts: list[str | Selector | Aggregation] = []

    def expect_end(self) -> None:
        if self._at != len(self._tokens):
            raise _UnreadError

    def aggregated(self, depth: int) -> None:
        """Aggregations, combined by operators with each other and with numbers."""
        self._chain(self._aggregated_term, depth)

    def matchers(self) -> tuple[Matcher, ...]:
        """`{...}`; a comma may follow the last."""
        self._take("{", shown=False)
        found = []
        while self._peek() != "}":
            label, op, text = self._next("name"), self._next("op"), self._next("string")
            if op not in {"=", "!=", "=~", "!~"} or ":" in label:
                raise _UnreadError
            found.append(Matcher(label, op, text))
            if self._peek() != "}":
                self._take(",", shown=False)
        self._take("}", shown=False)
        return tuple(found)

    def _aggregated_term(self, depth: int) -> bool:
        """Read one term. False for a number, which is no series."""
        if self._kind() == "number":
            self.parts.append(self._next("number"))
            return False
        if self._peek() == "(":
            self._in_parentheses(self.aggregated, depth)
            return True
        name = self._next("name")
        if name in _CLAMPS:
            self.parts.append(name)
            self._in_parentheses(self.aggregated, depth, number_follows=True)
        elif name in _AGGREGATIONS and self._peek() == "(":
            self.parts.append(Aggregation(name))
            self._in_parentheses(self._instant, depth)
        else:
            raise _UnreadError
        return True

    def _instant(self, depth: int) -> None:
        """Series with all their labels, one value per time."""
        self._chain(self._instant_term, depth)

    def _instant_term(self, depth: int) -> bool:
        if self._kind() == "number":
            self.parts.append(self._next("number"))
            return False
        if self._series(depth) == "range":
            raise _UnreadError
        return True

    def _series(self, depth: int) -> str:
        """One operand: 'instant', or 'range' where it ends in [1m] or [5m:15s]."""
        bare = False
        if self._peek() == "(":
            self._in_parentheses(self._instant, depth)
        elif self._peek() == "{":
            self.parts.append(Selector("", self.matchers()))
            bare = True
        else:
            name = self._next("name")
            if self._peek() == "(":
                self._call(name, depth)
            else:
                self.parts.append(Selector(name, self.matchers()))
                bare = True
        if self._kind() != "range":
            return "instant"
        window = self._next("range")
        # Only a selector has samples of its own; all else needs a subquery's resolution.
        if not bare and ":" not in window:
            raise _UnreadError
        self.parts.append(window)
        return "range"

    def _call(self, name: str, depth: int) -> None:
        self.parts.append(name)
        if name in _OVER_RANGE:
            self._in_parentheses(self._range, depth)
        elif name in _OF_INSTANT:
            self._in_parentheses(self._instant, depth)
        elif name in _CLAMPS:
            self._in_parentheses(self._instant, depth, number_follows=True)
        else:
            raise _UnreadError

    def _range(self, depth: int) -> None:
        if self._series(depth) != "range":
            raise _UnreadError

    def _chain(self, term: Callable[[int], bool], depth: int) -> None:
        any_series = term(depth)
        while self._peek() in _OPERATORS:
            self.parts.append(f" {self._take_any()} ")
            any_series |= term(depth)
        if not any_series:
            raise _UnreadError

    def _in_parentheses(self, inside: Callable[[int], None], depth: int, *, number_follows: bool = False) -> None:
        if depth > _DEPTH_MAX:
            raise _UnreadError
        self._take("(")
        inside(depth + 1)
        if number_follows:
            self._take(",")
            self.parts.append(self._next("number"))
        self._take(")")

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _peek(self) -> str:
        """The text of the next token, where it isn't a string, which might look like anything."""
        return self._tokens[self._at][1] if self._kind() not in {"", "string"} else ""

    def _take_any(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _next(self, kind: str) -> str:
        if self._kind() != kind:
            raise _UnreadError
        return self._take_any()

    def _take(self, text: str, *, shown: bool = True) -> None:
        if self._peek() != text:
            raise _UnreadError
        self._take_any()
        if shown:
            self.parts.append(text)
