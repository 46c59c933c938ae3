"""Where labels go beside their points, without lying over each other: the picture's chart of cost against lateness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_ASIDE = 9.0  # from a point to the text beside it
_STEP = 11.0  # from one line of text to the next
_STEPS = 9
_BELOW, _ABOVE = 2.0, 9.0  # of the baseline
_MARK = 5.0
_LEADER_FROM = 15.0  # a label farther away has a line to its point


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in typographic points."""

    left: float
    right: float
    bottom: float
    top: float

    def holds(self, other: Box) -> bool:
        """Whether `other` is inside."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.bottom <= other.bottom and other.top <= self.top

    def common(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The place in here that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label goes.

    Attributes:
        x, y: the start of its baseline.
        box: what it covers.
        leader: the other end of a line from its point; None where it is beside it.
    """

    x: float
    y: float
    box: Box
    leader: tuple[float, float] | None


def label_places(points: Sequence[tuple[float, float]], widths: Sequence[float], inside: Box) -> list[Place]:
    """A place for each label: the nearest that is free and `inside`, or the one that hides least where none is free.

    Args:
        points: of the marks, in typographic points; several may be the same.
        widths: of the labels.
        inside: what the labels may cover.
    """
    taken = [Box(x - _MARK, x + _MARK, y - _MARK, y + _MARK) for x, y in points]
    found: list[Place] = []
    for (x, y), width in zip(points, widths, strict=True):
        best, least = _place(x, y, width, _ASIDE, 0.0), math.inf
        for dx, dy in _offsets(width):
            place = _place(x, y, width, dx, dy)
            if not inside.holds(place.box):
                continue
            hidden = sum(place.box.common(other) for other in taken)
            if hidden < least:
                best, least = place, hidden
            if hidden == 0:
                break
        taken.append(best.box)
        found.append(best)
    return found


def _offsets(width: float) -> list[tuple[float, float]]:
    """Offsets of a label's start and middle from its point, the nearest first."""
    rows = [0.0, *(sign * step * _STEP for step in range(1, _STEPS + 1) for sign in (1, -1))]
    starts = [start for out in (_ASIDE, 27.0, 54.0, 81.0) for start in (out, -out - width)]
    over = (-width / 2, -width / 4, -3 * width / 4)
    spots = [(dx, dy) for dy in rows for dx in (*starts, *(over if dy else ()))]
    return sorted(spots, key=lambda at: math.hypot(max(0.0, at[0], -at[0] - width), at[1]))


def _place(x: float, y: float, width: float, dx: float, dy: float) -> Place:
    left, baseline = x + dx, y + dy - 3.0
    box = Box(left - 1.0, left + width + 1.0, baseline - _BELOW, baseline + _ABOVE)
    end = box.nearest(x, y)
    return Place(left, baseline, box, end if math.dist(end, (x, y)) > _LEADER_FROM else None)
