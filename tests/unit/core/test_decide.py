"""`decide`: a pure function that orders one load ahead, releases at once what isn't needed, and says why."""

from __future__ import annotations

import ast
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from autoscaler.core import decide as decide_module
from autoscaler.core.decide import decide, look_ahead, outlook_of
from autoscaler.core.decision import Reason
from autoscaler.core.observation import Observation
from autoscaler.core.risk import CANDIDATES, MEDIAN
from autoscaler.core.spec import Part
from autoscaler.core.state import State, drain_s
from autoscaler.core.trials import Trials

NAN = math.nan


NO_RENT = frozenset({Part.RENT_OR_BUY})


def daily(days, *, day=144, low=3.0, high=12.0):
    """A smooth day without noise: 10-minute bins."""
    return low + (high - low) * (1 - np.cos(2 * np.pi * np.arange(days * day) / day)) / 2


def spiked(days, *, at=80, width=3, day=144):
    """Two replicas' worth of demand, and 30 for half an hour, at the same time each day."""
    demand = np.full(days * day, 2.0)
    for start in range(at, days * day, day):
        demand[start : start + width] = 30.0
    return demand


def same(one, other):
    """Equal field by field, where NaN is NaN."""
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=f.type == "float") for f in fields(one)
    )


def test_the_same_state_gives_the_same_decision_again(spec_of, run_of):
    spec = spec_of()
    run = run_of(spec, daily(2))
    observation = run.fleet.observe(2 * 86400.0 + 600.0, {"requests": 5.0})
    first, _ = decide(spec, run.state, observation)
    second, _ = decide(spec, run.state, observation)
    assert same(first, second)


def test_branches_of_one_state_go_on_side_by_side(spec_of, run_of):
    spec, demand = spec_of(), daily(2)
    trunk = run_of(spec, demand[:200])
    later = {value: [value + 0.1 * t for t in range(40)] for value in (0.0, 40.0, NAN)}

    def step(state, t, value):
        return decide(spec, state, trunk.fleet.observe((201 + t) * 600.0, {"requests": value}))

    alone = {}
    for name, values in later.items():
        state, alone[name] = trunk.state, []
        for t, value in enumerate(values):
            decision, state = step(state, t, value)
            alone[name].append(decision)
    # In turns, so that each branch appends to its history while the others hold theirs.
    states = dict.fromkeys(later, trunk.state)
    for t in range(40):
        for name, values in later.items():
            decision, states[name] = step(states[name], t, values[t])
            assert same(decision, alone[name][t])
    assert len({decisions[-1].desired for decisions in alone.values()}) > 1
    # The trunk goes on as if nothing had branched off.
    whole, state = run_of(spec, demand), trunk.state
    for t in range(201, len(demand) + 1):
        decision, state = decide(spec, state, whole.observations[t])
        assert same(decision, whole.decisions[t])


def test_the_core_imports_no_clock_no_chance_and_no_world():
    for path in Path(decide_module.__file__).parent.glob("*.py"):
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
        calendar = {"datetime"} if path.name == "cron.py" else set()  # it asks for no time: test_cron.py
        forbidden = {"time", "datetime", "random", "os", "sys", "logging", "socket", "asyncio"} - calendar
        assert not imported & forbidden, path.name


def test_time_does_not_go_back(spec_of, run_of):
    spec = spec_of()
    run = run_of(spec, [5.0, 5.0])
    with pytest.raises(ValueError, match="time went back: 600.0 s comes before 1800.0 s"):
        decide(spec, run.state, run.fleet.observe(600.0, {"requests": 5.0}))
    with pytest.raises(ValueError, match="time went back"):
        decide(spec, run.state, run.fleet.observe(1200.0, {"requests": 5.0}))


def test_before_any_demand_is_known_it_holds_what_there_is_and_has_at_least_one(spec_of):
    spec = spec_of()
    for ready, desired in ((0, 1), (7, 7)):
        run = decide(spec, State.start(spec), _observed(0.0, NAN, ready))
        assert run[0].desired == desired
        assert run[0].reasons == (Reason.NO_HISTORY,)
        assert math.isnan(run[0].high_at_lead)


def _observed(now_s, demand, ready, due=(), backlog_rs=None):
    from autoscaler.core.observation import Observation

    return Observation(now_s, {"requests": demand}, ready, np.array(due, dtype=np.int64), backlog_rs)


