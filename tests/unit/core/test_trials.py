"""The candidates of the self-backtest: in plain words, against the simulated cluster, and over days."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.setting import Setting
from autoscaler.core.fluid import serve_bin
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.plan_kernels import choose_replicas, queue_ahead
from autoscaler.core.risk import CANDIDATES, LEVELS, MEDIAN, Candidates, Risk
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.trials import WINDOW_DAYS, Trials, advance

FIRST_BINS = 5


def bins_of(*values):
    return np.array(values, dtype=np.int64)


def replay(need, until, median, demand, missing, lead, bin_s, max_wait_s, drain_s, low, high, kernel=advance):
    """One candidate's (mean replicas paid for, late share)."""
    needs = np.full((len(demand), 2, 3), np.nan)
    needs[:, 0, 2], needs[:, 0, 1], needs[:, 1, 2] = need, median, until
    due, sums, scored = np.zeros((1, lead), dtype=np.int64), np.zeros((1, 2)), np.zeros(2)
    kernel(
        needs, demand, missing, math.nan, False, bins_of(2), np.zeros(1), LEVELS[:3], bin_s, max_wait_s, drain_s, low,
        high, -1, bins_of(0), due, np.zeros(1), sums, scored,
    )  # fmt: skip
    return sums[0, 0] / scored[0], sums[0, 1] / scored[1]


def replay_in_words(need, until, median, demand, missing, lead, bin_s, max_wait_s, drain_s, low, high):
    """The same replay with a fleet as a list; returns the plan too, and what was late of each bin."""
    ready, due, backlog_rs = math.ceil(max(until[0], low)), [], 0.0
    plan, late_rs = [], []
    for t in range(len(demand)):
        ready += due.count(t)
        due = [at for at in due if at > t]
        loading = bins_of(*(due.count(t + 1 + i) for i in range(lead)))
        last = demand[max(t - 1, 0)]
        ahead_rs, busy = queue_ahead(backlog_rs, ready, loading, last, median[t], bin_s)
        unknown = bool(t > 0 and missing[t - 1])
        there = ready + len(due)
        wanted = choose_replicas(
            need[t], until[t], LEVELS[2], last, backlog_rs, ahead_rs, drain_s, busy, there, unknown
        )
        wanted = min(max(wanted, low), high)
        while ready + len(due) < wanted:
            if lead:
                due.append(t + lead)
            else:
                ready += 1
        while ready + len(due) > wanted:
            if due:
                due.remove(max(due))
            else:
                ready -= 1
        backlog_rs, late = serve_bin(backlog_rs, demand[t] * bin_s, float(ready), bin_s, max_wait_s)
        plan.append(wanted)
        late_rs.append(late)
    return np.array(plan), np.array(late_rs)


def scored(case):
    """Which bins the replay scores: from the first load and a few bins on, those that are known."""
    demand, missing, lead = case[3:6]
    return (np.arange(len(demand)) >= lead + FIRST_BINS) & ~missing


