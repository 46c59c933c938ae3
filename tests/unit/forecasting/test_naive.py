"""Naive models: what they forecast, and that a missing bin is never read as zero."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting.errors import ModelError
from forecasting.naive import ExponentialLevel, LastValue, SeasonalNaive, WindowMean, exponential_level
from forecasting.series import Series

NAN = math.nan


def series(*values: float) -> Series:
    return Series.of(values, bin_s=60.0)


def test_the_last_value_skips_missing_bins():
    assert LastValue().fit(series(3.0, 7.0, NAN)).forecast(2).tolist() == [7.0, 7.0]


def test_a_window_takes_the_mean_of_its_known_bins():
    assert WindowMean(180.0).fit(series(100.0, 2.0, NAN, 4.0)).forecast(1)[0] == 3.0


def test_a_window_that_is_all_missing_holds_the_last_known_value():
    assert WindowMean(120.0).fit(series(8.0, 5.0, NAN, NAN)).forecast(1)[0] == 5.0


def test_the_seasonal_naive_repeats_the_last_period_as_often_as_needed():
    forecast = SeasonalNaive(3).fit(series(9.0, 1.0, 2.0, 3.0)).forecast(7)
    assert forecast.tolist() == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]


def test_the_seasonal_naive_falls_back_to_the_last_value_where_the_bin_is_missing():
    assert SeasonalNaive(3).fit(series(1.0, NAN, 3.0)).forecast(3).tolist() == [1.0, 3.0, 3.0]


def test_the_seasonal_naive_falls_back_to_the_last_value_where_the_bin_was_not_seen_yet():
    assert SeasonalNaive(4).fit(series(1.0, 2.0)).forecast(4).tolist() == [2.0, 2.0, 1.0, 2.0]


def test_an_exponential_level_halves_weights_per_half_life():
    assert ExponentialLevel(60.0).fit(series(0.0, 3.0)).forecast(1)[0] == pytest.approx(2.0)


def test_an_outage_ages_what_was_known_before_it():
    # Two half-lives of outage: the old value weighs 1/8 of the new one's 1.
    assert ExponentialLevel(60.0).fit(series(0.0, NAN, NAN, 9.0)).forecast(1)[0] == pytest.approx(8.0)


def test_the_level_kernel_equals_its_python_form():
    values = np.array([1.0, NAN, 4.0, 2.0, NAN])
    assert exponential_level(values, 0.9, NAN, 0.0) == exponential_level.py_func(values, 0.9, NAN, 0.0)


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        (SeasonalNaive, {"period_bins": 0}),
        (WindowMean, {"window_s": 0.0}),
        (WindowMean, {"window_s": NAN}),
        (ExponentialLevel, {"half_life_s": -1.0}),
    ],
)
def test_a_length_that_is_none_is_refused(model, setting):
    with pytest.raises(ModelError, match="must be"):
        model(**setting)
