"""Append-only storage: holders share it and never see each other's rows."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from forecasting.append_log import AppendLog
from forecasting.errors import SeriesError
from forecasting.series import Series, linear_fill


def test_two_branches_of_one_parent_keep_their_own_rows():
    parent = AppendLog.of([1.0, 2.0])
    first, second = parent.append(3.0), parent.append(4.0)
    assert parent.rows.tolist() == [1.0, 2.0]
    assert first.append(5.0).rows.tolist() == [1.0, 2.0, 3.0, 5.0]
    assert second.append(6.0).rows.tolist() == [1.0, 2.0, 4.0, 6.0]
    assert first.rows.tolist() == [1.0, 2.0, 3.0]


def test_a_branch_from_the_middle_of_a_shared_buffer_copies():
    log = AppendLog.empty()
    history = [log]
    for value in range(200):
        history.append(history[-1].append(value))
    branch = history[100].append(-1.0)
    assert branch.rows.tolist() == [*range(100), -1.0]
    assert history[200].rows.tolist() == list(range(200))


def test_a_bounded_log_forgets_the_oldest_and_counts_them():
    log = AppendLog.of(np.arange(5.0), rows_max=3)
    for value in range(5, 300):
        log = log.append(value)
    assert log.rows.tolist() == [297.0, 298.0, 299.0]
    assert log.dropped == 297


def test_appending_to_a_long_log_does_not_copy_it():
    log = AppendLog.of(np.zeros(10_000)).append(0.0)
    assert np.shares_memory(log.rows, log.append(1.0).rows)


@pytest.mark.parametrize("rows_max", [None, 5, 40])
@pytest.mark.parametrize("more", [0, 1, 3, 5, 60])
def test_extending_is_appending_one_by_one(rows_max, more):
    one_by_one = AppendLog.of(np.arange(7.0), rows_max=rows_max)
    extended = one_by_one.extend(np.arange(100.0, 100.0 + more))
    kept = one_by_one.rows.copy()
    parent = one_by_one
    for value in range(100, 100 + more):
        one_by_one = one_by_one.append(value)
    assert extended.rows.tolist() == one_by_one.rows.tolist()
    assert (extended.dropped, len(extended)) == (one_by_one.dropped, len(one_by_one))
    np.testing.assert_array_equal(parent.rows, kept)
    assert extended.append(1.0).rows.tolist() == one_by_one.append(1.0).rows.tolist()


def test_a_log_grows_by_rows_that_are_filled_in_and_shows_what_it_forgets_once_more():
    log = AppendLog.of([1.0, 2.0, 3.0], rows_max=3)
    grown, window = log.grow(2)
    assert window[:3].tolist() == [1.0, 2.0, 3.0]
    window[3:] = [4.0, 5.0]
    assert grown.rows.tolist() == [3.0, 4.0, 5.0]
    assert grown.dropped == 2
    # The parent branches: what the first child filled in stays its own.
    other, _ = log.grow(1)
    other.rows[-1] = 9.0
    assert grown.rows.tolist() == [3.0, 4.0, 5.0]


def test_spare_room_is_a_thirty_second_of_what_is_kept():
    log = AppendLog.empty(rows_max=3200)
    for value in range(9000):
        log = log.append(value)
        assert log.rows.base.nbytes <= 8 * (len(log) + max(2, 101))


def test_a_log_of_flags_takes_a_byte_each():
    log = AppendLog.empty(rows_max=4, dtype=np.bool_).append(True).extend(np.array([False, True]))
    assert log.rows.tolist() == [True, False, True]
    assert log.rows.nbytes == 3
    assert log.extend(np.ones(9, dtype=np.bool_)).rows.dtype == np.bool_


def test_a_pickled_log_has_no_spare_room_and_grows_on():
    log = AppendLog.empty((2,), rows_max=100)
    for value in range(250):
        log = log.append([value, -value])
    pickled = pickle.dumps(log)
    restored = pickle.loads(pickled)  # noqa: S301 (our own bytes)
    assert len(pickled) < 100 * 16 + 400
    assert restored.rows.tolist() == log.rows.tolist()
    assert (restored.dropped, restored.rows_max) == (150, 100)
    assert restored.append([1, 2]).rows.tolist() == log.append([1, 2]).rows.tolist()


def test_rows_have_a_shape_of_their_own():
    log = AppendLog.empty((2, 3)).append(np.ones((2, 3)))
    assert log.rows.shape == (1, 2, 3)


def test_a_series_branches_too_and_moves_its_start_as_it_forgets():
    parent = Series.of([1.0, math.nan, 3.0], bin_s=60.0, start_s=600.0, max_bins=3)
    one, other = parent.append(4.0), parent.append(math.nan)
    np.testing.assert_array_equal(one.values, [math.nan, 3.0, 4.0])
    np.testing.assert_array_equal(other.values, [math.nan, 3.0, math.nan])
    assert (one.start_s, one.end_s) == (660.0, 840.0)
    assert parent.start_s == 600.0


def test_the_values_of_a_series_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        Series.of([1.0], bin_s=1.0).values[0] = 2.0


def test_a_series_does_not_follow_the_array_that_it_was_made_of():
    array = np.array([1.0, 2.0])
    series = Series.of(array, bin_s=1.0)
    array[0] = 9.0
    assert series.values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("values", "bin_s", "message"),
    [
        ([[1.0]], 1.0, "one dimension"),
        ([1.0], 0.0, "positive number of seconds"),
        ([1.0], math.nan, "positive number of seconds"),
        ([1.0, -2.0], 1.0, "bin 1 has -2.0"),
        ([math.inf], 1.0, "bin 0 has inf"),
    ],
)
def test_what_is_no_series_is_refused(values, bin_s, message):
    with pytest.raises(SeriesError, match=message):
        Series.of(values, bin_s=bin_s)
    with pytest.raises(SeriesError, match="not negative"):
        Series.of([], bin_s=1.0).append(-1.0)


def test_a_linear_fill_holds_the_ends_and_keeps_nothing_as_nothing():
    np.testing.assert_allclose(linear_fill(np.array([math.nan, 2.0, math.nan, 4.0, math.nan])), [2, 2, 3, 4, 4])
    assert np.isnan(linear_fill(np.full(2, math.nan))).all()
