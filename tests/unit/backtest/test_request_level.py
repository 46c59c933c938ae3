"""The per-request fidelity: against an event simulation written differently, queueing theory, and by hand.

The oracle keeps a calendar of events and per-replica lists of requests; the kernel keeps slots. Times in the generated
cases are eighths of a second, exact in floating point, so that ties are ties in both.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backtest.cluster import order_load_bins, simulate
from autoscaler.backtest.engine_speed import EngineSpeed
from autoscaler.backtest.percentiles import Percentiles
from autoscaler.backtest.request_kernel import FleetPlan, replay_requests
from autoscaler.backtest.request_level import (
    implied_capacity_rps,
    order_loads_s,
    setting_from_requests,
    simulate_requests,
)
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.formats import import_requests
from autoscaler.traces.requests import RequestLog
from forecasting.series import FloatArray

RELEASE_OR_ORDER, ARRIVE, WAKE = 0, 1, 2


@dataclass
class Replica:
    number: int
    ordered_s: float
    ready_s: float
    released_s: float = math.inf
    ends_s: list[float] = field(default_factory=list)
    slot_freed_s: list[float] = field(default_factory=list)

    def busy(self, now: float) -> int:
        return sum(end > now for end in self.ends_s)

    def gone_s(self) -> float:
        return max([self.released_s, *self.ends_s]) if self.released_s < math.inf else math.inf


class EventSimulation:
    """A calendar of arrivals, fleet changes, readiness and completions; at each instant, fleet before queue."""

    def __init__(
        self, arrival_s: list[float], service_s: list[float], desired: list[int], bin_s: float, load_s: list[float],
        concurrency: int,
    ) -> None:  # fmt: skip
        self.service_s, self.load_s, self.concurrency = service_s, list(load_s), concurrency
        self.start_s = [math.inf] * len(arrival_s)
        self.fleet: list[Replica] = []
        self.all: list[Replica] = []
        self.waiting: list[int] = []
        self.calendar: list[tuple[float, int, int]] = [(t * bin_s, RELEASE_OR_ORDER, d) for t, d in enumerate(desired)]
        self.calendar += [(a, ARRIVE, i) for i, a in enumerate(arrival_s)]
        heapq.heapify(self.calendar)

    def run(self) -> tuple[list[float], list[Replica]]:
        while self.calendar:
            now = self.calendar[0][0]
            while self.calendar and self.calendar[0][0] == now:
                _, kind, what = heapq.heappop(self.calendar)
                if kind == RELEASE_OR_ORDER:
                    self.change_fleet(now, what)
                elif kind == ARRIVE:
                    self.waiting.append(what)
            self.serve_queue(now)
        return self.start_s, self.all

    def change_fleet(self, now: float, desired: int) -> None:
        while len(self.fleet) < desired:
            ready_s = now + self.load_s[len(self.all)]
            replica = Replica(len(self.all), now, ready_s, slot_freed_s=[ready_s] * self.concurrency)
            self.fleet.append(replica)
            self.all.append(replica)
            heapq.heappush(self.calendar, (ready_s, WAKE, 0))
        while len(self.fleet) > desired:
            loading = [r for r in self.fleet if r.ready_s > now]
            if loading:
                leaving = max(loading, key=lambda r: (r.ready_s, r.number))
            else:
                leaving = min(self.fleet, key=lambda r: (r.busy(now), -r.ready_s, -r.number))
            leaving.released_s = now
            self.fleet.remove(leaving)

    def serve_queue(self, now: float) -> None:
        while self.waiting:
            free = [(freed, r.number) for r in self.fleet for freed in r.slot_freed_s if freed <= now]
            if not free:
                return
            freed, number = min(free)
            request = self.waiting.pop(0)
            self.start_s[request] = now
            end = now + self.service_s[request]
            self.all[number].slot_freed_s.remove(freed)
            self.all[number].slot_freed_s.append(end)
            self.all[number].ends_s.append(end)
            heapq.heappush(self.calendar, (end, WAKE, 0))


EIGHTHS = st.integers(0, 400).map(lambda i: i / 8)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[float], list[float], list[int], list[float], int]:
    arrival_s = sorted(draw(st.lists(EIGHTHS, max_size=40)))
    service_s = draw(st.lists(st.integers(0, 120).map(lambda i: i / 8), min_size=40, max_size=40))
    desired = draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    load_s = draw(st.lists(st.integers(0, 160).map(lambda i: i / 8), min_size=50, max_size=50))
    return arrival_s, service_s[: len(arrival_s)], desired, load_s, draw(st.integers(1, 3))


def replay(
    arrival_s: list[float], service_s: list[float], desired: list[int], load_s: list[float], concurrency: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Bins of 5 s."""
    return replay_requests(*arrays(arrival_s, service_s, desired, load_s, concurrency))


