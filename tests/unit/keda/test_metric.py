"""Every pair of what is there and what is wanted, against the formula of the HorizontalPodAutoscaler, old and new."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autoscaler.keda.metric import TARGET, hpa_wants, value_to_publish

MOST = 200
TOLERANCE = 0.1
PAIRS = list(itertools.product(range(1, MOST + 1), repeat=2))


def old_hpa_wants(value: float, replicas: int, tolerance: float = TOLERANCE) -> int:
    """Kubernetes before 1.33: another rounding at the edge of the tolerance."""
    ratio = (value * 1_000) / (TARGET * 1_000 * replicas)
    return replicas if abs(1.0 - ratio) <= tolerance else int(np.ceil(value / TARGET))


def wanted(current: int, desired: int, tolerance: float = TOLERANCE) -> int:
    value = value_to_publish(desired, current, tolerance=tolerance)
    new = hpa_wants(value, target=TARGET, replicas=current, tolerance=tolerance)
    assert new == old_hpa_wants(value, current, tolerance)
    return new


def reachable(current: int) -> set[int]:
    """All that the HPA, new and old alike, can be made to want: every value in thousandths."""
    milli = np.arange(0, 250_001)
    ratio = milli / (1_000.0 * current)
    new = (ratio >= 1.0 - TOLERANCE) & (ratio <= 1.0 + TOLERANCE)
    old = np.abs(1.0 - ratio) <= TOLERANCE
    both = np.where(new, current, np.ceil(milli / 1_000.0))[new == old]
    return set(both[np.flatnonzero(np.diff(both, prepend=-1.0))].astype(int).tolist())


def test_up_the_hpa_wants_what_was_decided_or_the_least_that_it_can_be_made_to_want_above_it() -> None:
    for current in range(1, MOST + 1):
        within_reach = reachable(current)
        for desired in range(current, MOST + 1):
            assert wanted(current, desired) == min(each for each in within_reach if each >= desired), (current, desired)


def test_up_past_the_tolerance_and_below_ten_replicas_the_hpa_wants_exactly_what_was_decided() -> None:
    for current, desired in PAIRS:
        if desired > current and (10 * desired > 11 * current or current < 10):
            assert wanted(current, desired) == desired


def test_down_the_hpa_wants_what_was_decided_or_keeps_what_is_there_within_the_tolerance() -> None:
    for current, desired in PAIRS:
        if desired < current:
            inside = 10 * desired >= 9 * current
            assert wanted(current, desired) == (current if inside else desired), (current, desired)


def test_the_hpa_never_wants_less_than_was_decided_and_at_most_a_tenth_and_one_more() -> None:
    for current, desired in PAIRS:
        assert desired <= wanted(current, desired) <= max(desired / 0.9, 1.1 * desired + 1), (current, desired)


def test_once_there_the_hpa_stays_for_as_long_as_the_same_is_wanted() -> None:
    for current, desired in PAIRS:
        there = wanted(current, desired)
        assert wanted(there, desired) == there


def test_what_the_hpa_reached_is_left_at_once_when_more_is_wanted() -> None:
    for current, desired in PAIRS:
        there = wanted(current, desired)
        if desired < MOST and desired + 1 > there:
            assert wanted(there, desired + 1) >= desired + 1


def test_a_stale_number_of_replicas_never_makes_the_hpa_want_less_than_was_decided_if_it_has_fewer_than_that() -> None:
    for believed, desired in itertools.product(range(1, 60), repeat=2):
        if believed >= desired:
            continue
        value = value_to_publish(desired, believed, tolerance=TOLERANCE)
        for real in range(1, believed + 1):
            assert hpa_wants(value, target=TARGET, replicas=real, tolerance=TOLERANCE) >= desired


def test_without_a_known_number_of_replicas_the_value_is_past_the_tolerance_from_any_lower_one() -> None:
    for current, desired in PAIRS:
        value = value_to_publish(desired, None, tolerance=TOLERANCE)
        wants = hpa_wants(value, target=TARGET, replicas=current, tolerance=TOLERANCE)
        assert wants == old_hpa_wants(value, current)
        assert desired <= wants <= max(desired / 0.9 + 1, 1.1 * desired + 1) or wants == current >= desired


def test_an_hpa_without_tolerance_wants_exactly_what_was_decided() -> None:
    for current, desired in PAIRS:
        assert wanted(current, desired, tolerance=0.0) == desired


@pytest.mark.parametrize("current", [0, 1, 20, None])
def test_no_replicas_are_published_as_zero(current: int | None) -> None:
    assert value_to_publish(0, current, tolerance=TOLERANCE) == 0


@pytest.mark.parametrize(("desired", "value"), [(1, 1), (3, 3), (200, 200)])
def test_from_zero_the_value_is_what_was_decided(desired: int, value: int) -> None:
    assert value_to_publish(desired, 0, tolerance=TOLERANCE) == value


def test_large_fleets_are_past_the_edge_in_doubles() -> None:
    for current in (1_000, 12_340, 99_990, 100_000):
        value = value_to_publish(current + 1, current, tolerance=TOLERANCE)
        assert value == current + current // 10 + 1
        assert hpa_wants(value, target=TARGET, replicas=current, tolerance=TOLERANCE) == value
