"""Holt-Winters: equal to statsmodels, equal to its Python form, and right about seasons that it is given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting.errors import ModelError
from forecasting.holt_winters import HoltWinters, initial_states, search_smoothing
from forecasting.holt_winters_kernels import Smoothing, States, hw_filter, hw_forecast, hw_loss, hw_search
from forecasting.series import Series
from forecasting.statsmodels_models import StatsmodelsETS
from forecasting.transform import Transform

PERIOD = 12
GRID = (np.array([0.1, 0.5]), np.array([0.0, 0.1]), np.array([0.9, 1.0]), np.array([0.0, 0.2]))


def seasonal(bins: int = 120) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0.0, 2.0, bins)
    return 50.0 + 0.3 * np.arange(bins) + 10.0 * np.sin(2 * np.pi * np.arange(bins) / PERIOD) + noise


def smoothing(phi: float, *gammas: float, periods: tuple[int, ...] = (PERIOD,)) -> Smoothing:
    return Smoothing(0.4, 0.2, phi, np.array(gammas), np.array(periods, dtype=np.int64))


def statsmodels_run(values: np.ndarray, phi: float, states: States):
    """statsmodels' filter over `values` at given parameters and states."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    return ExponentialSmoothing(
        values,
        trend="add",
        damped_trend=phi < 1.0,
        seasonal="add",
        seasonal_periods=PERIOD,
        initialization_method="known",
        initial_level=states.level,
        initial_trend=states.trend,
        initial_seasonal=states.seasons,
    ).fit(
        smoothing_level=0.4,
        smoothing_trend=0.2,
        smoothing_seasonal=0.3,
        damping_trend=phi if phi < 1.0 else None,
        optimized=False,
    )


@pytest.mark.parametrize("phi", [1.0, 0.93], ids=["undamped", "damped"])
def test_one_season_equals_statsmodels_at_the_same_parameters_and_states(phi):
    values = seasonal()
    states = States(48.0, 0.5, 10.0 * np.sin(2 * np.pi * np.arange(PERIOD) / PERIOD))
    reference = statsmodels_run(values, phi, states)
    fitted = np.empty(len(values))
    moved = States(states.level, states.trend, states.seasons.copy())
    level, trend = hw_filter(values, smoothing(phi, 0.3), 0, moved, fitted)
    np.testing.assert_allclose(fitted, reference.fittedvalues, rtol=0, atol=1e-8)

    forecast = hw_forecast(30, smoothing(phi, 0.3), len(values), States(level, trend, moved.seasons))
    # statsmodels 0.15 forecasts steps that are whole periods ahead with the season as it was before the last value.
    not_whole = np.arange(1, 31) % PERIOD != 0
    np.testing.assert_allclose(forecast[not_whole], reference.forecast(30)[not_whole], rtol=0, atol=1e-8)
    # Its filter doesn't: run on over our forecast, which if right has no error, it must agree at every step.
    extended = statsmodels_run(np.concatenate([values, forecast]), phi, states)
    np.testing.assert_allclose(forecast, extended.fittedvalues[len(values) :], rtol=0, atol=1e-8)


def test_kernels_equal_their_python_form():
    values = seasonal()
    values[40:45] = math.nan
    two = smoothing(0.95, 0.1, 0.2, periods=(4, PERIOD))
    start = States(50.0, 0.1, np.linspace(-1.0, 1.0, 16))
    results = []
    for filter_, forecast in ((hw_filter, hw_forecast), (hw_filter.py_func, hw_forecast.py_func)):
        states = States(start.level, start.trend, start.seasons.copy())
        fitted = np.empty(len(values))
        level, trend = filter_(values, two, 3, states, fitted)
        path = forecast(20, two, 123, States(level, trend, states.seasons))
        results.append(np.concatenate([fitted, path, states.seasons]))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)
    assert hw_loss(values, two, 60, start) == pytest.approx(hw_loss.py_func(values, two, 60, start), rel=1e-12)
    found = hw_search(values, two, GRID, 60, start)
    np.testing.assert_allclose(found, hw_search.py_func(values, two, GRID, 60, start), rtol=1e-12)


def test_missing_bins_carry_the_forecast_and_correct_nothing():
    values = seasonal()
    start = States(50.0, 0.3, np.linspace(-5.0, 5.0, PERIOD))
    moved = States(start.level, start.trend, start.seasons.copy())
    level, trend = hw_filter(values, smoothing(0.9, 0.2), 0, moved, np.empty(len(values)))
    before = States(level, trend, moved.seasons)
    expected = hw_forecast(40, smoothing(0.9, 0.2), 120, before)
    carried = np.empty(30)
    level, trend = hw_filter(np.full(30, math.nan), smoothing(0.9, 0.2), 120, before, carried)
    np.testing.assert_allclose(carried, expected[:30], rtol=1e-12)
    after = hw_forecast(10, smoothing(0.9, 0.2), 150, States(level, trend, before.seasons))
    np.testing.assert_allclose(after, expected[30:], rtol=1e-12)


def test_the_search_leaves_its_start_and_finds_no_worse():
    values = seasonal()
    start, half = initial_states(values, (PERIOD,))
    seasons = start.seasons.copy()
    found = search_smoothing(values, (PERIOD,), start, half)
    assert start.seasons.tolist() == seasons.tolist()
    assert hw_loss(values, found, half, start) <= hw_loss(values, smoothing(0.98, 0.03), half, start)


def test_two_seasons_without_noise_are_forecast_as_they_are():
    bins = np.arange(24 * 7 * 6)
    values = 100.0 + 30.0 * np.sin(2 * np.pi * bins / 24) + 20.0 * ((bins // 24) % 7 >= 5)
    fitted = HoltWinters(periods=(24, 168), transform="none").fit(Series.of(values[: 168 * 5], bin_s=3600.0))
    np.testing.assert_allclose(fitted.forecast(168), values[168 * 5 :], atol=0.5)


@pytest.mark.parametrize("kind", ["none", "sqrt", "log"])
def test_a_transform_comes_back_and_never_below_zero(kind):
    values = np.array([0.0, 0.5, 30.0])
    transform = Transform.of(kind, values)
    np.testing.assert_allclose(transform.inverse(transform.forward(values)), values, atol=1e-12)
    assert transform.inverse(np.array([-50.0, -1.0])).min() == 0.0


def test_statsmodels_estimates_no_worse_than_our_grid():
    values = seasonal(400)
    ets = StatsmodelsETS(period=PERIOD, transform="none").fit(Series.of(values, bin_s=3600.0))
    start, _ = initial_states(values, (PERIOD,))
    own = search_smoothing(values, (PERIOD,), start, 0)
    assert hw_loss(values, ets.smoothing, 0, start) <= 1.02 * hw_loss(values, own, 0, start)


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        (HoltWinters, {"periods": (24, 24)}),
        (HoltWinters, {"periods": (1,)}),
        (HoltWinters, {"parameters": (0.1, 0.1, 0.9)}),
        (HoltWinters, {"periods": (24,), "parameters": (0.1, 0.1, 0.9)}),
        (HoltWinters, {"periods": (), "parameters": (0.1, 0.1, 1.1)}),
        (StatsmodelsETS, {"period": 1}),
    ],
)
def test_impossible_settings_are_refused(model, setting):
    with pytest.raises(ModelError, match=r"must|need"):
        model(**setting)
