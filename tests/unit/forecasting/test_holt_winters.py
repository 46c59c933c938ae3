"""Holt-Winters: equal to statsmodels, equal to its Python form, and right about seasons that it is given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting import holt_winters_kernels as kernels
from forecasting.errors import ModelError
from forecasting.holt_winters import HoltWinters, initial_states, search_smoothing
from forecasting.holt_winters_kernels import Smoothing, States, hw_filter, hw_forecast, hw_loss
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

    forecast = np.empty(30)
    hw_forecast(smoothing(phi, 0.3), len(values), States(level, trend, moved.seasons), forecast)
    # statsmodels 0.15 forecasts steps that are whole periods ahead with the season as it was before the last value.
    not_whole = np.arange(1, 31) % PERIOD != 0
    np.testing.assert_allclose(forecast[not_whole], reference.forecast(30)[not_whole], rtol=0, atol=1e-8)
    # Its filter doesn't: run on over our forecast, which if right has no error, it must agree at every step.
    extended = statsmodels_run(np.concatenate([values, forecast]), phi, states)
    np.testing.assert_allclose(forecast, extended.fittedvalues[len(values) :], rtol=0, atol=1e-8)


def test_kernels_equal_their_python_form(monkeypatch):
    values = seasonal()
    values[40:45] = math.nan
    two = smoothing(0.95, 0.1, 0.2, periods=(4, PERIOD))
    start = States(50.0, 0.1, np.linspace(-1.0, 1.0, 16))
    first = np.array([0, 0, 1, 1, 0])
    results = []
    for python in (False, True):
        if python:
            for name in ("_places", "_move_on", "hw_filter", "hw_forecast", "hw_loss", "at_grid"):
                monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
        names = ("hw_filter", "hw_forecast", "hw_walk", "hw_loss", "hw_search")
        filter_, forecast, walk, loss, search = (
            getattr(getattr(kernels, name), "py_func", getattr(kernels, name)) if python else getattr(kernels, name)
            for name in names
        )
        states = States(start.level, start.trend, start.seasons.copy())
        fitted, path, ahead = np.empty(len(values)), np.empty(20), np.empty((len(values) // 7, 3, 2))
        level, trend = filter_(values, two, 3, states, fitted)
        forecast(two, 123, States(level, trend, states.seasons), path)
        walk(values, two, 3, States(start.level, start.trend, start.seasons.copy()), np.array([1, 2, 5]), 7, ahead)
        lost = loss(values, two, 3, start, np.empty(16), np.empty(len(values)))
        found = search(values, first, GRID, two.periods, 3, start)
        results.append(np.concatenate([fitted, path, states.seasons, ahead.ravel(), [lost], found]))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


@pytest.mark.parametrize("every", [1, 7])
def test_a_walk_says_what_was_forecast_on_the_way(every):
    values = 5.0 + np.abs(seasonal())
    fitted = HoltWinters(periods=(PERIOD,)).fit(Series.of(values[:60], bin_s=3600.0))
    grid = np.array([1, 3, 9])
    walked, ahead = fitted.walk(values[60:], grid, every)
    for i, value in enumerate(values[60:], start=1):
        fitted = fitted.update(value)
        if i % every == 0:
            forecast = fitted.forecast(9)
            expected = [(forecast[step - 1], forecast[:step].max()) for step in grid]
            np.testing.assert_allclose(ahead[i // every - 1], expected, rtol=1e-12)
    assert len(ahead) == 60 // every
    np.testing.assert_allclose(walked.forecast(20), fitted.forecast(20), rtol=1e-12)


def test_what_a_fit_says_on_the_way_knows_no_later_seasons():
    # A fit to all of it, walked from the middle: only the smoothing may come from what is later.
    values = 5.0 + np.abs(seasonal())
    later = values.copy()
    later[60:] *= np.linspace(1.0, 3.0, 60)
    model = HoltWinters(periods=(PERIOD,), parameters=(0.2, 0.0, 0.98, 0.03))
    firsts = []
    for history in (values, later):
        fitted, ahead = model.fit_and_walk(Series.of(history, bin_s=3600.0), 60, np.array([1, 5]), 1)
        np.testing.assert_array_equal(fitted.forecast(5), model.fit(Series.of(history, bin_s=3600.0)).forecast(5))
        firsts.append(ahead[0])
    np.testing.assert_allclose(firsts[0], firsts[1], rtol=1e-12)


def test_missing_bins_carry_the_forecast_and_correct_nothing():
    values = seasonal()
    start = States(50.0, 0.3, np.linspace(-5.0, 5.0, PERIOD))
    moved = States(start.level, start.trend, start.seasons.copy())
    level, trend = hw_filter(values, smoothing(0.9, 0.2), 0, moved, np.empty(len(values)))
    before = States(level, trend, moved.seasons)
    expected, after = np.empty(40), np.empty(10)
    hw_forecast(smoothing(0.9, 0.2), 120, before, expected)
    carried = np.empty(30)
    level, trend = hw_filter(np.full(30, math.nan), smoothing(0.9, 0.2), 120, before, carried)
    np.testing.assert_allclose(carried, expected[:30], rtol=1e-12)
    hw_forecast(smoothing(0.9, 0.2), 150, States(level, trend, before.seasons), after)
    np.testing.assert_allclose(after, expected[30:], rtol=1e-12)


def loss(values: np.ndarray, tried: Smoothing, start: States) -> float:
    return hw_loss(values, tried, 0, start, np.empty(len(start.seasons)), np.empty(len(values)))


def test_the_search_leaves_its_start_and_finds_no_worse():
    values = seasonal()
    start, _ = initial_states(values, (PERIOD,))
    seasons = start.seasons.copy()
    found = search_smoothing(values, (PERIOD,), start, 0)
    assert start.seasons.tolist() == seasons.tolist()
    first = Smoothing(0.2, 0.0, 0.98, np.array([0.03]), np.array([PERIOD]))
    assert loss(values, found, start) < loss(values, first, start)


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
    assert loss(values, ets.smoothing, start) <= 1.02 * loss(values, own, start)


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
