"""What every point model owes: values that don't change, updates that equal a fit, missing bins that aren't zero."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting.errors import ModelError
from forecasting.holt_winters import HoltWinters
from forecasting.naive import ExponentialLevel, LastValue, SeasonalNaive, WindowMean
from forecasting.profile import SeasonalProfile
from forecasting.registry import ModelSetting, forecaster_names, point_model, point_model_names
from forecasting.series import Series

BIN_S = 3600.0
NAMES = point_model_names()

# Models whose fit chooses nothing from the data, so that seeing a bin by update or by fit is the same.
FIXED = [
    LastValue(),
    WindowMean(7200.0),
    ExponentialLevel(7200.0),
    SeasonalNaive(24),
    SeasonalProfile(periods=(24, 168), level_half_life_s=3600.0, reversion_half_life_s=86_400.0),
    SeasonalProfile(
        periods=(), level_half_life_s=3600.0, reversion_half_life_s=86_400.0, name="profile without season"
    ),
]


def daily(bins: int, seed: int = 1) -> np.ndarray:
    """Hours of a service with a day: 100 +- 50 per second, 5 % noise."""
    noise = np.random.default_rng(seed).normal(1.0, 0.05, bins)
    return (100.0 + 50.0 * np.sin(2 * np.pi * np.arange(bins) / 24)) * noise


def series(values: np.ndarray) -> Series:
    return Series.of(values, bin_s=BIN_S)


def model(name: str):
    return point_model(name, ModelSetting(bin_s=BIN_S, lead_s=BIN_S))


@pytest.mark.parametrize("fixed", FIXED, ids=lambda fixed: fixed.name)
def test_an_update_equals_a_fit_on_the_longer_series(fixed):
    values = daily(400)
    values[100:110] = math.nan
    values[390] = math.nan
    fitted = fixed.fit(series(values[:300]))
    for value in values[300:]:
        fitted = fitted.update(value)
    np.testing.assert_allclose(fitted.forecast(48), fixed.fit(series(values)).forecast(48), rtol=1e-9)


def test_holt_winters_with_its_states_and_parameters_updates_as_it_filters():
    values = daily(400)
    values[350:360] = math.nan
    holt_winters = HoltWinters(periods=(24,), transform="none", parameters=(0.3, 0.1, 0.95, 0.2))
    fitted = holt_winters.fit(series(values[:300]))
    by_update = fitted
    for value in values[300:]:
        by_update = by_update.update(value)
    np.testing.assert_allclose(by_update.forecast(48), fitted.after(values[300:]).forecast(48), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_an_update_leaves_the_old_one_as_it_was(name):
    old = model(name).fit(series(daily(400)))
    before = old.forecast(30)
    branches = [old.update(1000.0).update(900.0), old.update(0.0)]
    assert old.forecast(30).tolist() == before.tolist()
    assert branches[0].forecast(1)[0] > branches[1].forecast(1)[0] or name.startswith("same-time")


@pytest.mark.parametrize("name", NAMES)
def test_an_outage_never_pulls_a_forecast_to_zero(name):
    fitted = model(name).fit(series(daily(24 * 15)))
    for _ in range(24):
        fitted = fitted.update(math.nan)
    # The service goes from 50 to 150 in a day, so no honest forecast of any model is below 40.
    assert fitted.forecast(24).min() > 40.0


@pytest.mark.parametrize("name", NAMES)
def test_an_outage_in_the_history_never_pulls_a_forecast_to_zero(name):
    values = daily(24 * 15)
    values[200:230] = math.nan
    values[-5:] = math.nan
    assert model(name).fit(series(values)).forecast(24).min() > 40.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("history", [[], [math.nan] * 5], ids=["empty", "all missing"])
def test_nothing_known_is_no_forecast_and_the_first_value_is_one(name, history):
    fitted = model(name).fit(series(np.array(history)))
    assert np.isnan(fitted.forecast(3)).all()
    np.testing.assert_allclose(fitted.update(math.nan).update(5.0).forecast(3), 5.0, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_an_idle_service_is_forecast_idle(name):
    forecast = model(name).fit(series(np.zeros(24 * 15))).forecast(24)
    np.testing.assert_allclose(forecast, 0.0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_service_is_forecast_constant(name):
    np.testing.assert_allclose(model(name).fit(series(np.full(24 * 15, 7.0))).forecast(24), 7.0, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_forecast_is_never_negative(name):
    values = np.maximum(daily(24 * 15) - 120.0, 0.0)
    values[-3:] = [30.0, 10.0, 0.0]
    assert model(name).fit(series(values)).forecast(100).min() >= 0.0


@pytest.mark.parametrize("name", NAMES)
def test_no_steps_are_no_forecast(name):
    with pytest.raises(ModelError, match="steps must be at least 1"):
        model(name).fit(series(daily(48))).forecast(0)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_goes_by_the_name_it_is_listed_under(name):
    assert model(name).name == name


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ModelError, match="there is no model 'prophet'; choose from last-value, "):
        model("prophet")
    assert not set(forecaster_names()) & set(NAMES)
