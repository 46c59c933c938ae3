"""Forecast against actual. Off by one is the classic bug here, so the ramp pins which bin a forecast is for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoscaler.core.decide import decide
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.risk import LEVELS
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State
from autoscaler.telemetry.accuracy import Accuracy

BIN_S = 60.0


def demand_in(index: int) -> float:
    """A ramp: bin i has demand i."""
    return float(index)


def follow_ramp(accuracy: Accuracy, *, lead: int, bins: int, shift: int = 0, first: int = 1_000) -> None:
    """Perfect forecasts, `shift` bins off; the decision at the start of bin t forecasts bin t + lead."""
    for t in range(first, first + bins):
        said = [demand_in(t + lead + shift)]
        accuracy.decided(now_s=t * BIN_S, actual=demand_in(t - 1), quantiles=said, lead_bins=lead)


@pytest.mark.parametrize("lead", [0, 1, 7])
def test_the_forecast_made_at_the_start_of_bin_t_is_for_bin_t_plus_lead(lead: int) -> None:
    accuracy = Accuracy([0.5], bin_s=BIN_S)
    follow_ramp(accuracy, lead=lead, bins=lead + 30)
    assert accuracy.scored == 29
    assert accuracy.loss_sum.tolist() == [0.0]
    assert accuracy.coverage.tolist() == [1.0]


@pytest.mark.parametrize(("shift", "loss", "coverage"), [(-1, 0.9, 0.0), (1, 0.1, 1.0)])
def test_one_bin_off_on_a_ramp_costs_one_replica_times_the_levels_side(
    shift: int, loss: float, coverage: float
) -> None:
    accuracy = Accuracy([0.9], bin_s=BIN_S)
    follow_ramp(accuracy, lead=3, bins=50, shift=shift)
    assert accuracy.mean_loss == pytest.approx([loss])
    assert accuracy.coverage == pytest.approx([coverage])


def test_the_core_means_the_same_bin() -> None:
    """One spike a day: the core's own forecast, one lead ahead, peaks for the spike's bin and not beside it."""
    lead, day, spike = 2, 24, 13
    spec = Spec(
        bin_s=3_600.0,
        capacity_rps={"requests": 1.0},
        objective=Objective(max_wait_s=10.0, late_budget=0.01),
        load_latency=LoadLatency.constant(lead * 3_600.0),
    )
    state = State.start(spec)
    medians = {}
    for t in range(15 * day):
        came = (50.0 if (t - 1) % day == spike else 5.0) if t else math.nan
        observation = Observation(t * 3_600.0, {"requests": came}, 5, np.empty(0, dtype=np.int64))
        decision, state = decide(spec, state, observation)
        medians[t + lead] = decision.median_at_lead
    last = {target % day: median for target, median in medians.items() if target > 14 * day}
    assert max(last, key=lambda hour: last[hour]) == spike


def test_a_missing_bin_scores_nothing_and_the_next_ones_score_right() -> None:
    accuracy = Accuracy([0.5], bin_s=BIN_S)
    for t in range(100, 120):
        actual = math.nan if t == 110 else demand_in(t - 1)
        accuracy.decided(now_s=t * BIN_S, actual=actual, quantiles=[demand_in(t + 2)], lead_bins=2)
    assert accuracy.scored == 16
    assert accuracy.loss_sum.tolist() == [0.0]


def test_skipped_decisions_and_a_new_lead_move_nothing() -> None:
    accuracy = Accuracy([0.5], bin_s=BIN_S)
    times = [*range(100, 110), *range(115, 130)]
    for t in times:
        lead = 5 if t < 120 else 2
        accuracy.decided(now_s=t * BIN_S, actual=demand_in(t - 1), quantiles=[demand_in(t + lead)], lead_bins=lead)
    assert accuracy.scored > 10
    assert accuracy.loss_sum.tolist() == [0.0]


def test_before_a_forecast_there_is_no_accuracy_rather_than_a_perfect_one() -> None:
    accuracy = Accuracy([0.5, 0.9], bin_s=BIN_S)
    for t in range(5):
        accuracy.decided(now_s=t * BIN_S, actual=1.0, quantiles=[math.nan, math.nan], lead_bins=1)
    assert accuracy.scored == 0
    assert np.isnan(accuracy.mean_loss).all()
    assert np.isnan(accuracy.coverage).all()


def test_coverage_of_true_quantiles_is_their_level_and_yesterday_weighs_half() -> None:
    rng = np.random.default_rng(5)
    accuracy = Accuracy([0.5, 0.9], bin_s=600.0)
    quantiles = np.quantile(rng.exponential(size=100_000), [0.5, 0.9])
    for t in range(1_500):
        accuracy.decided(now_s=t * 600.0, actual=rng.exponential(), quantiles=quantiles, lead_bins=1)
    assert accuracy.coverage == pytest.approx([0.5, 0.9], abs=0.08)
    # From then on everything lies above: a day later the old share has half of its weight.
    before = accuracy.coverage
    for t in range(1_500, 1_500 + 144):
        accuracy.decided(now_s=t * 600.0, actual=1e6, quantiles=quantiles, lead_bins=1)
    assert accuracy.coverage == pytest.approx(before / 2, rel=0.02)


def test_a_clock_that_jumps_back_and_forth_keeps_the_memory_bounded() -> None:
    accuracy = Accuracy(LEVELS, bin_s=15.0)
    rng = np.random.default_rng(1)
    for _ in range(7_000):
        accuracy.decided(
            now_s=float(rng.integers(0, 100_000)) * 15.0, actual=1.0, quantiles=np.ones(len(LEVELS)), lead_bins=90_000
        )
    assert len(accuracy._waiting) <= 5_760