def arrays(
    arrival_s: list[float], service_s: list[float], desired: list[int], load_s: list[float], concurrency: int
) -> tuple[FloatArray, FloatArray, FleetPlan]:
    plan = FleetPlan(np.array(desired, np.int64), 5.0, np.array(load_s, float), concurrency)
    return np.array(arrival_s, float), np.array(service_s, float), plan


@given(cases())
def test_every_start_and_every_replica_is_that_of_an_event_simulation(
    case: tuple[list[float], list[float], list[int], list[float], int],
) -> None:
    arrival_s, service_s, desired, load_s, concurrency = case
    expected_start_s, fleet = EventSimulation(arrival_s, service_s, desired, 5.0, load_s, concurrency).run()
    start_s, ordered_s, ready_s, gone_s = replay(*case)
    assert start_s.tolist() == expected_start_s
    assert ordered_s.tolist() == [r.ordered_s for r in fleet]
    assert ready_s.tolist() == [r.ready_s for r in fleet]
    assert gone_s.tolist() == [r.gone_s() for r in fleet]
    assert start_s.tolist() == sorted(start_s)


@given(cases())
def test_the_kernel_equals_its_python_form(
    case: tuple[list[float], list[float], list[int], list[float], int],
) -> None:
    for compiled, plain in zip(replay_requests(*arrays(*case)), replay_requests.py_func(*arrays(*case)), strict=True):
        np.testing.assert_array_equal(compiled, plain)


@given(cases(), st.integers(1, 11))
def test_what_happens_before_a_bin_does_not_depend_on_the_plan_from_it_on(
    case: tuple[list[float], list[float], list[int], list[float], int], cut: int
) -> None:
    arrival_s, service_s, desired, load_s, concurrency = case
    start_s, *_ = replay(*case)
    cut_start_s, *_ = replay(arrival_s, service_s, desired[:cut], load_s, concurrency)
    before = start_s < cut * 5.0
    np.testing.assert_array_equal(before, cut_start_s < cut * 5.0)
    np.testing.assert_array_equal(start_s[before], cut_start_s[before])


@pytest.mark.parametrize(("replicas", "concurrency", "load"), [(2, 4, 0.85), (1, 1, 0.7), (5, 8, 0.9)])
def test_poisson_arrivals_wait_as_often_and_as_long_as_erlang_c_says(
    replicas: int, concurrency: int, load: float
) -> None:
    rng = np.random.default_rng(7)
    slots, requests = replicas * concurrency, 1_000_000
    arrival_s = np.cumsum(rng.exponential(1.0 / (load * slots), requests))
    service_s = rng.exponential(1.0, requests)
    plan = FleetPlan(np.full(3, replicas, np.int64), 60.0, np.zeros(replicas), concurrency)
    start_s, *_ = replay_requests(arrival_s, service_s, plan)
    offered = load * slots
    erlang_b = 1.0
    for k in range(1, slots + 1):
        erlang_b = offered * erlang_b / (k + offered * erlang_b)
    waits_share = erlang_b / (1 - load * (1 - erlang_b))
    waits_s = start_s - arrival_s
    assert (waits_s > 0).mean() == pytest.approx(waits_share, rel=0.03)
    assert waits_s.mean() == pytest.approx(waits_share / (slots * (1 - load)), rel=0.06)


def test_a_replica_that_becomes_ready_within_a_bin_serves_from_that_moment() -> None:
    start_s, _, ready_s, _ = replay([0.0, 1.0, 8.0], [1.0, 1.0, 1.0], [1, 1], [6.5], 1)
    assert ready_s.tolist() == [6.5]
    assert start_s.tolist() == [6.5, 7.5, 8.5]


def test_a_busy_replica_that_leaves_ends_its_request_and_takes_no_other() -> None:
    start_s, _, _, gone_s = replay([0.0, 1.0, 2.0], [30.0, 30.0, 1.0], [2, 1], [0.0, 0.0], 1)
    assert start_s.tolist() == [0.0, 1.0, 30.0]
    assert gone_s.tolist() == [math.inf, 31.0]


