"""A benchmark in words and in Markdown; the terminal's table and the page take their cells from here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.files import write_aside
from autoscaler.report import words
from autoscaler.report.benchmark_summary import (
    LONG,
    SHORT,
    Pooled,
    Worth,
    by_budget,
    by_history,
    by_load,
    by_trace,
    headstart_of,
    pool,
    worst_case,
    worth_of_parts,
)

POLICY_HEADS = (
    "policy",
    "x optimum",
    "x best reactive",
    "gap closed, median",
    "worst",
    "late / asked",
    "kept",
    "kept x2",
)
GROUP_HEADS = (
    "cases",
    "gap closed, mean",
    "median",
    "worst",
    "no gap",
    "with static",
    "x best reactive",
    "kept",
    "kept x2",
)
WORTH_HEADS = ("variant", "gap closed", "difference", "better in", "kept", "cases")
LEGEND = (
    "x optimum, x best reactive: replica-hours over those of that plan, geometric mean. Best reactive: the cheapest "
    "HPA or Knative target in hindsight that is late at most as often. Gap closed: of the way from there down to the "
    "optimum in hindsight; below zero the policy costs more than that plan. Late / asked: delivered late share over "
    "the asked one, median. Kept: share of cases at most as late as asked; x2: at most twice, after the first scored "
    "day. * needs hindsight."
)

FOLDED = "loads shorter than a bin are one case"
PARTS_NOTE = f"Over the cases with {LONG}, or over all where there are none; means."
GAP_NOTE = (
    "No gap: no target is ever so seldom late, or it costs no more than the optimum. In bins narrower than the longest "
    "wait, 'optimum' is a proven bound: no plan that is never late costs less. With static: the gap closed where a "
    "static fleet of the best size in hindsight counts as a reactive plan too."
)


def headline(results: Sequence[Finished]) -> str:
    """What the benchmark found, in two or three sentences."""
    own = headstart_of(results)
    loads, budgets = len(by_load(results)), len(by_budget(results))
    over = f"Over {_number(len(results), 'case')} ({_number(len(by_trace(results)), 'trace')}, "
    over += f"{_number(loads, 'load')}, {_number(budgets, 'late budget')}"
    over += f"{'; ' + FOLDED if any(len(finished.case.loads) > 1 for finished in results) else ''})"
    kept = f"It was at most as late as asked in {ratio(own.within, percent=True)} of the cases."
    worst = worst_case(results)
    if worst is None or own.gap_median is None or own.cost_over_rival is None:
        return f"{over} no case has a gap between a reactive plan as seldom late as Headstart and the optimum. {kept}"
    finished, gap = worst
    asked = words.asked_share(finished.case.setting.late_budget)
    where = f"{finished.case.trace}, load {finished.case.load}, {asked} asked"
    return (
        f"{over} {_of_the_gap(own.gap_median, gap, where)} "
        f"It cost {own.cost_over_rival:.2f} of what that plan costs at equal lateness. {kept}{_by_history(results)}"
    )


def _of_the_gap(middle: float, worst: float, where: str) -> str:
    """The median and the worst case in words: below zero nothing was closed, and the plan was dearer instead."""
    way = "the gap from the best reactive plan in hindsight down to the optimum"
    if _is_negative(middle):
        return (
            f"in the median case Headstart cost more than the best reactive plan in hindsight, by {_size(middle)} of "
            f"the gap from there down to the optimum, and at worst by {_size(worst)} ({where})."
        )
    closed = f"Headstart closed {ratio(middle, percent=True)} of {way} in the median case"
    return f"{closed}{_and_at_worst(worst)} ({where})."


def _and_at_worst(gap: float) -> str:
    """The rest of a sentence on what was closed."""
    if _is_negative(gap):
        return f"; at worst it cost more than that plan, by {_size(gap)} of the gap"
    return f", and at the least {ratio(gap, percent=True)}"


def _is_negative(gap: float) -> bool:
    """Whether a gap closed reads as less than 0 %."""
    return round(100 * gap) < 0


def _size(gap: float) -> str:
    return ratio(abs(gap), percent=True)


def _by_history(results: Sequence[Finished]) -> str:
    """What the mean over cases with a day of history is, where others are none; '' where all or none are."""
    histories = by_history(results)
    if len(histories) < 2:
        return ""
    own = headstart_of(histories[LONG])
    if own.gap_mean is None or own.gap_worst is None:
        return ""
    over = f" Over the {_number(own.gaps, 'case')} with a gap and {LONG}"
    if _is_negative(own.gap_mean):
        dearer = f"by {_size(own.gap_mean)} of the gap, and at worst by {_size(own.gap_worst)}"
        return f"{over} it cost more than that plan on average, {dearer}."
    return f"{over} it closed {ratio(own.gap_mean, percent=True)} on average{_and_at_worst(own.gap_worst)}."


def policy_cells(pooled: Pooled) -> list[str]:
    """One policy over all cases, a cell for each of POLICY_HEADS."""
    return [
        pooled.title + ("*" if pooled.hindsight else ""),
        ratio(pooled.cost_over_optimum),
        ratio(pooled.cost_over_rival),
        ratio(pooled.gap_median, percent=True),
        ratio(pooled.gap_worst, percent=True),
        ratio(pooled.late_over_asked),
        ratio(pooled.within, percent=True),
        ratio(pooled.within_twice, percent=True),
    ]


def group_cells(pooled: Pooled) -> list[str]:
    """Headstart over some cases, a cell for each of GROUP_HEADS."""
    return [
        words.count(pooled.cases),
        ratio(pooled.gap_mean, percent=True),
        ratio(pooled.gap_median, percent=True),
        ratio(pooled.gap_worst, percent=True),
        words.count(pooled.cases - pooled.gaps),
        ratio(pooled.gap_with_static, percent=True),
        ratio(pooled.cost_over_rival),
        ratio(pooled.within, percent=True),
        ratio(pooled.within_twice, percent=True),
    ]


def worth_cells(worth: Worth) -> list[str]:
    """One variant, a cell for each of WORTH_HEADS."""
    return [
        worth.title,
        ratio(worth.gap, percent=True),
        f"{100 * worth.points:+.1f} points",
        ratio(worth.better, percent=True),
        ratio(worth.within, percent=True),
        words.count(worth.cases),
    ]


def groups(results: Sequence[Finished]) -> list[tuple[str, list[Finished]]]:
    """The cases by budget, by load and by trace, each with its name; all of them first."""
    named = [("all", list(results))]
    if len(histories := by_history(results)) > 1:
        named += [(name, histories[name]) for name in (LONG, SHORT)]
    budgets = sorted(by_budget(results).items())[::-1]
    named += [(f"{words.asked_share(budget)} asked", group) for budget, group in budgets]
    named += [(f"load {load}", group) for load, group in by_load(results).items()]
    return named + list(by_trace(results).items())


def markdown(results: Sequence[Finished], *, command: str) -> str:
    """The benchmark as Markdown: what README tells of it."""
    parts = [
        _markdown_text(headline(results)),
        f"    {command}",
        _table(POLICY_HEADS, map(policy_cells, pool(results))),
        LEGEND,
        _table(("Headstart", *GROUP_HEADS), ([name, *group_cells(headstart_of(g))] for name, g in groups(results))),
        GAP_NOTE,
        _table(WORTH_HEADS, map(worth_cells, worth_of_parts(results))),
        PARTS_NOTE,
    ]
    return "\n\n".join(parts) + "\n"


def write_markdown(results: Sequence[Finished], path: Path, *, command: str) -> None:
    """Write the Markdown to `path`, aside and then renamed."""
    text = markdown(results, command=command)
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def ratio(value: float | None, *, percent: bool = False) -> str:
    """A ratio with two decimals, or as whole percent; '-' for None."""
    if value is None:
        return words.NOTHING
    text = f"{100 * value:.0f} %" if percent else f"{value:.2f}"
    return "0 %" if text == "-0 %" else text


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(_markdown_cell, line))} |" for line in lines)


def _markdown_cell(text: str) -> str:
    return _markdown_text(text).replace("|", "&#124;")


def _markdown_text(text: str) -> str:
    """Plain text, such as a trace's name, as Markdown that shows it."""
    return escape(text, quote=False).replace("*", "&#42;")
