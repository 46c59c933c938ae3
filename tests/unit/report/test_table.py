import io
import json
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from report_results import make_result, with_policy, without
from rich.console import Console

from autoscaler.report import words
from autoscaler.report.page import html_page
from autoscaler.report.summary import summarise
from autoscaler.report.table import policy_table, to_json


@pytest.fixture(scope="module")
def result():
    return make_result()


def printed(result, width=100, color=False):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=color, color_system="standard" if color else None).print(
        policy_table(result), crop=False
    )
    return out.getvalue()


def test_the_table_fits_into_100_columns_and_names_every_policy(result):
    text = printed(result)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.index("Headstart") < text.index("HPA, default") < text.index("KEDA") < text.index("Optimum")
    assert "HPA, best target in hindsight (81 %)*" in text
    assert "* needs hindsight" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_cuts_no_number_and_breaks_names_between_words(result, width):
    lines = printed(result, width=width).splitlines()
    for row in summarise(result).policies:
        numbers = (words.hours(row.gpu_hours), words.money(row.money), f"{row.cost_over_optimum:.2f}")
        assert any(all(f" {number} " in line for number in numbers) for line in lines), row.title
        assert any(line.rstrip().endswith(f"  {words.share(row.mean_utilisation)}") for line in lines)
    assert "…" not in "".join(lines)
    assert {"Headstart", "hindsight", "Knative,", "settings"} <= set(" ".join(lines).split())


def test_the_note_is_as_wide_as_the_terminal_and_not_as_the_table(result):
    short = replace(without(result, *(row.name for row in result.policies[1:])), gpu_hour_price=None)
    lines = [line.rstrip() for line in printed(short, width=160).splitlines()]
    assert "bins of 5 min are wider than that: what waits in a burst within one isn't seen" in lines


def test_a_maximum_below_what_demand_needs_is_told_in_a_line_here_and_on_the_page(result):
    peak = max(result.setting.arrivals_rs[result.setting.score_from_bin :]) / result.setting.bin_s
    needed = int(np.ceil(peak))
    line = f"demand needs up to {needed} replicas, and the maximum is {needed - 1}"
    allowed = {maximum: replace(result.setting, replicas_max=maximum) for maximum in (needed, needed - 1)}
    late = with_policy(replace(result, setting=allowed[needed - 1]), "optimum", late_fraction=0.1)
    assert f"{line}: even the optimum is late" in [each.rstrip() for each in printed(late).splitlines()]
    assert f"D{line[1:]}: even the optimum is late." in html_page(late)
    assert line in [each.rstrip() for each in printed(without(late, "optimum")).splitlines()]
    # Enough are allowed; or a peak of a bin that is shorter than the longest wait is queued in time.
    for quiet in (replace(late, setting=allowed[needed]), with_policy(late, "optimum", late_fraction=0.0)):
        assert "demand needs" not in printed(quiet)
        assert "emand needs" not in html_page(quiet)


def test_only_late_shares_above_the_budget_are_red(result):
    red = "\x1b[1;31m"
    kept = printed(with_policy(without(result, "knative", "last-week"), "hpa", late_fraction=0.01), color=True)
    missed = printed(with_policy(without(result, "knative", "last-week"), "hpa", late_fraction=0.0101), color=True)
    assert red not in kept
    assert f"{red}1.01 %" in missed


def test_titles_are_not_markup(result):
    titled = tuple(replace(row, title="[red]x[/red]") for row in result.policies)
    assert "[red]x[/red]" in printed(replace(result, policies=titled))


