"""What is wrong with an object, in one sentence per field, wherever it came from: a file or the API server."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from autoscaler.api.model import RULE_BROKEN
from autoscaler.errors import shown

Path = tuple[str | int, ...]

# What a field is called elsewhere, where that isn't spelled alike.
_ALSO_CALLED = {"events": "schedule"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of an object.

    Attributes:
        path: names and list positions from the object's top, YAML names.
        message: what was given, what is allowed, what to do.
    """

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.message}" if self.path else self.message


def path_text(path: Path) -> str:
    """'spec.demand[0].capacity'."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def problems_of(error: ValidationError, model: type[BaseModel]) -> tuple[Problem, ...]:
    """All that a manifest of this model did wrong, in the order of the model's fields."""
    found = []
    details = error.errors(include_url=False)
    paths = [tuple(part for part in detail["loc"] if part not in ("", "[key]")) for detail in details]
    unknown = [path for path, detail in zip(paths, details, strict=True) if detail["type"] == "extra_forbidden"]
    meant = {(*path[:-1], _nearest(str(path[-1]), _fields_at(path[:-1], model))) for path in unknown}
    for path, detail in zip(paths, details, strict=True):
        if detail["type"] == "missing" and path in meant:
            continue  # it is there under a name that is asked about
        message = _message(detail["type"], detail["input"], detail.get("ctx", {}), detail["msg"], path, model)
        if message:
            found.append(Problem(path, message))
    return tuple(found)


def _message(kind: str, given: Any, context: dict[str, Any], text: str, path: Path, model: type[BaseModel]) -> str:
    """One sentence; '' where another problem says it already."""
    if kind in (RULE_BROKEN, "value_error"):
        return str(context["text" if kind == RULE_BROKEN else "error"])
    if kind == "extra_forbidden":
        return _unknown(str(path[-1]), path[:-1], model)
    if kind == "missing":
        return "is missing; it must be given"
    if kind == "too_short" and len(given) >= context["min_length"]:
        return ""  # it was long enough, and its entries have problems of their own
    allowed = _allowed(kind, context)
    near = _question(str(given), re.findall(r"'(\w+)'", context["expected"])) if "expected" in context else ""
    return f"must be {allowed}, got {shown(given)}{near}" if allowed else text


def _allowed(kind: str, context: dict[str, Any]) -> str:
    """What pydantic's kind of error allows; '' for a kind that no field of ours gives."""
    if kind in ("enum", "literal_error"):
        return "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
    wanted = {
        "greater_than_equal": "at least {ge:.10g}",
        "greater_than": "above {gt:.10g}",
        "less_than_equal": "at most {le:.10g}",
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_parsing_size": "a whole number of at most 4,300 digits",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "string_type": "text",
        "string_too_short": "at least {min_length} character long",
        "string_too_long": "at most {max_length} characters long",
        "string_pattern_mismatch": "text of the form {pattern}",
        "too_short": "a list of at least {min_length} entry",
        "too_long": "at most {max_length} entries long",
        "tuple_type": "a list",
        "dict_type": "a mapping",
        "model_type": "a mapping",
    }
    return wanted.get(kind, "").format_map(context)


def _unknown(name: str, parent: Path, model: type[BaseModel]) -> str:
    fields = _fields_at(parent, model)
    hint = _question(name, fields) or f"; it has {', '.join(fields)}"
    return f"is no field of {path_text(parent) or 'the object'}{hint}"


def _fields_at(path: Path, model: type[BaseModel]) -> list[str]:
    """YAML names of the fields of the model at a path."""
    for part in path:
        if isinstance(part, str):
            field = next((each for each in model.model_fields.values() if each.alias == part), None)
            below = _model_in(field.annotation) if field else None
            model = below or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model in 'Engine | None' or 'tuple[Demand, ...]'."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in getattr(annotation, "__args__", ()) if (found := _model_in(each))), None)


def _question(given: str, names: list[str]) -> str:
    """A question after the nearest of the names; '' where none is near."""
    near = _nearest(given, names)
    return f"; did you mean {near}?" if near else ""


def _nearest(given: str, names: list[str]) -> str:
    """The nearest of the names; '' where none is near."""
    if _ALSO_CALLED.get(given) in names:
        return _ALSO_CALLED[given]
    near = difflib.get_close_matches(given.lower(), [name.lower() for name in names], n=1)
    return next((name for name in names if near and name.lower() == near[0]), "")
