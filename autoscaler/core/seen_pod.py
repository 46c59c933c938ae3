"""What the core asks of a pod to learn from it."""

from __future__ import annotations

from typing import Protocol


class SeenPod(Protocol):
    """What is asked of a pod. Times are seconds since the epoch; None where it hasn't happened."""

    @property
    def uid(self) -> str:
        """Identity: another pod of the same name is another pod."""

    @property
    def created_s(self) -> float:
        """When it was created."""

    @property
    def scheduled_s(self) -> float | None:
        """When it was given a node."""

    @property
    def unschedulable(self) -> bool:
        """Whether the scheduler finds no node with room for it now."""

    @property
    def started_s(self) -> float | None:
        """When its first container started."""

    @property
    def ready(self) -> bool:
        """Whether it is Ready now."""

    @property
    def ready_s(self) -> float | None:
        """When it last became Ready."""

    @property
    def restarts(self) -> int:
        """Of all its containers."""

    @property
    def deleting(self) -> bool:
        """Whether it is being deleted."""

    @property
    def failed(self) -> bool:
        """Whether it is over."""

    @property
    def lapsed(self) -> bool:
        """Whether it is unready now and was Ready before."""
