"""Models that share GPUs, as one page that needs nothing but a browser: the table, and GPUs and late work over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from autoscaler.backtest.group import UNLIMITED, Group, GroupOutcome, ModelOutcome
from autoscaler.report import facts, words
from autoscaler.report.curves import is_dated
from autoscaler.report.division_data import division_data
from autoscaler.report.group_lines import Line, lines_of
from autoscaler.report.group_text import TITLES, cautions, how_to_read, scored, sentence
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

_SCRIPTS = ("page_draw.js", "page_time.js", "page_group.js", "page_start.js")
# Late comes first: the one column that must be seen beside a name where the page is narrow.
_HEADS = ("Division and model", "late", "GPU-hours", "most GPUs", "cut", "GPUs moved")


def group_page(
    group: Group, outcomes: Sequence[GroupOutcome], *, name: str = "a group", command: str | None = None
) -> str:
    """The page as text. All text that comes from the user is escaped.

    Args:
        group: what was replayed.
        outcomes: the divisions to compare, at least two; the first is the one that the page is about.
        name: the group's, such as its file's.
        command: the command line that made it, shown for repeating it.
    """
    lines = lines_of(group)
    return framed("group.html").substitute(
        title=escape(f"{name}: GPUs divided among models"),
        css=asset("page.css"),
        colours=colours(),
        over_title=escape(f"Headstart backtest of {name}: {words.count(len(group.models))} models, {scored(group)}"),
        sentence=unbroken(sentence(group, outcomes)),
        numbers=number_cards(_cards(group, outcomes)),
        table_title="Divisions",
        table=_table(group, outcomes, lines),
        waits="",
        traces="traces",
        times=escape(_times(group)),
        main=escape(TITLES[outcomes[0].name]),
        keys="".join(
            f'<span class="key block held look-{line.look.key}">{unbroken(line.title)}</span>' for line in lines
        ),
        gpus=words.count(group.gpus),
        missing_legend=MISSING_KEY,
        reading=bullets(how_to_read(group)),
        command=command_shown(command),
        facts=facts_list(list(_facts(group))),
        data=inlined(division_data(group, outcomes, lines)),
        script="\n".join(asset(each) for each in _SCRIPTS),
    )


def _cards(group: Group, outcomes: Sequence[GroupOutcome]) -> Iterator[tuple[str, str, str]]:
    main = outcomes[0]
    yield "Late share", words.share(main.late_fraction), "of the work of all models, in GPU-seconds"
    yield "GPU-hours", words.hours(main.gpu_hours), TITLES[main.name]
    yield "Most GPUs at once", words.count(main.gpus_max), f"of {words.count(group.gpus)}"
    for outcome in outcomes:
        if outcome.name == UNLIMITED:
            note = f"at once, {TITLES[UNLIMITED]}: {words.share(outcome.late_fraction)} late"
            yield "GPUs wanted", words.count(outcome.gpus_max), note


def _table(group: Group, outcomes: Sequence[GroupOutcome], lines: Sequence[Line]) -> str:
    looks = {place: line.look.key for line in lines for place in line.places}
    rows = []
    for outcome in outcomes:
        own = ' class="own"' if outcome is outcomes[0] else ""
        moved = sum(model.gpus_taken for model in outcome.models)
        numbers = [words.hours(outcome.gpu_hours), words.count(outcome.gpus_max), "", words.count(moved)]
        title = TITLES[outcome.name]
        texts = [title[:1].upper() + title[1:], words.share(outcome.late_fraction), *numbers]
        rows.append(f"<tr{own}>{row_cells('td', texts)}</tr>")
        for place, (asked, model) in enumerate(zip(group.models, outcome.models, strict=True)):
            rows.append(_model_row(model, asked.setting.late_budget, looks[place]))
    body = "\n".join(rows)
    notes = "".join(f'\n<p class="note">{unbroken(told)}.</p>' for told in cautions(group))
    return f"<table><thead><tr>{row_cells('th', _HEADS)}</tr></thead>\n<tbody>{body}</tbody></table>{notes}"


def _model_row(model: ModelOutcome, late_budget: float, look: str) -> str:
    bad = ' class="bad"' if model.late_fraction > late_budget else ""
    late = unbroken(words.late_share(model.late_fraction, late_budget))
    name = f'<span class="swatch look-{look}"></span>{unbroken(model.name)}'
    numbers = [words.hours(model.gpu_hours), words.count(model.gpus_max)]
    numbers += [words.share(model.cut_fraction), words.count(model.gpus_taken)]
    return f'<tr class="part"><td>{name}</td><td{bad}>{late}</td>{row_cells("td", numbers)}</tr>'


def _times(group: Group) -> str:
    """Which times the charts have: traces need not begin at the same one."""
    starts = [model.setting.start_s for model in group.models]
    told = "Times are UTC" if is_dated(starts[0]) else "Times count from the start of the trace"
    return f"{told}." if len(set(starts)) == 1 else f"{told}, those of {group.models[0].name}."


def _facts(group: Group) -> Iterator[tuple[str, Mapping[str, object]]]:
    yield "GPUs", {"gpus": group.gpus}
    for model in group.models:
        yield model.name, {**facts.model_facts(model), **facts.trace_facts(model.setting)}
    yield "versions", facts.versions()
