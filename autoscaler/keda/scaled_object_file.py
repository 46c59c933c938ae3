"""ScaledObjects of a YAML file, with file and line of whatever is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from autoscaler.api import yaml_nodes
from autoscaler.api.yaml_file import FILE_MIB_MAX
from autoscaler.errors import UsageError
from autoscaler.keda.scaled_object import TYPES, Place, ScaledObject, path_text, scaled_object_of
from autoscaler.read_limited import named_input, read_limited


def read_scaled_objects(path: Path, namespace: str | None = None) -> tuple[ScaledObject, ...]:
    """The ScaledObjects with external triggers of a YAML file; other objects are passed over.

    Args:
        path: the file; '-' is standard input.
        namespace: of those that name none.

    Raises:
        UsageError: it can't be read, something in one is wrong, or there are none.
    """
    path = named_input(path)
    content = read_limited(path, mib=FILE_MIB_MAX, beyond="; split it")
    found = [each for each in _of_content(path, content, namespace) if each.triggers]
    if not found:
        raise UsageError(f"{path}: holds no ScaledObject with a trigger of type {' or '.join(TYPES)}")
    return tuple(found)


def _of_content(path: Path, content: bytes, namespace: str | None) -> Iterator[ScaledObject]:
    for document in yaml_nodes.read_documents(content):
        if isinstance(document, yaml_nodes.Mistake):
            raise UsageError(f"{path}:{document.line}: {document.message}")
        for each in yaml_nodes.objects_of(document):
            if not isinstance(each.value, dict) or each.value.get("kind") != "ScaledObject":
                continue
            for mistake in each.mistakes:
                raise UsageError(f"{path}:{mistake.line}: {mistake.message}")
            yield scaled_object_of(each.value, _places(path, each), namespace)


def _places(path: Path, document: yaml_nodes.Document) -> Place:
    return lambda below: f"{path}:{document.line_of(below)}: {path_text(below)}"
