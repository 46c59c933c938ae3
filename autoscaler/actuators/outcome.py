"""What became of a wish to write."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What was done."""

    NONE = "None"
    PATCHED = "Patched"
    REFUSED = "Refused"
    WAITING = "Waiting"
    CONFLICT = "Conflict"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was written, or why not.

    Attributes:
        action: what was done.
        reason: stable, in CamelCase, for a condition: 'Unchanged', 'OwnedByScaledObject', 'Paused'.
        message: one line.
        before, after: replicas, or the floor, before and after; None where unknown.
    """

    action: Action
    reason: str
    message: str = ""
    before: int | None = None
    after: int | None = None