def test_json_is_strict_and_has_what_others_read(result):
    odd = with_policy(result, "hpa", late_fraction=nan, mean_utilisation=nan)
    odd = replace(
        odd,
        policies=tuple(replace(row, settings={"target": np.float64(0.7), "n": np.int64(3)}) for row in odd.policies),
    )
    found = json.loads(json.dumps(to_json(odd, command="headstart backtest x.csv"), allow_nan=False))
    own, hpa = found["policies"]["headstart"], found["policies"]["hpa"]
    assert {
        "replica_hours",
        "late_fraction",
        "late_bins",
        "mean_utilisation",
        "cost_over_optimum",
        "settings",
    } <= own.keys()
    assert own["settings"] == {"target": 0.7, "n": 3}
    assert own["cost_over_optimum"] == own["replica_hours"] / found["policies"]["optimum"]["replica_hours"]
    assert hpa["late_fraction"] is None
    assert hpa["within_budget"] is None
    assert found["seed"] == 7
    assert found["settings"]["late_budget"] == 0.01
    assert found["trace"]["missing_bins"] == 5
    assert {"headstart", "python", "numpy", "numba"} <= found["versions"].keys()
    assert found["command"] == "headstart backtest x.csv"


def test_json_says_in_which_share_of_the_scored_bins_each_reason_held(result):
    policies = to_json(result)["policies"]
    scored = result.policies[0].reasons[result.setting.score_from_bin :]
    found = policies["headstart"]["reasons"]
    assert found == {code: sum(code in text.split() for text in scored) / len(scored) for code in found}
    assert set(found) == {"Steady", "Released", "OrderedAhead", "Backlog"}
    assert "reasons" not in policies["hpa"]


def test_cost_over_an_optimum_that_was_not_run_is_none(result):
    assert to_json(without(result, "optimum"))["policies"]["hpa"]["cost_over_optimum"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (0.006, "0.6 %"),
        (0.00613, "0.61 %"),
        (4e-6, "<0.001 %"),
        (0.00042, "0.042 %"),
        (0.1234, "12.3 %"),
        (1.0, "100 %"),
        (0.9994, "99.9 %"),
        (0.9999, "99.99 %"),
        (0.9999999, ">99.999 %"),
        (1.0004, "100 %"),
        (nan, "-"),
    ],
)
def test_shares_read_as_percentages(value, text):
    assert words.share(value) == text


def test_a_budget_reads_as_it_was_asked_and_what_is_above_it_as_more():
    assert [words.asked_share(value) for value in (0.01, 0.07, 1e-6, 0.000_999)] == [
        "1 %",
        "7 %",
        "0.0001 %",
        "0.0999 %",
    ]
    assert words.late_share(1.5e-6, 1e-6) == "0.0002 %"
    assert words.late_share(0.010_004, 0.01) == "1.0004 %"
    assert words.late_share(0.5e-6, 1e-6) == "<0.001 %"


def test_amounts_and_times_have_as_many_digits_as_people_need():
    assert [words.hours(value) for value in (1234.4, 12.34, 0.456, 0.0)] == ["1,234", "12.3", "0.46", "0"]
    assert [words.money(value) for value in (925.4, 12.3, -3.5)] == ["$925", "$12.30", "-$3.50"]
    assert [words.duration(value) for value in (10, 90, 600, 86_400, 1_209_600)] == [
        "10 s",
        "90 s",
        "10 min",
        "24 h",
        "14 days",
    ]


def test_starts_are_the_replicas_ordered_in_the_scored_days(result):
    desired = np.full(len(result.setting), 4)
    first = result.setting.score_from_bin
    days = (len(desired) - first) * result.setting.bin_s / 86_400
    desired[first - 1], desired[first + 10 :], desired[first + 20 :] = 1, 9, 2
    ordered = with_policy(result, "hpa", desired=desired)
    starts = to_json(ordered)["policies"]["hpa"]["starts_per_day"]
    assert starts == pytest.approx((3 + 5) / days)
    assert to_json(result)["policies"]["static"]["starts_per_day"] == 0
    # What is ordered in the first bin is counted where that is scored.
    whole = replace(result, setting=replace(result.setting, score_from_bin=0))
    days = len(desired) * result.setting.bin_s / 86_400
    static = next(row for row in result.policies if row.name == "static").outcome.desired
    assert to_json(whole)["policies"]["static"]["starts_per_day"] == pytest.approx(static[0] / days)
