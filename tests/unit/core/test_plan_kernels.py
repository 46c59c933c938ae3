"""The arithmetic of one decision, and its replay: by hand, in plain words, and against the simulated cluster."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.setting import Setting
from autoscaler.core.fluid import serve_bin
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.plan_kernels import backlog_at_lead, choose_replicas, is_idle, release, replay


def bins_of(*values):
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("backlog", "ready", "due", "now", "ahead", "expected"),
    [
        (30.0, 4, (), 9.0, 9.0, 30.0),  # nothing loads: it serves at once
        (0.0, 4, (0, 0), 4.0, 4.0, 0.0),
        (0.0, 4, (0, 0), 6.0, 6.0, 240.0),
        (0.0, 4, (2, 0), 6.0, 6.0, 120.0),  # two more from the next bin on
        (0.0, 4, (0, 2), 6.0, 6.0, 240.0),  # due[1] serves in the bin at the lead, not before
        (100.0, 4, (0, 0, 0), 4.0, 0.0, 0.0),  # 3, 2, 1 replicas of demand: a line from now to the lead
        (400.0, 4, (0, 0, 0), 4.0, 0.0, 40.0),
        (0.0, 3, (0, 3, 0), 0.0, 8.0, 60.0),  # 2, 4, 6 on 3, 3, 6: idle time in the first bin isn't saved up
    ],
)
def test_the_backlog_one_lead_ahead(backlog, ready, due, now, ahead, expected):
    arguments = (backlog, ready, bins_of(*due), now, ahead, 60.0)
    assert backlog_at_lead(*arguments) == pytest.approx(expected)
    assert backlog_at_lead.py_func(*arguments) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("need", "until", "now_rs", "lead_rs", "current", "missing", "idle", "expected"),
    [
        (7.2, 7.2, 0, 0, 5, False, False, 8),  # ordered
        (7.2, 7.2, 0, 0, 5, True, False, 8),  # missing demand doesn't forbid to order
        (8.0, 8.0, 0, 0, 8, False, False, 8),
        (8.0 + 1e-12, 8.0, 0, 0, 8, False, False, 8),  # 8 needs 8, whatever the last place says
        (8.0 - 1e-12, 8.0, 0, 0, 5, False, False, 8),
        (3.1, 7.2, 0, 0, 10, False, False, 8),  # released, but not below the peak until then
        (3.1, 7.2, 0, 0, 8, False, False, 8),  # kept for it
        (3.1, 7.2, 0, 0, 6, False, False, 6),  # a peak before the lead can't be ordered for any more
        (7.2, 3.1, 0, 0, 10, False, False, 8),
        (3.1, 3.1, 0, 0, 10, True, False, 10),  # missing: nothing is released
        (0.0, 0.0, 0, 0, 3, False, False, 0),
        (4.0, 4.0, 0, 150, 4, False, False, 6),  # 150 replica-seconds in 75 s take two more
        (4.0, 4.0, 150, 0, 9, False, False, 6),  # a queue of now keeps replicas
        (4.0, 4.0, 150, 0, 4, False, False, 4),  # and orders none: by then it is gone
        (2.0, 9.0, 0, 75, 2, False, False, 3),
        (0.04, 0.04, 0, 0, 3, False, False, 1),  # a trickle keeps its replica
        (0.04, 0.04, 0, 0, 3, False, True, 0),  # nothing arrives: next to nothing is none
        (0.06, 0.04, 0, 0, 3, False, True, 1),  # but a forecast is
        (0.04, 0.04, 0, 0, 3, True, True, 3),
        (1.0, 1.0, 0, 7500, 1, False, False, 2),  # a backlog doubles the order at most
    ],
)
def test_replicas_wanted(need, until, now_rs, lead_rs, current, missing, idle, expected):
    arguments = (need, until, float(now_rs), float(lead_rs), 75.0, current, missing, idle)
    assert choose_replicas(*arguments) == expected
    assert choose_replicas.py_func(*arguments) == expected


@pytest.mark.parametrize(
    ("current", "wanted", "ready", "due", "left", "due_left"),
    [
        (7, 6, 4, (1, 2), 4, (1, 1)),
        (7, 4, 4, (1, 2), 4, (0, 0)),
        (7, 2, 4, (1, 2), 2, (0, 0)),
        (4, 0, 4, (), 0, ()),
    ],
)
def test_surplus_replicas_leave_latest_due_first(current, wanted, ready, due, left, due_left):
    for kernel in (release, release.py_func):
        loading = bins_of(*due)
        assert kernel(current, wanted, ready, loading) == left
        assert loading.tolist() == list(due_left)


def replay_in_words(need, until, median, demand, missing, lead, bin_s, max_wait_s, drain_s, low, high):
    """The same replay with a fleet as a list; returns the plan too."""
    ready, due, backlog_rs = math.ceil(max(until[0], low)), [], 0.0
    plan, paid, late_rs, arrived_rs = [], 0, 0.0, 0.0
    for t in range(len(demand)):
        ready += due.count(t)
        due = [at for at in due if at > t]
        loading = bins_of(*(due.count(t + 1 + i) for i in range(lead)))
        ahead_rs = backlog_at_lead(backlog_rs, ready, loading, demand[max(t - 1, 0)], median[t], bin_s)
        unknown = bool(t > 0 and missing[t - 1])
        idle = is_idle(demand[max(t - 1, 0)], backlog_rs)
        wanted = choose_replicas(need[t], until[t], backlog_rs, ahead_rs, drain_s, ready + len(due), unknown, idle)
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
        if t >= lead:
            paid += wanted
            late_rs += late
            arrived_rs += demand[t] * bin_s
    return paid / (len(demand) - lead), late_rs / arrived_rs, plan


def random_case(seed, lead):
    """Needs that follow a random demand badly, with missing bins and bounds."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(lead + 2, 80))
    demand = 0.1 + rng.random(n) * rng.integers(1, 12)
    need = np.roll(demand, -lead) * rng.uniform(0.6, 1.3, n)
    until = need * rng.uniform(0.8, 1.5, n)
    low = int(rng.integers(0, 3))
    bounds = (low, low + int(rng.integers(1, 12)))
    return need, until, need * 0.8, demand, rng.random(n) < 0.2, lead, 60.0, 10.0, 75.0, *bounds


@given(seed=st.integers(0, 10_000), lead=st.integers(0, 5))
def test_the_replay_makes_the_very_decisions_bin_by_bin(seed, lead):
    case = random_case(seed, lead)
    replicas, late, _plan = replay_in_words(*case)
    assert replay(*case) == pytest.approx((replicas, late), rel=1e-9, abs=1e-12)
    assert replay.py_func(*case) == pytest.approx((replicas, late), rel=1e-9, abs=1e-12)


@given(seed=st.integers(0, 10_000), lead=st.integers(0, 5))
def test_the_simulated_cluster_finds_what_the_replay_found(seed, lead):
    case = random_case(seed, lead)
    _need, until, _median, demand, _missing, _lead, bin_s, max_wait_s, _drain_s, low, _high = case
    replicas, late, plan = replay_in_words(*case)
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
        score_from_bin=2 * lead,
    )
    outcome = simulate(setting, bins_of(*[first] * lead, *plan))
    assert outcome.late_fraction == pytest.approx(late, rel=1e-9, abs=1e-12)
    assert outcome.replica_hours == pytest.approx(replicas * (len(demand) - lead) * bin_s / 3600)
    assert replay(*case) == pytest.approx((replicas, late), rel=1e-9, abs=1e-12)


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