def test_the_idlest_ready_replica_leaves_and_an_idle_one_is_gone_at_once() -> None:
    _, _, _, gone_s = replay([0.0, 0.0, 0.0], [9.0, 9.0, 1.0], [3, 2], [0.0, 0.0, 0.0], 1)
    assert gone_s.tolist() == [math.inf, math.inf, 5.0]
    _, _, _, gone_s = replay([0.0, 0.0, 0.0], [1.0, 9.0, 9.0], [3, 2], [0.0, 0.0, 0.0], 1)
    assert gone_s.tolist() == [5.0, math.inf, math.inf]


def test_of_the_loading_replicas_the_latest_due_leaves_before_any_ready_one() -> None:
    start_s, _, ready_s, gone_s = replay([6.0], [1.0], [3, 2, 1], [0.0, 40.0, 20.0], 1)
    assert ready_s.tolist() == [0.0, 40.0, 20.0]
    assert gone_s.tolist() == [math.inf, 5.0, 10.0]
    assert start_s.tolist() == [6.0]


def test_without_replicas_requests_wait_until_one_is_ready() -> None:
    start_s, *_ = replay([1.0, 2.0], [1.0, 1.0], [0, 0, 1, 1], [3.0], 1)
    assert start_s.tolist() == [13.0, 14.0]


def log_of(
    arrival_s: list[float], prompt_tokens: list[int], output_tokens: list[int], *, start_s: float = 0.0
) -> RequestLog:
    tokens = np.array(prompt_tokens, np.int64), np.array(output_tokens, np.int64)
    return RequestLog("log", start_s, np.array(arrival_s, float), *tokens, dated=False)


SPEED = EngineSpeed(concurrency=2, prefill_tokens_per_s=100.0, decode_tokens_per_s=10.0)
INSTANT = LoadLatency.constant(0.0)


def test_requests_never_served_are_late_with_an_infinite_wait_and_cost_nothing() -> None:
    log = log_of([0.0, 1.0, 7.0, 9.0], [100] * 4, [10] * 4)
    setting = setting_from_requests(log, 5.0, SPEED, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01)
    outcome = simulate_requests(log, SPEED, setting, np.array([1, 0]))
    assert outcome.waits_s.tolist() == [0.0, 0.0, math.inf, math.inf]
    assert (outcome.late_fraction, outcome.late_work_fraction, outcome.unserved) == (0.5, 0.5, 2)
    assert outcome.wait == Percentiles(0.0, math.inf, math.inf, math.inf)
    assert outcome.first_token == Percentiles(1.0, math.inf, math.inf, math.inf)
    assert outcome.replica_hours == 5.0 / 3600.0
    assert outcome.mean_slot_utilisation == 4.0 / 10.0


def test_a_plan_without_any_replica_serves_nobody() -> None:
    log = log_of([0.0, 6.0], [100, 100], [10, 10])
    setting = setting_from_requests(log, 5.0, SPEED, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01)
    outcome = simulate_requests(log, SPEED, setting, np.array([0, 0]))
    assert (outcome.late_fraction, outcome.unserved, outcome.replica_hours) == (1.0, 2, 0.0)


def test_only_the_scored_part_counts_and_drains_are_paid_for() -> None:
    log = log_of([0.0, 0.0, 4.0, 13.0], [0] * 4, [10, 20, 100, 10])
    setting = setting_from_requests(
        log, 5.0, SPEED, load_latency=LoadLatency.constant(1.0), max_wait_s=0.5, late_budget=0.01, score_from_s=10.0
    )
    outcome = simulate_requests(log, SPEED, setting, np.array([2, 1, 1]))
    assert outcome.waits_s.tolist() == [1.0, 1.0, 0.0, 0.0]
    # The third request (4 s to 14 s) keeps one replica busy, the other one stays or drains as the idlest: none drains.
    assert outcome.late_fraction == 0.0
    assert outcome.replica_hours == 5.0 / 3600.0
    assert outcome.mean_slot_utilisation == (4.0 + 1.0) / 10.0
    drained = simulate_requests(log, SPEED, setting, np.array([1, 0, 0]))
    assert drained.replica_hours == 4.0 / 3600.0
    assert drained.unserved == 1


def test_a_scored_part_without_requests_has_no_late_ones_and_no_percentiles() -> None:
    log = log_of([0.0, 6.0], [100, 100], [10, 10])
    setting = setting_from_requests(
        log, 5.0, SPEED, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01, score_from_s=10.0
    )
    outcome = simulate_requests(log, SPEED, setting, np.array([1, 1]))
    assert (outcome.late_fraction, outcome.replica_hours, outcome.mean_slot_utilisation) == (0.0, 0.0, 0.0)
    assert math.isnan(outcome.wait.max_s)


