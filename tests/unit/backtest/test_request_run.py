"""A backtest per request: the plans of the fluid fidelity, counted over single requests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.engine_speed import EngineSpeed
from autoscaler.backtest.from_trace import Scenario
from autoscaler.backtest.request_level import simulate_requests, within_bins
from autoscaler.backtest.request_run import replay_per_request, request_setting
from autoscaler.backtest.run import run_backtest
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.requests import RequestLog

SPEED = EngineSpeed(concurrency=2, prefill_tokens_per_s=1000.0, decode_tokens_per_s=50.0)
SCENARIO = Scenario(
    capacity_rps={"slots": 2.0},
    load_latency=LoadLatency.constant(60.0),
    max_wait_s=5.0,
    late_budget=0.01,
    score_from=0.5,
)


@pytest.fixture(scope="module")
def log() -> RequestLog:
    """Two hours at one request a second, and at four in every other ten minutes."""
    rng = np.random.default_rng(3)
    arrival_s = np.sort(rng.uniform(0.0, 7200.0, 12_000))
    busy = (arrival_s // 600) % 2 == 1
    arrival_s = arrival_s[busy | (rng.random(len(arrival_s)) < 0.25)]
    prompts, outputs = rng.integers(50, 1000, len(arrival_s)), rng.integers(5, 400, len(arrival_s))
    return RequestLog("steps", 1_700_000_000.0, arrival_s, prompts, outputs, dated=True)


def test_each_plan_is_that_of_the_fluid_fidelity_and_its_figures_are_those_of_single_requests(log: RequestLog) -> None:
    setting = request_setting(log, 10.0, SPEED, SCENARIO)
    fluid = run_backtest(setting, ("headstart", "hpa", "hpa-best"))
    found = replay_per_request(fluid, log, SPEED)
    for before, after in zip(fluid.policies, found.policies, strict=True):
        alone = simulate_requests(log, SPEED, setting, before.outcome.desired)
        np.testing.assert_array_equal(after.outcome.desired, before.outcome.desired)
        assert after.outcome.late_fraction == alone.late_fraction
        assert after.outcome.replica_hours == alone.replica_hours > 0
        assert after.requests is not None
        assert (after.requests.wait, after.requests.first_token) == (alone.wait, alone.first_token)
        assert after.requests.late_work_fraction == alone.late_work_fraction
        assert after.requests.fluid_late_work_fraction == before.outcome.late_fraction
        bins = bins_of(setting, after.outcome)
        np.testing.assert_array_equal(bins.ready, bins_of(setting, before.outcome).ready)
        for field in ("paid", "late_rs", "served_rs"):
            np.testing.assert_array_equal(getattr(bins, field), getattr(alone, field))
    assert found.requests is not None
    assert found.requests.requests == int((log.arrival_s >= 3600.0).sum())
    hpa = next(row for row in found.policies if row.name == "hpa")
    assert hpa.outcome.late_fraction > 0.01


def test_what_was_chosen_in_hindsight_says_by_which_model_and_fluid_frontiers_are_left_out(log: RequestLog) -> None:
    fluid = run_backtest(request_setting(log, 10.0, SPEED, SCENARIO), ("hpa", "hpa-best"))
    found = replay_per_request(fluid, log, SPEED)
    assert fluid.frontiers
    assert found.frontiers == ()
    titles = {row.name: row.title for row in found.policies}
    assert titles["hpa-best"].endswith(" %), fluid")
    assert titles["optimum"] == "Optimum in hindsight, fluid"
    assert "fluid" not in titles["hpa"]
    assert {row.name for row in found.policies if row.settings.get("chosen_on") == "fluid"} == {"hpa-best", "optimum"}


def test_the_curves_per_bin_add_up_to_the_figures(log: RequestLog) -> None:
    setting = request_setting(log, 10.0, SPEED, SCENARIO)
    scored = slice(setting.score_from_bin, None)
    plan = np.where(np.arange(len(setting)) // 60 % 2 == 1, 8, 3)
    found = simulate_requests(log, SPEED, setting, plan)
    assert found.paid[scored].sum() * setting.bin_s / 3600 == pytest.approx(found.replica_hours)
    assert (found.paid >= plan - 1e-9).all()
    assert found.paid.sum() > plan.sum() + 1  # released replicas finish what they serve
    work_rs = setting.arrivals_rs[scored].sum()
    assert found.late_rs[scored].sum() == pytest.approx(found.late_work_fraction * work_rs)
    assert 0 < found.late_bins == np.count_nonzero(found.late_rs[scored])
    assert found.served_rs.sum() <= setting.arrivals_rs.sum() * (1 + 1e-9)


def test_time_within_bins_is_that_of_each_interval_cut_by_hand() -> None:
    edges_s = np.array([0.0, 10.0, 20.0, 30.0])
    # Across two edges, without an end, ended before it began, and outside on both sides.
    begins_s, ends_s = np.array([5.0, 25.0, 8.0, -4.0, 40.0]), np.array([22.0, np.inf, 3.0, -1.0, 50.0])
    assert within_bins(begins_s, ends_s, edges_s).tolist() == [5.0, 10.0, 7.0]
    never = np.array([np.inf])
    assert within_bins(never, never, edges_s).tolist() == [0.0, 0.0, 0.0]


def test_the_scored_share_counts_bins_like_that_of_a_trace(log: RequestLog) -> None:
    for share, first in ((0.0, 0), (0.29, 208), (0.5, 360), (0.9999, 719)):
        setting = request_setting(log, 10.0, SPEED, replace(SCENARIO, score_from=share))
        assert (len(setting), setting.score_from_bin) == (720, first)


def test_a_log_shorter_than_one_load_and_bounds_that_are_no_range_are_refused(log: RequestLog) -> None:
    with pytest.raises(UsageError, match="steps: the trace covers 7200 s, less than one load of 9000 s"):
        request_setting(log, 10.0, SPEED, replace(SCENARIO, load_latency=LoadLatency.constant(9000.0)))
    with pytest.raises(UsageError, match="--min-replicas 5 is above --max-replicas 2"):
        request_setting(log, 10.0, SPEED, replace(SCENARIO, replicas_min=5, replicas_max=2))
