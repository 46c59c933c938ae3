"""The report's story as one PNG, for a README or a ticket. matplotlib is imported when it is drawn, not before."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.result import BacktestResult, PolicyResult
from autoscaler.files import write_aside
from autoscaler.report import words
from autoscaler.report.curves import is_dated
from autoscaler.report.grouped_curves import grouped
from autoscaler.report.palette import looks_of
from autoscaler.report.picture_policies import draw_cost_against_lateness
from autoscaler.report.picture_style import BAD, INK, LINE, MUTED, PAPER, blend, plain_axes
from autoscaler.report.repeats import without_repeats
from autoscaler.report.sentence import sentence
from autoscaler.report.summary import BEST, RIVAL_FAMILY, in_display_order, summarise
from forecasting.series import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 150
_COLUMNS = 900  # about the pixels that the charts over time are wide: each late bin stays visible


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the charts over time show of a policy, shape (k + 1,) each: a value per column, the last one twice.

    Replicas ready, those and the loading ones together, and late work in replicas.
    """

    row: PolicyResult
    ready: FloatArray
    ordered: FloatArray
    late: FloatArray


def write_png(result: BacktestResult, path: Path) -> None:
    """Draw the sentence, demand with replicas, late work and cost against lateness to a PNG at `path`.

    Written aside and then renamed. Needs at least one policy and one scored bin.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 7.6), dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    _draw(figure, without_repeats(result))
    write_aside(path, lambda aside: figure.savefig(aside, format="png", facecolor=PAPER))


def _draw(figure: Figure, result: BacktestResult) -> None:
    lines = textwrap.wrap(sentence(result).replace(" %", "\u00a0%"), 92, break_on_hyphens=False)
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
        wspace=0.2,
        hspace=0.3,
    )
    supply = figure.add_subplot(grid[0, 0])
    late = figure.add_subplot(grid[1, 0], sharex=supply)
    shown = [_shown(result, row) for row in _compared(result)]
    _draw_supply(supply, result, shown)
    _draw_late(late, result, shown)
    draw_cost_against_lateness(figure.add_subplot(grid[:, 1]), result)


def _draw_supply(axes: Axes, result: BacktestResult, shown: list[_Shown]) -> None:
    main, *rivals = shown
    looks = looks_of([row.name for row in result.policies])
    setting = result.setting
    times = _times(result)
    demand = setting.arrivals_rs[setting.score_from_bin :] / setting.bin_s
    colour, label = looks[main.row.name].light, f"{main.row.title}, ready"
    axes.fill_between(times, main.ordered, step="post", color=blend(colour, 0.62), lw=0, label="loading")
    axes.fill_between(times, main.ready, step="post", color=blend(colour, 0.24), lw=0, label=label)
    axes.step(times, main.ready, where="post", color=colour, lw=1.1)
    for rival in rivals:
        colour = looks[rival.row.name].light
        axes.step(times, rival.ready, where="post", color=colour, lw=1.2, label=rival.row.title)
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


def _draw_late(axes: Axes, result: BacktestResult, shown: list[_Shown]) -> None:
    looks = looks_of([row.name for row in result.policies])
    times = _times(result)
    budget = result.setting.late_budget
    most = max(float(one.late.max(initial=0.0)) for one in shown) or 1.0
    for lane, one in enumerate(shown):
        base = -1.55 * lane
        row, late = one.row, one.late
        height = np.where(late > 0, np.maximum(late / most, 0.04), 0.0)  # never thinner than can be seen
        axes.axhline(base, color=LINE, lw=0.8)
        axes.fill_between(times, base, base + height, step="post", color=looks[row.name].light, lw=0.6)
        outcome = row.outcome
        share = words.late_share(outcome.late_fraction, budget)
        text = f"{row.title}: {share} late, in {words.count(outcome.late_bins)} bins"
        colour = BAD if outcome.late_fraction > budget else MUTED
        axes.text(0.004, base + 1.07, text, transform=axes.get_yaxis_transform(), size=8.5, color=colour)
    axes.set_ylim(-1.55 * (len(shown) - 1), 1.25)
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


def _shown(result: BacktestResult, row: PolicyResult) -> _Shown:
    setting = result.setting
    bins = bins_of(setting, row.outcome)
    scored = slice(setting.score_from_bin, None)
    ordered = np.maximum(bins.ready[scored], row.outcome.desired[scored])
    return _Shown(row, _most(bins.ready[scored]), _most(ordered), _most(bins.late_rs[scored]) / setting.bin_s)


def _compared(result: BacktestResult) -> list[PolicyResult]:
    """The policy that the picture is about, and one of another family to compare: the best HPA where that is one."""
    main, *others = in_display_order(result.policies)
    looks = looks_of([row.name for row in result.policies])
    distinct = [row for row in others if looks[row.name] != looks[main.name]]
    best = [row for row in distinct if row.name == RIVAL_FAMILY + BEST]
    return [main, *(best or distinct)[:1]]


def _footer(result: BacktestResult) -> str:
    setting, summary = result.setting, summarise(result)
    return (
        f"Headstart backtest of {setting.trace_name}: {words.duration(summary.scored_s)} scored in bins of "
        f"{words.duration(setting.bin_s)}, a replica loads for {setting.load_latency.label}, "
        f"late = waited longer than {words.duration(setting.max_wait_s)}, seed {setting.seed}"
        + (", times are UTC" if is_dated(setting.start_s) else "")
    )


def _times(result: BacktestResult) -> FloatArray:
    """Start of each drawn column in days, shape (k + 1,): the last is the end, so that the last column has a width."""
    setting = result.setting
    bins = len(setting) - setting.score_from_bin
    starts = np.append(np.arange(0, bins, _group(bins)), bins) + setting.score_from_bin
    return (setting.start_s + starts * setting.bin_s) / 86_400.0


def _most(values: npt.NDArray[np.int32] | FloatArray) -> FloatArray:
    """The largest value in each column, the last one twice for its right edge: shape (k + 1,)."""
    columns = grouped(values, _group(len(values)), np.fmax)
    return np.append(columns, columns[-1:]).astype(np.float64)


def _least(values: FloatArray) -> FloatArray:
    columns = grouped(values, _group(len(values)), np.fmin)
    return np.append(columns, columns[-1:])


def _group(bins: int) -> int:
    return max(1, math.ceil(bins / _COLUMNS))
