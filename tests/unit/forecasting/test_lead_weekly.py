"""A rise that came at this time one week ago and two is bought for, and none that came once, or slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting.clock import clock_of, days_of
from forecasting.lead_ensemble import LEAD_LEVELS, LeadEnsemble
from forecasting.lead_weekly import raise_for_week, weekly_height
from forecasting.series import Series

BIN_S = 600.0
DAY = 144
LEAD = 3
DAYS = days_of(clock_of("UTC"), start_s=0.0, bin_s=BIN_S)
# Of the day: when the batch begins, and how long it takes.
BATCH, LONG = 12, 18


def weeks(days, batches=(1, 8, 15), late=0):
    """A quiet service with a batch of twenty times as much at two on some days, the second `late` bins later."""
    values = 2.0 * np.exp(np.random.default_rng(4).normal(0.0, 0.1, days * DAY))
    for i, day in enumerate(batches):
        first = day * DAY + BATCH + (late if i == 1 else 0)
        values[first : first + LONG] = 40.0
    return values


def logs(values):
    return np.log(np.asarray(values) + 0.5).astype(np.float32)


# One load before the batch of day 15.
ORDER = 15 * DAY + BATCH - LEAD


@pytest.mark.parametrize(
    ("values", "rises"),
    [
        (weeks(15 + 1), True),
        (weeks(15 + 1, late=1), True),
        (weeks(15 + 1, late=4), False),
        (weeks(15 + 1, batches=(8, 15)), False),
        (weeks(15 + 1, batches=(1, 15)), False),
        (np.tile(np.linspace(1.0, 60.0, 7 * DAY), 3), False),  # by a week
    ],
    ids=["weekly", "a bin later", "later than a load", "once", "not the last week", "slowly"],
)
def test_what_came_in_both_weeks_is_a_rise(values, rises):
    assert math.isfinite(weekly_height(logs(values)[:ORDER], LEAD, DAYS, 0)) is rises


@pytest.mark.parametrize("bin_s", [420.0, 1_500.0])
def test_a_weekly_job_is_found_in_bins_that_do_not_divide_a_day(bin_s):
    start_s = np.arange(int(22 * 86_400 / bin_s)) * bin_s
    busy = (start_s % (7 * 86_400) >= 14 * 3_600) & (start_s % (7 * 86_400) < 18 * 3_600)
    values = np.where(busy, 60.0, 5.0) * np.random.default_rng(0).lognormal(0.0, 0.05, len(start_s))
    first = int(np.flatnonzero(busy & (start_s > 20 * 86_400))[0])
    history = Series.of(values[: first - 1], bin_s=bin_s)
    quantiles = LeadEnsemble.start(lead=1, bin_s=bin_s, floor=0.5).fit(history).quantiles
    assert quantiles[0, LEAD_LEVELS.searchsorted(0.99)] > 50.0


def test_it_is_the_smaller_of_both_on_top_of_the_last_day_and_needs_both_weeks():
    values = weeks(16)
    values[8 * DAY + BATCH : 8 * DAY + BATCH + LONG] = 20.0
    known = logs(values)[:ORDER]
    height = weekly_height(known, LEAD, DAYS, 0)
    assert height == pytest.approx(math.log(20.5), abs=0.2)
    assert weekly_height.py_func(known, LEAD, DAYS, 1) == pytest.approx(weekly_height(known, LEAD, DAYS, 1))
    assert weekly_height(known[DAY + BATCH - LEAD :], LEAD, DAYS, 0) == -math.inf
    # With ten times as much in the last day no more than came of them; with a third as much less.
    known[-DAY:] += math.log(10.0)
    assert weekly_height(known, LEAD, DAYS, 0) == pytest.approx(math.log(40.5), abs=1e-3)
    known[-DAY:] -= math.log(30.0)
    assert weekly_height(known, LEAD, DAYS, 0) == pytest.approx(height - math.log(3.0))


def test_single_requests_that_met_at_this_time_by_chance_are_no_rise():
    values = np.random.default_rng(0).poisson(0.3, 22 * DAY) * 8.0
    known = logs(values)
    heights = [weekly_height(known[:at], LEAD, DAYS, 0) for at in range(15 * DAY, 22 * DAY)]
    assert np.isfinite(heights).mean() < 0.01


def test_quantiles_that_are_bought_are_raised_and_none_of_them_lowered():
    known = logs(weeks(16))[:ORDER]
    quantiles = np.tile(np.linspace(1.0, 60.0, len(LEAD_LEVELS)), (2, 1))
    before = quantiles.copy()
    assert raise_for_week(known, LEAD, DAYS, 0.5, LEAD_LEVELS, quantiles)
    assert (quantiles >= before).all()
    assert (quantiles[:, LEAD_LEVELS < 0.9] == before[:, LEAD_LEVELS < 0.9]).all()
    assert (quantiles[:, LEAD_LEVELS >= 0.9] > 25.0).all()


def test_the_third_batch_finds_its_replicas_and_by_the_clock_of_its_zone():
    # The clocks of Berlin go forward on the 30th of March 2025, two days before the batch of day 15.
    zone, start_s = "Europe/Berlin", 1_742_169_600.0  # 17 March
    utc = weeks(16)
    moved = utc.copy()
    moved[14 * DAY :] = np.r_[utc[14 * DAY + 6 :], utc[-6:]]

    def said(values, time_zone, at):
        start = LeadEnsemble.start(lead=LEAD, bin_s=BIN_S, floor=0.5, start_s=start_s, time_zone=time_zone)
        fitted = start.fit(Series.of(values[:at], bin_s=BIN_S, start_s=start_s))
        np.testing.assert_array_equal(fitted.at_lead(LEAD_LEVELS), fitted.quantiles)
        return fitted.rises_weekly, fitted.quantiles[0, LEAD_LEVELS == 0.99][0]

    assert said(utc, "UTC", ORDER) == (True, pytest.approx(40.0, rel=0.3))
    assert said(moved, zone, ORDER - 6) == (True, pytest.approx(40.0, rel=0.3))
    assert said(moved, "UTC", ORDER - 6)[0] is False


def test_a_fit_says_what_updates_say_also_where_two_weeks_and_an_hour_are_nearly_all_that_is_kept():
    # Clocks that go back put the same time of two weeks ago an hour further back; the day before it is hardly kept.
    start_s = 1_760_054_400.0  # 10 October 2025
    values = np.full(20 * DAY, 2.0)
    for at in (4 * DAY + 66, 11 * DAY + 66, 3 * DAY + 67):
        values[at : at + 3] = 20.0
    start = LeadEnsemble.start(lead=1, bin_s=BIN_S, floor=0.5, start_s=start_s, time_zone="Europe/Berlin")
    _, said = start.fit_with_quantiles(Series.of(values, bin_s=BIN_S, start_s=start_s))
    first = 18 * DAY
    updated = start.fit(Series.of(values[:first], bin_s=BIN_S, start_s=start_s))
    rises = 0
    for at in range(first, len(values)):
        updated = updated.update(float(values[at]))
        rises += updated.rises_weekly
        np.testing.assert_array_equal(updated.quantiles, said[at])
        np.testing.assert_array_equal(updated.at_lead(LEAD_LEVELS), said[at])
    assert rises
