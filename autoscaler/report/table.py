"""The policies side by side: a table for the terminal, and result.json for machines."""

from __future__ import annotations

import math

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoscaler.backtest.percentiles import Percentiles
from autoscaler.backtest.result import BacktestResult, Frontier, RequestFigures
from autoscaler.report import facts, words
from autoscaler.report.reading import above_maximum, hides_bursts
from autoscaler.report.reasons import headstart_reasons, shares
from autoscaler.report.repeats import repeats_told, without_repeats
from autoscaler.report.sentence import sentence
from autoscaler.report.summary import HEADSTART, PolicySummary, summarise
from autoscaler.report.waits import WAIT_HEADS, wait_cells

_NAME_WIDTH = 20  # a name without a space is broken from here on


def policy_table(result: BacktestResult) -> RenderableType:
    """All policies, Headstart first, at most 100 columns wide. Late shares above the budget are red."""
    summary = summarise(without_repeats(result))
    priced = result.gpu_hour_price is not None
    budget = result.setting.late_budget
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("policy", max_width=44 if priced else 54)
    for head in ("GPU-hours", *(["cost"] if priced else []), "of optimum", "late", "starts/day", "used"):
        table.add_column(head, justify="right")
    for row in summary.policies:
        table.add_row(*_cells(row, budget), style="bold" if row.name == HEADSTART else None)
    return noted(whole(table), _note(result))


def wait_table(result: BacktestResult) -> RenderableType | None:
    """How long single requests waited under each policy, at most 100 columns wide; None in the fluid fidelity."""
    if result.requests is None:
        return None
    table = Table(box=None, header_style="bold", pad_edge=False)
    note = (
        f"{words.count(result.requests.requests)} requests; seconds from arrival\n"
        "late work: share of the work whose request was late; in bins: as the model in bins counts it"
    )
    table.add_column("policy")
    for head in WAIT_HEADS:
        table.add_column(head, justify="right")
    for row in summarise(without_repeats(result)).policies:
        if row.requests is not None:
            table.add_row(
                Text(row.name),
                *wait_cells(row.requests),
                style="bold" if row.name == HEADSTART else None,
            )
    return noted(whole(table), note)


def whole(table: Table) -> Table:
    """`table`, complete on a narrow terminal too: names and heads are broken between words; numbers, which are flush
    right, and columns of `no_wrap` never. Where even that needs more room the table has it: print it with crop=False.
    """
    for column in table.columns:
        is_unbroken = column.no_wrap or column.justify == "right"
        cells = [str(cell) for cell in column.cells]
        kept = [*str(column.header).split(), *(cells if is_unbroken else " ".join(cells).split())]
        widest = max(map(cell_len, kept), default=0)
        column.min_width = widest if is_unbroken else min(widest, _NAME_WIDTH)
        column.no_wrap, column.overflow = False, "fold"
    return table


def noted(table: Table, note: str) -> RenderableType:
    """`table` and below it `note`, broken only where the terminal ends: a caption would be at the table's width."""
    return Group(table, Text(note, style="table.caption"))


def to_json(result: BacktestResult, *, command: str | None = None) -> dict[str, object]:
    """The result as result.json holds it: plain values only, None for what is not finite.

    `policies` is keyed by name. `cost_over_optimum` is a policy's replica-hours over the optimum's, 1.0 for the optimum
    itself; None where the optimum was not run. `late_fraction` is a share, not a percentage. In the fidelity 'request'
    it counts requests, and each policy has `requests`; of the times in there, those that are infinite are None.
    Headstart's `reasons` are code -> share of the scored bins that have it.
    """
    summary = summarise(result)
    by_name = {row.name: row for row in result.policies}
    policies = {row.name: _policy(row, facts.plain(by_name[row.name].settings)) for row in summary.policies}
    found: dict[str, object] = {
        "sentence": sentence(result),
        "fidelity": "fluid" if result.requests is None else "request",
        "policies": policies,
        "frontiers": {row.name: _frontier(row) for row in result.frontiers},
        "saving_gpu_hours": None if summary.saving is None else facts.finite(summary.saving.gpu_hours),
        "settings": facts.settings_used(result),
        "seed": int(result.setting.seed),
        "trace": facts.trace_facts(result.setting),
        "versions": facts.versions(),
        "seconds": {name: facts.finite(seconds) for name, seconds in result.seconds.items()},
    }
    if reasons := headstart_reasons(result):
        policies[HEADSTART]["reasons"] = shares(reasons, result.setting.score_from_bin)
    if result.requests is not None:
        found["requests"] = result.requests.requests
    return found if command is None else {**found, "command": command}


