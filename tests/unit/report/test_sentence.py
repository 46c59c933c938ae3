from dataclasses import replace
from math import nan

import numpy as np
import pytest
from report_results import make_result, with_policy, without

from autoscaler.backtest.result import BacktestResult, Frontier
from autoscaler.core.load_latency import LoadLatency
from autoscaler.report.page import html_page
from autoscaler.report.sentence import sentence
from autoscaler.report.summary import in_display_order, summarise


@pytest.fixture(scope="module")
def tried() -> BacktestResult:
    """Headstart 800 GPU-hours and 0.6 % late, the best HPA 1,000 and 0.5 %, the optimum 700; no frontier."""
    result = replace(make_result(), frontiers=())
    result = with_policy(result, "headstart", replica_hours=800.0, late_fraction=0.006)
    result = with_policy(result, "hpa", replica_hours=900.0, late_fraction=0.04)
    result = with_policy(result, "hpa-best", replica_hours=1000.0, late_fraction=0.005)
    return with_policy(result, "optimum", replica_hours=700.0)


def test_a_win_is_told_in_hours_money_and_lateness(tried):
    assert sentence(tried) == (
        "Headstart would have served this trace with 800 GPU-hours, 20 % fewer (200 GPU-hours, $500) than the best HPA "
        "that keeps the same lateness in hindsight, with 0.6 % of requests waiting longer than 10 s (asked: 1 %)."
    )


@pytest.mark.parametrize(
    ("scored_bins", "load_s", "told"),
    [
        (1, 60.0, "Only one bin is scored: too little to judge by; score more, or give a longer trace. Headstart "),
        (1, 600.0, "Only one bin is scored, and a replica loads for 10 min: too little to judge by; "),
        (2, 600.0, "Only 10 min are scored, and a replica loads for 10 min: too little to judge by; "),
        (3, 600.0, "Headstart would have served"),
    ],
)
def test_a_scored_part_that_proves_nothing_is_said_first(tried, scored_bins, load_s, told):
    score_from_bin, load = len(tried.setting) - scored_bins, LoadLatency.constant(load_s)
    setting = replace(tried.setting, score_from_bin=score_from_bin, load_latency=load)
    assert sentence(replace(tried, setting=setting)).startswith(told)


def with_budget_row(result: BacktestResult, replica_hours: float, late_fraction: float) -> BacktestResult:
    """The result with the HPA's cheapest target for the asked budget."""
    best = next(row for row in result.policies if row.name == "hpa-best")
    outcome = replace(best.outcome, replica_hours=replica_hours, late_fraction=late_fraction)
    return replace(result, policies=(*result.policies, replace(best, name="hpa-within-budget", outcome=outcome)))


@pytest.mark.parametrize(
    ("replica_hours", "told"),
    [(1000.0, "it is 20 % fewer (1,000 GPU-hours)"), (640.0, "it is 25 % more (640 GPU-hours)"), (800.0, "as many")],
)
def test_who_was_less_late_than_asked_is_also_held_against_the_hpa_that_just_keeps_the_budget(
    tried, replica_hours, told
):
    text = sentence(with_budget_row(tried, replica_hours, 0.0099))
    assert " Against the cheapest HPA in hindsight that just keeps the asked 1 % " in text
    assert told in text


@pytest.mark.parametrize("late_fraction", [0.02, 0.006])
def test_an_hpa_that_misses_the_budget_or_is_no_later_is_not_named_twice(tried, late_fraction):
    assert "just keeps" not in sentence(with_budget_row(tried, 640.0, late_fraction))


def test_where_no_hpa_keeps_a_missed_budget_either_it_is_said(tried):
    missed = with_policy(tried, "headstart", replica_hours=800.0, late_fraction=0.03)
    text = sentence(with_budget_row(missed, 2_000.0, 0.02))
    assert " missed its budget on this trace: 3 % of requests " in text
    assert text.endswith(
        " No HPA target that was tried keeps the asked 1 % either: the least late one leaves 2 % late, with 2,000"
        " GPU-hours."
    )


@pytest.mark.parametrize(("replica_hours", "compared"), [(600.0, "25 % fewer than"), (800.0, "as many as")])
def test_a_static_fleet_that_does_as_well_without_hindsight_is_told_right_after_the_saving(
    tried, replica_hours, compared
):
    static = with_policy(tried, "static", replica_hours=replica_hours, late_fraction=0.006)
    told = (
        f" But 'Static fleet at the peak of the history', which needs no hindsight, would have used {replica_hours:.0f}"
        f" GPU-hours, {compared} Headstart, with 0.6 % late."
    )
    assert sentence(static) == sentence(tried) + told
    assert f"{told} Against the cheapest HPA" in sentence(with_budget_row(static, 640.0, 0.0099))
    missed = with_policy(static, "headstart", late_fraction=0.02)
    assert told in sentence(missed)
    assert told in sentence(with_policy(missed, "hpa-best", late_fraction=0.03))
    assert "which needs no hindsight" in html_page(static)


@pytest.mark.parametrize("static", [(600.0, 0.007), (801.0, 0.0), (600.0, nan)])
def test_a_static_fleet_that_is_later_or_dearer_or_has_no_lateness_is_not_in_the_sentence(tried, static):
    hours, late = static
    assert sentence(with_policy(tried, "static", replica_hours=hours, late_fraction=late)) == sentence(tried)


