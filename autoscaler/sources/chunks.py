"""The grid of a range query in whole milliseconds, and its cuts: Prometheus refuses more than 11,000 points at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler.sources.ranges import RangeRequest

POINTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Evaluation times start_ms, start_ms + step_ms, ...: whole milliseconds, as Prometheus rounds to them."""

    start_ms: int
    step_ms: int
    points: int

    @classmethod
    def of(cls, request: RangeRequest) -> Grid:
        """The grid of `request`; ValueError where it holds no time or its step is below a millisecond."""
        step_ms = round(request.step_s * 1000)
        if step_ms < 1 or request.points < 1:
            raise ValueError(f"no grid from {request.start_s} to {request.stop_s} by {request.step_s}")
        return cls(round(request.start_s * 1000), step_ms, request.points)

    @property
    def stop_ms(self) -> int:
        """The last evaluation time."""
        return self.start_ms + (self.points - 1) * self.step_ms

    def chunks(self, points_max: int = POINTS_MAX) -> Iterator[tuple[int, Grid]]:
        """Cuts of at most `points_max` points, in order, each with the index of its first point in this grid."""
        for first in range(0, self.points, points_max):
            points = min(points_max, self.points - first)
            yield first, Grid(self.start_ms + first * self.step_ms, self.step_ms, points)
