"""Seasons by the clock: where it changes, the same time on earlier days is looked up where it was."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from forecasting.clock import DAY_S, clock_of, days_of
from forecasting.clock_kernels import ahead_at, all_back, bin_by_clock, bins_back
from forecasting.errors import ModelError
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.profile import SeasonalProfile
from forecasting.series import Series

HOUR_S = 3_600.0
BIN_S = 900.0
HOUR = 4
DAY = 24 * HOUR
BERLIN = "Europe/Berlin"


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


SPRING, AUTUMN = seconds("2025-03-30T01:00"), seconds("2025-10-26T01:00")


def test_a_clock_changes_to_the_second_when_the_zone_does():
    clock = clock_of(BERLIN)
    assert {SPRING, AUTUMN} <= set(clock.changes_s.tolist())
    ahead_h = [
        ahead_at(clock, at_s) / HOUR_S for at_s in (SPRING - 1.0, SPRING, AUTUMN - 1.0, AUTUMN, seconds("2150-07-01"))
    ]
    assert ahead_h == [1.0, 2.0, 2.0, 1.0, 1.0]


@pytest.mark.parametrize(("zone", "ahead_h"), [("UTC", 0.0), ("Asia/Kolkata", 5.5)])
def test_a_zone_whose_clocks_never_change_looks_back_whole_days(zone, ahead_h):
    clock = clock_of(zone)
    days = days_of(clock, start_s=SPRING - DAY_S, bin_s=BIN_S)
    assert len(clock.changes_s) == 0
    assert clock.ahead_s.tolist() == [ahead_h * HOUR_S]
    assert bins_back(days, 2 * DAY, 7) == 7 * DAY
    assert bin_by_clock(days, 5) == 5


@pytest.mark.parametrize("bin_s", [420.0, 1_500.0, 3_000.0, 997.0])
def test_bins_that_do_not_divide_a_day_look_back_to_the_nearest_one_of_the_same_time(bin_s):
    days = days_of(clock_of("UTC"), start_s=0.0, bin_s=bin_s)
    # A rounded day times fourteen was 140 minutes off in bins of 25.
    off_s = [bins_back(days, 10_000, count) * bin_s - count * DAY_S for count in range(1, 15)]
    assert max(map(abs, off_s)) <= bin_s / 2


def test_of_bins_longer_than_a_day_each_one_back_is_another():
    days = days_of(clock_of("UTC"), start_s=0.0, bin_s=1e5)
    assert [bins_back(days, 100, count) for count in (1, 2, 7)] == [1, 2, 7]


def test_clocks_that_go_back_for_ramadan_come_forward_again():
    changes_s = clock_of("Africa/Casablanca").changes_s
    in_2026 = changes_s[(changes_s > seconds("2026-01-01")) & (changes_s < seconds("2027-01-01"))]
    assert [datetime.fromtimestamp(at_s, UTC).strftime("%m-%d") for at_s in in_2026] == ["02-15", "03-22"]


@pytest.mark.parametrize("name", ["Berlin", "America", "", "../etc/passwd", "Europe/Berlin\0"])
def test_what_is_no_time_zone_is_refused(name):
    with pytest.raises(ModelError, match="must be an IANA time zone such as Europe/Berlin, got"):
        clock_of(name)


@pytest.mark.parametrize(("change_s", "moved"), [(SPRING, -HOUR), (AUTUMN, HOUR)])
def test_for_a_week_after_a_change_the_days_before_it_lie_an_hour_off(change_s, moved):
    days = days_of(clock_of(BERLIN), start_s=change_s - 10 * DAY_S, bin_s=BIN_S)
    back = np.empty(7, dtype=np.int64)
    for days_after in range(10):
        all_back(days, 10 * DAY + days_after * DAY + 8 * HOUR, back)
        expected = [k * DAY + (moved if k > days_after else 0) for k in range(1, 8)]
        assert back.tolist() == expected
    assert bin_by_clock(days, 12 * DAY) - bin_by_clock(days, 9 * DAY) == 3 * DAY - moved


@pytest.mark.parametrize("bin_s", [DAY_S, 3 * HOUR_S])
def test_bins_that_an_hour_is_little_of_stay_where_they_are(bin_s):
    days = days_of(clock_of(BERLIN), start_s=SPRING - 10 * DAY_S, bin_s=bin_s)
    assert bins_back(days, round(11 * DAY_S / bin_s), 7) == 7 * days.day


@pytest.mark.parametrize("bin_s", [1_800.0, 2_400.0, 2_700.0, 7_200.0, 10_800.0])
@pytest.mark.parametrize("change_s", [SPRING, AUTUMN])
def test_bins_that_do_not_divide_an_hour_move_by_as_many_whichever_way_they_are_looked_at(bin_s, change_s):
    days = days_of(clock_of(BERLIN), start_s=change_s - 10 * DAY_S, bin_s=bin_s)
    after = 11 * days.day
    back = bins_back(days, after, 7)
    assert bin_by_clock(days, after) - bin_by_clock(days, after - back) == 7 * days.day


def office_hours(start_s: float, bins: int, zone: str) -> np.ndarray:
    """Work per second from eight to six by the zone's clocks on weekdays, a twentieth of it else."""
    clock = clock_of(zone)
    starts_s = start_s + BIN_S * np.arange(bins)
    local_s = np.array([at_s + ahead_at(clock, at_s) for at_s in starts_s])
    hour, weekday = local_s % DAY_S / HOUR_S, (local_s // DAY_S + 3) % 7
    busy = np.where((hour >= 8) & (hour < 18) & (weekday < 5), 40.0, 2.0)
    return busy * np.exp(np.random.default_rng(3).normal(0.0, 0.05, bins))


@pytest.mark.parametrize("change_s", [SPRING, AUTUMN])
def test_the_monday_after_a_change_is_forecast_as_if_there_were_none(change_s):
    start_s = change_s - HOUR_S - 20 * DAY_S
    lead = 3
    # From six to ten by the new clock.
    first = 21 * DAY + 6 * HOUR - round(ahead_at(clock_of(BERLIN), change_s) / BIN_S)
    monday = slice(first, first + 4 * HOUR)

    def error(zone, demand_zone):
        values = office_hours(start_s, monday.stop, demand_zone)
        start = LeadEnsemble.start(lead=lead, bin_s=BIN_S, floor=0.5, start_s=start_s, time_zone=zone)
        _, quantiles = start.fit_with_quantiles(Series.of(values, bin_s=BIN_S, start_s=start_s))
        at = np.arange(monday.start, monday.stop)
        return float(np.abs(np.log(quantiles[at - lead - 1, 0, 1] / values[at])).mean())

    without_change = "Etc/GMT-2" if change_s == SPRING else "Etc/GMT-1"
    by_clock = error(BERLIN, BERLIN)
    assert by_clock < 1.3 * error("UTC", without_change)
    assert by_clock < 0.5 * error("UTC", BERLIN)


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Australia/Lord_Howe"])
def test_a_fit_across_a_change_gives_the_bits_of_as_many_updates(arrays_of, zone):
    start_s = seconds("2025-03-01")
    values = office_hours(start_s, 40 * 24, zone)
    values[300:310] = math.nan
    start = LeadEnsemble.start(lead=2, bin_s=HOUR_S, floor=0.5, start_s=start_s, time_zone=zone)
    fitted = start.fit(Series.of(values, bin_s=HOUR_S, start_s=start_s))
    updated = start
    for value in values:
        updated = updated.update(float(value))
    for one, other in zip(arrays_of(fitted), arrays_of(updated), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_profile_keeps_its_days_through_a_change_and_other_seasons_as_they_are():
    start_s = SPRING - 20 * DAY_S
    bins = 21 * DAY
    values = office_hours(start_s, bins + DAY, BERLIN)

    def error(series_values, periods, zone):
        fitted = SeasonalProfile(periods=periods, level_half_life_s=HOUR_S, time_zone=zone).fit(
            Series.of(series_values[:bins], bin_s=BIN_S, start_s=start_s)
        )
        return float(np.abs(fitted.forecast(DAY) - series_values[bins:]).mean())

    assert error(values, (DAY, 7 * DAY), BERLIN) < 0.7 * error(values, (DAY, 7 * DAY), "UTC")
    # A job every 90 minutes doesn't look at the clock.
    jobs = np.where(np.arange(bins + DAY) % 6 == 0, 40.0, 2.0)
    assert error(jobs, (6,), BERLIN) == error(jobs, (6,), "UTC")
