"""The seasonal profile: follows a season that is there, ignores one that isn't, and survives what happens to demand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting import profile_kernels as kernels
from forecasting.errors import ModelError
from forecasting.evaluate import evaluate
from forecasting.profile import SeasonalProfile
from forecasting.series import Series

BIN_S = 1800.0
DAY, WEEK = 48, 336
FIXED = {"level_half_life_s": 3600.0, "reversion_half_life_s": 86_400.0}


def weekly(days: int) -> np.ndarray:
    """100 per second, a day of +-60 %, and half of it on the last two days of the week."""
    bins = np.arange(days * DAY)
    return 100.0 * (1 + 0.6 * np.sin(2 * np.pi * bins / DAY)) * np.where(bins // DAY % 7 >= 5, 0.5, 1.0)


def series(values: np.ndarray) -> Series:
    return Series.of(values, bin_s=BIN_S)


def wape(forecast: np.ndarray, actual: np.ndarray) -> float:
    return float(np.abs(forecast - actual).sum() / actual.sum())


def test_a_day_is_followed_once_it_was_seen_and_tested():
    values = 100.0 * (1 + 0.6 * np.sin(2 * np.pi * np.arange(10 * DAY) / DAY))
    fitted = SeasonalProfile(periods=(DAY,), **FIXED).fit(series(values[: 5 * DAY]))
    assert wape(fitted.forecast(DAY), values[5 * DAY : 6 * DAY]) < 0.06


@pytest.mark.parametrize("bin_min", [25.0, 22.0, 7.0])
def test_a_day_keeps_its_time_in_bins_that_do_not_divide_it(bin_min):
    errors = []
    for minutes in (bin_min, 24.0):
        bins = round(28 * 1440 / minutes)
        hour = (np.arange(10 * bins) + 0.5) * minutes / 600 % 24
        values = np.where((hour > 9) & (hour < 17), 100.0, 5.0).reshape(bins, 10).mean(axis=1)
        known = Series.of(values[: bins // 4 * 3], bin_s=60 * minutes)
        fitted = SeasonalProfile(**FIXED).fit(known)
        day = round(1440 / minutes)
        errors.append(wape(fitted.forecast(day), values[len(known) : len(known) + day]))
    assert errors[0] < errors[1] + 0.05


@pytest.mark.filterwarnings("error")
def test_constant_demand_of_any_size_is_forecast_without_a_warning():
    for demand in (0.0, 0.1, 1e17, 1e300):
        fitted = SeasonalProfile().fit(series(np.full(5 * DAY, demand)))
        np.testing.assert_allclose(fitted.forecast(DAY), demand, rtol=1e-6)


def test_a_growing_service_has_no_evening_peak():
    values = 100.0 * 1.02 ** (np.arange(8 * DAY) / 4)
    fitted = SeasonalProfile(periods=(DAY,), **FIXED).fit(series(values))
    factors = [kernels.season_factor(b, 1, fitted.shape, fitted.state) for b in range(DAY)]
    assert max(factors) - min(factors) < 0.02


def test_a_week_stands_on_the_day_until_it_was_seen_twice():
    values = weekly(21)
    day = SeasonalProfile(periods=(DAY,), **FIXED)
    both = SeasonalProfile(periods=(DAY, WEEK), **FIXED)
    young = series(values[: 13 * DAY])
    assert both.fit(young).forecast(DAY).tolist() == day.fit(young).forecast(DAY).tolist()
    friday_night = series(values[: 19 * DAY])
    saturday = values[19 * DAY : 20 * DAY]
    without, with_week = (wape(model.fit(friday_night).forecast(DAY), saturday) for model in (day, both))
    assert with_week < 0.5 * without


@pytest.mark.parametrize("kind", ["white noise", "random walk"])
def test_a_season_that_is_not_there_makes_it_no_worse(kind):
    noise = np.random.default_rng(5).normal(size=15 * DAY)
    values = np.exp(0.3 * noise if kind == "white noise" else 0.05 * np.cumsum(noise))
    errors = [
        [row.mae for row in evaluate(SeasonalProfile(periods=periods), series(values), [1, 6, DAY]).rows]
        for periods in ((DAY, WEEK), ())
    ]
    assert np.all(np.array(errors[0]) < 1.03 * np.array(errors[1]))


def test_a_new_level_is_followed_within_hours_and_keeps_the_shape():
    values = np.concatenate([weekly(7)[: 5 * DAY], 3.0 * weekly(7)[: 2 * DAY]])
    fitted = SeasonalProfile(periods=(DAY,), **FIXED).fit(series(values[: 5 * DAY + 12]))
    assert wape(fitted.forecast(6), values[5 * DAY + 12 : 5 * DAY + 18]) < 0.2


def test_one_spike_is_no_habit():
    values = weekly(5)
    spiked = values.copy()
    spiked[3 * DAY + 20] *= 30.0
    model = SeasonalProfile(periods=(DAY,), **FIXED)
    calm, after = (model.fit(series(v)).forecast(DAY) for v in (values, spiked))
    assert after[20] < 1.5 * calm[20]


def test_idle_nights_leave_the_level_alone():
    bins = np.arange(8 * DAY)
    values = np.where((bins % DAY > 20) & (bins % DAY < 40), 100.0, 0.0)
    fitted = SeasonalProfile(periods=(DAY,), **FIXED).fit(series(values[: 7 * DAY + 15]))
    forecast = fitted.forecast(DAY - 15)
    assert np.isfinite(forecast).all()
    assert wape(forecast, values[7 * DAY + 15 :]) < 0.3


def test_a_gap_is_filled_by_the_profile_and_teaches_nothing():
    values = weekly(6)[: 5 * DAY]
    gappy = values.copy()
    gappy[4 * DAY + 10 : 4 * DAY + 40] = math.nan
    model = SeasonalProfile(periods=(DAY,), **FIXED)
    whole, holed = (model.fit(series(v)) for v in (values, gappy))
    np.testing.assert_allclose(holed.forecast(DAY), whole.forecast(DAY), rtol=0.1)


@pytest.mark.parametrize("every", [1, 7])
def test_a_walk_is_an_update_and_a_forecast_per_bin(every):
    values = weekly(9)
    values[200:210] = math.nan
    fitted = SeasonalProfile(**FIXED).fit(series(values[: 8 * DAY]))
    rest = values[8 * DAY :]
    walked, ahead = fitted.walk(rest, np.array([2, 5]), every)
    assert len(ahead) == len(rest) // every
    for i, value in enumerate(rest, start=1):
        fitted = fitted.update(value)
        if i % every == 0:
            forecast = fitted.forecast(5)
            expected = [[forecast[step - 1], forecast[:step].max()] for step in (2, 5)]
            assert ahead[i // every - 1].tolist() == expected
    for ours, theirs in zip(walked.state, fitted.state, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert walked.forecast(9).tolist() == fitted.forecast(9).tolist()


def test_kernels_equal_their_python_form(monkeypatch):
    values = weekly(4)
    values[100:105] = math.nan
    model = SeasonalProfile(periods=(8, 24), **FIXED)
    compiled = model.fit(series(values))
    for name in (
        "slot_ratio",
        "season_trust",
        "season_factor",
        "current_levels",
        "_move_levels",
        "_learn_ratios",
        "_learn_ratio",
    ):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    start = model.fit(series(np.empty(0)))
    trail = np.empty((len(values), 3))
    kernels.profile_filter.py_func(values, 0, start.shape, start.state, trail)
    for ours, theirs in zip(compiled.state, start.state, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    forecast = kernels.profile_forecast.py_func(40, len(values), compiled.reversion, start.shape, start.state)
    np.testing.assert_allclose(compiled.forecast(40), forecast, rtol=1e-9)
    for name in ("profile_filter", "profile_forecast", "at_grid"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    grid, slow = np.array([1, 4]), np.empty((20, 2, 2))
    _, ahead = compiled.walk(values[:60], grid, 3)
    kernels.profile_walk.py_func(values[:60], len(values), grid, 3, compiled.reversion, start.shape, start.state, slow)
    np.testing.assert_allclose(ahead, slow, rtol=1e-9)


@pytest.mark.parametrize("setting", [{"periods": (48, 24)}, {"periods": (1,)}, {"periods": (2, 3, 4)}, {"lead_s": 0.0}])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ModelError, match="must"):
        SeasonalProfile(**setting)
