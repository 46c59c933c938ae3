"""The annotation beside a floor: the user's own lower bound, what was written over it, and for whom."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.facts import Owner, OwnerKind

ANNOTATION = "headstart.dev/original-min-replicas"

# What an unset lower bound means: HPA's default, and KEDA's.
UNSET_MIN = {OwnerKind.HPA: 1, OwnerKind.SCALED_OBJECT: 0}

# A note of ours has 370 characters at most, with names as long as they may be. An annotation may have 256 kB, and be
# nested deeper than Python reads.
_LENGTH_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Note:
    """A floor that is in place.

    Attributes:
        original: the user's own lower bound, None where it was unset.
        written: the floor.
        by: the PredictiveAutoscaler whose floor it is, 'namespace/name'.
    """

    original: int | None
    written: int
    by: str

    def dump(self) -> str:
        """The annotation's value."""
        return json.dumps({"min": self.original, "written": self.written, "by": self.by})


def read_note(owner: Owner) -> Note | None:
    """The note on an owner; None where there is none, or one that isn't ours to read.

    With an unreadable note, what stands is taken for the user's own: that keeps at least as many replicas.
    """
    text = owner.annotations.get(ANNOTATION, "")
    if len(text) > _LENGTH_MAX:
        return None
    try:
        fields = json.loads(text)
        original, written, by = fields["min"], fields["written"], fields["by"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not (original is None or (type(original) is int and original >= 0)) or type(written) is not int:
        return None
    return Note(original, written, str(by))


def standing_floors(owners: Iterable[Owner]) -> Iterator[int]:
    """Floors that stand: the owner follows at its next sync, whoever wrote them."""
    for owner in owners:
        note = read_note(owner)
        if note is not None and note.written == owner.replicas_min:
            yield note.written


def holder_of(autoscaler: PredictiveAutoscaler) -> str:
    """How a note names the object."""
    return f"{autoscaler.metadata.namespace}/{autoscaler.metadata.name}"
