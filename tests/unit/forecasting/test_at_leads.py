"""Headstart's forecasts at all horizons, and the recalibration behind their intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting.at_leads import LeadForecaster
from forecasting.errors import ModelError
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.protocol import Forecaster
from forecasting.recalibrated import RANK_LEVELS, RANK_SCORES, RecalibratedEnsemble, move_levels
from forecasting.registry import ModelSetting, forecaster, forecaster_names, model_names
from forecasting.series import Series

NAN = math.nan
HOUR_S = 3600.0
LEVELS = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)


def daily(bins: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, 0.05, bins)
    return 50.0 * np.exp(np.sin(2 * np.pi * np.arange(bins) / 24) + noise)


def series(values) -> Series:
    return Series.of(values, bin_s=HOUR_S)


@pytest.fixture(scope="module")
def fitted():
    return LeadForecaster(12).fit(series(daily(24 * 20)))


def assert_intervals_hold_their_share(said, came):
    """The central 99, 90 and 50 % intervals among quantiles at LEVELS, shape (n, ..., 7), of what came, (n, ...)."""
    known = ~np.isnan(came)
    assert known.sum() > 1400
    for low, nominal in enumerate([0.99, 0.9, 0.5]):
        inside = (said[known, low] <= came[known]) & (came[known] <= said[known, -1 - low])
        assert inside.mean() == pytest.approx(nominal, abs=0.03)


@pytest.mark.parametrize("trace", ["chat", "code", "agents"])
def test_intervals_hold_their_share_on_the_bundled_traces(walk, trace):
    walked = walk(trace)
    for step in range(2):
        assert_intervals_hold_their_share(walked.moments[:, step], walked.came[:, step])
    assert_intervals_hold_their_share(walked.peaks[:, 1], walked.came.max(axis=1))
    error, error_of_last = (walked.came[:, 1] - said for said in (walked.moments[:, 1, 3], walked.last))
    assert np.nanmean(np.abs(error)) < 0.95 * np.nanmean(np.abs(error_of_last))


@pytest.mark.parametrize("trace", ["chat", "code", "agents"])
def test_an_hour_ahead_intervals_of_demand_and_of_its_peak_hold_their_share(bundled, trace):
    demand = bundled(trace)
    start = LeadEnsemble.start(lead=11, bin_s=demand.bin_s, floor=demand.values[0] / 40.0, start_s=demand.start_s)
    ensemble, said, came = RecalibratedEnsemble.start(start), [], []
    for n, value in enumerate(demand.values[:-11]):
        if n >= len(demand) // 2:
            said.append(ensemble.at_lead(LEVELS))
            came.append([demand.values[n + 11], demand.values[n : n + 12].max()])
        ensemble = ensemble.update(float(value))
    for target in range(2):
        assert_intervals_hold_their_share(np.array(said)[:, target], np.array(came)[:, target])


def test_quantiles_rise_with_the_level_and_peaks_with_the_window(fitted):
    moments, peaks = fitted.quantiles(20, LEVELS), fitted.peak_quantiles(20, LEVELS)
    assert moments.shape == peaks.shape == (20, len(LEVELS))
    assert (np.diff(moments, axis=1) >= 0).all()
    assert (np.diff(peaks, axis=1) >= 0).all()
    assert (np.diff(peaks, axis=0) >= 0).all()
    np.testing.assert_array_equal(moments[11:], np.tile(moments[11], (9, 1)))


def test_a_step_of_the_grid_is_its_own_ensemble_and_the_next_one_lies_between(fitted):
    assert fitted.grid.tolist() == [1, 2, 4, 8, 12]
    assert [ensemble.ensemble.history.lead for ensemble in fitted.ensembles] == [0, 1, 3, 7, 11]
    moments = fitted.quantiles(12, [0.5])[:, 0]
    for i, step in enumerate(fitted.grid):
        assert moments[step - 1] == pytest.approx(fitted.ensembles[i].at_lead([0.5])[0, 0])
    assert min(moments[1], moments[3]) <= moments[2] <= max(moments[1], moments[3])


def test_the_season_is_met_at_each_horizon(fitted):
    truth = 50.0 * np.exp(np.sin(2 * np.pi * (24 * 20 + np.arange(12)) / 24))
    np.testing.assert_allclose(fitted.quantiles(12, [0.5])[:, 0], truth, rtol=0.2)


def test_an_update_equals_a_fit_and_leaves_the_old_one_as_it_was():
    values = daily(200)
    values[150] = NAN
    model = LeadForecaster(4, floor=1.0)
    old = model.fit(series(values[:140]))
    before = old.quantiles(4, LEVELS)
    updated = old
    for value in values[140:]:
        updated = updated.update(value)
    old.update(500.0)
    np.testing.assert_array_equal(updated.quantiles(4, LEVELS), model.fit(series(values)).quantiles(4, LEVELS))
    np.testing.assert_array_equal(old.quantiles(4, LEVELS), before)


@pytest.mark.parametrize("history", [[], [NAN] * 5], ids=["empty", "all missing"])
def test_nothing_known_is_no_forecast_and_the_first_value_is_one(history):
    unknown = LeadForecaster(4).fit(series(history))
    assert np.isnan(unknown.quantiles(3, LEVELS)).all()
    assert np.isnan(unknown.peak_quantiles(3, LEVELS)).all()
    np.testing.assert_allclose(unknown.update(NAN).update(5.0).quantiles(3, [0.5]), 5.0, rtol=0.02)


def test_given_steps_are_forecast_as_the_grid_does_and_no_others_are_learned():
    history = series(daily(24 * 4))
    few, all_steps = LeadForecaster(8, steps=(2, 8)).fit(history), LeadForecaster(8).fit(history)
    assert len(few.ensembles) == 2
    np.testing.assert_allclose(few.quantiles(8, LEVELS)[[1, 7]], all_steps.quantiles(8, LEVELS)[[1, 7]], rtol=1e-12)
    assert np.isfinite(few.quantiles(12, LEVELS)).all()


@pytest.mark.parametrize(
    "bad", [{"steps_max": 0}, {"floor": 0.0}, {"floor": NAN}, {"steps": ()}, {"steps": (0, 2)}, {"steps": (2, 2)}]
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ModelError):
        LeadForecaster(**({"steps_max": 3} | bad))


def test_the_share_below_each_level_comes_right_whatever_is_said():
    # Said is three times too wide and too high, of noise that drifts: no distribution, only ranks can tell.
    noise = np.random.default_rng(0).normal(0.0, 0.5, 6000) + np.linspace(0.0, 1.0, 6000)
    said = 3.0 * 0.5 * RANK_SCORES + 1.0
    scores, below = RANK_SCORES.copy(), np.zeros(len(RANK_SCORES))
    for n, came in enumerate(noise):
        below += (came <= np.interp(scores, RANK_SCORES, said)) * (n >= 1000)
        scores = np.sort(scores + move_levels(said, scores, came, RANK_LEVELS, RANK_SCORES, 0.02))
    np.testing.assert_allclose(below / 5000, RANK_LEVELS, atol=0.015)


def test_a_rank_is_measured_against_what_stood_for_the_level_then():
    stood = RANK_SCORES + 1.0
    moves = move_levels(RANK_SCORES, stood, 0.5, RANK_LEVELS, RANK_SCORES, 0.1)
    np.testing.assert_allclose(moves, 0.1 * (RANK_LEVELS - (stood >= 0.5)))


def test_an_idle_service_moves_no_level():
    # All quantiles are 0, and 0 comes: that is as likely at each of them, and says nothing of the day it wakes up.
    moves = move_levels(np.zeros(33), RANK_SCORES, 0.0, RANK_LEVELS, RANK_SCORES, 0.1)
    np.testing.assert_allclose(moves, 0.0, atol=2e-5)
    # The lower half of them is 0, and half of what comes: the other half moves them back by 0.1 * level.
    half = np.where(np.arange(33) <= 16, 0.0, RANK_SCORES)
    moves = move_levels(half, RANK_SCORES, 0.0, RANK_LEVELS, RANK_SCORES, 0.1)
    np.testing.assert_allclose(moves[:17], -0.1 * RANK_LEVELS[:17], atol=2e-5)
    np.testing.assert_allclose(moves[17:], 0.1 * (RANK_LEVELS[17:] - 1.0))


def test_without_ranks_the_levels_are_taken_as_they_are():
    ensemble = LeadEnsemble.start(lead=2, bin_s=HOUR_S, floor=1.0).update(10.0)
    fresh = RecalibratedEnsemble.start(LeadEnsemble.start(lead=2, bin_s=HOUR_S, floor=1.0)).update(10.0)
    np.testing.assert_allclose(fresh.at_lead(LEVELS), ensemble.at_lead(LEVELS), rtol=0.01)


def test_a_rank_belongs_to_what_was_said_one_lead_before():
    # Noise around a ramp: ranks of the wrong bin would all be at one end.
    values = 10.0 * np.exp(0.05 * np.arange(400) + np.random.default_rng(0).normal(0.0, 0.01, 400))
    start = RecalibratedEnsemble.start(LeadEnsemble.start(lead=3, bin_s=HOUR_S, floor=1e-3))
    median = start.fit(series(values)).at_lead([0.5])[0, 0]
    assert math.log(median / 10.0) == pytest.approx(0.05 * (399 + 4), abs=0.02)


@pytest.mark.parametrize("came", [-9.0, 0.1, 0.0])
def test_the_rank_kernel_equals_its_python_form(came):
    said = np.maximum(np.sort(np.random.default_rng(0).normal(size=len(RANK_LEVELS))), 0.0)
    arguments = (said, RANK_SCORES + 0.3, came, RANK_LEVELS, RANK_SCORES, 0.1)
    np.testing.assert_allclose(move_levels(*arguments), move_levels.py_func(*arguments), rtol=1e-12)


@pytest.mark.parametrize("name", model_names())
def test_every_model_by_name_has_intervals(name):
    model: Forecaster = forecaster(name, ModelSetting(bin_s=HOUR_S, lead_s=HOUR_S, horizon_s=3 * HOUR_S))
    assert model.name == name
    known = model.fit(series(daily(24 * 8))).update(40.0)
    for quantiles in (known.quantiles(3, LEVELS), known.peak_quantiles(3, LEVELS)):
        assert quantiles.shape == (3, len(LEVELS))
        assert np.isfinite(quantiles).all()
        assert (quantiles[:, -1] > quantiles[:, 0]).all()


def test_names_are_listed_once_and_unknown_ones_answered_with_them():
    assert forecaster_names() == ("headstart", "boosted")
    assert len(set(model_names())) == len(model_names())
    with pytest.raises(ModelError, match="there is no model 'prophet'; choose from last-value, .*headstart, boosted"):
        forecaster("prophet", ModelSetting(bin_s=60.0))
