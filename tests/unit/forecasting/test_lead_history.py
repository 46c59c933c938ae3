"""The history of the lead models: features by hand, gaps, and nothing from the future."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting import lead_features as features_module
from forecasting import lead_history as history_module
from forecasting import lead_history_kernel as kernel_module
from forecasting import lead_rhythm as rhythm_module
from forecasting import lead_windows as windows_module
from forecasting.errors import ModelError, SeriesError
from forecasting.lead_features import FEATURES, RUNNING, lead_features
from forecasting.lead_history import LeadHistory

HOUR_S = 3600.0
DAY = 24
FLOOR = 2.0
SLOPE = 0.01


def history_of(demand, *, lead: int = 3, bin_s: float = HOUR_S, floor: float = FLOOR) -> LeadHistory:
    history = LeadHistory.start(lead=lead, bin_s=bin_s, floor=floor)
    for value in demand:
        history = history.append(float(value))
    return history


def log_ramp(bins: int) -> np.ndarray:
    """Demand whose log with the floor rises by SLOPE per bin."""
    return np.exp(SLOPE * np.arange(bins) + 1.0) - FLOOR


def daily(bins: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(1.0, 0.05, bins)
    return (100.0 + 90.0 * np.sin(2 * np.pi * np.arange(bins) / DAY)) * noise


def test_features_on_a_ramp_of_the_log_are_its_distances():
    features, level = history_of(log_ramp(200)).latest
    assert level == pytest.approx(1.0 + 199 * SLOPE)
    change = math.log(0.01 + SLOPE)
    expected = np.zeros(22)
    # Means of the last 2, 6, 24 and 24 bins end half a window before the level, which is the last bin.
    expected[1:5] = [-0.5 * SLOPE, -2.5 * SLOPE, -11.5 * SLOPE, -11.5 * SLOPE]
    expected[7:10] = change
    # Three bins centred two before the next one, to the target three after it: a rise of 5 bins, each day.
    expected[[10, 12, 13, 15, 17]] = 5 * SLOPE
    # The target's time a day, a week and (the median) four days ago, against the last bin.
    expected[[11, 14, 16]] = np.array([4 - DAY, 4 - 7 * DAY, 4 - 4 * DAY]) * SLOPE
    expected[18:22] = np.abs([expected[11], expected[16], 0.0, expected[1]])
    np.testing.assert_allclose(features[:22], expected, atol=1e-6)


def test_features_know_the_time_of_the_target():
    # After 200 hours it is 8 o'clock; a lead of 3 bins later 11 o'clock.
    features, _ = history_of(log_ramp(200)).latest
    angle = 2 * math.pi * 11 / 24
    np.testing.assert_allclose(features[22:24], [math.sin(angle), math.cos(angle)], atol=1e-9)
    assert features[-1] == 1.0


def test_the_first_bin_has_features_and_they_are_finite():
    features, level = history_of([5.0]).latest
    assert level == pytest.approx(math.log(7.0))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[:7], 0.0)


@pytest.mark.parametrize("lead", [0, 1, 5])
def test_the_matured_origin_is_the_one_whose_target_is_the_newest_bin(lead):
    demand = log_ramp(60)
    history = history_of(demand, lead=lead)
    origin = history.matured()
    at = 60 - (lead + 1)
    assert origin.age == lead + 1
    np.testing.assert_array_equal(origin.features, history_of(demand[:at], lead=lead).latest[0])
    assert origin.level == history_of(demand[:at], lead=lead).latest[1]
    np.testing.assert_allclose(origin.targets, 1.0 + 59 * SLOPE)


def test_the_peak_covers_the_next_bin_to_the_target():
    demand = np.full(40, 10.0)
    for high, peak in [(36, 50.0), (39, 50.0), (35, 10.0)]:
        with_spike = demand.copy()
        with_spike[high] = 50.0
        assert history_of(with_spike, lead=3).matured().targets[1] == pytest.approx(math.log(peak + FLOOR))


def test_no_origin_matures_before_its_lead_has_passed():
    assert history_of(np.ones(4), lead=3).matured() is None
    assert history_of(np.ones(5), lead=3).matured() is not None


@pytest.mark.parametrize("gap", range(30, 40))
def test_an_origin_with_a_gap_before_its_target_teaches_nothing(gap):
    demand = daily(40)
    demand[gap] = math.nan
    assert (history_of(demand, lead=3).matured() is None) == (gap >= 36)


def test_features_of_an_origin_do_not_change_when_later_bins_do():
    demand = daily(400)
    origin = history_of(demand[:300])
    features = origin.latest[0].copy()
    later, other = origin, origin
    for value in demand[300:]:
        later, other = later.append(value), other.append(1000.0 * value)
    np.testing.assert_array_equal(origin.latest[0], features)
    np.testing.assert_array_equal(history_of(demand[:300]).latest[0], features)


@pytest.mark.parametrize("lead", [20, 24, 30, 60, 24 * 7 + 5])
def test_features_see_no_bin_that_is_still_to_come(lead):
    # The same storage with and without later bins behind the view: what lies there must not matter.
    logs = np.log(daily(400) + FLOOR)
    seen = np.empty((2, FEATURES))
    for i, later in enumerate([math.nan, 1e6]):
        logs[300:] = later
        lead_features(logs[:300], np.full(RUNNING, 3.0), lead, DAY, DAY * np.arange(1, 8), 0.0, seen[i])
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(seen[0], seen[1])


def test_a_day_whose_target_is_still_to_come_says_nothing():
    features, level = history_of(log_ramp(200), lead=DAY).latest
    assert features[10:13].tolist() == [0.0, 0.0, 0.0]
    # Two days ago the target's time was yesterday at this time; the level is the mean of 6 bins.
    assert features[14] == pytest.approx(1.0 + (200 - 7 * DAY + DAY) * SLOPE - level)


def test_a_gap_is_filled_as_earlier_days_moved_and_never_towards_zero():
    demand = daily(24 * 6)
    demand[24 * 5 : 24 * 5 + 8] = math.nan
    imputed = np.exp(history_of(demand).log_demand.rows) - FLOOR
    truth = daily(24 * 6)
    np.testing.assert_allclose(imputed[24 * 5 : 24 * 5 + 8], truth[24 * 5 : 24 * 5 + 8], rtol=0.25)


@pytest.mark.parametrize("seed", range(4))
def test_a_day_without_demand_is_filled_with_the_usual_however_noisy(seed):
    minutes = 1_440
    usual = 40.0 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(9 * minutes) / minutes))
    demand = usual * np.exp(np.random.default_rng(seed).normal(0, 0.3, 9 * minutes))
    gap = slice(7 * minutes + 480, 8 * minutes + 480)
    demand[gap] = math.nan
    history = LeadHistory.start(lead=10, bin_s=60.0, floor=0.5).extend(demand)[0]
    off = np.log((history.demand_of_last(2 * minutes)[480:-960] + 0.5) / (usual[gap] + 0.5))
    # What it was off by after half a day fades; it was off by a factor of two at the end.
    assert np.sqrt(np.mean(off[-360:] ** 2)) < 0.2
    assert abs(off[-120:].mean()) < 0.05


def test_a_gap_in_a_history_without_a_day_holds_the_last_value():
    history = history_of([10.0, 20.0, math.nan, math.nan])
    assert history.latest_demand == pytest.approx(20.0)
    assert (history.bins, history.bins_known, history.missing_at) == (4, 2, 3)


def test_a_gap_is_never_filled_above_the_peak():
    demand = np.tile(np.r_[np.full(12, 10.0), np.full(12, 100.0)], 5)
    demand = np.r_[demand, np.full(12, 90.0), np.full(3, math.nan)]
    assert history_of(demand).latest_demand <= 100.0 + 1e-6


@pytest.mark.parametrize("lowest", [10.0, 0.0])
def test_a_gap_is_never_filled_below_the_lowest_that_came(lowest):
    # Yesterday's fall of 1,000 to 10, taken from today's 20, would be 0.2: below what the floor alone stands for.
    yesterday = np.r_[np.full(12, 1000.0), np.full(12, lowest)]
    history = history_of(np.r_[np.tile(yesterday, 3), np.full(12, 20.0), np.full(6, math.nan)])
    imputed = np.exp(history.log_demand.rows[-6:]) - FLOOR
    assert imputed.min() == pytest.approx(lowest, abs=1e-5)
    assert history.latest_demand == pytest.approx(lowest, rel=1e-6)


@pytest.mark.parametrize("floor", [1e-3, 0.7, 1.6, 333.3])
def test_no_demand_is_remembered_as_none(floor):
    history = LeadHistory.start(lead=3, bin_s=HOUR_S, floor=floor).extend(np.array([5.0, 0.0, math.nan]))[0]
    np.testing.assert_array_equal(history.demand_of_last(2), 0.0)
    assert history.latest_demand == 0.0
    np.testing.assert_allclose(history.demand_of_last(3)[0], 5.0, rtol=1e-6 * max(1.0, floor))


def test_missing_bins_before_the_first_known_one_only_move_the_clock():
    history = history_of([math.nan, math.nan, 5.0])
    assert (history.bins, history.bins_known, len(history.log_demand)) == (3, 1, 1)
    assert history.next_start_s == 3 * HOUR_S
    assert history_of([math.nan]).matured() is None
    with pytest.raises(ModelError, match="no bin is known"):
        _ = history_of([math.nan]).latest


def test_the_bound_follows_the_peak_and_forgets_it_slowly():
    peak = history_of([100.0]).bound_log
    later = history_of([100.0, *np.ones(14 * DAY)])
    assert peak == pytest.approx(math.log(102.0) + 0.25)
    assert later.bound_log == pytest.approx(peak - math.log(2.0))


@pytest.mark.parametrize("bad", [{"lead": -1}, {"floor": 0.0}, {"bin_s": 0.0}, {"floor": math.nan}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ModelError):
        LeadHistory.start(**({"lead": 1, "bin_s": 60.0, "floor": 1.0} | bad))


@pytest.mark.parametrize("bad", [-1.0, math.inf])
def test_impossible_demand_is_refused(bad):
    with pytest.raises(SeriesError):
        history_of([bad])


@pytest.mark.parametrize("lead", [0, 3, 20])
def test_running_sums_are_those_of_the_last_bins(lead):
    for bins in (1, 5, DAY, 9 * DAY + 3, 20 * DAY):
        history = history_of(daily(bins), lead=lead)
        logs = history.log_demand.rows
        changes = np.diff(logs).astype(np.float64) ** 2
        wanted = [changes[-width:].sum() for width in (max(3, lead), 6 * max(2, lead), DAY)]
        assert history.running[0] == pytest.approx(logs[-DAY:].sum(dtype=np.float64), rel=1e-12)
        np.testing.assert_allclose(history.running[1:], wanted, rtol=1e-6, atol=1e-12)


def test_a_lead_of_weeks_looks_at_the_changes_that_are_kept():
    history = history_of(daily(60 * DAY), lead=30 * DAY)
    assert np.isfinite(history.latest[0]).all()
    assert (history.running[1:] > 0.0).all()


def test_a_burst_is_in_the_days_changes_of_every_bin_of_it_alike():
    minutes = 1_440
    demand = np.full(2 * minutes, 5.0)
    demand[minutes : minutes + 10] = 50.0
    _, bins = LeadHistory.start(lead=10, bin_s=60.0, floor=0.5).extend(demand)
    np.testing.assert_allclose(bins.features[minutes + 11 :, 9], bins.features[-1, 9], rtol=1e-9)


def test_a_run_of_bins_starts_with_the_first_known_one_and_knows_what_was_before():
    demand = np.r_[[math.nan] * 3, daily(40)]
    demand[20] = math.nan
    history, bins = history_of([]).extend(demand[:15])
    assert (bins.first, bins.days.start_s, len(bins)) == (0, 3 * HOUR_S, 12)
    history, bins = history.extend(demand[15:])
    assert (bins.first, bins.days.start_s, len(bins)) == (12, 3 * HOUR_S, 28)
    np.testing.assert_allclose(bins.demand(-12, 28), demand[3:], rtol=1e-6)
    assert bins.known_after[[0, 4, 5, 6]].tolist() == [13, 17, 17, 18]
    assert (history.bins, history.bins_known, history.missing_at) == (43, 39, 20)
    fit_on = bins.until(20, 10)
    np.testing.assert_allclose(fit_on.values, demand[25:35], rtol=1e-6)
    assert (fit_on.start_s, bins.until(20, 1000).start_s) == (25 * HOUR_S, 3 * HOUR_S)


@pytest.mark.parametrize("lead", [0, 3])
def test_a_run_of_bins_has_the_origins_that_matured_one_by_one(lead):
    demand = daily(60)
    demand[[0, 30, 41, 42]] = math.nan
    start, run_from = history_of(demand[:25], lead=lead), 25
    _, bins = start.extend(demand[run_from:])
    for i in range(len(bins)):
        start = start.append(demand[run_from + i])
        origin = start.matured()
        assert bins.matured[i] == (origin is not None)
        np.testing.assert_array_equal(bins.features[i], start.features.rows[-1])
        assert bins.bounds[i] == start.bound_log
        if origin is not None:
            np.testing.assert_array_equal(bins.targets[i], origin.targets)
            np.testing.assert_array_equal(bins.origin(i), [*origin.features, origin.level])


def test_more_is_remembered_than_features_look_back_on():
    history = history_of(daily(40 * DAY), lead=3)
    assert len(history.log_demand) == len(history.missing) == 15 * DAY
    assert history.log_demand.rows_max == 15 * DAY
    short = history_of(daily(40 * DAY)[-(7 * DAY + 5) :], lead=3)
    np.testing.assert_allclose(history.latest[0][:22], short.latest[0][:22], atol=1e-12)


def test_kernels_equal_their_python_form(monkeypatch):
    demand = daily(24 * 9)
    demand[100:103] = math.nan
    results = []
    for python in (False, True):
        if python:
            for module, names in (
                (windows_module, ("sum_between",)),
                (rhythm_module, ("mean_before", "max_between")),
                (features_module, ("mean_before", "mean_around", "max_between", "median_of")),
                (
                    features_module,
                    ("log_change", "seasonal_ratios", "hourly_changes", "size_at_this_time", "demand_at"),
                ),
            ):
                for name in names:
                    monkeypatch.setattr(module, name, getattr(module, name).py_func)
            of_bins = ("imputed", "seasonal_height", "seasonal_step", "see_newest", "lead_features", "targets_between")
            for name in of_bins:
                monkeypatch.setattr(kernel_module, name, getattr(kernel_module, name).py_func)
            monkeypatch.setattr(history_module, "see_bins", kernel_module.see_bins.py_func)
        history, bins = history_of([]).extend(demand)
        arrays = (bins.log_demand, bins.missing, bins.features, bins.matured, bins.targets, bins.bounds)
        demand_of = features_module.demand_of.py_func if python else features_module.demand_of
        seen = demand_of(bins.log_demand, history.missing.rows, FLOOR)
        results.append((*arrays, seen, [*history.running, history.peak_log, history.next_start_s]))
    for fast, slow in zip(*results, strict=True):
        # Sums of float32 are in float32 where numpy adds them up.
        np.testing.assert_allclose(slow, fast, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(results[0][6], demand, rtol=1e-6)
