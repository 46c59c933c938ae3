"""`headstart validate` for YAML: what each object will do, or what is wrong with it and on which line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoscaler.api.v1alpha1 import PredictiveAutoscaler
    from autoscaler.api.yaml_file import FileObject, FileProblem


def is_yaml(path: Path) -> bool:
    """Whether a path is to be read as objects: a YAML file, or a folder."""
    from autoscaler.api.yaml_file import SUFFIXES

    try:
        return path.suffix in SUFFIXES or path.is_dir()
    except OSError:
        # A folder above may not be looked into, or the name is too long: who reads the file says so.
        return False


def object_facts(path: Path) -> Iterator[dict[str, Any]]:
    """Facts of each object in a YAML file or folder, `text` being the line to print.

    Raises:
        UsageError: the file or folder can't be read, or holds no PredictiveAutoscaler at all.
    """
    from autoscaler.api.yaml_file import SUFFIXES, FileObject, SkippedObject, read_yaml, yaml_files
    from autoscaler.errors import UsageError

    if path.is_dir() and not yaml_files(path):
        raise UsageError(
            f"{path}: holds no {' or '.join(SUFFIXES)} file, and folders in it aren't looked into; give traces one by"
            f" one, as in {path}/*.csv"
        )
    found = read_yaml(path)
    if all(isinstance(each, SkippedObject) for each in found):
        others = f", only {', '.join(each.name for each in found if isinstance(each, SkippedObject))}" if found else ""
        raise UsageError(f"{path}: holds no PredictiveAutoscaler{others}")
    writers: dict[tuple[str, str], FileObject] = {}
    for each in found:
        if isinstance(each, SkippedObject):
            text = f"{each.file}:{each.line}: {each.name}: skipped"
            yield {"file": str(each.file), "line": each.line, "usable": True, "skipped": each.name, "text": text}
        else:
            yield _object(each, writers) if isinstance(each, FileObject) else _bad(each)


def _bad(problem: FileProblem) -> dict[str, Any]:
    where = {"file": str(problem.file), "line": problem.line}
    return where | {"usable": False, "error": str(problem), "text": str(problem)}


def _object(each: FileObject, writers: dict[tuple[str, str], FileObject]) -> dict[str, Any]:
    from autoscaler.api.advice import advice
    from autoscaler.errors import UsageError
    from autoscaler.sources.connection import Connection
    from autoscaler.sources.presets import resolve

    metadata, spec = each.autoscaler.metadata, each.autoscaler.spec
    try:
        queries = resolve(spec)
        # As where they are asked; the address stands for the controller's own server, which isn't known here.
        Connection(url="http://localhost").elsewhere(queries.endpoint, queries.headers)
    except UsageError as error:
        path, _, message = str(error).partition(": ")
        return _bad(each.problem(path, message))
    target = f"{spec.scale_target_ref.kind} {spec.scale_target_ref.name}"
    does = _does(each.autoscaler)
    return {
        "file": str(each.file),
        "line": each.line,
        "usable": True,
        "namespace": metadata.namespace,
        "name": metadata.name,
        "mode": str(spec.mode),
        "target": target,
        "does": does,
        "warnings": [
            *advice(each.autoscaler),
            *queries.warnings,
            *_empty(each, each.document.value["spec"], ("spec",)),
            *_past_events(each, time()),
            *_second_writer(each, target, writers),
        ],
        "text": f"{each.file}:{each.line}: {metadata.namespace}/{metadata.name}: mode {spec.mode}, {target}: {does}",
    }


def _does(autoscaler: PredictiveAutoscaler) -> str:
    from autoscaler.api.scalars import format_duration, format_share
    from autoscaler.api.v1alpha1 import Mode

    spec = autoscaler.spec
    replicas, interval = f"{spec.min_replicas} to {spec.max_replicas} replicas", format_duration(spec.interval)
    acts = {
        Mode.SHADOW: f"decides on {replicas} every {interval} and writes nothing",
        Mode.FLOOR: f"sets the minimum of its ScaledObject or HorizontalPodAutoscaler every {interval}, {replicas}",
        Mode.SCALE: f"sets {replicas} every {interval}",
    }
    share = spec.gpu_budget
    within = f", within GPU budget {share.name}, {share.gpus_per_replica} GPUs each" if share else ""
    nodes = spec.node_head_start
    if nodes is not None:
        ahead = f"{nodes.placeholders.kind} {nodes.placeholders.name}"
        within += f", and keeps nodes warm by up to {nodes.placeholders.max_replicas} placeholders, {ahead}"
    sustains = ", ".join(f"{demand.capacity:g} {demand.unit}/s" for demand in spec.demand)
    return (
        f"{acts[spec.mode]}{within}; {sustains} per replica; at most {format_share(spec.objective.late_budget)} later"
        f" than {format_duration(spec.objective.max_wait)}"
    )


def _empty(each: FileObject, value: object, path: tuple[str | int, ...]) -> Iterator[str]:
    """Fields without a value: what was to stand below may have been forgotten."""
    from autoscaler.api.problems import path_text

    if value is None:
        yield f"{path_text(path)} (line {each.document.line_of(path)}): has no value, and counts as absent"
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, child in children:
        yield from _empty(each, child, (*path, part))


def _past_events(each: FileObject, now_s: float) -> Iterator[str]:
    """Events that came once, and are over."""
    from autoscaler.api.scalars import time_text

    for index, event in enumerate(each.autoscaler.spec.schedule):
        if event.at is not None and event.at + event.duration <= now_s:
            line = each.document.line_of(("spec", "schedule", index, "at"))
            ended = f"{event.name} ended at {time_text(event.at + event.duration)}"
            yield f"spec.schedule[{index}].at (line {line}): {ended}; give it a new time or remove it"


def _second_writer(each: FileObject, target: str, writers: dict[tuple[str, str], FileObject]) -> Iterator[str]:
    """A workload has one writer; objects in mode Shadow don't write."""
    from autoscaler.api.v1alpha1 import Mode

    if each.autoscaler.spec.mode is Mode.SHADOW:
        return
    first = writers.setdefault((each.autoscaler.metadata.namespace, target), each)
    if first is not each:
        name = first.autoscaler.metadata.name
        yield f"{name} at {first.file}:{first.line} writes {target} too; put one of the two in mode Shadow"
