"""The benchmark's two charts as SVG: gap closed per case, and lateness delivered against asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.backtest.benchmark.variants import HEADSTART
from autoscaler.report import words
from autoscaler.report.benchmark_summary import FACTOR, by_budget, by_load, by_trace, late_judged, row_of
from autoscaler.report.benchmark_text import ratio

# One look per late budget, from the tightest on: colours of the page's palette that no policy has.
_LOOKS = ("other-3", "other-2", "other-1")

_WIDTH, _LEFT, _RIGHT = 1120.0, 370.0, 32.0
_ROW = 30.0
# A case beyond these is drawn at the edge: far dearer than the reactive plan, or, late as allowed, cheaper than the
# optimum, which never is.
_GAP_MIN, _GAP_MAX = -1.0, 1.04
_HEIGHT = 360.0
_LATE_MIN, _LATE_MAX = 1e-5, 1.0


def look_of_budgets(results: Sequence[Finished]) -> dict[float, str]:
    """Late budget -> name of its look; more than three take turns."""
    return {budget: _LOOKS[at % len(_LOOKS)] for at, budget in enumerate(sorted(by_budget(results)))}


def gap_chart(results: Sequence[Finished]) -> str:
    """A mark per case by the share of the gap closed, a line per trace; budgets by colour, loads from top to bottom."""
    looks, traces = look_of_budgets(results), by_trace(results)
    loads = list(by_load(results))
    bottom = 24.0 + _ROW * len(traces)
    lines = [f'<svg viewBox="0 0 {_WIDTH:g} {bottom + 8:g}" role="img" aria-label="Gap closed per case">']
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x, kind = _gap_x(tick), "axis" if tick == 0 else "grid"
        lines.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{bottom:g}"/>')
        lines.append(f'<text x="{x:.1f}" y="12" text-anchor="middle">{_tick_text(tick)}</text>')
    for at, (trace, group) in enumerate(traces.items()):
        middle = 24.0 + _ROW * (at + 0.5)
        lines.append(f'<text class="lane" x="0" y="{middle + 4:.1f}">{escape(_shortened(trace))}</text>')
        none = 0
        for finished in group:
            gap = row_of(finished, HEADSTART).gap_closed
            if gap is None:
                none += 1
                continue
            y = middle + (loads.index(finished.case.loads[0]) - (len(loads) - 1) / 2) * 5.0
            look = looks[finished.case.setting.late_budget]
            kind = "mark" if _GAP_MIN <= gap <= _GAP_MAX else "mark hollow"
            lines.append(
                f'<circle class="{kind} look-{look}" cx="{_gap_x(gap):.1f}" cy="{y:.1f}" r="4.2">'
                f"<title>{_told(finished)}: {ratio(gap, percent=True)} of the gap</title></circle>"
            )
        if none:
            lines.append(f'<text x="{_LEFT - 14:g}" y="{middle + 4:.1f}" text-anchor="end">{none} without gap</text>')
    return "\n".join([*lines, "</svg>"])


def calibration_chart(results: Sequence[Finished]) -> str:
    """A mark per case by the late share delivered, a column per budget; the band is within FACTOR of what was asked."""
    budgets = by_budget(results)
    looks = look_of_budgets(results)
    width = (_WIDTH - 80.0) / max(1, len(budgets))
    lines = [
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT + 30:g}" role="img" aria-label="Lateness delivered against asked">'
    ]
    for exponent in range(-5, 1):
        y = _late_y(10.0**exponent)
        label = "none" if exponent == -5 else words.share(10.0**exponent)
        lines.append(f'<line class="grid" x1="70" x2="{_WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="62" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for at, (budget, group) in enumerate(sorted(budgets.items())):
        left = 80.0 + width * at
        top, foot = _late_y(FACTOR * budget), _late_y(budget / FACTOR)
        lines.append(
            f'<rect class="area band" x="{left:.1f}" y="{top:.1f}" width="{width - 20:.1f}" height="{foot - top:.1f}"/>'
            f'<line class="budget" x1="{left:.1f}" x2="{left + width - 20:.1f}" '
            f'y1="{_late_y(budget):.1f}" y2="{_late_y(budget):.1f}"/>'
            f'<text x="{left + width / 2 - 10:.1f}" y="{_HEIGHT + 22:g}" text-anchor="middle">'
            f"asked: {words.share(budget)}</text>"
        )
        for place, finished in enumerate(group):
            late = late_judged(row_of(finished, HEADSTART))
            assert late is not None, "Headstart has a plan in every case"
            x = left + (width - 20) * (place + 0.5) / len(group)
            lines.append(
                f'<circle class="mark look-{looks[budget]}" cx="{x:.1f}" cy="{_late_y(late):.1f}" r="4.2">'
                f"<title>{_told(finished)}: {words.share(late)} late</title></circle>"
            )
    return "\n".join([*lines, "</svg>"])


def _told(finished: Finished) -> str:
    case = finished.case
    seed = "" if case.seed is None else f", seed {case.seed}"
    return escape(f"{case.trace}, load {case.load}, {words.share(case.setting.late_budget)} asked{seed}")


def _gap_x(gap: float) -> float:
    share = (min(max(gap, _GAP_MIN), _GAP_MAX) - _GAP_MIN) / (1.0 - _GAP_MIN)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _tick_text(tick: float) -> str:
    names = {0.0: "0: the best reactive plan", 1.0: "optimum"}
    return names.get(tick, f"{100 * tick:.0f}&nbsp;%")


def _late_y(late: float) -> float:
    low, high = math.log(_LATE_MIN), math.log(_LATE_MAX)
    share = (math.log(min(max(late, _LATE_MIN), _LATE_MAX)) - low) / (high - low)
    return 10.0 + (1.0 - share) * (_HEIGHT - 10.0)


def _shortened(name: str, longest: int = 32) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
