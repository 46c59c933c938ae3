"""Capacity is learned from saturated bins only, and never believed when it is far off."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.learned_capacity import (
    SAMPLES_MIN,
    WINDOW,
    CapacitySamples,
    SaturatedBin,
    effective_capacity_rps,
)

NAN = math.nan


def a_bin(**changes):
    """Two ready replicas with a queue throughout; 8 requests per second done where arrivals were 10."""
    facts = {
        "arrived_rps": 10.0,
        "completed_rps": NAN,
        "waiting_before": 100.0,
        "waiting": 220.0,
        "in_system_before": 160.0,
        "in_system": 280.0,
        "ready": 2,
        "bin_s": 60.0,
    }
    return SaturatedBin(**(facts | changes))


def test_work_done_is_what_arrived_and_did_not_stay():
    assert a_bin().per_replica_rps == pytest.approx((10.0 - 120.0 / 60.0) / 2)


def test_completions_are_believed_before_the_difference_of_queues():
    assert a_bin(completed_rps=9.0).per_replica_rps == pytest.approx(4.5)


@pytest.mark.parametrize("in_system", [NAN, 160.0])
def test_a_queue_that_is_worked_off_is_completed_too(in_system):
    drained = {"waiting_before": 220.0, "waiting": 100.0, "in_system_before": in_system + 120.0, "in_system": in_system}
    assert a_bin(completed_rps=12.0, **drained).per_replica_rps == 6.0
    assert a_bin(completed_rps=15.0, **drained).per_replica_rps is None


@pytest.mark.parametrize(
    "changes",
    [
        {"waiting_before": 0.0},  # idle at the start
        {"waiting": 1.0},  # fewer waiting than replicas: one of them may have idled
        {"ready": None},  # a replica joined: it was cold
        {"ready": 0},
        {"arrived_rps": NAN},
        {"waiting": NAN},
        {"in_system": NAN},
        {"in_system": 5_000.0},  # more stayed than arrived
        {"completed_rps": 0.0},
        {"completed_rps": 30.0},  # of three engines: only ten a second arrived at this one
        {"completed_rps": 9.0, "arrived_rps": NAN},  # nothing to hold it against
        {"completed_rps": math.inf},
    ],
)
def test_bins_that_teach_nothing(changes):
    assert a_bin(**changes).per_replica_rps is None
    assert CapacitySamples().with_bin(a_bin(**changes)) == CapacitySamples()


def test_the_prior_holds_until_enough_bins_were_saturated():
    samples = CapacitySamples()
    for _ in range(SAMPLES_MIN - 1):
        samples = samples.with_bin(a_bin())
    assert samples.capacity_rps(3.0) == 3.0
    assert samples.with_bin(a_bin()).capacity_rps(3.0) == pytest.approx(4.0)


def test_the_lower_quarter_is_taken_and_the_window_is_bounded():
    samples = CapacitySamples.of([2.0] * 15 + [5.0] * 35)
    assert samples.capacity_rps(4.0) == pytest.approx(2.0)
    for _ in range(2 * WINDOW):
        samples = samples.with_bin(a_bin(completed_rps=10.0))
    assert samples.recent_rps == (5.0,) * WINDOW


def test_what_is_far_from_what_the_user_stated_is_bounded():
    assert CapacitySamples.of([1e9] * 20).capacity_rps(3.0) == 12.0
    assert CapacitySamples.of([1e-9] * 20).capacity_rps(3.0) == 0.75


def test_stored_samples_that_are_no_numbers_are_left_out():
    assert CapacitySamples.of([1.0, NAN, -2.0, math.inf, 0.0, 2.0]).recent_rps == (1.0, 2.0)


def test_small_changes_are_left():
    assert effective_capacity_rps(3.0, 3.2) == 3.0
    assert effective_capacity_rps(3.0, 3.4) == 3.4
    assert effective_capacity_rps(3.0, 2.6) == 2.6
