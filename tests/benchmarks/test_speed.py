"""How long the parts that have to be quick take on this machine: `make benchmark-speed`.

No time is asserted, since it would fail on a slower machine; the README has a table. Everything is warmed up first, so
that compiling isn't measured. The trace is 14 days of minutes from a recipe and needs no file.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.hpa import HpaOptions, plan_hpa
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.from_trace import Scenario, setting_of
from autoscaler.backtest.headstart import replay_headstart, spec_of
from autoscaler.backtest.run import run_backtest
from autoscaler.backtest.tune import frontier
from autoscaler.core.decide import decide
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.risk import KEEP_LEVELS, LEVELS, ORDER_LEVELS
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State
from autoscaler.core.trials import Trials
from autoscaler.traces.generate import generate
from autoscaler.traces.read import read_trace
from autoscaler.traces.recipe import Bursts, Day, Noise, Outage, Peak, Recipe
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


def setting_over(days):
    """20 replicas on average, a load of ten minutes."""
    scenario = Scenario(
        capacity_rps={"requests": 3.2},
        load_latency=LoadLatency.constant(LOAD_S),
        max_wait_s=10.0,
        late_budget=0.01,
        score_from=0.5,
    )
    return setting_of(generate(recipe(days)), scenario)


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


def test_a_frontier_of_all_targets_over_14_days_of_minutes(benchmark, setting):
    assert len(benchmark(frontier, setting, FAMILIES["hpa"]).targets) == 40


def test_self_backtest_of_all_risk_levels_over_28_days_of_minutes(benchmark):
    rng = np.random.default_rng(0)
    bins = 28 * 1440
    demand = 20 + 12 * np.sin(2 * np.pi * np.arange(bins) / 1440) + rng.normal(0, 1, bins)
    errors = np.exp(np.sort(rng.normal(0, 0.1, (bins, 2, len(LEVELS))), axis=2))
    needs = np.roll(demand, -10)[:, None, None] * errors
    missing = rng.random(bins) < 0.001
    spec = Spec(BIN_S, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(LOAD_S))
    start = Trials.start(len(ORDER_LEVELS), lead_bins=round(LOAD_S / BIN_S))
    trials = benchmark(
        lambda: start.seen(needs, demand, missing, orders=ORDER_LEVELS, keeps=KEEP_LEVELS, spec=spec, drain_s=75.0)
    )
    assert len(trials.results) == len(ORDER_LEVELS)


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