def _cells(row: PolicySummary, budget: float) -> list[str | Text]:
    late = words.late_share(row.late_fraction, budget)
    return [
        Text(row.title + ("*" if row.hindsight else "")),
        words.hours(row.gpu_hours),
        *([words.money(row.money)] if row.money is not None else []),
        words.NOTHING if row.cost_over_optimum is None else f"{row.cost_over_optimum:.2f}",
        Text(late) if row.within_budget else Text(late, style="bold red"),
        words.count(round(row.starts_per_day)),
        words.share(row.mean_utilisation),
    ]


def _note(result: BacktestResult) -> str:
    who = "" if result.requests is None else "requests that "
    asked = f"late: {who}waited longer than {words.duration(result.setting.max_wait_s)}"
    asked += f", asked: at most {words.asked_share(result.setting.late_budget)}"
    marks = "; * needs hindsight" if any(row.hindsight for row in result.policies) else ""
    if marks and result.requests is not None:
        marks += "\nfluid: chosen on the work per bin, so for single requests it may be late, or not the cheapest"
    if hides_bursts(result):
        bins = words.duration(result.setting.bin_s)
        marks += f"\nbins of {bins} are wider than that: what waits in a burst within one isn't seen"
    told = (each for each in (above_maximum(result), repeats_told(result)) if each)
    return "\n".join([asked + marks, *told])


def _policy(row: PolicySummary, settings: dict[str, facts.Value]) -> dict[str, object]:
    found: dict[str, object] = {
        "title": row.title,
        "hindsight": row.hindsight,
        "replica_hours": facts.finite(row.replica_hours),
        "gpu_hours": facts.finite(row.gpu_hours),
        "cost": None if row.money is None else facts.finite(row.money),
        "late_fraction": facts.finite(row.late_fraction),
        "late_bins": int(row.late_bins),
        "starts_per_day": facts.finite(row.starts_per_day),
        "within_budget": None if math.isnan(row.late_fraction) else row.within_budget,
        "mean_utilisation": facts.finite(row.mean_utilisation),
        "cost_over_optimum": None if row.cost_over_optimum is None else facts.finite(row.cost_over_optimum),
        "settings": settings,
    }
    return found if row.requests is None else {**found, "requests": _requests(row.requests)}


def _requests(figures: RequestFigures) -> dict[str, object]:
    return {
        "unserved": figures.unserved,
        "late_work_fraction": facts.finite(figures.late_work_fraction),
        "fluid_late_work_fraction": facts.finite(figures.fluid_late_work_fraction),
        "wait_s": _percentiles(figures.wait),
        "first_token_s": _percentiles(figures.first_token),
    }


def _percentiles(told: Percentiles) -> dict[str, object]:
    values = {"p50": told.p50_s, "p90": told.p90_s, "p99": told.p99_s, "max": told.max_s}
    return {name: facts.finite(value) for name, value in values.items()}


def _frontier(row: Frontier) -> dict[str, object]:
    return {
        "targets": [facts.finite(value) for value in row.targets.tolist()],
        "replica_hours": [facts.finite(value) for value in row.replica_hours.tolist()],
        "late_fraction": [facts.finite(value) for value in row.late_fraction.tolist()],
    }
