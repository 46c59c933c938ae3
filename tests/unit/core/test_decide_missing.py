"""Missing demand is not zero: whatever is missing, skipped or broken, no replica is released for it."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.decide import decide
from autoscaler.core.decision import Reason
from autoscaler.core.history import replayed
from autoscaler.core.observation import Observation
from autoscaler.core.state import State

NAN = math.nan
UNKNOWN = [NAN, -1.0, math.inf, -math.inf, None]


def is_known(seen):
    return seen is not None and math.isfinite(seen) and seen >= 0


known_run = st.tuples(st.floats(0, 60), st.integers(1, 25)).map(
    lambda run: [run[0] * (1 + 0.1 * (t % 3)) for t in range(run[1])]
)
unknown_run = st.tuples(st.sampled_from(UNKNOWN), st.integers(1, 25)).map(lambda run: [run[0]] * run[1])
traces = st.lists(known_run | unknown_run, min_size=1, max_size=8).map(
    lambda runs: [seen for run in runs for seen in run]
)
skips = st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 30]), max_size=80)
bounds = st.tuples(st.integers(0, 4), st.integers(0, 40)).map(lambda pair: (pair[0], sum(pair)))


@settings(max_examples=60)
@given(trace=traces, jumps=skips, bounds=bounds, load_bins=st.integers(0, 3))
def test_no_replica_is_released_after_a_bin_that_is_unknown(trace, jumps, bounds, load_bins, spec_of, run_of):
    low, high = bounds
    spec = spec_of(bin_s=3600.0, load_s=3600.0 * load_bins, replicas_min=low, replicas_max=high)
    run = run_of(spec, trace, jumps)
    for seen, decision in zip([NAN, *trace], run.decisions, strict=True):
        assert low <= decision.desired <= high
        if not is_known(seen):
            assert decision.desired >= min(decision.current, high)


@settings(max_examples=30)
@given(trace=traces, jumps=skips)
def test_the_reasons_are_what_happened(trace, jumps, spec_of, run_of):
    spec = spec_of(bin_s=3600.0, load_s=7200.0, replicas_min=1, replicas_max=30)
    run = run_of(spec, trace, jumps)
    any_known = False
    for seen, decision in zip([NAN, *trace], run.decisions, strict=True):
        any_known = any_known or is_known(seen)
        reasons = decision.reasons
        assert len(set(reasons)) == len(reasons)
        assert (Reason.NO_HISTORY in reasons) == (not any_known) == math.isnan(decision.high_at_lead)
        if not any_known:
            continue
        assert (Reason.DEMAND_MISSING in reasons) == (not is_known(seen))
        assert (Reason.ORDERED_AHEAD in reasons) == (decision.desired > decision.current)
        assert (Reason.RELEASED in reasons) == (decision.desired < decision.current)
        if Reason.AT_MIN in reasons:
            assert decision.desired == 1
        if Reason.AT_MAX in reasons:
            assert decision.desired == 30
        assert len(set(reasons) & {Reason.ORDERED_AHEAD, Reason.RELEASED, Reason.KEPT, Reason.STEADY}) == 1


@pytest.mark.parametrize("broken", UNKNOWN)
def test_broken_demand_counts_as_missing(broken, spec_of, run_of):
    trace = [5.0, 6.0, 7.0, *[broken] * 5, 6.0]
    missing = [5.0, 6.0, 7.0, *[NAN] * 5, 6.0]
    assert run_of(spec_of(), trace).desired == run_of(spec_of(), missing).desired


def test_skipped_ticks_are_missing_bins(spec_of, run_of):
    rng = np.random.default_rng(0)
    demand = (5 + 3 * rng.random(200)).tolist()
    whole = run_of(spec_of(), [*demand[:100], *[NAN] * 6, *demand[106:]])
    skipped = run_of(spec_of(), [*demand[:100], *demand[106:]], jumps=[*[1] * 100, 7])
    # The fleets differ, since one was decided for in the meantime; what is forecast for them doesn't.
    for a, b in zip(whole.decisions[107:], skipped.decisions[101:], strict=True):
        assert a.now_s == b.now_s
        assert a.median_at_lead == pytest.approx(b.median_at_lead)
        assert a.low_at_lead == pytest.approx(b.low_at_lead)


def test_the_self_backtest_decides_on_bins_that_were_skipped_as_on_missing_ones(spec_of, run_of):
    rng = np.random.default_rng(0)
    demand = (5 + 3 * rng.random(240)).tolist()
    # A jump before the gap has replicas on order and work queued in it.
    demand[96:100] = [30.0] * 4
    whole = run_of(spec_of(), [*demand[:100], *[NAN] * 6, *demand[106:]]).state.trials
    skipped = run_of(spec_of(), [*demand[:100], *demand[106:]], jumps=[*[1] * 100, 7]).state.trials
    for name in ("unscored", "ready", "due", "backlog_rs", "sums", "scored", "day_bins"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(skipped, name), err_msg=name)
    np.testing.assert_array_equal(whole.days.rows, skipped.days.rows)


def test_all_missing_from_the_start_keeps_one_replica_for_good(spec_of, run_of):
    run = run_of(spec_of(), [NAN] * 300)
    assert set(run.desired) == {1}
    assert run.decisions[-1].reasons == (Reason.NO_HISTORY,)


def test_one_of_several_units_missing_releases_nothing_either(spec_of, run_of):
    spec = spec_of(capacity_rps={"requests": 1.0, "tokens": 100.0})
    both = {"requests": 8.0, "tokens": 300.0}
    run = run_of(spec, [*[both] * 30, *[{"requests": 1.0}] * 30])
    assert min(run.desired[31:]) >= run.desired[30]
    assert all(Reason.DEMAND_MISSING in decision.reasons for decision in run.decisions[31:])
    # The known unit still orders.
    more = run_of(spec, [*[both] * 30, *[{"requests": 20.0, "tokens": NAN}] * 10])
    assert more.desired[-1] > 20


def test_after_an_outage_surplus_leaves_again(spec_of, run_of):
    run = run_of(spec_of(), [*[10.0] * 150, *[NAN] * 20, *[2.0] * 80])
    assert min(run.desired[151:171]) >= run.desired[150]
    assert run.desired[-1] <= 4


@pytest.mark.parametrize("huge", [1e19, 1e25, 1e300])
def test_demand_beyond_what_64_bits_count_releases_nothing(huge, spec_of, run_of):
    run = run_of(spec_of(replicas_max=50), [*[20.0] * 300, huge, *[20.0] * 5])
    assert min(run.desired[-6:]) >= run.desired[-7]


@pytest.mark.parametrize("huge", [1e17, 1e300, 1.5e308, sys.float_info.max])
@pytest.mark.parametrize("before", [[20.0] * 5, [*[20.0] * 300, NAN]])
def test_demand_beyond_counting_is_missing_also_where_anything_else_is_believed(huge, before, spec_of, run_of):
    spec = spec_of(replicas_max=50)
    run, missing = (run_of(spec, [*before, seen, *[20.0] * 5]) for seen in (huge, NAN))
    assert run.desired == missing.desired
    broken, gap = (replayed(spec, start_s=0.0, demand_rps={"requests": np.array([*before, v])}) for v in (huge, NAN))
    np.testing.assert_array_equal(broken.needs, gap.needs)


@pytest.mark.parametrize("queue_rs", [None, 0.0])
def test_one_absurd_bin_while_little_is_known_lowers_no_risk_and_leaves_no_queue(queue_rs, spec_of, run_of):
    spec = spec_of(replicas_max=60)
    rng = np.random.default_rng(0)
    demand = 10.0 + 8.0 * np.sin(np.arange(144 * 8) / 23) + 20.0 * (rng.random(144 * 8) < 0.02)
    broken = demand.copy()
    broken[50] = 1e9
    clean, after = (run_of(spec, values.tolist(), queue_rs=queue_rs) for values in (demand, broken))
    assert after.state.backlog_rs == 0.0
    last_day = slice(-144, None)
    assert np.mean(after.desired[last_day]) > 0.9 * np.mean(clean.desired[last_day])


@pytest.mark.parametrize("broken", [NAN, math.inf, -5.0])
def test_a_broken_backlog_is_one_that_is_not_measured(broken, spec_of, run_of):
    spec = spec_of()
    run = run_of(spec, [20.0] * 300)
    now_s = run.observations[-1].now_s + spec.bin_s
    decision, state = decide(spec, run.state, run.fleet.observe(now_s, {"requests": 20.0}))
    same, state_after = decide(spec, run.state, run.fleet.observe(now_s, {"requests": 20.0}, broken))
    assert same == decision
    assert state_after.backlog_rs == state.backlog_rs


def test_while_the_history_cannot_be_read_replicas_are_ordered_and_none_is_released(spec_of):
    spec = spec_of()
    none_load = np.zeros(0, dtype=np.int64)
    _, state = decide(spec, State.start(spec), Observation(0.0, {"requests": NAN}, 12, none_load))

    def seen(demand_rps, *, history_missing):
        observation = Observation(spec.bin_s, {"requests": demand_rps}, 12, none_load, history_missing=history_missing)
        return decide(spec, state, observation)[0]

    assert seen(2.0, history_missing=False).desired < 12
    held = seen(2.0, history_missing=True)
    assert held.desired == 12
    assert held.reasons[:2] == (Reason.HISTORY_MISSING, Reason.STEADY)
    assert seen(30.0, history_missing=True).desired == seen(30.0, history_missing=False).desired > 12
