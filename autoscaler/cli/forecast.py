"""`headstart forecast`."""

from __future__ import annotations

from autoscaler.errors import HeadstartError


def forecast() -> None:
    """Not built yet."""
    raise HeadstartError("forecast: this version does not have it yet")