def test_the_binned_setting_holds_the_same_work_and_the_implied_capacity_serves_it() -> None:
    log = log_of([0.5, 4.5, 5.0, 19.0], [100, 0, 200, 100], [0, 10, 20, 10], start_s=1000.0)
    setting = setting_from_requests(log, 5.0, SPEED, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01)
    assert setting.start_s == 1000.0
    assert setting.arrivals_rs.tolist() == [1.0, 2.0, 0.0, 1.0]
    np.testing.assert_allclose(setting.observed_replicas * 5.0, setting.arrivals_rs)
    assert implied_capacity_rps(log, SPEED) == 2.0 / 2.0
    assert setting.arrivals_rs.sum() == 4 / implied_capacity_rps(log, SPEED)
    outcome = simulate_requests(log, SPEED, setting, np.array([0, 1, 1, 1]))
    assert outcome.waits_s.tolist() == [4.5, 0.5, 1.0, 0.0]


def test_a_log_that_is_unsorted_or_begins_before_the_plan_is_refused() -> None:
    log = log_of([0.0, 6.0], [100, 100], [10, 10])
    setting = setting_from_requests(log, 5.0, SPEED, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01)
    for bad in (replace(log, arrival_s=log.arrival_s[::-1]), replace(log, start_s=-1.0)):
        with pytest.raises(ValueError, match="arrivals must be in order"):
            simulate_requests(bad, SPEED, setting, np.array([1, 1]))


def test_on_a_real_hour_short_of_capacity_both_fidelities_find_the_same_work_late(shared_traces: Path) -> None:
    log = import_requests(shared_traces / "original" / "AzureLLMInferenceTrace_conv.csv", "azure-llm")
    speed = EngineSpeed(concurrency=1, prefill_tokens_per_s=4000.0, decode_tokens_per_s=200.0)
    setting = setting_from_requests(log, 1.0, speed, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01)
    step_up = np.repeat([6, 10], [len(setting) // 2, len(setting) - len(setting) // 2])
    for plan in (np.full(len(setting), 8), step_up):
        fluid, single = simulate(setting, plan), simulate_requests(log, speed, setting, plan)
        assert fluid.late_fraction == pytest.approx(single.late_work_fraction, rel=0.03)
        assert fluid.late_fraction == pytest.approx(single.late_fraction, rel=0.2)
        assert fluid.replica_hours == pytest.approx(single.replica_hours)
        assert fluid.mean_utilisation == pytest.approx(single.mean_slot_utilisation, rel=0.01)


def test_both_fidelities_load_the_same_fleet() -> None:
    log = log_of([0.0, 5000.0], [100, 100], [10, 10])
    load = LoadLatency.lognormal(120.0, 0.5)
    setting = setting_from_requests(log, 60.0, SPEED, load_latency=load, max_wait_s=10.0, late_budget=0.01, seed=3)
    for share in (0.0, 0.3):
        failing = replace(setting, start_failure_share=share)
        load_s = order_loads_s(failing, 1000)
        bins = order_load_bins(load, 60.0, share, 3)
        np.testing.assert_array_equal(np.ceil(load_s / 60.0), bins[:1000])
        np.testing.assert_array_equal(order_loads_s(failing, 10), load_s[:10])


@pytest.mark.parametrize("plan", [[1], [1, -1], []])
def test_a_plan_that_is_not_one_count_per_bin_is_refused(plan: list[int]) -> None:
    log = log_of([0.0, 6.0], [100, 100], [10, 10])
    setting = setting_from_requests(log, 5.0, SPEED, load_latency=INSTANT, max_wait_s=10.0, late_budget=0.01)
    with pytest.raises(ValueError, match="for each of the 2 bins"):
        simulate_requests(log, SPEED, setting, np.array(plan, np.int64))


@pytest.mark.parametrize("numbers", [(0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, -2.0), (1, math.nan, 1.0)])
def test_an_engine_that_cannot_be_is_refused(numbers: tuple[int, float, float]) -> None:
    with pytest.raises(UsageError):
        EngineSpeed(*numbers)


def test_no_capacity_follows_from_a_log_without_tokens() -> None:
    with pytest.raises(UsageError, match="no tokens"):
        implied_capacity_rps(log_of([0.0], [0], [0]), SPEED)
    with pytest.raises(UsageError, match="no tokens"):
        implied_capacity_rps(log_of([], [], []), SPEED)
