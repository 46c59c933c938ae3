"""The reference page of the user's object in Markdown, made from the schema that the API server gets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.api.schema import custom_resource_definition
from autoscaler.api.v1alpha1 import API_VERSION, KIND

_INTRODUCTION = f"""\
# {KIND}

The fields of `{API_VERSION}`, made by `headstart crd --reference` from the model that checks them.
`kubectl explain pa.spec` says the same, `headstart validate FILE` checks a file, and `examples/minimal.yaml` is the
smallest useful object.

A duration is text such as `90s`, `1h30m` or `336h`; there are no days. A share is text, `1%` or `'0.01'`. A multiple is
text, `3x` or `1.5x`. A time is text in RFC 3339, `2026-11-27T09:00:00+01:00`.
"""


@dataclass(frozen=True, slots=True)
class _Field:
    path: str
    schema: Mapping[str, Any]
    required: bool


def reference_page() -> str:
    """The page, ending with a newline."""
    (version,) = custom_resource_definition()["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    parts = [_INTRODUCTION]
    stated = [
        f"| `{field.path}` | {_type(field.schema)} | {_default(field)} | {_meaning(field)} |"
        for field in _fields(properties["spec"], "spec")
    ]
    reported = [
        f"| `{field.path}` | {_type(field.schema)} | {_meaning(field)} |"
        for field in _fields(properties["status"], "status")
    ]
    parts.append(_table("spec: what you state", ("Field", "Type", "Default", "Meaning"), stated))
    parts.append(_table("status: what Headstart reports", ("Field", "Type", "Meaning"), reported))
    rules = [f"- `{path}`: {message}" for path, message in _rules(properties["spec"], "spec")]
    parts.append("\n".join(["## Rules of spec\n", "Checked by `headstart validate` and by the API server.\n", *rules]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[_Field]:
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}" + ("[]" if child["type"] == "array" else "")
        yield _Field(below, child, name in schema.get("required", ()))
        yield from _fields(child, below)
        yield from _fields(child.get("items", {}), below)


def _table(title: str, columns: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([f"## {title}\n", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows])


def _default(field: _Field) -> str:
    """Its default, or that there is none; a mapping's is that of its fields."""
    given = field.schema.get("default")
    if field.required or given is None or isinstance(given, dict):
        return "required" if field.required else ""
    return f"`{given if isinstance(given, str) and given else json.dumps(given)}`"


def _meaning(field: _Field) -> str:
    return str(field.schema["description"]).replace("|", "\\|")


def _type(schema: Mapping[str, Any]) -> str:
    """The type and its bounds: 'integer, 0 to 100000'."""
    if "enum" in schema:
        return ", ".join(f"`{name}`" for name in schema["enum"])
    if schema["type"] == "array":
        entries = schema["items"]["type"]
        fewest = f"{schema['minItems']} to" if "minItems" in schema else "up to"
        bounds = f", {fewest} {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {entries}{bounds}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"mapping of text to text, up to {schema['maxProperties']}"
    name = {"string": "text", "object": "mapping"}.get(schema["type"], schema["type"])
    if "(ms|s|m|h)" in schema.get("pattern", ""):
        name = "duration"
    elif "%" in schema.get("pattern", ""):
        name = "share"
    elif schema.get("pattern", "").endswith("x$"):
        name = "multiple"
    elif schema.get("format") == "date-time":
        name = "time"
    if schema.get("exclusiveMinimum"):
        return f"{name}, above {schema['minimum']}"
    return f"{name}, {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else name


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path + rule.get("fieldPath", ""), rule["message"]
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")
