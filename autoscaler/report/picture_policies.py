"""The picture's chart of cost against lateness: every policy a point, every reactive family a line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscaler.backtest.result import BacktestResult
from autoscaler.report import words
from autoscaler.report.label_places import Box, label_places
from autoscaler.report.palette import looks_of
from autoscaler.report.picture_style import BAD, LINE, MUTED, OVER, PAPER, ZERO, plain_axes
from autoscaler.report.summary import BEST, HEADSTART, summarise
from forecasting.series import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "down": "v",
    "cross": "P",
    "star": "*",
}
_LEAST_POWER = -6
_LABEL_SIZE = 9.0


def draw_cost_against_lateness(axes: Axes, result: BacktestResult) -> None:
    """Late share to the right (logarithmic, with a place for 0), GPU-hours upwards (logarithmic)."""
    summary = summarise(result)
    rows = [row for row in summary.policies if math.isfinite(row.late_fraction) and row.gpu_hours > 0]
    names = [row.name for row in summary.policies]
    looks = looks_of(names + [row.name for row in result.frontiers])
    lates = [row.late_fraction for row in rows] + [late for row in result.frontiers for late in row.late_fraction]
    budget = result.setting.late_budget
    low, high = _powers([*lates, budget])
    _frame(axes, budget, low, high)
    counted = "the work" if result.requests is None else "requests"
    axes.set_xlabel(f"share of {counted} that is late", size=9, color=MUTED)
    for line in result.frontiers:
        hours = line.replica_hours * result.gpus_per_replica
        axes.plot(
            _places(line.late_fraction, low),
            hours,
            color=looks[line.name].light,
            lw=1.1,
            marker="o",
            ms=2.6,
            alpha=0.75,
        )
    axes.set_yscale("log")
    costs = [row.gpu_hours for row in rows] or [1.0]
    axes.set_ylim(min(costs) * 0.9, max(costs) * 1.12)
    _label_costs(axes)
    points = [(float(_places(np.array([row.late_fraction]), low)[0]), row.gpu_hours) for row in rows]
    for row, (x, y) in zip(rows, points, strict=True):
        look = looks[row.name]
        hollow = f"{row.name}{BEST}" in names
        axes.plot(
            x,
            y,
            marker=_MARKERS[look.marker],
            ms=15 if row.name == HEADSTART else 8,
            zorder=3,
            ls="none",
            mfc=PAPER if hollow else look.light,
            mec=look.light if hollow else PAPER,
            mew=1.6 if hollow else 0.8,
        )
    _label_points(axes, points, [(row.name, looks[row.name].light) for row in rows])


def _frame(axes: Axes, budget: float, low: int, high: int) -> None:
    plain_axes(axes, "Cost against lateness: left and low is better")
    zero = low - 0.75
    axes.set_xlim(zero - 0.35, high + 0.15)
    axes.axvspan(zero - 0.35, zero + 0.3, color=ZERO, lw=0, zorder=0)
    axes.axvspan(math.log10(budget), high + 0.15, color=OVER, lw=0, zorder=0)
    axes.axvline(math.log10(budget), color=BAD, lw=1.2, ls=(0, (4, 3)), zorder=1)
    asked = f"asked: {words.asked_share(budget)}"
    axes.text(
        math.log10(budget),
        1.008,
        asked,
        transform=axes.get_xaxis_transform(),
        color=BAD,
        size=9,
        weight="bold",
        ha="center",
        va="bottom",
    )
    powers = list(range(low, high + 1))
    axes.set_xticks([zero, *powers], ["0", *(words.share(10.0**power) for power in powers)])


def _label_costs(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    least, most = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if most / least > 6 else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.hours(float(value))))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("GPU-hours (logarithmic)", size=9, color=MUTED)
    axes.grid(visible=True, color=LINE, lw=0.8)


def _powers(lates: list[float]) -> tuple[int, int]:
    """The decades that the axis shows, from the least late share that is not 0."""
    positive = [late for late in lates if late > 0]
    return max(_LEAST_POWER, math.floor(math.log10(min(positive)))), min(0, math.ceil(math.log10(max(positive))))


def _places(late: FloatArray, low: int) -> FloatArray:
    """Where late shares (n,) go on the axis, in decades; 0 has a place left of the lowest one."""
    shown = np.maximum(late, 10.0**low)
    return np.where(late > 0, np.log10(shown), low - 0.75)


def _label_points(axes: Axes, points: list[tuple[float, float]], names: list[tuple[str, str]]) -> None:
    """Each label beside its point, or with a line to it where others are in the way."""
    figure = axes.get_figure(root=True)
    if figure is None:
        return
    to_points = 72.0 / figure.dpi
    frame = axes.get_window_extent()
    inside = Box(frame.x0 * to_points, frame.x1 * to_points, frame.y0 * to_points, frame.y1 * to_points)
    centres = [tuple((axes.transData.transform(point) * to_points).tolist()) for point in points]
    labels = [
        axes.annotate(
            name, point, (0.0, 0.0), textcoords="offset points", size=_LABEL_SIZE, weight="bold", color=colour, zorder=4
        )
        for (name, colour), point in zip(names, points, strict=True)
    ]
    widths = [label.get_window_extent().width * to_points for label in labels]
    for label, (x, y), place in zip(labels, centres, label_places(centres, widths, inside), strict=True):
        label.set_position((place.x - x, place.y - y))
        if place.leader is not None:
            ends = axes.transData.inverted().transform(np.array([(x, y), place.leader]) / to_points)
            axes.plot(*ends.T, color=label.get_color(), lw=0.8, alpha=0.7, zorder=2.5, scalex=False, scaley=False)
