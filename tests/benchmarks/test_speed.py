"""How long the parts that have to be quick take on this machine: `make benchmark-speed`.

No time is asserted, since it would fail on a slower machine; the README has a table. Everything is warmed up first, so
that compiling isn't measured. The trace is 14 days of minutes from a recipe and needs no file.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.hpa import HpaOptions, plan_hpa
from autoscaler.backtest.baselines.optimum_bound import least_replica_hours
from autoscaler.backtest.baselines.registry import run_baseline
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.engine_speed import EngineSpeed
from autoscaler.backtest.from_trace import Scenario, setting_of
from autoscaler.backtest.headstart import replay_headstart, spec_of
from autoscaler.backtest.request_kernel import FleetPlan, replay_requests
from autoscaler.backtest.request_level import setting_from_requests, simulate_requests
from autoscaler.backtest.run import run_backtest
from autoscaler.backtest.tune import TARGETS, frontier
from autoscaler.core.decide import decide
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.risk import CANDIDATES, LEVELS
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State
from autoscaler.core.trials import Trials
from autoscaler.traces.generate import generate
from autoscaler.traces.read import read_trace
from autoscaler.traces.recipe import Bursts, Day, Noise, Outage, Peak, Recipe
from autoscaler.traces.requests import RequestLog
from autoscaler.traces.write import write_columns

pytestmark = pytest.mark.timeout(600)

BIN_S = 60
LOAD_S = 600.0
DAYS = 14


def recipe(days):
    return Recipe(
        name="chat",
        seed=3,
        start=datetime(2025, 3, 3, tzinfo=UTC),
        days=days,
        bin_s=BIN_S,
        base_rps=64.0,
        day=Day(low=0.2, peaks=(Peak(hour=14.5, width_h=4.5, flatness=1.5), Peak(hour=20.5, width_h=2.5, height=0.75))),
        week=(1.0, 1.04, 1.05, 1.02, 0.94, 0.62, 0.6),
        bursts=Bursts(per_day=3, size=0.5, rise_s=300, decay_s=900),
        noise=Noise(wander=0.08, overdispersion=0.002),
        outages=(Outage(day=0.6 * days, hours=2.0),),
    )


def setting_over(days, bin_s=BIN_S):
    """20 replicas on average, a load of ten minutes."""
    scenario = Scenario(
        capacity_rps={"requests": 3.2},
        load_latency=LoadLatency.constant(LOAD_S),
        max_wait_s=10.0,
        late_budget=0.01,
        score_from=0.5,
    )
    return setting_of(generate(replace(recipe(days), bin_s=bin_s)), scenario)


@pytest.fixture(scope="module")
def setting():
    run_backtest(setting_over(2))  # compiles
    return setting_over(DAYS)


def test_decide_with_its_forecast_update_after_14_days_of_minutes(benchmark, setting):
    spec = spec_of(setting)
    state = State.start(spec, start_s=setting.start_s)
    none_due = np.zeros(0, dtype=np.int64)
    now_s = setting.start_s
    for demand in [np.nan, *setting.demand_rps["requests"].tolist()]:
        _, state = decide(spec, state, Observation(now_s, {"requests": demand}, 20, none_due))
        now_s += BIN_S
    following = iter(np.tile(setting.demand_rps["requests"], 2).tolist())

    def tick():
        nonlocal state, now_s
        decision, state = decide(spec, state, Observation(now_s, {"requests": next(following)}, 20, none_due))
        now_s += BIN_S
        return decision

    # Two days, so that the self-backtest, a few times a day, is in the mean and in the maximum.
    decision = benchmark.pedantic(tick, rounds=2880)
    assert decision.desired > 0


def test_backtest_of_14_days_of_minutes_with_all_baselines(benchmark, setting):
    result = benchmark.pedantic(run_backtest, args=(setting,), rounds=3)
    assert len(setting) == DAYS * 1440
    assert result.policies[0].outcome.late_fraction < 0.05


def test_headstart_alone_over_14_days_of_minutes(benchmark, setting):
    replayed = benchmark.pedantic(replay_headstart, args=(setting,), rounds=3)
    assert len(replayed.reasons) == len(setting)


def test_one_fluid_simulation_of_14_days_of_minutes(benchmark, setting):
    plan = plan_hpa(setting, HpaOptions())
    assert benchmark(simulate, setting, plan).replica_hours > 0


@pytest.fixture(scope="module")
def seconds():
    """14 days of seconds: 1.2 million bins, the first half of them history."""
    run_backtest(setting_over(0.1, bin_s=1))  # compiles
    return setting_over(DAYS, bin_s=1)


@pytest.mark.benchmark(group="14 days of seconds")
def test_one_fluid_simulation_of_14_days_of_seconds(benchmark, seconds):
    plan = plan_hpa(seconds, HpaOptions())
    assert len(plan) == DAYS * 86_400
    assert benchmark.pedantic(simulate, args=(seconds, plan), rounds=5).replica_hours > 0


@pytest.mark.benchmark(group="14 days of seconds")
@pytest.mark.parametrize(
    "name", ["hpa", "keda", "knative", "static", "same-time-yesterday", "same-time-last-week", "optimum"]
)
def test_a_policy_planned_and_simulated_over_14_days_of_seconds(benchmark, seconds, name):
    result = benchmark.pedantic(run_baseline, args=(name, seconds), rounds=3)
    assert result.outcome.replica_hours > 0


@pytest.mark.benchmark(group="14 days of seconds")
def test_headstart_once_a_minute_over_14_days_of_seconds(benchmark, seconds):
    replayed = benchmark.pedantic(replay_headstart, args=(seconds,), rounds=1)
    assert len(replayed.reasons) == len(seconds)


@pytest.mark.benchmark(group="14 days of seconds")
def test_the_bound_below_all_plans_over_14_days_of_seconds(benchmark, seconds):
    bound = benchmark.pedantic(least_replica_hours, args=(seconds,), rounds=1)
    assert 0 < bound <= run_baseline("optimum", seconds).outcome.replica_hours


def request_log(requests, requests_per_s):
    """Poisson arrivals, prompts of 1,000 tokens and answers of 150 on average: 4 s in a slot of `SPEED`."""
    rng = np.random.default_rng(0)
    arrival_s = np.cumsum(rng.exponential(1 / requests_per_s, requests))
    prompt, output = rng.geometric(1 / 1000, requests), rng.geometric(1 / 150, requests)
    return RequestLog("poisson", 0.0, arrival_s, prompt, output, dated=False)


SPEED = EngineSpeed(concurrency=16, prefill_tokens_per_s=4000.0, decode_tokens_per_s=40.0)
REQUESTS = 3_000_000
# Replicas in turn, an hour each: about 70 % and 95 % of the slots are busy.
FLEET = (32, 24)


@pytest.fixture(scope="module")
def replay():
    """3 million requests, 88 per second, on 24 to 32 replicas with 16 slots each."""
    setting = None
    for requests in (1000, REQUESTS):
        log = request_log(requests, requests_per_s=88.0)
        setting = setting_from_requests(
            log, 60.0, SPEED, load_latency=LoadLatency.constant(120.0), max_wait_s=10.0, late_budget=0.01
        )
        plan = np.array(FLEET)[np.arange(len(setting)) // 60 % 2]
        simulate_requests(log, SPEED, setting, plan)  # compiles
    return log, setting, plan


@pytest.mark.benchmark(group="3 million requests")
def test_the_loop_over_3_million_requests(benchmark, replay):
    log, _, plan = replay
    fleet_plan = FleetPlan(plan, 60.0, np.full(len(plan) * max(FLEET), 120.0), SPEED.concurrency)
    start_s, *_ = benchmark.pedantic(replay_requests, args=(log.arrival_s, SPEED.service_s(log), fleet_plan), rounds=3)
    assert np.isfinite(start_s).all()
    benchmark.extra_info["million_requests_per_s"] = REQUESTS / 1e6 / benchmark.stats["min"]


@pytest.mark.benchmark(group="3 million requests")
def test_3_million_requests_with_their_percentiles(benchmark, replay):
    log, setting, plan = replay
    found = benchmark.pedantic(simulate_requests, args=(log, SPEED, setting, plan), rounds=3)
    assert found.requests == REQUESTS
    benchmark.extra_info["million_requests_per_s"] = REQUESTS / 1e6 / benchmark.stats["min"]


def test_a_frontier_of_all_targets_over_14_days_of_minutes(benchmark, setting):
    assert len(benchmark(frontier, setting, FAMILIES["hpa"]).targets) == len(TARGETS)


def test_self_backtest_of_all_candidates_over_28_days_of_minutes(benchmark):
    rng = np.random.default_rng(0)
    bins = 28 * 1440
    demand = 20 + 12 * np.sin(2 * np.pi * np.arange(bins) / 1440) + rng.normal(0, 1, bins)
    errors = np.exp(np.sort(rng.normal(0, 0.1, (bins, 2, len(LEVELS))), axis=2))
    needs = np.roll(demand, -10)[:, None, None] * errors
    missing = rng.random(bins) < 0.001
    spec = Spec(BIN_S, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(LOAD_S))
    start = Trials.start(len(CANDIDATES), lead_bins=round(LOAD_S / BIN_S))
    trials = benchmark(lambda: start.seen(needs, demand, missing, candidates=CANDIDATES, spec=spec, drain_s=75.0))
    assert len(trials.results) == len(CANDIDATES)


@pytest.fixture(scope="module")
def seasonal():
    return np.nan_to_num(generate(recipe(DAYS)).demand["requests"] / BIN_S, nan=64.0)


def test_a_forecast_rebuilt_from_14_days_of_minutes(benchmark, seasonal):
    from forecasting.lead_ensemble import LeadEnsemble
    from forecasting.series import Series

    start = LeadEnsemble.start(lead=round(LOAD_S / BIN_S), bin_s=float(BIN_S), floor=1.6)
    series = Series.of(seasonal, bin_s=float(BIN_S))
    fitted, quantiles = benchmark.pedantic(start.fit_with_quantiles, args=(series,), rounds=5, warmup_rounds=1)
    assert len(quantiles) == fitted.history.bins == DAYS * 1440


@pytest.mark.benchmark(group="holt-winters")
def test_holt_winters_over_14_days_of_minutes(benchmark, seasonal):
    from forecasting.holt_winters_kernels import Smoothing, States, hw_filter

    smoothing = Smoothing(0.4, 0.2, 1.0, np.array([0.3]), np.array([1440], dtype=np.int64))
    fitted = np.empty(len(seasonal))
    benchmark(lambda: hw_filter(seasonal, smoothing, 0, States(64.0, 0.0, np.zeros(1440)), fitted))
    assert np.isfinite(fitted).all()


@pytest.mark.benchmark(group="holt-winters")
def test_holt_winters_of_statsmodels_over_the_same(benchmark, seasonal):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    def run():
        model = ExponentialSmoothing(
            seasonal,
            trend="add",
            seasonal="add",
            seasonal_periods=1440,
            initialization_method="known",
            initial_level=64.0,
            initial_trend=0.0,
            initial_seasonal=np.zeros(1440),
        )
        return model.fit(smoothing_level=0.4, smoothing_trend=0.2, smoothing_seasonal=0.3, optimized=False)

    assert np.isfinite(benchmark.pedantic(run, rounds=3, warmup_rounds=1).fittedvalues).all()


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_reading_a_million_rows(benchmark, suffix, tmp_path):
    rows = 1_000_000
    rng = np.random.default_rng(0)
    time_ns = 1_740_960_000_000_000_000 + 1_000_000_000 * np.arange(rows, dtype=np.int64)
    path = tmp_path / f"million.{suffix}"
    write_columns(path, time_ns, {"requests": rng.poisson(64.0, rows).astype(np.float64)}, dated=True)
    trace = benchmark.pedantic(read_trace, args=(path,), rounds=3, warmup_rounds=1)
    assert len(trace) == rows
