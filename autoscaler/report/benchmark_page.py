"""The benchmark as one page that needs nothing but a browser: no network, no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from autoscaler.backtest.benchmark.rows import Row
from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.backtest.benchmark.variants import HEADSTART
from autoscaler.files import write_aside
from autoscaler.report import facts, words
from autoscaler.report.benchmark_charts import calibration_chart, gap_chart, look_of_budgets
from autoscaler.report.benchmark_summary import (
    FACTOR,
    Pooled,
    by_load,
    by_trace,
    headstart_of,
    mean_weights,
    pool,
    row_of,
    worth_of_parts,
)
from autoscaler.report.benchmark_text import (
    GAP_NOTE,
    GROUP_HEADS,
    LEGEND,
    PARTS_NOTE,
    POLICY_HEADS,
    WORTH_HEADS,
    group_cells,
    groups,
    headline,
    policy_cells,
    ratio,
    worth_cells,
)
from autoscaler.report.page_parts import asset, colours, number_cards, row_cells, topped, unbroken


def write_benchmark_page(results: Sequence[Finished], path: Path, *, command: str) -> None:
    """Write the page to `path`, aside and then renamed.

    Args:
        results: all cases, at least one.
        path: the file; an existing one is replaced.
        command: the command line that made it, shown for repeating it.
    """
    page = benchmark_page(results, command=command)
    write_aside(path, lambda aside: aside.write_text(page, encoding="utf-8"))


def benchmark_page(results: Sequence[Finished], *, command: str) -> str:
    """The page as text. All text that comes from the user is escaped."""
    own = headstart_of(results)
    return topped(asset("benchmark.html"), style=asset("benchmark.css")).substitute(
        title="Headstart benchmark",
        css=asset("page.css"),
        colours=colours(),
        over_title=escape(f"Headstart benchmark of {', '.join(by_trace(results))}"),
        sentence=unbroken(headline(results)),
        numbers=_numbers(own),
        legend=unbroken(LEGEND),
        policies=_table(POLICY_HEADS, (policy_cells(pooled) for pooled in pool(results)), own=0),
        loads=escape(", ".join(by_load(results))),
        budget_keys=_budget_keys(results),
        gap_chart=gap_chart(results),
        gap_note=unbroken(GAP_NOTE),
        groups=_table(
            ("Headstart", *GROUP_HEADS),
            ([name, *group_cells(headstart_of(group))] for name, group in groups(results)),
            own=0,
        ),
        factor=f"{FACTOR:g}",
        within_factor=unbroken(ratio(own.within_factor, percent=True)),
        within_twice=unbroken(ratio(own.within_twice, percent=True)),
        calibration_chart=calibration_chart(results),
        parts_note=unbroken(PARTS_NOTE),
        parts=_table(WORTH_HEADS, (worth_cells(worth) for worth in worth_of_parts(results))),
        weights=_weights(results),
        traces="\n".join(_trace(name, group) for name, group in by_trace(results).items()),
        command=escape(command),
        facts=_facts(results),
    )


def _numbers(own: Pooled) -> str:
    cards = [
        (
            "Gap closed",
            ratio(own.gap_median, percent=True),
            f"median of {own.gaps} cases; mean " + ratio(own.gap_mean, percent=True),
        ),
        ("Worst case", ratio(own.gap_worst, percent=True), "of the gap; below zero: dearer than the reactive plan"),
        ("Cost", ratio(own.cost_over_rival), "of the best reactive plan's at equal lateness"),
        ("As asked", ratio(own.within, percent=True), "of the cases at most as late as asked"),
        ("Without gap", words.count(own.cases - own.gaps), f"of {own.cases} cases"),
    ]
    return number_cards(cards)


def _budget_keys(results: Sequence[Finished]) -> str:
    return "".join(
        f'<span class="key look-{look}">{unbroken(words.asked_share(budget))} asked</span>'
        for budget, look in look_of_budgets(results).items()
    )


def _weights(results: Sequence[Finished]) -> str:
    members = list(mean_weights(results))
    rows = []
    for trace, group in by_trace(results).items():
        weights = mean_weights(group)
        heaviest = max(weights, key=lambda member: weights[member])
        cells = "".join(
            f'<td class="best">{ratio(weights[member], percent=True)}</td>'
            if member == heaviest
            else f"<td>{ratio(weights[member], percent=True)}</td>"
            for member in members
        )
        rows.append(f"<tr><td>{escape(trace)}</td>{cells}</tr>")
    heads = row_cells("th", ["trace", *members])
    return f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{''.join(rows)}</tbody></table>"


def _trace(name: str, group: Sequence[Finished]) -> str:
    """All cases of a trace, folded away."""
    shown = [row.policy for row in group[0].rows if row.policy == HEADSTART or not row.policy.startswith(HEADSTART)]
    titles = {row.policy: row.title for row in group[0].rows}
    heads = ["load", "asked", *(titles[policy] for policy in shown), "gap closed"]
    rows = [_case_cells(finished, shown) for finished in group]
    own = headstart_of(group)
    said = f"{escape(name)}: {ratio(own.gap_mean, percent=True)} of the gap, {len(group)} cases"
    return f'<details><summary>{unbroken(said)}</summary><div class="wide">{_table(heads, rows)}</div></details>'


def _case_cells(finished: Finished, shown: Sequence[str]) -> list[str]:
    case = finished.case
    budget = case.setting.late_budget
    load = case.load if case.seed is None else f"{case.load} (seed {case.seed})"
    cells = [_outcome_cell(row_of(finished, policy), budget) for policy in shown]
    return [load, words.asked_share(budget), *cells, ratio(row_of(finished, HEADSTART).gap_closed, percent=True)]


def _outcome_cell(row: Row, budget: float) -> str:
    """'1.31, 0.8 % late', with the family and target where they were chosen in hindsight."""
    if row.late_fraction is None:
        return words.NOTHING
    chosen = ""
    if row.family is not None:
        size = f"{row.target:.0f}" if row.family == "static" else ratio(row.target, percent=True)
        chosen = f" ({row.family} {size})"
    return f"{ratio(row.cost_over_optimum)}, {words.late_share(row.late_fraction, budget)}{chosen}"


def _facts(results: Sequence[Finished]) -> str:
    setting = results[0].case.setting
    seconds = sum(row.seconds for finished in results for row in finished.rows)
    told = {
        "wait": f"late is what waits longer than {words.duration(setting.max_wait_s)}",
        "computed": f"{words.duration(seconds)} of one core",
        "versions": ", ".join(f"{package} {version}" for package, version in facts.versions().items()),
    }
    return "\n".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in told.items())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, own: int | None = None) -> str:
    """A table; row `own` is set off."""
    body = "\n".join(
        f"<tr{' class=own' if at == own else ''}>{row_cells('td', cells)}</tr>" for at, cells in enumerate(rows)
    )
    return f"<table><thead><tr>{row_cells('th', heads)}</tr></thead>\n<tbody>{body}</tbody></table>"
