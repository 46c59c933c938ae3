"""The picture of `headstart forecast`: the last days of demand, and what was forecast for them ahead of time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoscaler.files import write_aside
from autoscaler.report import words
from autoscaler.report.picture_style import BAD, INK, MUTED, PAPER, blend, plain_axes
from forecasting.evaluate import RollingForecasts
from forecasting.series import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 150
_BAND = "#2f6fb3"
_MEDIAN = "#e07b00"
_BAND_PARTS = {0.99: 0.14, 0.9: 0.30, 0.5: 0.55}
_DAY_S = 86_400.0


def write_forecast_png(forecasts: RollingForecasts, path: Path, *, title: str, unit: str, start_s: float) -> None:
    """Draw demand, median and central intervals of the first horizon in `forecasts` to a PNG, written aside.

    Args:
        forecasts: rolling forecasts; those without intervals show the median alone.
        path: where the picture goes.
        title: what is shown.
        unit: unit of work, for the axis.
        start_s: start of the trace, seconds since the epoch where it is dated.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 5.2), dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    draw_forecast(figure, forecasts, title=title, unit=unit, start_s=start_s)
    write_aside(path, lambda aside: figure.savefig(aside, format="png", facecolor=PAPER))


def draw_forecast(figure: Figure, forecasts: RollingForecasts, *, title: str, unit: str, start_s: float) -> None:
    """Draw the same to an empty figure."""
    from matplotlib import dates

    axes = figure.add_axes((0.06, 0.11, 0.925, 0.74))
    inside = forecasts.origins + forecasts.horizons[0] - 1 <= forecasts.origins[-1]
    days = (start_s + (forecasts.origins[inside] + forecasts.horizons[0] - 1) * forecasts.bin_s) / _DAY_S
    quantiles = forecasts.quantiles[inside, 0, :]
    for interval, (low, high) in _central_intervals(forecasts.levels).items():
        colour = blend(_BAND, _BAND_PARTS.get(interval, 0.2))
        label = f"{words.share(interval)} interval"
        axes.fill_between(days, quantiles[:, low], quantiles[:, high], color=colour, lw=0, label=label)
    median = int(np.argmin(np.abs(forecasts.levels - 0.5)))
    axes.plot(days, forecasts.actual[inside, 0], color=INK, lw=0.6, label="demand")
    axes.plot(days, quantiles[:, median], color=_MEDIAN, lw=1.4, label="median of the forecast")
    top = _top(forecasts.actual[inside, 0], quantiles[:, median])
    axes.set_ylim(bottom=0.0, top=top)
    _mark_what_is_cut(axes, days, quantiles.max(axis=1), top)
    axes.margins(x=0.0)
    axes.set_ylabel(f"{unit} per second", size=9, color=MUTED)
    plain_axes(axes, title)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, frameon=False, fontsize=9, borderaxespad=0.2)
    # A trace that counts from its own start would otherwise claim to be from January 1970.
    if start_s >= 365 * _DAY_S:
        locator = dates.AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.set_xlabel("UTC", size=9, color=MUTED)
    else:
        axes.set_xlabel("days from the start of the trace", size=9, color=MUTED)


def _mark_what_is_cut(axes: Axes, days: FloatArray, highest: FloatArray, top: float) -> None:
    """A bar along the upper edge where an interval goes on beyond it, and in the legend how far."""
    cut = highest > top
    if not cut.any():
        return
    label = f"goes on beyond the edge, up to {words.hours(float(np.nanmax(highest)))}"
    edge = axes.get_xaxis_transform()
    axes.fill_between(days, 0.985, 1.0, where=cut, step="mid", transform=edge, color=BAD, lw=0, label=label)


def _central_intervals(levels: FloatArray) -> dict[float, tuple[int, int]]:
    """Interval -> indices of its ends in `levels`, the widest first; levels come in symmetric pairs."""
    count = len(levels)
    return {round(1.0 - 2.0 * float(levels[i]), 9): (i, count - 1 - i) for i in range(count // 2)}


def _top(demand: FloatArray, median: FloatArray) -> float:
    """Half above the highest demand or median: a 99 % interval may reach ten times as high and flatten the rest."""
    highest = max(np.nanmax(demand, initial=0.0), np.nanmax(median, initial=0.0))
    return 1.5 * float(highest) or 1.0
