"""Flags kept eight to a byte are those that a plain list would keep."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.bit_log import BitLog

RUNS = st.lists(st.lists(st.booleans(), max_size=40), max_size=12)


@given(RUNS, st.integers(1, 50))
def test_the_newest_flags_are_kept_however_they_come(runs, rows_max):
    log, plain = BitLog.empty(rows_max=rows_max), []
    for run in runs:
        log = log.extend(np.array(run, dtype=np.bool_))
        plain = (plain + run)[-rows_max:]
        assert log.rows.tolist() == plain
        assert len(log) == len(plain)


@given(RUNS, st.lists(st.booleans(), max_size=20), st.lists(st.booleans(), max_size=20))
def test_branches_keep_their_own_flags(runs, first, second):
    parent = BitLog.empty(rows_max=30)
    for run in runs:
        parent = parent.extend(np.array(run, dtype=np.bool_))
    before = parent.rows.tolist()
    one, other = (parent.extend(np.array(more, dtype=np.bool_)) for more in (first, second))
    assert parent.rows.tolist() == before
    assert one.rows.tolist() == (before + first)[-30:]
    assert other.rows.tolist() == (before + second)[-30:]


def test_a_pickled_log_goes_on():
    log = BitLog.empty(rows_max=100)
    for i in range(37):
        log = log.extend(np.array([i % 3 == 0]))
    restored = pickle.loads(pickle.dumps(log))  # noqa: S301 (our own bytes)
    more = np.array([True, False, True])
    assert restored.extend(more).rows.tolist() == log.extend(more).rows.tolist()


@pytest.mark.parametrize("bins", [8, 1_440])
def test_a_flag_takes_a_bit(bins):
    log = BitLog.empty(rows_max=10_000).extend(np.ones(bins, dtype=np.bool_))
    assert log.rows.dtype == np.bool_
    assert len(pickle.dumps(log)) < bins / 8 + 600
