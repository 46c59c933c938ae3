"""The report as one page that needs nothing but a browser: no network, no library, charts by its own script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from autoscaler.backtest.result import BacktestResult
from autoscaler.core.decision import Reason
from autoscaler.files import write_aside
from autoscaler.report import facts, words
from autoscaler.report.curves import chart_data, is_dated
from autoscaler.report.page_parts import (
    MISSING_KEY,
    asset,
    bullets,
    colours,
    command_shown,
    facts_list,
    framed,
    inlined,
    number_cards,
    row_cells,
    unbroken,
)
from autoscaler.report.palette import looks_of
from autoscaler.report.reading import above_maximum, how_to_read
from autoscaler.report.reasons import MEANINGS, headstart_reasons, shares
from autoscaler.report.repeats import repeats_told, without_repeats
from autoscaler.report.sentence import sentence
from autoscaler.report.summary import HEADSTART, OPTIMUM, PolicySummary, Summary, summarise
from autoscaler.report.waits import WAIT_HEADS, wait_cells

_MONTH_DAYS = 30
_SCRIPTS = ("page_draw.js", "page_time.js", "page_replicas.js", "page_policies.js", "page_start.js")


def write_html(result: BacktestResult, path: Path, *, command: str | None = None) -> None:
    """Write the page for `result` to `path`, aside and then renamed.

    Args:
        result: what the backtest found, with at least one policy and one scored bin.
        path: the file; an existing one is replaced.
        command: the command line that made it, shown for repeating it.
    """
    page = html_page(result, command=command)
    write_aside(path, lambda aside: aside.write_text(page, encoding="utf-8"))


def html_page(result: BacktestResult, *, command: str | None = None) -> str:
    """The page as text. All text that comes from the user is escaped."""
    notes = [note for note in (above_maximum(result), repeats_told(result)) if note]
    result = without_repeats(result)
    summary = summarise(result)
    main = summary.policies[0]
    looks = looks_of([row.name for row in summary.policies])
    setting = result.setting
    return framed("page.html").substitute(
        title=escape(f"{setting.trace_name}: GPU autoscaling backtest"),
        css=asset("page.css"),
        colours=colours(),
        over_title=escape(_over_title(result, summary)),
        sentence=unbroken(sentence(result)),
        numbers=_numbers(result, summary),
        table_title="Policies",
        table=_table(result, summary, notes),
        waits=_waits(result, summary),
        traces="trace",
        times="Times are UTC." if is_dated(setting.start_s) else "Times count from the start of the trace.",
        main=escape(main.title),
        main_look=looks[main.name].key,
        demand_title="Demand and what was forecast for it" if result.forecast else "Demand",
        demand_legend=_demand_legend(result),
        missing_legend=MISSING_KEY,
        reasons=_reasons(result),
        hollow="Hollow: default settings; filled: best settings in hindsight"
        + ("; lines: all targets tried." if result.frontiers else "."),
        budget=unbroken(words.asked_share(setting.late_budget)),
        reading=bullets(how_to_read(result)),
        command=command_shown(command),
        facts=_facts(result),
        data=inlined(chart_data(result)),
        script="\n".join(asset(name) for name in _SCRIPTS),
    )


def _over_title(result: BacktestResult, summary: Summary) -> str:
    setting = result.setting
    return (
        f"Headstart backtest of {setting.trace_name}: {words.duration(summary.scored_s)} scored, "
        f"{words.count(summary.scored_bins)} bins of {words.duration(setting.bin_s)}, "
        f"a replica loads for {setting.load_latency.label}"
    )


def _numbers(result: BacktestResult, summary: Summary) -> str:
    main, saving = summary.policies[0], summary.saving
    budget = result.setting.late_budget
    cards = [
        ("GPU-hours", words.hours(main.gpu_hours), main.title),
        ("Late share", words.late_share(main.late_fraction, budget), f"asked: at most {words.asked_share(budget)}"),
    ]
    if saving is not None:
        word = "Saved" if saving.gpu_hours >= 0 else "Dearer"
        amount = words.money(abs(saving.money)) if saving.money is not None else words.share(abs(saving.share))
        rival = "the best HPA" if result.requests is None else "the cheapest HPA replayed"
        note = f"{words.hours(abs(saving.gpu_hours))} GPU-hours against {rival} that is at most as late"
        cards.append((word, amount, note))
        if saving.gap_closed is not None and saving.gap_closed >= 0:
            optimum = summary.policy(OPTIMUM)
            what = "never-late optimum" if optimum and not optimum.late_fraction > 0 else "optimum in hindsight"
            note = f"from that HPA down to the {what}"
            cards.append(("Of what could be saved", words.share(saving.gap_closed), note))
        if saving.month_gpu_hours is not None:
            month = words.hours(abs(saving.month_gpu_hours)) + " GPU-h"
            if saving.month_money is not None:
                month = words.money(abs(saving.month_money))
            cards.append((f"{word} in {_MONTH_DAYS} days", f"≈ {month}", "a projection: the scored part, scaled"))
    return number_cards(cards)


def _table(result: BacktestResult, summary: Summary, notes: list[str]) -> str:
    # Late comes first: the one column that must be seen beside a name where the page is narrow.
    heads = ["Policy", "late", "GPU-hours", *(["cost"] if result.gpu_hour_price is not None else [])]
    heads += ["of optimum", "late bins", "starts a day", "utilisation"]
    looks = looks_of([row.name for row in summary.policies])
    rows = "\n".join(_table_row(row, looks[row.name].key, result.setting.late_budget) for row in summary.policies)
    below = "".join(f'\n<p class="note">{unbroken(note[:1].upper() + note[1:])}.</p>' for note in notes)
    return f"<table><thead><tr>{row_cells('th', heads)}</tr></thead>\n<tbody>{rows}</tbody></table>{below}"


def _table_row(row: PolicySummary, look: str, budget: float) -> str:
    hindsight = ' <span class="tag">needs hindsight</span>' if row.hindsight else ""
    name = f'<span class="swatch look-{look}"></span>{unbroken(row.title)} <code>{escape(row.name)}</code>{hindsight}'
    cells = [words.hours(row.gpu_hours), *([words.money(row.money)] if row.money is not None else [])]
    cells.append(words.NOTHING if row.cost_over_optimum is None else f"{row.cost_over_optimum:.2f}")
    late = unbroken(words.late_share(row.late_fraction, budget))
    late_cell = f"<td>{late}</td>" if row.within_budget else f'<td class="bad">{late}</td>'
    cells += [words.count(row.late_bins), words.count(round(row.starts_per_day)), words.share(row.mean_utilisation)]
    return f"<tr{_own(row)}><td>{name}</td>{late_cell}{row_cells('td', cells)}</tr>"


def _waits(result: BacktestResult, summary: Summary) -> str:
    """How long single requests waited, in the fidelity per request."""
    if result.requests is None:
        return ""
    looks = looks_of([row.name for row in summary.policies])
    rows = "\n".join(
        f'<tr{_own(row)}><td><span class="swatch look-{looks[row.name].key}"></span>{unbroken(row.title)}</td>'
        f"{row_cells('td', wait_cells(row.requests))}</tr>"
        for row in summary.policies
        if row.requests is not None
    )
    return (
        f"<h2>Waits of single requests</h2>\n"
        f'<p class="note">{words.count(result.requests.requests)} requests, in seconds from arrival. '
        "The first token comes after the wait and the prefill.</p>\n"
        f'<div class="wide"><table><thead><tr>{row_cells("th", ["Policy", *WAIT_HEADS])}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _reasons(result: BacktestResult) -> str:
    """What Headstart's reason codes mean, and how often each held."""
    reasons = headstart_reasons(result)
    if not reasons:
        return ""
    heads = row_cells("th", ["Reason", "What it means", "share of bins"])
    rows = "\n".join(
        f"<tr><td><code>{code}</code></td><td>{MEANINGS[Reason(code)]}</td>{row_cells('td', [words.share(share)])}</tr>"
        for code, share in shares(reasons, result.setting.score_from_bin).items()
    )
    return (
        "<h2>Why the number of replicas was what it was</h2>\n"
        '<p class="note">Headstart\'s reasons, and the share of the scored bins that have each: a bin '
        "may have several. Hovering over the chart of its replicas tells those of a moment.</p>\n"
        f'<div class="wide"><table class="reasons"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _own(row: PolicySummary) -> str:
    return ' class="own"' if row.name == HEADSTART else ""


def _demand_legend(result: BacktestResult) -> str:
    keys = ['<span class="key" style="--c:var(--ink)">demand, in replicas at full use</span>']
    if result.forecast is not None:
        low, high = words.share(result.forecast.low_level), words.share(result.forecast.high_level)
        band = unbroken(f"forecast, {low} to {high} quantile")
        keys.append('<span class="key look-headstart">forecast made one load earlier, median</span>')
        keys.append(f'<span class="key block" style="--fill:var(--band)">{band}</span>')
    return "".join([*keys, MISSING_KEY])


def _facts(result: BacktestResult) -> str:
    used: dict[str, object] = {**facts.settings_used(result), "seed": result.setting.seed}
    trace = facts.trace_facts(result.setting)
    rows: list[tuple[str, Mapping[str, object]]] = [
        ("settings", used),
        ("trace", trace),
        *((f"policy {row.name}", facts.plain(row.settings)) for row in result.policies if row.settings),
        ("seconds", {name: f"{seconds:.2f}" for name, seconds in result.seconds.items()}),
        ("versions", facts.versions()),
    ]
    return facts_list(rows)
