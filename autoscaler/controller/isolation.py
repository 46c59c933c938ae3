"""A defect that one object brings to light stops that object, for that time, and no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from autoscaler.controller.workload import ObjectKey, Workload
from autoscaler.errors import one_line

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def each(step: str, workloads: Iterable[Workload], do: Callable[[Workload], _Result]) -> dict[ObjectKey, _Result]:
    """Do a step of the tick for each; those that it fails for are left out, and their status says so."""
    results = {}
    for workload in workloads:
        try:
            results[workload.key] = do(workload)
        except Exception as problem:
            note_defect(step, workload, problem)
        else:
            workload.defects.pop(step, None)
    return results


def note_defect(step: str, workload: Workload, problem: Exception) -> str:
    """Log it, and remember it until the step succeeds; returns it in one line."""
    workload.defects[step] = log_defect(str(workload.key), step, problem)
    return workload.defects[step]


def log_defect(about: str, step: str, problem: Exception) -> str:
    """Log what came to light in a step, and about what; returns it in one line."""
    said = one_line(f"{type(problem).__name__}: {problem}")
    log.error("%s: a defect of Headstart in the step %s", about, step, exc_info=problem)
    return f"a defect of Headstart in the step {step}: {said}"
