"""Which cases a benchmark has, and by what they are known."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from autoscaler.backtest.benchmark.cases import Question, plan_cases
from autoscaler.backtest.benchmark.digest import case_digest, code_digest
from autoscaler.backtest.benchmark.variants import VARIANTS, WITH_BOOSTED
from autoscaler.backtest.setting import WarmNodes
from autoscaler.core.event import Event
from autoscaler.core.known_loads import KNOWN_LOADS
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace
from forecasting.lead_members import DEFAULT_MEMBERS, MEMBERS, SEASONLESS_MEMBERS

DIFFUSION = KNOWN_LOADS["stable-diffusion"]


def make_trace(name="day", *, bins=144, bin_s=600.0):
    return Trace(name, 0.0, bin_s, {"requests": 50.0 + np.arange(float(bins)) % 7}, dated=False)


def make_question(**changes):
    question = Question(
        loads=[*map(LoadLatency.constant, (30.0, 120.0, 600.0)), DIFFUSION],
        late_budgets=[0.05, 0.01],
        seeds=[0, 1, 2],
        max_wait_s=10.0,
        mean_replicas=20.0,
        score_from=0.5,
        variants=VARIANTS,
    )
    return replace(question, **changes)


def test_loads_that_all_take_one_bin_are_one_case_with_all_their_names():
    plan = plan_cases([make_trace()], make_question())
    assert [case.loads for case in plan.cases] == [("30s", "120s", "600s", "stable-diffusion")] * 2
    assert {case.setting.load_latency.quantiles_s for case in plan.cases} == {(600.0,)}
    assert [case.setting.late_budget for case in plan.cases] == [0.05, 0.01]
    assert len(plan.jobs) == 1


def test_a_seed_counts_only_where_loads_are_drawn():
    plan = plan_cases([make_trace(bin_s=10.0)], make_question(late_budgets=[0.01]))
    found = [(case.load, case.seed, case.setting.seed) for case in plan.cases]
    drawn = [("stable-diffusion", seed, seed) for seed in (0, 1, 2)]
    assert found == [("30s", None, 0), ("120s", None, 0), ("600s", None, 0), *drawn]
    assert len({case.digest for case in plan.cases}) == 6


def test_what_is_asked_twice_is_run_once():
    question = make_question(
        loads=[*[LoadLatency.constant(30.0)] * 2, DIFFUSION], late_budgets=[0.01, 0.01], seeds=[1, 1]
    )
    plan = plan_cases([make_trace(bin_s=10.0)], question)
    assert [case.loads for case in plan.cases] == [("30s",), ("stable-diffusion",)]


def test_the_capacity_makes_the_mean_replicas_with_gaps_filled():
    trace = make_trace()
    trace.demand["requests"][10:20] = np.nan
    setting = plan_cases([trace], make_question()).cases[0].setting
    assert setting.arrivals_rs.mean() / setting.bin_s == pytest.approx(20.0)
    assert np.isnan(setting.demand_rps["requests"][10:20]).all()


def test_a_trace_shorter_than_a_load_is_left_out_and_told():
    plan = plan_cases([make_trace(bins=50, bin_s=10.0)], make_question())
    assert plan.left_out == ("day covers 500 s, less than a load of 600s",)
    with pytest.raises(UsageError, match="no case is left"):
        plan_cases([make_trace(bins=50, bin_s=10.0)], make_question(loads=[LoadLatency.constant(3600.0)]))


def test_traces_of_one_name_and_traces_without_requests_are_refused():
    with pytest.raises(UsageError, match="two traces are named day"):
        plan_cases([make_trace(), make_trace()], make_question())
    idle = Trace("idle", 0.0, 600.0, {"requests": np.zeros(100)}, dated=False)
    with pytest.raises(UsageError, match="idle: has no request at all"):
        plan_cases([idle], make_question())


def test_the_digest_tells_apart_what_decides_the_result_and_nothing_else():
    setting = plan_cases([make_trace()], make_question()).cases[0].setting
    known = case_digest(setting, VARIANTS)
    assert case_digest(replace(setting, trace_name="renamed"), VARIANTS) == known
    other_label = LoadLatency(setting.load_latency.quantiles_s, "ten minutes")
    assert case_digest(replace(setting, load_latency=other_label), VARIANTS) == known
    demand_rps = setting.demand_rps["requests"].copy()
    demand_rps[-1] = np.nan
    changed = {
        "start_s": 600.0,
        "bin_s": 300.0,
        "demand_rps": {"requests": demand_rps},
        "capacity_rps": {"requests": 1.0},
        "arrivals_rs": setting.arrivals_rs + 1.0,
        "load_latency": LoadLatency.constant(1200.0),
        "max_wait_s": 11.0,
        "late_budget": 0.02,
        "score_from_bin": 3,
        "replicas_min": 1,
        "replicas_max": 50,
        "start_failure_share": 0.1,
        "drain_s": 30.0,
        "seed": 1,
        "interval_s": 1200.0,
        "schedule": (Event("batch", 600.0, at_s=0.0, at_least=3),),
        "time_zone": "Europe/Berlin",
        "warm_nodes": WarmNodes(LoadLatency.constant(60.0), LoadLatency.constant(60.0), 2),
    }
    assert set(changed) == {field.name for field in fields(setting)} - {"trace_name"}
    digests = {case_digest(replace(setting, **{name: value}), VARIANTS) for name, value in changed.items()}
    assert len(digests | {known, case_digest(setting, (*VARIANTS, WITH_BOOSTED))}) == len(changed) + 2


def test_the_code_counts_by_its_text_where_it_computes_results(tmp_path):
    for name in ("autoscaler/core/a.py", "forecasting/b.py", "autoscaler/report/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    digest = code_digest.__wrapped__
    known = digest(tmp_path)
    (tmp_path / "autoscaler/core/a.py").touch()
    (tmp_path / "autoscaler/report/c.py").write_text("x = 2\n")
    assert digest(tmp_path) == known
    (tmp_path / "forecasting/b.py").write_text("x = 2\n")
    assert digest(tmp_path) != known


def test_the_members_without_season_are_those_that_see_none():
    assert SEASONLESS_MEMBERS == ("regression-level", "last-value", "climatology")
    assert set(SEASONLESS_MEMBERS) < set(MEMBERS)
    assert set(DEFAULT_MEMBERS) < set(MEMBERS)


def test_the_measured_loads_have_the_percentiles_that_were_published():
    published = {0.1: 2.6, 0.5: 22.7, 0.9: 42.0, 0.99: 52.0}
    assert {level: DIFFUSION.quantile_s(level) for level in published} == pytest.approx(published, rel=0.02)
    assert 70.0 < DIFFUSION.quantiles_s[-1] < 79.0
