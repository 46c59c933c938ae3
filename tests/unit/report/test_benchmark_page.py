"""A benchmark's numbers, its page and its Markdown."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from benchmark_results import make_finished, make_results

from autoscaler.report.benchmark_page import benchmark_page, write_benchmark_page
from autoscaler.report.benchmark_summary import (
    LONG,
    SHORT,
    by_history,
    by_load,
    headstart_of,
    pool,
    worst_case,
    worth_of_parts,
)
from autoscaler.report.benchmark_text import groups, headline, markdown, ratio

VOID = {"meta", "link"}


class Page(HTMLParser):
    """The page's text, and that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data.replace("\u00a0", " ")


def test_pooled_numbers_are_those_of_the_cases_that_have_them():
    own = headstart_of(make_results())
    gaps = [0.9, 0.802, 0.9, 0.0, -0.098, 0.0, -0.098]
    assert own.cases == 8
    assert own.gaps == 7
    assert own.gap_mean == pytest.approx(sum(gaps) / 7)
    assert own.gap_worst == pytest.approx(-0.098)
    hours = [200.0 - 100.0 * gap for gap in gaps]
    assert own.cost_over_rival == pytest.approx(math.prod(each / 200.0 for each in hours) ** (1 / 7))
    assert own.late_over_asked == pytest.approx(0.8)
    assert own.within == own.within_twice == own.within_factor == 1.0


def test_a_policy_without_a_plan_in_a_case_says_in_how_many():
    by_policy = {pooled.policy: pooled for pooled in pool(make_results())}
    assert by_policy["reactive-best"].without_plan == 1
    assert by_policy["hpa"].within == 0.0
    assert by_policy["optimum"].cost_over_optimum == pytest.approx(1.0)


def test_what_a_part_is_worth_is_told_over_the_cases_in_which_both_have_a_gap():
    (worth,) = worth_of_parts(make_results())
    assert worth.policy == "headstart-seasonless"
    assert worth.cases == 7
    assert worth.points == pytest.approx(-0.05)
    assert worth.better == 0.0


def test_a_case_that_stands_for_several_loads_counts_with_each():
    assert {load: len(group) for load, group in by_load(make_results()).items()} == {"30s": 4, "120s": 4, "600s": 4}


def test_lateness_is_held_against_what_was_asked_after_the_first_day_where_there_is_one():
    results = make_results()
    early = [
        replace(each, rows=tuple(replace(row, late_fraction=1.0) for row in each.rows if row.late_fraction is not None))
        for each in results
    ]
    own = headstart_of(early)
    assert own.within == 0.0
    assert own.within_twice == 1.0


def test_the_headline_names_the_worst_case_and_the_page_has_it():
    results = make_results()
    finished, gap = worst_case(results)
    assert gap == pytest.approx(-0.098)
    told = headline(results)
    assert told.startswith("Over 8 cases (2 traces, 3 loads, 2 late budgets; loads shorter than a bin are one case) ")
    assert "Headstart closed 0 % of the gap from the best reactive plan in hindsight down to the optimum" in told
    assert "a day of history" not in told
    where = f"({finished.case.trace}, load 30s, 120s, 0.1 % asked)"
    assert f"at worst it cost more than that plan, by 10 % of the gap {where}." in told
    assert told in Page(benchmark_page(results, command="headstart benchmark traces")).text


def test_the_headline_says_dearer_where_nothing_was_closed():
    dearer = [make_finished("steps", ("600s",), 0.05, gap) for gap in (-0.14, -0.01, 0.2)]
    told = headline(dearer)
    assert told.startswith("Over 3 cases (1 trace, 1 load, 1 late budget) in the median case Headstart cost more than ")
    assert (
        "by 1 % of the gap from there down to the optimum, and at worst by 14 % (steps, load 600s, 5 % asked)." in told
    )
    closing = headline([make_finished("steps", ("600s",), 0.05, gap) for gap in (0.1, 0.3)])
    assert "closed 20 % of the gap" in closing
    assert "in the median case, and at the least 10 % (steps" in closing
    for text in (told, closing):
        assert not re.search(r"-\d", text)


def test_a_gap_that_rounds_to_nothing_is_not_negative():
    assert ratio(-0.004, percent=True) == "0 %"
    assert ratio(-0.006, percent=True) == "-1 %"


def test_charts_keep_the_size_of_their_text_on_a_narrow_page():
    page = benchmark_page(make_results(), command="headstart benchmark traces")
    charts = re.findall(r"<svg[^>]*>", page)
    assert len(charts) == 2
    for chart in charts:
        assert "viewBox" not in chart  # which would scale the text with the width
        assert 'width="100%"' in chart


def test_cold_starts_are_told_apart():
    results = make_results()
    known = [
        replace(each, case=replace(each.case, setting=replace(each.case.setting, score_from_bin=144)))
        for each in results[:4]
    ]
    mixed = [*known, *results[4:]]
    assert {name: len(group) for name, group in by_history(mixed).items()} == {LONG: 4, SHORT: 4}
    assert [name for name, _ in groups(mixed)][:3] == ["all", LONG, SHORT]
    assert headline(mixed).endswith(
        "Over the 3 cases with a gap and a day of history or more it closed 87 % on average, and at the least 80 %."
    )
    (worth,) = worth_of_parts(mixed)
    assert worth.cases == 3


def test_where_no_case_has_a_gap_no_number_is_invented():
    results = [make_results()[3]]
    told = headline(results)
    assert "no case has a gap" in told
    page = Page(benchmark_page(results, command="headstart benchmark traces")).text
    assert told in page
    assert "nan" not in page.lower()
    assert worth_of_parts(results) == []


def test_the_page_needs_nothing_and_shows_every_case():
    page = Page(benchmark_page(make_results(), command="headstart benchmark traces"))
    assert page.links == ["data:,"]
    assert "script" not in page.tags
    assert page.tags.count("circle") == 7 + 8  # gaps, and latenesses
    assert page.tags.count("details") == 2
    assert "diurnal: 87 % of the gap, 4 cases" in page.text
    assert "headstart benchmark traces" in page.text
    assert "75 %" in page.text  # the weight of a member


def test_names_are_text_on_the_page_and_in_the_table():
    results = make_results(("<b>a|b</b>", "steps"))
    page = benchmark_page(results, command="headstart benchmark '<i>'")
    assert "<b>" not in page
    assert "<i>" not in page
    text = markdown(results, command="headstart benchmark x")
    assert "a&#124;b" in text
    assert "<b>" not in text


def test_every_row_of_a_markdown_table_has_as_many_cells():
    text = markdown(make_results(), command="headstart benchmark traces")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"\|", line)) for line in table}) == 1


def test_the_page_is_written_as_a_whole(tmp_path):
    path = tmp_path / "benchmark.html"
    write_benchmark_page(make_results(), path, command="headstart benchmark traces")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert [each.name for each in tmp_path.iterdir()] == ["benchmark.html"]
