"""How well models forecast a trace: the figures behind `headstart forecast`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace
from forecasting.evaluate import Accuracy, RollingForecasts, rolling_forecasts, score
from forecasting.protocol import Forecaster, PointModel
from forecasting.registry import forecaster_names
from forecasting.series import Series

LEVELS = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
"""Ends of the central 50, 90 and 99 % intervals, and the median."""

# Origins scored per model, spread evenly: 14 days of minutes have 10,080, of which neighbours tell the same.
_ORIGINS_MAX = 1_000
# Fits per model: a controller refits as its history grows, and what was learned at the start must not decide.
_FITS = 8
_DAY_S = 86_400.0
_SHOWN_BINS_MAX = 1_500


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """Accuracy of several models on one trace.

    Attributes:
        trace: the trace's name.
        unit: unit of work, per second in all figures.
        bin_s: width of a bin in seconds.
        bins: how many of the trace's bins were used, the latest.
        score_from_bin: bins before it are history only.
        every: bins between scored origins.
        refit_every: bins between fits.
        accuracies: one per model, in the order they were asked for.
        bins_left_out: how many bins of the trace lie before those that were used.
    """

    trace: str
    unit: str
    bin_s: float
    bins: int
    score_from_bin: int
    every: int
    refit_every: int
    accuracies: tuple[Accuracy, ...]
    bins_left_out: int = 0

    def best_at(self, horizon: int) -> int:
        """Index of the model with the least error at the `horizon`-th horizon, among those with intervals if any."""
        rows = [accuracy.rows[horizon] for accuracy in self.accuracies]
        with_intervals = any(row.coverage for row in rows)
        errors = [row.mae if bool(row.coverage) == with_intervals else math.inf for row in rows]
        return int(np.argmin(np.nan_to_num(errors, nan=math.inf)))


def latest(trace: Trace, bins: int) -> Trace:
    """The last `bins` bins of `trace`, or all where it has fewer."""
    skipped = max(0, len(trace) - bins)
    demand = {unit: values[skipped:] for unit, values in trace.demand.items()}
    return replace(trace, start_s=trace.start_s + skipped * trace.bin_s, demand=demand)


def series_of(trace: Trace, unit: str) -> Series:
    """The demand of a trace as work per second. Raises UsageError where no bin is known."""
    counts = trace.demand[unit]
    if np.isnan(counts).all():
        raise UsageError(f"{trace.name}: all bins of '{unit}' are missing; there is nothing to forecast from")
    return Series.of(counts / trace.bin_s, bin_s=trace.bin_s, start_s=trace.start_s)


def measure(
    trace: Trace,
    unit: str,
    models: Sequence[Forecaster | PointModel],
    horizons: Sequence[int],
    *,
    score_from: float,
    on_progress: Callable[[int, int], None],
) -> AccuracyReport:
    """Walk every model over the part of the trace after `score_from` (a share) and score it at `horizons` (bins).

    `on_progress` is called with the origins done and those in all. Raises UsageError where that part is shorter than a
    horizon, or none of its bins is known.
    """
    series = series_of(trace, unit)
    first = round(score_from * len(series))
    scored = len(series) - first
    if scored < max(horizons):
        raise UsageError(
            f"--horizons: {max(horizons) * trace.bin_s:g}s is longer than the scored part of {trace.name}, "
            f"{scored * trace.bin_s:g}s; ask for a shorter horizon, score from earlier or use more --days"
        )
    if np.isnan(trace.demand[unit][first:]).all():
        raise UsageError(
            f"--score-from: all bins that are scored of {trace.name} are missing; score from earlier, or use more"
            " --days"
        )
    every = math.ceil(scored / _ORIGINS_MAX)
    refit_every = math.ceil(scored / _FITS)
    total = math.ceil(scored / every) * len(models)
    learning = forecaster_names()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    accuracies = [
        score(
            rolling_forecasts(
                model,
                series,
                horizons,
                levels=LEVELS,
                first_origin=first,
                every=every,
                refit_every=None if model.name in learning else refit_every,
                on_origin=step,
            )
        )
        for model in models
    ]
    return AccuracyReport(trace.name, unit, trace.bin_s, len(series), first, every, refit_every, tuple(accuracies))


def forecasts_to_show(
    trace: Trace, unit: str, model: Forecaster | PointModel, horizon: int, *, days: float
) -> RollingForecasts:
    """What `model`, fitted before them, forecast for each of the last `days`' bins from `horizon` bins before it."""
    series = series_of(trace, unit)
    shown = min(round(days * _DAY_S / trace.bin_s), len(series) // 2)
    first = max(0, len(series) - max(shown, 1) - horizon + 1)
    every = math.ceil(max(shown, 1) / _SHOWN_BINS_MAX)
    return rolling_forecasts(model, series, [horizon], levels=LEVELS, first_origin=first, every=every)
