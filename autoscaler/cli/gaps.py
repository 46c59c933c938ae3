"""The warning of bins that nobody knows, the same wherever a trace is replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from autoscaler.backtest.setting import Setting
    from autoscaler.traces.trace import Trace
    from forecasting.series import FloatArray

# Less of the scored part hardly moves a share of late work or GPU-hours.
_MISSING_TOLD = 0.1


def warn_of_gaps(setting: Setting, *, place: str = "") -> None:
    """Say on standard error where much of what is scored is not known; the line begins with `place`."""
    scored = setting.observed_replicas[setting.score_from_bin :]
    _warn(scored, setting.trace_name, "they are filled linearly", place=place)


def warn_of_simulated_gaps(trace: Trace) -> None:
    """The same where the live loop runs over a trace: all of it is scored, and nothing arrives where it is missing."""
    import numpy as np

    _warn(np.fmax.reduce(list(trace.demand.values())), trace.name, "nothing arrives in them")


def _warn(scored: FloatArray, name: str, meanwhile: str, *, place: str = "") -> None:
    import numpy as np

    from autoscaler.report.words import share

    missing = float(np.isnan(scored).mean())
    if missing > _MISSING_TOLD:
        said = f"{share(missing)} of the scored bins are missing in {name}; {meanwhile}"
        typer.echo(f"{place}warning: {said}, and what is told of them is a guess", err=True)
