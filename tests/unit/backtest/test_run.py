"""All policies side by side: causal where they say so, tuned at Headstart's lateness, the optimum always there."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.backtest import run
from autoscaler.backtest.baselines import patient_optimum
from autoscaler.backtest.baselines.registry import BASELINES
from autoscaler.backtest.headstart import replay_headstart
from autoscaler.backtest.run import POLICIES, priced, run_backtest
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError

DAY = 48  # bins of half an hour


@pytest.fixture(scope="module")
def setting(replica_setting):
    rng = np.random.default_rng(4)
    demand = 12 + 8 * np.sin(2 * np.pi * np.arange(8 * DAY) / DAY) + rng.normal(0, 1, 8 * DAY)
    demand[rng.random(8 * DAY) < 0.02] *= 2
    demand[rng.random(8 * DAY) < 0.03] = np.nan
    return replica_setting(
        demand, bin_s=1800.0, load=LoadLatency.lognormal(1800.0, 0.5), score_from_bin=4 * DAY, max_wait_s=30.0
    )


@pytest.fixture(scope="module")
def result(setting):
    return run_backtest(setting)


def row_of(result, name):
    return next(row for row in result.policies if row.name == name)


def cut(setting, bins):
    demand = {unit: values[:bins] for unit, values in setting.demand_rps.items()}
    arrivals_rs = setting.arrivals_rs[:bins]
    return replace(setting, demand_rps=demand, arrivals_rs=arrivals_rs, score_from_bin=min(bins - 1, 4 * DAY))


def test_every_policy_has_its_row_headstart_first_and_the_optimum_last(result):
    assert [row.name for row in result.policies] == list(POLICIES)
    assert result.policies[0].name == "headstart"
    assert result.policies[-1].name == "optimum"
    assert set(result.seconds) == set(POLICIES)


def test_rows_that_used_hindsight_say_so(result):
    hindsight = {row.name for row in result.policies if row.hindsight}
    assert hindsight == {"hpa-within-budget", "hpa-best", "keda-best", "knative-best", "static-peak", "optimum"}


# That no baseline looks at its own bin either: test_baselines.py. Headstart: test_headstart_policy.py.
def test_cutting_the_trace_changes_no_row_of_a_causal_policy(setting, result):
    causal = [row for row in result.policies if not row.hindsight]
    assert len(causal) == 7
    for t in (1, 30, DAY + 7, 4 * DAY, 8 * DAY - 2):
        begun = run_backtest(cut(setting, t + 1), [row.name for row in causal])
        for row in causal:
            np.testing.assert_array_equal(
                row_of(begun, row.name).outcome.desired, row.outcome.desired[: t + 1], err_msg=f"{row.name}, {t}"
            )


def test_tuned_targets_are_at_most_as_late_as_headstart_was(result):
    own = row_of(result, "headstart").outcome.late_fraction
    assert own > 0
    for name in ("hpa-best", "keda-best", "knative-best"):
        row = row_of(result, name)
        assert row.settings["late_fraction_max"] == own
        assert bool(row.settings["within_limit"]) == (row.outcome.late_fraction <= own)


def test_without_headstart_they_keep_the_budget_and_there_is_no_band(setting):
    result = run_backtest(setting, ["hpa-best"])
    assert [row.name for row in result.policies] == ["hpa-best", "optimum"]
    assert row_of(result, "hpa-best").settings["late_fraction_max"] == setting.late_budget
    assert result.forecast is None
    assert [frontier.name for frontier in result.frontiers] == ["hpa"]


def test_the_optimum_is_the_cheapest_of_those_that_are_never_late(result):
    optimum = row_of(result, "optimum").outcome
    for row in result.policies:
        if row.outcome.late_fraction <= optimum.late_fraction:
            assert row.outcome.replica_hours >= optimum.replica_hours


def test_headstarts_row_is_its_replay(setting, result):
    replayed = replay_headstart(setting)
    row = row_of(result, "headstart")
    np.testing.assert_array_equal(row.outcome.desired, replayed.outcome.desired)
    assert row.reasons == replayed.reasons
    np.testing.assert_array_equal(result.forecast.median, replayed.forecast.median)


def test_a_policy_asked_for_twice_is_one_row(setting):
    result = run_backtest(setting, ["hpa", "hpa", "optimum"])
    assert [row.name for row in result.policies] == ["hpa", "optimum"]


def test_an_unknown_policy_is_refused_before_any_work(setting, monkeypatch):
    monkeypatch.setattr(run, "replay_headstart", lambda *_: pytest.fail("a replay was begun"))
    with pytest.raises(UsageError, match="no policy 'hpaa': choose from headstart, hpa, hpa-within-budget"):
        run_backtest(setting, ["headstart", "hpaa"])


def test_progress_ends_at_the_last_bin(setting):
    told = []
    run_backtest(setting, ["headstart"], report=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(setting), len(setting))


def test_a_price_changes_nothing_else(result):
    dear = priced(result, gpu_hour_price=4.0, gpus_per_replica=8)
    assert (dear.gpu_hour_price, dear.gpus_per_replica) == (4.0, 8)
    assert dear.policies is result.policies


def test_policies_are_headstart_and_the_baselines():
    assert ("headstart", *BASELINES) == POLICIES


def test_a_bin_costs_four_bytes_per_policy_so_that_ten_million_fit_into_2_gib(replica_setting, monkeypatch):
    bins = 20_000
    # The way back of the optimum takes 4 bytes a state, 200 MB at most however long the trace is.
    assert patient_optimum._STATES_MAX == 50_000_000
    monkeypatch.setattr(patient_optimum, "_STATES_MAX", bins)
    setting = replica_setting(10 + 8 * np.sin(np.arange(bins) / 200), load_s=600.0, score_from_bin=bins // 2)
    run_backtest(setting, ("knative-best", "same-time-yesterday"))  # what is compiled or imported once doesn't count
    tracemalloc.start()
    result = run_backtest(setting, tuple(BASELINES))
    held, peak = (size / bins for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert held < 4 * len(result.policies) + 6
    assert peak < held + 70 + 4  # one plan at a time, while the cluster runs it, and the optimum's states