@pytest.mark.parametrize("due", [(1,), (2,), (3,), (1, 3), (50,)])
def test_what_loads_already_is_not_ordered_again(due, spec_of, run_of):
    spec = spec_of()
    run = run_of(spec, np.full(100, 10.0))
    now_s = run.decisions[-1].now_s + spec.bin_s
    short, _ = decide(spec, run.state, _observed(now_s, 10.0, 10, backlog_rs=0.0))
    assert short.desired == 13  # less than a day is known: 10 at 80 %
    ready = max(10, short.desired - len(due))
    decision, _ = decide(spec, run.state, _observed(now_s, 10.0, ready, due, backlog_rs=0.0))
    assert decision.desired == short.desired
    assert decision.current == ready + len(due)
    assert Reason.ORDERED_AHEAD not in decision.reasons


def test_a_step_is_ordered_for_once(spec_of, run_of):
    spec = spec_of(load_s=3000.0)
    run = run_of(spec, [*[5.0] * 100, *[10.0] * 20])
    # While the five new ones load, the queue of those bins is ordered for as well, and nothing beyond that.
    for decision in run.decisions[101:]:
        need = max(decision.high_at_lead, decision.peak_until_lead)
        drain_s = max(spec.bin_s, 3000.0 / 8)
        queued = max(decision.backlog_at_lead_rs, decision.backlog_rs)
        assert decision.desired <= max(decision.current, math.ceil(need + queued / drain_s))
    assert run.desired[-1] <= 15


@pytest.mark.parametrize("load_s", [0.0, 600.0, 1800.0])
def test_a_daily_wave_is_met_in_time(load_s, spec_of, run_of):
    spec, demand = spec_of(load_s=load_s), daily(6)
    run = run_of(spec, demand)
    ready = np.array([observation.ready for observation in run.observations])[:-1]
    if load_s == 0:
        ready = np.array(run.desired)[:-1]  # an order serves in its own bin
    last_day = slice(5 * 144, 6 * 144)
    assert (ready[last_day] >= demand[last_day]).mean() > 0.99
    assert ready[last_day].sum() < 1.25 * demand[last_day].sum()


def test_a_step_without_a_load_is_worked_off_in_two_bins_and_not_ordered_twice(spec_of, run_of):
    spec = spec_of(load_s=0.0)
    run = run_of(spec, [*[1.0] * 30, *[50.0] * 10])
    jump = 31  # the first decision that has seen it
    assert run.decisions[jump].backlog_rs == pytest.approx((50 - run.decisions[jump - 1].desired) * 600.0)
    # What was ordered then has served since: half of the queue is gone, then all.
    assert run.decisions[jump + 1].backlog_rs < 0.6 * run.decisions[jump].backlog_rs
    assert run.decisions[jump + 2].backlog_rs == 0.0
    assert run.desired[jump + 2] < 1.8 * 50


def test_what_was_ordered_for_a_peak_is_there_until_the_peak_is_over(spec_of, run_of):
    spec = spec_of(load_s=7200.0)
    run = run_of(spec, spiked(9))
    peak = 8 * 144 + 80
    # From one lead before its end on, the target bin lies behind the spike.
    assert min(run.desired[peak - 9 : peak + 3]) >= 30
    assert min(decision.ready for decision in run.decisions[peak : peak + 3]) >= 30
    assert run.desired[peak + 24] < 15


def test_the_calm_before_a_step_that_is_foreseen_fills_with_no_queue(spec_of, run_of):
    # A tenant that comes every 17 minutes: a line from the calm to its 11 replicas would queue on the 2 that serve.
    calm_and_step = np.where(np.arange(2 * 1440) % 17 < 3, 11.0, 1.0)
    run = run_of(spec_of(bin_s=60.0, load_s=600.0), calm_and_step)
    last_day = run.decisions[-1440:]
    assert not any(decision.backlog_at_lead_rs for decision in last_day)
    assert {reason for decision in last_day for reason in decision.reasons}.isdisjoint(
        {Reason.BACKLOG, Reason.KEPT_FOR_QUEUE}
    )
    assert max(decision.desired for decision in last_day) <= 15


def test_while_work_queues_what_came_is_planned_for_and_nobody_says_that_fewer_would_do(spec_of, run_of):
    run = run_of(spec_of(bin_s=60.0, load_s=180.0), [*[0.02] * 3000, *[4.6] * 40])
    queued = [decision for decision in run.decisions[3001:] if decision.backlog_rs]
    assert queued
    assert min(decision.desired for decision in queued) >= 5
    assert all(Reason.KEPT not in decision.reasons for decision in queued)


def test_replicas_that_somebody_else_keeps_serve_and_nothing_queues_on_fewer(spec_of):
    # In mode Shadow or Floor a release may be carried out by nobody.
    spec, none_load = spec_of(bin_s=60.0, load_s=120.0), np.zeros(0, dtype=np.int64)
    state, decisions = State.start(spec), []
    for t in range(400):
        demand_rps = {"requests": 11.0 if t % 40 > 30 else 1.0}
        decision, state = decide(spec, state, Observation(60.0 * t, demand_rps, 21, none_load))
        decisions.append(decision)
    assert min(decision.desired for decision in decisions) < 11
    assert not any(decision.backlog_rs for decision in decisions)