def test_a_static_fleet_that_knew_the_peak_is_not_in_the_sentence(tried):
    cheap = with_policy(tried, "static", replica_hours=600.0, late_fraction=0.0)
    knew = tuple(replace(row, hindsight=row.name == "static" or row.hindsight) for row in cheap.policies)
    assert sentence(replace(cheap, policies=knew)) == sentence(tried)


def test_without_a_price_no_money_is_named(tried):
    assert "$" not in sentence(replace(tried, gpu_hour_price=None))


def test_several_gpus_per_replica_count_each(tried):
    text = sentence(replace(tried, gpus_per_replica=8))
    assert "6,400 GPU-hours, 20 % fewer (1,600 GPU-hours, $4,000)" in text


def test_being_dearer_is_said_first(tried):
    text = sentence(with_policy(tried, "headstart", replica_hours=1050.0))
    assert text.startswith("Headstart would not have saved anything on this trace: 1,050 GPU-hours, 5.0 % more (50.0")


def test_the_same_cost_is_neither_fewer_nor_more(tried):
    text = sentence(with_policy(tried, "headstart", replica_hours=1000.1))
    assert "1,000 GPU-hours, as many as the best HPA" in text


def test_a_missed_budget_is_said_first_and_never_rounded_away(tried):
    text = sentence(with_policy(tried, "headstart", late_fraction=0.010004))
    assert text.startswith(
        "Headstart missed its budget on this trace: 1.0004 % of requests would have waited longer than 10 s "
        "(asked: at most 1 %). It would have used 800 GPU-hours, 20 % fewer"
    )


def test_an_hpa_that_is_later_is_no_comparison(tried):
    text = sentence(with_policy(tried, "hpa-best", late_fraction=0.02))
    assert "fewer" not in text
    assert text.endswith(
        "No HPA target that was tried keeps this lateness: the least late one leaves 2 % late, with 1,000 GPU-hours."
    )


def test_the_cheapest_target_of_the_frontier_that_is_as_late_is_the_rival(tried):
    """'hpa-best' may be tuned to the budget: then the frontier knows which target is as late as Headstart."""
    late = with_policy(tried, "hpa-best", late_fraction=0.009)
    line = Frontier(
        "hpa", "HPA", np.array([0.9, 0.6, 0.5]), np.array([700.0, 960.0, 1200.0]), np.array([0.1, 0.006, 0.0])
    )
    saving = summarise(replace(late, frontiers=(line,))).saving
    assert saving is not None
    assert saving.gpu_hours == pytest.approx(160.0)
    assert saving.gap_closed == pytest.approx(160 / 260)


def test_the_default_target_alone_is_not_called_the_best(tried):
    text = sentence(without(tried, "hpa-best"))
    assert "best" not in text
    assert text.endswith("HPA, default target (70 %) would have used 900 GPU-hours, with 4 % late.")


def test_headstart_alone_is_compared_with_nothing(tried):
    others = [row.name for row in tried.policies if row.name != "headstart"]
    assert sentence(without(tried, *others)) == (
        "Headstart would have served this trace with 800 GPU-hours ($2,000), with 0.6 % of requests waiting longer "
        "than 10 s (asked: 1 %)."
    )


def test_without_headstart_the_policy_that_was_run_is_described(tried):
    assert sentence(without(tried, "headstart")) == (
        "HPA, default target (70 %) missed the budget on this trace: 4 % of requests would have waited longer than "
        "10 s (asked: at most 1 %), while it used 900 GPU-hours ($2,250). Headstart was not run."
    )


def test_work_in_tokens_is_not_called_requests(tried):
    setting = replace(
        tried.setting, demand_rps={"tokens": tried.setting.demand_rps["requests"]}, capacity_rps={"tokens": 3.2}
    )
    assert "of the work waiting" in sentence(replace(tried, setting=setting))


def test_no_arrivals_make_no_late_share(tried):
    text = sentence(with_policy(with_policy(tried, "headstart", late_fraction=nan), "hpa-best", late_fraction=nan))
    assert "nan" not in text
    assert "no work in the scored part that could have waited" in text


def test_a_projection_scales_the_scored_part_to_thirty_days():
    result = replace(make_result(4032), frontiers=())  # 7 days are scored
    result = with_policy(result, "headstart", replica_hours=800.0, late_fraction=0.006)
    saving = summarise(with_policy(result, "hpa-best", replica_hours=1000.0, late_fraction=0.005)).saving
    assert saving is not None
    assert saving.month_gpu_hours == pytest.approx(200 / 7 * 30)
    assert saving.month_money == pytest.approx(500 / 7 * 30)


def test_less_than_a_week_is_not_projected(tried):
    saving = summarise(tried).saving  # 3.5 days are scored
    assert saving is not None
    assert saving.month_gpu_hours is None
    assert saving.month_money is None
    assert "in 30 days" not in html_page(tried)


def test_policies_are_shown_headstart_first_and_the_optimum_last(tried):
    shuffled = tuple(reversed(without(tried, "hpa", "keda", "knative").policies))
    assert [row.name for row in in_display_order(shuffled)] == [
        "headstart",
        "hpa-best",
        "keda-best",
        "knative-best",
        "last-week",
        "static",
        "optimum",
    ]
