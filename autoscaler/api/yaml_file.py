"""PredictiveAutoscalers from YAML files, with the file and line of whatever is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoscaler.api import yaml_nodes
from autoscaler.api.problems import Problem, problems_of
from autoscaler.api.v1alpha1 import API_VERSION, GROUP, KIND, PredictiveAutoscaler
from autoscaler.api.yaml_nodes import Document, Mistake
from autoscaler.errors import UsageError
from autoscaler.read_limited import read_limited

SUFFIXES = (".yaml", ".yml")
FILE_MIB_MAX = 8
FILES_MAX = 10_000
# By a key of theirs, the files of ours that are no objects.
_OTHER_FILES = {
    "gpus": "; a group of models is for backtest-group",
    "schedule": "; a schedule of its own is for backtest --schedule",
}


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong, and where: 'chat.yaml:14: spec.minReplicas: must be at most ...'."""

    file: Path
    line: int
    problem: Problem

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}"


@dataclass(frozen=True, slots=True)
class FileObject:
    """An object that reads well, and where it starts."""

    file: Path
    line: int
    autoscaler: PredictiveAutoscaler
    document: Document = field(repr=False, compare=False)

    def problem(self, path_text: str, message: str) -> FileProblem:
        """What another check finds wrong with it, at a field named as in 'spec.demand[0].unit'."""
        parts = re.findall(r"\w+", path_text)
        path = tuple(int(part) if part.isdigit() else part for part in parts)
        return FileProblem(self.file, self.document.line_of(path), Problem(path, message))


@dataclass(frozen=True, slots=True)
class SkippedObject:
    """An object of another kind, such as 'Deployment chat', and where it starts."""

    file: Path
    line: int
    name: str


Found = FileObject | SkippedObject | FileProblem


def read_yaml(path: Path) -> tuple[Found, ...]:
    """All that a YAML file, or a folder's *.yaml and *.yml files, hold, in order.

    Raises:
        UsageError: the file or folder itself can't be read.
    """
    found: list[Found] = []
    seen: dict[tuple[str, str], FileObject] = {}
    for file in yaml_files(path):
        for each in _read_file(file):
            found.append(_first_of_its_name(each, seen) if isinstance(each, FileObject) else each)
    return tuple(found)


def load_autoscalers(path: Path) -> tuple[PredictiveAutoscaler, ...]:
    """The objects of a YAML file or of a folder of them.

    Raises:
        UsageError: anything in them is wrong; one line with the first problem and the number of the others.
    """
    found = read_yaml(path)
    problems = [each for each in found if isinstance(each, FileProblem)]
    if problems:
        more = f" (and {len(problems) - 1} more; see headstart validate {path})" if len(problems) > 1 else ""
        raise UsageError(f"{problems[0]}{more}")
    return tuple(each.autoscaler for each in found if isinstance(each, FileObject))


def only_document(path: Path, what: str, *, mib: int) -> Document:
    """The document of a file that holds one: `what`, such as 'a schedule'.

    Raises:
        UsageError: the file can't be read, is larger than `mib`, is no YAML, or holds another number of documents.
    """
    documents = list(yaml_nodes.read_documents(read_limited(path, mib=mib, beyond=f"; it holds {what}")))
    for document in documents:
        for mistake in [document] if isinstance(document, Mistake) else document.mistakes:
            raise UsageError(str(FileProblem(path, mistake.line, Problem((), mistake.message))))
    if len(documents) != 1:
        raise UsageError(f"{path}: holds {len(documents)} YAML documents; it must hold one, {what}")
    assert isinstance(documents[0], Document), "a mistake was just raised"
    return documents[0]


def yaml_files(path: Path) -> tuple[Path, ...]:
    """The file itself, or the YAML files directly in a folder, sorted; those that begin with a dot are left out.

    Raises:
        UsageError: it doesn't exist or can't be listed, or the folder has too many.
    """
    try:
        if not path.is_dir():
            return (path,)
        files = [each for each in path.iterdir() if each.suffix in SUFFIXES and not each.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(files) > FILES_MAX:
        raise UsageError(f"{path}: holds {len(files):,} YAML files; {FILES_MAX:,} are read at most")
    return tuple(sorted(files))


def _first_of_its_name(each: FileObject, seen: dict[tuple[str, str], FileObject]) -> Found:
    metadata = each.autoscaler.metadata
    first = seen.setdefault((metadata.namespace, metadata.name), each)
    if first is each:
        return each
    name = f"{metadata.namespace}/{metadata.name}"
    message = f"{name} is at {first.file}:{first.line} already; rename or remove one of them"
    return FileProblem(each.file, each.line, Problem(("metadata", "name"), message))


def _read_file(file: Path) -> Iterator[Found]:
    content = read_limited(file, mib=FILE_MIB_MAX, beyond="; split it")
    for document in yaml_nodes.read_documents(content):
        if isinstance(document, Mistake):
            yield FileProblem(file, document.line, Problem((), document.message))
        else:
            found = tuple(each for part in yaml_nodes.objects_of(document) for each in _object_of(file, part))
            problems = [FileProblem(file, each.line, Problem((), each.message)) for each in document.mistakes]
            problems += [each for each in found if isinstance(each, FileProblem)]
            yield from sorted(problems, key=lambda each: each.line)
            yield from (each for each in found if not (document.mistakes or isinstance(each, FileProblem)))


def _object_of(file: Path, document: Document) -> Iterator[Found]:
    manifest = document.value
    problem = _not_ours(manifest)
    if isinstance(problem, str):
        yield SkippedObject(file, document.line, problem)
    elif problem is not None:
        yield FileProblem(file, document.line_of(problem.path), problem)
    else:
        read = _read_object(manifest)
        if isinstance(read, PredictiveAutoscaler):
            yield FileObject(file, document.line, read, document)
        else:
            yield from (FileProblem(file, document.line_of(each.path), each) for each in read)


def _read_object(manifest: dict[str, Any]) -> PredictiveAutoscaler | tuple[Problem, ...]:
    try:
        return PredictiveAutoscaler.from_manifest(_without_empty(manifest))
    except ValidationError as error:
        return problems_of(error, PredictiveAutoscaler)


def _without_empty(value: Any) -> Any:
    """Without fields that have no value, which the API server takes for absent."""
    if isinstance(value, dict):
        return {name: _without_empty(child) for name, child in value.items() if child is not None}
    return [_without_empty(child) for child in value] if isinstance(value, list) else value


def _not_ours(manifest: object) -> Problem | str | None:
    """None for a PredictiveAutoscaler of our version; what to call an object of another kind; or what is wrong."""
    if not isinstance(manifest, dict) or not {"apiVersion", "kind"} <= manifest.keys():
        named = manifest if isinstance(manifest, dict) else ()
        uses = (each for key, each in _OTHER_FILES.items() if key in named)
        return Problem(
            (), f"is no Kubernetes object; it needs apiVersion: {API_VERSION} and kind: {KIND}{next(uses, '')}"
        )
    group = str(manifest["apiVersion"]).partition("/")[0]
    kind = str(manifest["kind"])
    if kind == KIND and manifest["apiVersion"] != API_VERSION:
        return Problem(("apiVersion",), f"must be {API_VERSION}, got {manifest['apiVersion']!r}")
    if kind == KIND:
        return None
    if group == GROUP or difflib.get_close_matches(kind.lower(), [KIND.lower()], cutoff=0.9):
        return Problem(("kind",), f"must be {KIND}, got {kind!r}")
    metadata = manifest.get("metadata")
    return f"{kind} {metadata.get('name', '') if isinstance(metadata, dict) else ''}".strip()
