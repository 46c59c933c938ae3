"""The report's story as one PNG, for a README or a ticket. matplotlib is imported when it is drawn, not before."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoscaler.backtest.result import BacktestResult, PolicyResult
from autoscaler.files import write_aside
from autoscaler.report import words
from autoscaler.report.curves import grouped, is_dated
from autoscaler.report.palette import looks_of
from autoscaler.report.picture_policies import draw_cost_against_lateness
from autoscaler.report.picture_style import BAD, INK, LINE, MUTED, PAPER, blend, plain_axes
from autoscaler.report.sentence import sentence
from autoscaler.report.summary import BEST, RIVAL_FAMILY, in_display_order, summarise
from forecasting.series import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 150
_COLUMNS = 900  # about the pixels that the charts over time are wide: each late bin stays visible


def write_png(result: BacktestResult, path: Path) -> None:
    """Draw the sentence, demand with replicas, late work and cost against lateness to a PNG at `path`.

    Written aside and then renamed. Needs at least one policy and one scored bin.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 7.6), dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    _draw(figure, result)
    write_aside(path, lambda aside: figure.savefig(aside, format="png", facecolor=PAPER))


def _draw(figure: Figure, result: BacktestResult) -> None:
    lines = textwrap.wrap(sentence(result).replace(" %", "\u00a0%"), 92)
    figure.text(
        0.045, 0.955, "\n".join(lines), va="top", size=15, weight="bold", color=INK, linespacing=1.35, parse_math=False
    )
    figure.text(0.045, 0.028, _footer(result), size=9, color=MUTED, parse_math=False)
    top = 0.875 - 0.045 * (len(lines) - 1)
    grid = figure.add_gridspec(
        2,
        2,
        height_ratios=(2.6, 1),
        width_ratios=(1.75, 1),
        left=0.045,
        right=0.985,
        bottom=0.115,
        top=top - 0.03,
        wspace=0.16,
        hspace=0.3,
    )
    supply = figure.add_subplot(grid[0, 0])
    late = figure.add_subplot(grid[1, 0], sharex=supply)
    _draw_supply(supply, result)
    _draw_late(late, result)
    draw_cost_against_lateness(figure.add_subplot(grid[:, 1]), result)


def _draw_supply(axes: Axes, result: BacktestResult) -> None:
    main, rival = _shown(result)
    looks = looks_of([row.name for row in result.policies])
    setting = result.setting
    times = _times(result)
    demand = setting.arrivals_rs[setting.score_from_bin :] / setting.bin_s
    colour = looks[main.name].light
    ready = _scored(result, main.outcome.ready)
    ordered = np.maximum(ready, _scored(result, main.outcome.desired))
    axes.fill_between(times, _most(ordered), step="post", color=blend(colour, 0.62), lw=0, label="loading")
    axes.fill_between(times, _most(ready), step="post", color=blend(colour, 0.24), lw=0, label=f"{main.title}, ready")
    axes.step(times, _most(ready), where="post", color=colour, lw=1.1)
    if rival is not None:
        label = rival.title
        ready = _scored(result, rival.outcome.ready)
        axes.step(times, _most(ready), where="post", color=looks[rival.name].light, lw=1.2, label=label)
    axes.fill_between(times, _least(demand), _most(demand), step="post", color=INK, lw=0.7, label="demand")
    axes.set_ylim(bottom=0)
    axes.set_xlim(times[0], times[-1])
    plain_axes(axes, "Replicas against demand")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.005, 0.985),
        ncols=4,
        frameon=False,
        fontsize=8.5,
        labelcolor=MUTED,
        handlelength=1.4,
        columnspacing=1.4,
        borderaxespad=0.1,
    )
    axes.tick_params(labelbottom=False)


def _draw_late(axes: Axes, result: BacktestResult) -> None:
    looks = looks_of([row.name for row in result.policies])
    times = _times(result)
    rows = [row for row in _shown(result) if row is not None]
    budget = result.setting.late_budget
    worth = {row.name: _late(result, row) for row in rows}
    most = max(float(late.max(initial=0.0)) for late in worth.values()) or 1.0
    for lane, row in enumerate(rows):
        base = -1.55 * lane
        late = worth[row.name]
        height = np.where(late > 0, np.maximum(late / most, 0.04), 0.0)  # never thinner than can be seen
        axes.axhline(base, color=LINE, lw=0.8)
        axes.fill_between(times, base, base + height, step="post", color=looks[row.name].light, lw=0.6)
        outcome = row.outcome
        share = words.late_share(outcome.late_fraction, budget)
        text = f"{row.title}: {share} late, in {words.count(outcome.late_bins)} bins"
        colour = BAD if outcome.late_fraction > budget else MUTED
        axes.text(0.004, base + 1.07, text, transform=axes.get_yaxis_transform(), size=8.5, color=colour)
    axes.set_ylim(-1.55 * (len(rows) - 1), 1.25)
    axes.set_yticks([])
    plain_axes(axes, "Late work", pad=8)
    _label_times(axes, result)


def _label_times(axes: Axes, result: BacktestResult) -> None:
    from matplotlib import dates

    if is_dated(result.setting.start_s):
        locator = dates.AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        axes.set_xlabel("days from the start of the trace", size=9, color=MUTED)


def _shown(result: BacktestResult) -> tuple[PolicyResult, PolicyResult | None]:
    """The policy that the picture is about, and one of another family to compare: the best HPA where that is one."""
    main, *others = in_display_order(result.policies)
    looks = looks_of([row.name for row in result.policies])
    distinct = [row for row in others if looks[row.name] != looks[main.name]]
    best = (row for row in distinct if row.name == RIVAL_FAMILY + BEST)
    return main, next(best, distinct[0] if distinct else None)


def _footer(result: BacktestResult) -> str:
    setting, summary = result.setting, summarise(result)
    return (
        f"Headstart backtest of {setting.trace_name}: {words.duration(summary.scored_s)} scored in bins of "
        f"{words.duration(setting.bin_s)}, a replica loads for {setting.load_latency.label}, "
        f"late = waited longer than {words.duration(setting.max_wait_s)}, seed {setting.seed}"
    )


def _times(result: BacktestResult) -> FloatArray:
    """Start of each drawn column in days, shape (k + 1,): the last is the end, so that the last column has a width."""
    setting = result.setting
    bins = len(setting) - setting.score_from_bin
    starts = np.append(np.arange(0, bins, _group(bins)), bins) + setting.score_from_bin
    return (setting.start_s + starts * setting.bin_s) / 86_400.0


def _late(result: BacktestResult, row: PolicyResult) -> FloatArray:
    return _most(_scored(result, row.outcome.late_rs) / result.setting.bin_s)


def _scored(result: BacktestResult, per_bin: np.ndarray) -> FloatArray:
    return np.asarray(per_bin[result.setting.score_from_bin :], dtype=np.float64)


def _most(values: FloatArray) -> FloatArray:
    """The largest value in each column, the last one twice for its right edge: shape (k + 1,)."""
    columns = grouped(values, _group(len(values)), np.fmax)
    return np.append(columns, columns[-1:])


def _least(values: FloatArray) -> FloatArray:
    columns = grouped(values, _group(len(values)), np.fmin)
    return np.append(columns, columns[-1:])


def _group(bins: int) -> int:
    return max(1, math.ceil(bins / _COLUMNS))
