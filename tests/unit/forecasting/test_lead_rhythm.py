"""The minute of the hour and the time of day: what demand usually does then, and how far it usually moves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.lead_ensemble import LEAD_LEVELS, LeadEnsemble
from forecasting.lead_rhythm import hourly_changes, size_at_this_time
from forecasting.series import Series

HOUR, DAY = 12, 288
BACK = DAY * np.arange(1, 8)
USUAL = -1.5


def hourly(log_demand, lead):
    out = np.full(3, math.nan)
    hourly_changes(log_demand, lead, HOUR, USUAL, out)
    return out


def jumps_at_half_past(bins):
    """Level 1 in the first half of each hour, level 3 in the second: a jump into bin 6 of 12, and back into bin 0."""
    return np.where(np.arange(bins) % HOUR < HOUR // 2, 0.0, math.log(3.0))


@pytest.mark.parametrize("minute", range(HOUR))
def test_a_jump_at_a_minute_is_told_before_that_minute_and_at_no_other(minute):
    # The next bin is `minute` of the hour, the target the one after it.
    known = 30 * HOUR + minute
    change, log_size, peak = hourly(jumps_at_half_past(known), 1)
    jumped = {5: 1.0, 6: 1.0, 11: -1.0, 0: -1.0}.get(minute, 0.0)
    assert change == pytest.approx(jumped * math.log(3.0))
    assert peak == pytest.approx(math.log(3.0) if minute in (5, 6) else -math.log(3.0) if minute == 0 else 0.0)
    assert log_size == pytest.approx(math.log(0.01 + abs(change)))


@given(seed=st.integers(0, 999), lead=st.integers(0, 30), hours=st.floats(0.5, 40.0))
def test_hourly_changes_in_words(seed, lead, hours):
    logs = np.random.default_rng(seed).normal(0.0, 1.0, int(hours * HOUR))
    known = len(logs)
    changes, sizes, peaks = [], [], []
    for origin in (known - k * HOUR for k in range(1, 25)):
        if origin >= 1 and origin + lead < known:
            then = logs[max(0, origin - max(1, lead // 4)) : origin].mean()
            changes.append(logs[origin + lead] - then)
            sizes.append(math.log(0.01 + abs(changes[-1])))
            peaks.append(logs[origin : origin + lead + 1].max() - then)
    few = len(changes) < 3
    expected = [0.0, USUAL, 0.0] if few else [np.mean(changes), np.mean(sizes), np.mean(peaks)]
    np.testing.assert_allclose(hourly(logs, lead), expected, atol=1e-12)
    out = np.empty(3)
    hourly_changes.py_func(logs, lead, HOUR, USUAL, out)
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_bins_of_half_an_hour_have_no_minutes():
    out = np.full(3, math.nan)
    hourly_changes(np.arange(100.0), 1, 1, USUAL, out)
    assert out.tolist() == [0.0, USUAL, 0.0]


def test_the_size_at_this_time_is_that_of_earlier_days():
    logs = np.zeros(5 * DAY)
    rng = np.random.default_rng(0)
    for day in range(5):
        logs[day * DAY + 100 : day * DAY + 130] = rng.normal(0.0, 1.0, 30)
    busy, calm = (size_at_this_time(logs[: 4 * DAY + at], 3, BACK, USUAL) for at in (112, 200))
    assert calm == pytest.approx(math.log(0.01))
    assert busy > math.log(0.3)
    assert size_at_this_time(logs[:50], 3, BACK, USUAL) == USUAL
    assert size_at_this_time.py_func(logs[: 4 * DAY + 112], 3, BACK, USUAL) == pytest.approx(busy)


def test_more_is_bought_before_the_minute_at_which_jumps_begin():
    rng = np.random.default_rng(1)
    bins = 10 * DAY
    level = 3.0 + np.zeros(bins)
    # In one hour of four a job starts half past and runs for twenty minutes.
    for start in range(HOUR // 2, bins - 4, HOUR):
        if rng.random() < 0.25:
            level[start : start + 4] += 1.0
    series = Series.of(np.exp(level + rng.normal(0.0, 0.02, bins)), bin_s=300.0)
    _, quantiles = LeadEnsemble.start(lead=0, bin_s=300.0, floor=0.5).fit_with_quantiles(series)
    # What is said after bin t is for bin t + 1.
    spread = np.log(quantiles[-2 * DAY :, 0, np.searchsorted(LEAD_LEVELS, 0.95)])
    target = (np.arange(bins - 2 * DAY, bins) + 1) % HOUR
    calm = np.r_[True, level[-2 * DAY : -1] < 3.5] & (level[-2 * DAY :] < 3.5)
    at_the_jump, elsewhere = (np.median(spread[calm & chosen]) for chosen in (target == HOUR // 2, target != HOUR // 2))
    assert at_the_jump > elsewhere + 0.2
