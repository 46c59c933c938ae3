"""Fields of a JSON object read strictly: a wrong type is the user's mistake, named with the field's path."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from autoscaler.errors import UsageError

_INFINITIES = {"+Inf": math.inf, "-Inf": -math.inf}
_INTEGER_MAX = 2**53


def number_content(value: float) -> float | str | None:
    """A float as JSON: the same float, null for NaN, '+Inf' or '-Inf' for infinities."""
    number = float(value)
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else "+Inf" if number > 0 else "-Inf"


def flag_content(name: str, value: bool) -> dict[str, Any]:
    """What is true as a field, and no field for what isn't."""
    return {name: True} if value else {}


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object.

    Attributes:
        content: its fields.
        where: what it is part of, the beginning of each message: 'log.jsonl, line 3'.
        path: its own name there, '' for the whole.
    """

    content: dict[str, Any]
    where: str
    path: str = ""

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """The object that `text` holds. UsageError where it is no JSON object."""
        try:
            content = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: is not whole JSON ({error}): the line is cut or damaged") from error
        if not isinstance(content, dict):
            raise UsageError(f"{where}: must be a JSON object, not {type(content).__name__}")
        return cls(content, where)

    def fields(self, name: str) -> Self:
        """An object within."""
        value = self._get(name)
        if not isinstance(value, dict):
            self.refuse(name, f"must be an object, not {value!r:.40}")
        return type(self)(value, self.where, self._path(name))

    def text(self, name: str) -> str:
        """A text."""
        value = self._get(name)
        if not isinstance(value, str):
            self.refuse(name, f"must be a text, not {value!r:.40}")
        return value

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            self.refuse(name, f"must be true or false, not {value!r:.40}")
        return value

    def flag(self, name: str) -> bool:
        """What `flag_content` wrote: false where there is no field."""
        return name in self.content and self.boolean(name)

    def integer(self, name: str) -> int:
        """A whole number that a float can hold."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _INTEGER_MAX:
            self.refuse(name, f"must be a whole number, not {value!r:.40}")
        return value

    def integer_or_none(self, name: str) -> int | None:
        """A whole number, None for null."""
        return None if self._get(name) is None else self.integer(name)

    def number(self, name: str) -> float:
        """A number as `number_content` wrote it; NaN for null."""
        return self._to_number(name, self._get(name))

    def numbers(self, name: str) -> list[float]:
        """A list of such numbers."""
        return [self._to_number(name, value) for value in self.items(name)]

    def items(self, name: str) -> list[Any]:
        """A list of anything."""
        value = self._get(name)
        if not isinstance(value, list):
            self.refuse(name, f"must be a list, not {value!r:.40}")
        return value

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Raise UsageError about one field: 'log.jsonl, line 3: outlook.order must be a whole number, not 'x''."""
        raise UsageError(f"{self.where}: {self._path(name)} {problem}")

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _get(self, name: str) -> Any:
        if name not in self.content:
            self.refuse(name, "is missing")
        return self.content[name]

    def _to_number(self, name: str, value: Any) -> float:
        if value is None:
            return math.nan
        if isinstance(value, str) and value in _INFINITIES:
            return _INFINITIES[value]
        # 1e400 reads as infinite, and a whole number of 400 digits is no float at all.
        if isinstance(value, bool | str | list | dict) or abs(value) > sys.float_info.max:
            self.refuse(name, f"must be a number, null or '+Inf', not {value!r:.40}")
        return float(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
