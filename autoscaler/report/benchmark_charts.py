"""The benchmark's two charts as SVG: gap closed per case, and lateness delivered against asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.backtest.benchmark.variants import HEADSTART
from autoscaler.report import words
from autoscaler.report.benchmark_summary import FACTOR, by_budget, by_load, by_trace, late_judged, row_of
from autoscaler.report.benchmark_text import ratio

# One look per late budget, from the tightest on: colours of the page's palette that no policy has.
_LOOKS = ("other-3", "other-2", "other-1")

# Across the page everything is in percent of its width, so that text and marks keep their size where it is narrow.
_ROW = 44.0
# A case beyond these is drawn at the edge: far dearer than the reactive plan, or, late as allowed, cheaper than the
# optimum, which never is.
_GAP_MIN, _GAP_MAX = -1.0, 1.04
_HEIGHT = 360.0
_LATE_MIN, _LATE_MAX = 1e-5, 1.0


def look_of_budgets(results: Sequence[Finished]) -> dict[float, str]:
    """Late budget -> name of its look; more than three take turns."""
    return {budget: _LOOKS[at % len(_LOOKS)] for at, budget in enumerate(sorted(by_budget(results)))}


def gap_chart(results: Sequence[Finished]) -> str:
    """A mark per case by the share of the gap closed, a row per trace; budgets by colour, loads from top to bottom."""
    traces, loads, looks = by_trace(results), list(by_load(results)), look_of_budgets(results)
    bottom = 24.0 + _ROW * len(traces)
    lines = [f'<svg width="100%" height="{bottom + 8:g}" role="img" aria-label="Gap closed per case">']
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x, kind = _gap_x(tick), "axis" if tick == 0 else "grid"
        lines.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="20" y2="{bottom:g}"/>')
        lines.append(f'<text x="{x}" y="12" text-anchor="middle">{_tick_text(tick)}</text>')
    for at, (trace, group) in enumerate(traces.items()):
        top = 24.0 + _ROW * at
        gaps = [row_of(finished, HEADSTART).gap_closed for finished in group]
        name = escape(words.shortened(trace)) + (f", {gaps.count(None)} without gap" if None in gaps else "")
        lines.append(f'<text class="lane" x="0" y="{top + 13:.1f}">{name}</text>')
        lines += [
            _gap_mark(finished, gap, looks, top + 29.0, loads)
            for finished, gap in zip(group, gaps, strict=True)
            if gap is not None
        ]
    return "\n".join([*lines, "</svg>"])


def _gap_mark(finished: Finished, gap: float, looks: Mapping[float, str], middle: float, loads: Sequence[str]) -> str:
    y = middle + (loads.index(finished.case.loads[0]) - (len(loads) - 1) / 2) * 5.0
    look = looks[finished.case.setting.late_budget]
    kind = "mark" if _GAP_MIN <= gap <= _GAP_MAX else "mark hollow"
    return (
        f'<circle class="{kind} look-{look}" cx="{_gap_x(gap)}" cy="{y:.1f}" r="4.2">'
        f"<title>{_told(finished)}: {ratio(gap, percent=True)} of the gap</title></circle>"
    )


def calibration_chart(results: Sequence[Finished]) -> str:
    """A mark per case by the late share delivered, a column per budget; the band is within FACTOR of what was asked."""
    budgets = by_budget(results)
    looks = look_of_budgets(results)
    column = 100.0 / max(1, len(budgets))
    width = 0.94 * column
    lines = [f'<svg width="100%" height="{_HEIGHT + 30:g}" role="img" aria-label="Lateness delivered against asked">']
    for exponent in range(-5, 1):
        y = _late_y(10.0**exponent)
        label = "none" if exponent == -5 else words.share(10.0**exponent)
        lines.append(f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for at, (budget, group) in enumerate(sorted(budgets.items())):
        left = column * at + 0.03 * column
        top, foot = _late_y(FACTOR * budget), _late_y(budget / FACTOR)
        lines.append(
            f'<rect class="area band" x="{left:.2f}%" y="{top:.1f}" width="{width:.2f}%" height="{foot - top:.1f}"/>'
            f'<line class="budget" x1="{left:.2f}%" x2="{left + width:.2f}%" '
            f'y1="{_late_y(budget):.1f}" y2="{_late_y(budget):.1f}"/>'
            f'<text x="{left + width / 2:.2f}%" y="{_HEIGHT + 22:g}" text-anchor="middle">'
            f"asked: {words.asked_share(budget)}</text>"
        )
        for place, finished in enumerate(group):
            late = late_judged(row_of(finished, HEADSTART))
            assert late is not None, "Headstart has a plan in every case"
            x = left + width * (place + 0.5) / len(group)
            lines.append(
                f'<circle class="mark look-{looks[budget]}" cx="{x:.2f}%" cy="{_late_y(late):.1f}" r="4.2">'
                f"<title>{_told(finished)}: {words.share(late)} late</title></circle>"
            )
    return "\n".join([*lines, "</svg>"])


def _told(finished: Finished) -> str:
    case = finished.case
    seed = "" if case.seed is None else f", seed {case.seed}"
    return escape(f"{case.trace}, load {case.load}, {words.asked_share(case.setting.late_budget)} asked{seed}")


def _gap_x(gap: float) -> str:
    share = (min(max(gap, _GAP_MIN), _GAP_MAX) - _GAP_MIN) / (1.0 - _GAP_MIN)
    return f"{100 * share:.2f}%"


def _tick_text(tick: float) -> str:
    names = {0.0: "0: the best reactive plan", 1.0: "optimum"}
    return names.get(tick, f"{100 * tick:.0f}&nbsp;%")


def _late_y(late: float) -> float:
    low, high = math.log(_LATE_MIN), math.log(_LATE_MAX)
    share = (math.log(min(max(late, _LATE_MIN), _LATE_MAX)) - low) / (high - low)
    return 10.0 + (1.0 - share) * (_HEIGHT - 10.0)