def random_case(seed, lead):
    """Needs that follow a random demand badly, with missing bins and bounds."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(lead + FIRST_BINS + 2, 80))
    known_at_last = np.arange(n) == n - 1
    demand = 0.1 + rng.random(n) * rng.integers(1, 12)
    need = np.roll(demand, -lead) * rng.uniform(0.6, 1.3, n)
    until = need * rng.uniform(0.8, 1.5, n)
    low = int(rng.integers(0, 3))
    bounds = (low, low + int(rng.integers(1, 12)))
    return need, until, need * 0.8, demand, (rng.random(n) < 0.2) & ~known_at_last, lead, 60.0, 10.0, 75.0, *bounds


@given(seed=st.integers(0, 10_000), lead=st.integers(0, 5))
def test_the_replay_makes_the_very_decisions_bin_by_bin(seed, lead):
    case = random_case(seed, lead)
    plan, late_rs = replay_in_words(*case)
    counts = scored(case)
    result = (plan[counts].mean(), late_rs[counts].sum() / (case[3][counts] * 60.0).sum())
    assert replay(*case) == pytest.approx(result, rel=1e-9, abs=1e-12)
    assert replay(*case, kernel=advance.py_func) == pytest.approx(result, rel=1e-9, abs=1e-12)


@given(seed=st.integers(0, 10_000), lead=st.integers(0, 5))
def test_the_simulated_cluster_finds_what_the_replay_found(seed, lead):
    case = random_case(seed, lead)
    _need, until, _median, demand, missing, _lead, bin_s, max_wait_s, _drain_s, low, _high = case
    plan, late_rs = replay_in_words(*case)
    # The cluster begins empty: what the replay begins with loads first, while nothing arrives.
    first = math.ceil(max(until[0], low))
    arrivals_rs = np.concatenate([np.zeros(lead), demand * bin_s])
    setting = Setting(
        trace_name="replay",
        start_s=0.0,
        bin_s=bin_s,
        demand_rps={"requests": arrivals_rs / bin_s},
        capacity_rps={"requests": 1.0},
        arrivals_rs=arrivals_rs,
        load_latency=LoadLatency.constant(lead * bin_s),
        max_wait_s=max_wait_s,
        late_budget=0.01,
        score_from_bin=2 * lead + FIRST_BINS,
    )
    outcome = simulate(setting, bins_of(*[first] * lead, *plan))
    after = slice(lead + FIRST_BINS, None)
    late = late_rs[after].sum() / arrivals_rs[lead:][after].sum()
    assert outcome.late_fraction == pytest.approx(late, rel=1e-9, abs=1e-12)
    assert outcome.replica_hours == pytest.approx(plan[after].sum() * bin_s / 3600)
    if not missing[after].any():
        assert replay(*case) == pytest.approx((plan[after].mean(), late), rel=1e-9, abs=1e-12)


def test_on_a_ramp_that_is_foreseen_nothing_is_late_and_one_bin_later_much_is():
    demand = np.arange(1.0, 101.0)
    lead = 5
    ahead = np.minimum(demand + lead, 100.0)
    missing = np.zeros(100, dtype=np.bool_)
    foreseen = replay(ahead, ahead, ahead, demand, missing, lead, 60.0, 10.0, 75.0, 0, 1000)
    assert foreseen[1] == 0.0
    slow = ahead - 1.0
    overlooked = replay(slow, slow, slow, demand, missing, lead, 60.0, 10.0, 75.0, 0, 1000)
    assert overlooked[1] > 0.01


SPEC = Spec(3_600.0, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(3 * 3_600.0))


@pytest.fixture(scope="module")
def logged():
    """Needs as they are logged: quantiles of a demand that was forecast badly."""
    rng = np.random.default_rng(1)
    n = 24 * (WINDOW_DAYS + 5)
    demand = 5 + 4 * np.sin(np.arange(n) / 20) + rng.random(n)
    errors = np.exp(np.sort(rng.normal(0, 0.2, (n, 2, len(LEVELS))), axis=2))
    return np.roll(demand, -3)[:, None, None] * errors, demand, rng.random(n) < 0.05


def seen(logged, *cuts, start=0, candidates=CANDIDATES):
    """Trials that saw the log in so many pieces."""
    trials = Trials.start(len(candidates), lead_bins=3)
    needs, demand, missing = logged
    for first, stop in zip((start, *cuts), (*cuts, len(demand)), strict=True):
        bins = slice(first, stop)
        trials = trials.seen(
            needs[bins], demand[bins], missing[bins], candidates=candidates, spec=SPEC, drain_s=3_600.0
        )
    return trials


def test_each_candidate_runs_at_its_own_levels(logged):
    needs, demand, missing = (rows[: 24 * WINDOW_DAYS] for rows in logged)
    results = seen((needs, demand, missing)).results
    for i in (0, 5, len(CANDIDATES) - 3):
        risk = Risk(int(CANDIDATES.levels[i]), float(CANDIDATES.prices[i]))
        levels = [risk.level(row) for row in needs[:, 0]]
        each = np.arange(len(needs))
        own = replay(
            needs[each, 0, levels],
            needs[each, 1, levels],
            needs[:, 0, MEDIAN],
            *(demand, missing, 3, 3_600.0, 10.0, 3_600.0, 0, SPEC.replicas_max),
        )
        assert results[i].tolist() == pytest.approx(own)


def test_more_caution_costs_more_and_is_late_less(logged):
    for kind in (CANDIDATES.levels >= 0, CANDIDATES.levels < 0):
        results = seen(logged, candidates=Candidates(CANDIDATES.levels[kind], CANDIDATES.prices[kind])).results
        assert results[0, 0] < 0.8 * results[-1, 0]
        assert results[0, 1] > results[-1, 1]


def test_bins_one_by_one_or_all_at_once_are_the_same(logged):
    once, apart = seen(logged), seen(logged, *range(1, len(logged[1])))
    np.testing.assert_array_equal(once.results, apart.results)
    np.testing.assert_array_equal(once.due, apart.due)


def test_days_before_the_window_are_forgotten(logged):
    needs, demand, missing = logged
    busy = demand.copy()
    busy[:24] *= 1.5
    assert not np.array_equal(seen((needs[: 24 * 9], busy[: 24 * 9], missing[: 24 * 9])).results, seen(logged).results)
    # Backlogs of the busy day are gone a few days later, and so is its share in the sums once it left the window.
    np.testing.assert_allclose(seen((needs, busy, missing)).results, seen(logged).results, rtol=1e-12)


def test_days_of_missing_bins_change_no_result(logged):
    needs, demand, missing = (rows[: 24 * 9] for rows in logged)
    before = seen((needs, demand, missing))
    # What is imputed is as smooth as this: every candidate would be found to be late less.
    smooth = np.full(24 * 3, 5.0), np.ones(24 * 3, dtype=np.bool_)
    after = before.seen(needs[: 24 * 3], *smooth, candidates=CANDIDATES, spec=SPEC, drain_s=3_600.0)
    np.testing.assert_allclose(after.results, before.results, rtol=1e-12)


@pytest.mark.parametrize("absurd", [1e6, 1e9, 2.0**53])
def test_absurd_bins_leave_no_queue_for_years(logged, absurd):
    needs, demand, missing = logged
    broken = demand.copy()
    broken[24 * 10 : 24 * 10 + 2] = absurd
    clean, after = (
        Trials.start(len(CANDIDATES), lead_bins=3).seen(
            needs, values, missing, candidates=CANDIDATES, spec=replace(SPEC, replicas_max=20), drain_s=3_600.0
        )
        for values in (demand, broken)
    )
    np.testing.assert_allclose(after.backlog_rs, clean.backlog_rs)
    # Nor do they outweigh all that came since.
    assert after.results[:, 1].min() < 0.5


def test_trials_seen_are_left_as_they_were(logged):
    needs, demand, missing = logged
    before = seen((needs[:30], demand[:30], missing[:30]))
    results, due = before.results.copy(), before.due.copy()
    before.seen(needs, demand, missing, candidates=CANDIDATES, spec=SPEC, drain_s=3_600.0)
    np.testing.assert_array_equal(before.results, results)
    np.testing.assert_array_equal(before.due, due)


def test_bins_without_a_forecast_are_passed_over(logged):
    needs, demand, missing = logged
    unknown = np.full_like(needs, np.nan)
    trials = seen((unknown, demand, missing))
    assert trials.results is None
    after = trials.seen(needs, demand, missing, candidates=CANDIDATES, spec=SPEC, drain_s=3_600.0)
    assert after.results is not None
