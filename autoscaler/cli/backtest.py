"""`headstart backtest`."""

from __future__ import annotations

from autoscaler.errors import HeadstartError


def backtest() -> None:
    """Not built yet."""
    raise HeadstartError("backtest: this version does not have it yet")
