"""The warning of a capacity beside which all demand is next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from autoscaler.backtest.setting import Setting

# What keeps a replica busy for less of even the busiest bin needs none: a mistyped capacity is likelier.
_BUSY_MIN = 0.01


def warn_of_idleness(setting: Setting) -> None:
    """Say on standard error where --capacity is so large that one replica would idle at the trace's peak."""
    peak = float(setting.arrivals_rs.max()) / setting.bin_s
    if 0.0 < peak < _BUSY_MIN:
        typer.echo(
            f"warning: --capacity: the trace's peak would need {peak:.3g} of one replica; if that isn't so, give the "
            "work per second that one replica sustains",
            err=True,
        )