def test_nothing_that_the_last_bin_needed_is_released_before_closing_time(spec_of, run_of):
    # Three evenings a week, from six to nine: from ten minutes before nine on the forecast is sure of the end.
    evening = np.where((np.arange(1440) >= 1080) & (np.arange(1440) < 1260), 6.0, 0.0)
    week = np.concatenate([evening if day in {0, 2, 4} else 0.0 * evening for day in range(7)])
    rng = np.random.default_rng(2)
    demand = np.tile(week, 3) * np.exp(rng.normal(0.0, 0.05, 3 * 7 * 1440))
    run = run_of(spec_of(bin_s=60.0, load_s=600.0), demand)
    needed = np.ceil(demand)
    kept = 0
    for t in range(14 * 1440, len(demand)):
        kept += Reason.KEPT_FOR_DEMAND in run.decisions[t].reasons
        if run.desired[t] < run.decisions[t].current:
            assert run.desired[t] >= needed[t - 1]
    assert kept


def test_a_trickle_keeps_its_replica_where_the_budget_needs_it(spec_of, run_of):
    # A request every half hour or so: without the replica each waits for a load, 96 % late where 1 % is asked.
    trickle = np.where(np.random.default_rng(0).random(5 * 1440) < 1 / 30, 0.02, 0.0)
    run = run_of(spec_of(bin_s=60.0, load_s=180.0), trickle)
    assert set(run.desired[-1440:]) == {1}
    assert run_of(spec_of(bin_s=60.0, load_s=180.0), [*trickle[:1440], *[0.0] * 1440]).desired[-1] == 0


def test_a_surplus_replica_stays_exactly_while_the_peak_before_it_could_be_back_may_need_it(spec_of, run_of):
    run = run_of(spec_of(load_s=7200.0), [*spiked(5), *daily(3)])
    kept = released = 0
    for observation, decision in zip(run.observations[1:], run.decisions[1:], strict=True):
        demand = observation.demand_rps["requests"]
        if decision.backlog_rs or decision.backlog_at_lead_rs or Reason.KEPT_FOR_QUEUE in decision.reasons:
            continue
        if Reason.KEPT in decision.reasons:
            kept += 1
            assert decision.high_at_lead <= decision.current - 1 < decision.peak_until_lead
        elif Reason.RELEASED in decision.reasons:
            released += 1
            kept_for = max(decision.high_at_lead, decision.peak_until_lead, demand)
            assert decision.desired == math.ceil(kept_for - 1e-9)
    assert min(kept, released) > 20


def test_without_rent_or_buy_only_the_need_at_the_lead_counts(spec_of, run_of):
    whole, bare = (run_of(spec_of(load_s=7200.0, without=without), spiked(9)) for without in (frozenset(), NO_RENT))
    assert all(decision.peak_until_lead == decision.high_at_lead for decision in bare.decisions[1:])
    # No fleet is asked to be the smaller one: each learns a risk level of its own from what its policy would have done.
    assert any(decision.peak_until_lead > decision.high_at_lead for decision in whole.decisions[1:])


def test_without_the_budget_controller_the_risk_stays(spec_of, run_of):
    run = run_of(spec_of(without=frozenset({Part.BUDGET_CONTROLLER})), daily(4))
    assert {decision.risk_level for decision in run.decisions} == {0.99}


def test_released_replicas_leave_when_the_peak_is_over(spec_of, run_of):
    run = run_of(spec_of(), [*daily(3), *[3.0] * 60])
    assert Reason.RELEASED in {reason for decision in run.decisions for reason in decision.reasons}
    assert run.desired[-1] <= 5


def test_after_hours_without_demand_no_replica_is_left(spec_of, run_of):
    run = run_of(spec_of(late_budget=0.2), [*daily(2), *[0.0] * 48])
    assert min(run.desired[-48:]) == 0
    assert max(run.desired[-30:]) <= 1


def test_with_a_minimum_as_many_stay(spec_of, run_of):
    run = run_of(spec_of(replicas_min=2), [*daily(2), *[0.0] * 48])
    assert run.desired[-1] == 2
    assert run.decisions[-1].reasons[0] == Reason.AT_MIN


