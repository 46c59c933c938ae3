"""Columns that can be read, but hardly hold what is needed: work per bin."""

from __future__ import annotations

import numpy as np

from autoscaler.traces.columns import NS_PER_S, time_text
from autoscaler.traces.trace import BIN_SECONDS, Trace
from forecasting.series import FloatArray

# Independent counts rise in all of 12 steps once in 13! (6e9) traces: below it, a trace that only rises proves nothing.
_RISES_MIN = 12
# A counter begins anew with its process: seldom, and with what one bin brought. Counts fall as often as they rise.
_RESETS_PER_RISE = 0.01
_RESET_TO = 0.05  # of the largest value
# Beyond the largest of all other bins by so much, one or two are no burst but a counter that broke.
_OUTLIER_FACTOR = 1_000.0
_OUTLIERS_MAX = 2


def suspicions(trace: Trace) -> list[str]:
    """What looks wrong with the columns of `trace`: a sentence each, without the file's name.

    A cumulative counter rises, and never falls but to near nothing, where it was reset; a rate is fractional in most
    bins; a counter that broke gives a bin of a thousand times all others. None is an error: a real demand may look like
    it. Nothing in the numbers tells a rate from what Prometheus extrapolates to be counts, so a file that states its
    bins' width is believed; one that states another than its rows have may count a part of each.
    """
    found = [trace.misstated] if trace.misstated else []
    for unit, values in trace.demand.items():
        known = values[~np.isnan(values)]
        for text in (_cumulative(known) or ("" if trace.counted else _rate(known)), _outlier(trace, values)):
            if text:
                found.append(f"column '{unit}' {text}")
    return found


def _outlier(trace: Trace, values: FloatArray) -> str:
    """About the largest bin, where it and at most one more are far above all others."""
    known = np.sort(values[~np.isnan(values)])[-_OUTLIERS_MAX - 1 :]
    if len(known) <= _OUTLIERS_MAX or not known[-1] > _OUTLIER_FACTOR * known[0] > 0.0:
        return ""
    at = int(np.nanargmax(values))
    when = time_text(round((trace.start_s + at * trace.bin_s) * NS_PER_S), dated=trace.dated)
    return (
        f"has {known[-1]:g} at {when}, more than {_OUTLIER_FACTOR:,.0f} times nearly all others, as when a counter"
        " breaks: leave that bin empty if it isn't real"
    )


def _cumulative(known: FloatArray) -> str:
    steps = np.diff(known)
    rises, resets = int((steps > 0).sum()), int((steps < 0).sum())
    if rises < _RISES_MIN or resets > _RESETS_PER_RISE * rises:
        return ""
    if resets and (known[1:][steps < 0] > _RESET_TO * known.max()).any():
        return ""
    but, reset = (" but to near nothing", " with resets") if resets else ("", "")
    return (
        f"never falls{but}, like a cumulative counter{reset}: counts per bin are needed; take increase() or the"
        " differences of neighbouring rows"
    )


def _rate(known: FloatArray) -> str:
    if len(known) and (known != np.rint(known)).mean() > 0.5:
        return (
            "is mostly fractional, like a rate: counts per bin are needed; multiply a rate by the bin's seconds"
            f" (what increase() gives is fractional too, and fine: a column '{BIN_SECONDS}' that holds the seconds of a"
            " bin says so)"
        )
    return ""
