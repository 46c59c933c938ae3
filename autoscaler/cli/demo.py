"""`headstart demo`."""

from __future__ import annotations

from autoscaler.errors import HeadstartError


def demo() -> None:
    """Not built yet."""
    raise HeadstartError("demo: this version does not have it yet")