def test_of_several_units_the_largest_need_counts(spec_of, run_of):
    rng = np.random.default_rng(0)
    requests, tokens = 3 + rng.random(60) * 8, (3 + rng.random(60) * 8) * 500
    both = run_of(
        spec_of(capacity_rps={"requests": 1.0, "tokens": 500.0}),
        [{"requests": r, "tokens": t} for r, t in zip(requests, tokens, strict=True)],
    )
    one = run_of(spec_of(), requests)
    other = run_of(spec_of(capacity_rps={"tokens": 500.0}), tokens)
    for decision, a, b in zip(both.decisions[1:], one.decisions[1:], other.decisions[1:], strict=True):
        assert decision.high_at_lead == pytest.approx(max(a.high_at_lead, b.high_at_lead))
        assert decision.peak_until_lead == pytest.approx(max(a.peak_until_lead, b.peak_until_lead))


def test_units_do_not_change_the_plan(spec_of, run_of):
    demand = daily(2)
    plain = run_of(spec_of(), demand)
    scaled = run_of(spec_of(capacity_rps={"tokens": 4096.0}), demand * 4096.0)
    assert scaled.desired == plain.desired


def test_a_measured_queue_replaces_the_estimate_and_is_ordered_for(spec_of, run_of):
    spec = spec_of()
    run = run_of(spec, np.full(100, 10.0))
    now_s = run.decisions[-1].now_s + spec.bin_s
    decision, _ = decide(spec, run.state, _observed(now_s, 10.0, 11, backlog_rs=60_000.0))
    assert decision.backlog_rs == 60_000.0
    assert decision.desired > 20
    assert Reason.BACKLOG in decision.reasons
    assert Reason.ORDERED_AHEAD in decision.reasons


def test_a_maximum_is_kept_and_said(spec_of, run_of):
    run = run_of(spec_of(replicas_max=4), np.full(50, 10.0))
    assert max(run.desired) == 4
    assert run.decisions[-1].reasons[0] == Reason.AT_MAX
    assert Reason.ORDERED_AHEAD not in run.decisions[-1].reasons  # nothing is: all four are there


def test_the_self_backtest_pairs_each_forecast_with_what_came_in_its_bin(spec_of, run_of):
    spec = spec_of()
    demand = daily(2) * np.random.default_rng(0).uniform(0.9, 1.1, 288)
    demand[150:160] = NAN
    run = run_of(spec, demand)
    # Bin 0 was decided for without a forecast; what was forecast at the start of bin t stands with bin t's demand.
    state, needs, came = State.start(spec), [], []
    for decision, ended in zip(run.decisions, (NAN, *demand), strict=False):
        state = look_ahead(spec, state, _observed(decision.now_s, ended, 1))
        outlook = outlook_of(spec, state)
        needs.append(outlook.needs)
        came.append(outlook.demand_replicas)
    trials = Trials.start(len(CANDIDATES), lead_bins=state.lead_bins).seen(
        np.array(needs[:-1]),
        np.array(came[1:]),
        np.isnan(demand[: len(came) - 1]),
        candidates=CANDIDATES,
        spec=spec,
        drain_s=drain_s(spec, state.lead_bins),
    )
    np.testing.assert_array_equal(run.state.trials.results, trials.results)


def test_once_risk_is_chosen_its_lateness_is_told(spec_of, run_of):
    run = run_of(spec_of(), daily(2) * np.random.default_rng(0).uniform(0.9, 1.1, 288))
    told = [not math.isnan(decision.expected_late_share) for decision in run.decisions]
    assert told == sorted(told)
    assert 3 < told.index(True) <= 144
    for decision, known in zip(run.decisions[1:], told[1:], strict=True):
        assert (Reason.SHORT_HISTORY in decision.reasons) == (not known)
        assert 0.5 <= decision.risk_level < 1


def test_between_the_busy_hours_of_a_wave_replicas_are_released(spec_of, run_of):
    # Busy for 8 bins of 24, with a load of 8: by the peaks alone, which are mostly alike, none would ever go.
    spec = spec_of(bin_s=60.0, load_s=480.0)
    run = run_of(spec, np.where(np.arange(24 * 240) % 24 < 8, 8.0, 2.0))
    assert min(run.desired[-48:]) <= 6
    assert max(run.desired[-48:]) >= 8


def test_what_an_outage_upstream_sent_away_finds_its_replicas_when_it_is_back(spec_of, run_of):
    bins = np.arange(9 * 144)
    demand = 20 + 10 * np.sin(2 * np.pi * bins / 144) + np.random.default_rng(0).normal(0, 0.5, len(bins))
    gone = 6
    demand[-gone:] = 0.0
    run = run_of(spec_of(), demand)
    before = run.desired[-gone - 1]
    assert min(run.desired[-gone:]) >= 0.8 * before
    outlook = outlook_of(spec_of(), run.state)
    assert outlook.fallen_bins == gone
    assert outlook.needs[0, MEDIAN] < 1.0
