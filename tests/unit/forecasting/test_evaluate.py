"""Rolling-origin evaluation: the right bin against the right forecast, and nothing from the future."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest

from forecasting.errors import ModelError
from forecasting.evaluate import evaluate, pinball_loss, rolling_forecasts, score
from forecasting.naive import LastValue
from forecasting.registry import ModelSetting, point_model, point_model_names
from forecasting.series import Series


@dataclass(frozen=True)
class Uniform:
    """Forecasts the uniform distribution on 0..1 at every step, and tells what it has seen."""

    seen: tuple[float, ...] = ()
    name: str = "uniform"

    def fit(self, series: Series) -> Self:
        return type(self)(tuple(series.values))

    def update(self, value: float) -> Self:
        return type(self)((*self.seen, value))

    def quantiles(self, steps: int, levels) -> np.ndarray:
        return np.tile(np.asarray(levels), (steps, 1))

    def peak_quantiles(self, steps: int, levels) -> np.ndarray:
        return self.quantiles(steps, levels) ** (1.0 / np.arange(1, steps + 1))[:, None]


def ramp(bins: int = 100, slope: float = 2.0) -> Series:
    return Series.of(10.0 + slope * np.arange(bins), bin_s=60.0)


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("refit_every", [None, 5])
def test_on_a_ramp_the_last_value_misses_by_exactly_horizon_times_slope(every, refit_every):
    accuracy = evaluate(LastValue(), ramp(), [1, 5, 20], first_origin=10, every=every, refit_every=refit_every)
    assert [row.mae for row in accuracy.rows] == pytest.approx([2.0, 10.0, 40.0])
    assert [row.skill for row in accuracy.rows] == pytest.approx([0.0, 0.0, 0.0])
    assert [row.ahead_s for row in accuracy.rows] == [60.0, 300.0, 1200.0]


def test_horizons_end_with_the_series():
    rows = evaluate(LastValue(), ramp(100), [1, 10, 100], first_origin=60).rows
    assert [row.count for row in rows] == [40, 31, 0]
    assert math.isnan(rows[2].mae)


@pytest.mark.parametrize("name", point_model_names())
def test_a_forecast_does_not_change_when_the_future_is_cut(name):
    values = np.random.default_rng(2).gamma(4.0, 10.0, 24 * 16)
    values[200:210] = math.nan
    model = point_model(name, ModelSetting(bin_s=3600.0))
    whole, cut = (
        rolling_forecasts(model, Series.of(v, bin_s=3600.0), [1, 24], first_origin=24 * 15, every=6, refit_every=12)
        for v in (values, values[: 24 * 15 + 13])
    )
    assert len(cut.origins) == 3
    np.testing.assert_array_equal(whole.quantiles[:3], cut.quantiles)


def test_missing_outcomes_are_left_out_and_missing_inputs_held():
    values = np.array([1.0, 2.0, math.nan, 4.0, 5.0])
    forecasts = rolling_forecasts(LastValue(), Series.of(values, bin_s=1.0), [1], first_origin=1)
    assert forecasts.quantiles[:, 0, 0].tolist() == [1.0, 2.0, 2.0, 4.0]
    row = score(forecasts).rows[0]
    assert row.count == 3
    assert row.mae == pytest.approx((1.0 + 2.0 + 1.0) / 3)


def test_coverage_and_pinball_of_a_true_distribution():
    values = np.random.default_rng(0).uniform(size=4000)
    levels = [0.005, 0.05, 0.25, 0.75, 0.95, 0.995]
    row = evaluate(Uniform(), Series.of(values, bin_s=60.0), [3], levels=levels, first_origin=0).rows[0]
    assert list(row.coverage) == pytest.approx([0.5, 0.9, 0.99])
    assert list(row.coverage.values()) == pytest.approx([0.5, 0.9, 0.99], abs=0.02)
    # A uniform outcome costs level * (1 - level) / 2 on average.
    expected = np.mean([level * (1 - level) / 2 for level in [*levels, 0.5]])
    assert row.pinball == pytest.approx(expected, rel=0.03)
    assert row.mae == pytest.approx(0.25, rel=0.03)


def test_the_median_is_scored_where_it_was_not_asked_for():
    forecasts = rolling_forecasts(Uniform(), ramp(20), [1], levels=[0.1, 0.9])
    assert forecasts.levels.tolist() == [0.1, 0.5, 0.9]


def test_pinball_loss_by_hand_and_by_its_python_form():
    actual, quantile = np.array([3.0, 1.0, math.nan]), np.array([1.0, 3.0, 1.0])
    loss = pinball_loss(actual, quantile, 0.9)
    np.testing.assert_allclose(loss, [1.8, 0.2, math.nan])
    np.testing.assert_array_equal(loss, pinball_loss.py_func(actual, quantile, 0.9))


@pytest.mark.parametrize(
    "bad", [{"horizons": []}, {"horizons": [0]}, {"every": 0}, {"refit_every": 0}, {"first_origin": 100}]
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ModelError):
        evaluate(LastValue(), ramp(100), **({"horizons": [1]} | bad))
