"""Conformal intervals: calibrated on the bundled traces, ordered, causal, and blind to what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasting import conformal_kernels
from forecasting.conformal import Conformal
from forecasting.conformal_kernels import TARGETS, Fading, Learned, grid_quantiles, see_bins
from forecasting.errors import ModelError
from forecasting.evaluate import evaluate
from forecasting.holt_winters import HoltWinters
from forecasting.naive import LastValue, SeasonalNaive
from forecasting.profile import SeasonalProfile
from forecasting.residual_histogram import CELLS, empirical_quantiles
from forecasting.series import Series
from forecasting.step_grid import at_grid, interpolate_steps, step_grid

LEVELS = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
DAY = 288
NAN = math.nan


def noise(bins: int, seed: int = 0, spread: float = 0.2) -> np.ndarray:
    return 50.0 * np.exp(np.random.default_rng(seed).normal(0.0, spread, bins))


def fitted(values: np.ndarray, steps_max: int = 12):
    return Conformal(LastValue(), steps_max).fit(Series.of(values, bin_s=300.0))


@pytest.mark.parametrize("trace", ["chat", "code", "agents"])
@pytest.mark.parametrize(
    "model",
    [
        LastValue(),
        SeasonalNaive(DAY),
        SeasonalProfile(periods=(DAY, 7 * DAY), reversion_half_life_s=86_400.0),
        HoltWinters(periods=(DAY, 7 * DAY)),
    ],
    ids=lambda model: model.name,
)
def test_intervals_hold_their_share_on_the_bundled_traces(bundled, trace, model):
    rows = evaluate(Conformal(model, 12), bundled(trace), [1, 3, 6, 12], levels=LEVELS, every=2).rows
    for row in rows:
        assert row.count > 1400
        # An hour ahead, the profile's errors of one day resemble each other: ten days are few.
        within = 0.03 if row.steps < 12 else 0.045
        assert row.coverage == pytest.approx({0.5: 0.5, 0.9: 0.9, 0.99: 0.99}, abs=within), (row.steps, row.coverage)


def test_intervals_of_pure_noise_are_those_of_the_noise():
    # The last value as a forecast of independent noise errs by the difference of two: sqrt(2) times the spread.
    conformal = fitted(np.r_[noise(4000), 50.0])
    low, middle, high = conformal.quantiles(1, [0.05, 0.5, 0.95])[0]
    assert middle == pytest.approx(50.0, rel=0.05)
    assert math.log(high / low) == pytest.approx(2 * 1.645 * 0.2 * math.sqrt(2.0), rel=0.12)


def test_intervals_widen_when_the_demand_becomes_volatile():
    calm, wild = noise(2000, spread=0.02), noise(40, spread=0.4)
    widths = [
        math.log(high / low)
        for low, high in (fitted(values).quantiles(1, [0.05, 0.95])[0] for values in (calm, np.r_[calm, wild]))
    ]
    assert widths[1] > 4 * widths[0]


def test_a_model_that_always_misses_by_the_same_is_corrected():
    ramp = np.exp(0.01 * np.arange(1000))
    for steps in (1, 6, 12):
        assert fitted(ramp).quantiles(12, [0.5])[steps - 1, 0] == pytest.approx(
            ramp[-1] * math.exp(0.01 * steps), rel=0.01
        )


def learning(grid: np.ndarray) -> Learned:
    """Before any bin, without what is believed before."""
    histograms = np.zeros((len(grid), TARGETS, CELLS + 1))
    histograms[:, :, -1] = 1.0
    return Learned(np.zeros(3), np.zeros((len(grid), 2)), np.zeros((len(grid), TARGETS, 2)), histograms)


def test_the_residual_of_each_step_is_counted_against_its_own_bin():
    # Demand rises by 1 % per bin: at step h the last value falls short by h %, in the moment and at the peak.
    values = np.exp(0.01 * np.arange(40))
    grid = step_grid(6)
    said = np.ones((7, len(grid), 2 * TARGETS))
    said[:, :, :TARGETS] = values[33:40, None, None]
    learned = learning(grid)
    see_bins(values[-6:], 5, said, -1, 1, grid, Fading(1e-9, 1.0, 1.0, 1.0), learned)
    medians = [empirical(learned.histograms[i, 0]) for i in range(len(grid))]
    np.testing.assert_allclose(medians, 0.01 * grid, atol=0.02)
    np.testing.assert_array_equal(learned.histograms[:, 0], learned.histograms[:, 1])


def empirical(histogram: np.ndarray) -> float:
    median = np.empty(1)
    empirical_quantiles(histogram, np.array([0.5]), median)
    return float(median[0])


def test_a_missing_bin_counts_neither_as_a_target_nor_in_the_peak_of_its_windows():
    grid = step_grid(4)
    learned = learning(grid)
    see_bins(
        np.array([5.0, NAN, 5.0, 5.0]),
        3,
        np.ones((4, len(grid), 2 * TARGETS)),
        -1,
        1,
        grid,
        Fading(1.0, 1.0, 1.0, 1.0),
        learned,
    )
    counts = learned.histograms[:, :, :-1].sum(axis=2)
    assert grid.tolist() == [1, 2, 3, 4]
    assert counts[:, 0].tolist() == [1, 1, 1, 1]
    assert counts[:, 1].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("every", [1, 3])
def test_bins_seen_at_once_teach_what_they_teach_one_by_one(every):
    grid, values = step_grid(6), noise(200)
    values[[0, 30, 80, 81]] = NAN
    fading = Fading(NAN, 1.01, 0.98, 0.999)
    sparse = np.full((len(values[::every]), len(grid), 2 * TARGETS), NAN)
    sparse[:, :, :TARGETS] = np.random.default_rng(2).uniform(20.0, 80.0, sparse[:, :, :TARGETS].shape)
    dense = np.full((len(values), *sparse.shape[1:]), NAN)
    dense[::every] = sparse
    at_once, one_by_one = learning(grid), learning(grid)
    see_bins(values, 0, sparse, 0, every, grid, fading, at_once)
    for t in range(len(values)):
        see_bins(values[: t + 1], t, dense[: t + 1], 0, 1, grid, fading, one_by_one)
    for one, other in zip(at_once, one_by_one, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(sparse, dense[::every])
    assert at_once.sizes[:, :, 1].min() > 0


def test_an_outage_changes_no_residual_and_pulls_nothing_to_zero():
    before = fitted(noise(1000))
    after = before
    for _ in range(50):
        after = after.update(NAN)
    np.testing.assert_array_equal(after.learned.histograms, before.learned.histograms)
    np.testing.assert_array_equal(after.learned.changes, before.learned.changes)
    # The bound at the largest demand seen is forgotten as time goes by: a percent in four hours.
    np.testing.assert_allclose(after.quantiles(12, LEVELS), before.quantiles(12, LEVELS), rtol=0.02)


def test_an_update_leaves_the_old_one_as_it_was():
    old = fitted(noise(500))
    before = old.quantiles(12, LEVELS), old.peak_quantiles(12, LEVELS)
    branch = old.update(500.0).update(5.0)
    assert branch.update(7.0).learned.histograms.sum() != old.learned.histograms.sum()
    old.update(1.0)
    np.testing.assert_array_equal(before, (old.quantiles(12, LEVELS), old.peak_quantiles(12, LEVELS)))


def test_quantiles_rise_with_the_level_and_peaks_with_the_window():
    conformal = Conformal(SeasonalNaive(24), 30).fit(Series.of(noise(400), bin_s=3600.0))
    moments, peaks = conformal.quantiles(40, LEVELS), conformal.peak_quantiles(40, LEVELS)
    assert moments.shape == peaks.shape == (40, len(LEVELS))
    assert (np.diff(moments, axis=1) >= 0).all()
    assert (np.diff(peaks, axis=1) >= 0).all()
    assert (np.diff(peaks, axis=0) >= 0).all()
    np.testing.assert_allclose(peaks[0], moments[0])


def test_the_peak_of_a_window_is_calibrated_too():
    values = noise(3000)
    conformal, inside, seen = fitted(values[:2000]), 0, 0
    for n in range(2000, 2988):
        inside += values[n : n + 12].max() <= conformal.peak_quantiles(12, [0.9])[11, 0]
        seen += 1
        conformal = conformal.update(values[n])
    assert inside / seen == pytest.approx(0.9, abs=0.03)


def test_no_quantile_is_far_above_all_that_ever_came():
    # From next to nothing to 100 each day: a ratio of 1,000 on top of 100 is no forecast.
    values = np.tile(np.r_[np.full(12, 0.1), np.full(12, 100.0)], 20)
    highest = Conformal(LastValue(), 12).fit(Series.of(values, bin_s=3600.0)).quantiles(12, [0.999]).max()
    assert 90.0 < highest < 1.3 * 100.0


@pytest.mark.parametrize("history", [[], [NAN] * 5], ids=["empty", "all missing"])
def test_nothing_known_is_no_forecast_and_the_first_value_is_one(history):
    conformal = fitted(np.array(history))
    assert np.isnan(conformal.quantiles(3, LEVELS)).all()
    assert np.isnan(conformal.peak_quantiles(3, LEVELS)).all()
    known = conformal.update(NAN).update(5.0).quantiles(3, LEVELS)
    np.testing.assert_allclose(known[:, 3], 5.0, rtol=0.05)
    assert np.isfinite(known).all()


def test_an_idle_service_is_forecast_idle_and_a_constant_one_constant():
    np.testing.assert_allclose(fitted(np.zeros(1000)).quantiles(12, LEVELS), 0.0, atol=0.03)
    np.testing.assert_allclose(fitted(np.full(1000, 7.0)).quantiles(12, LEVELS), 7.0, rtol=0.03)


def test_updates_do_not_grow_with_the_history():
    conformal = fitted(noise(5000))
    assert len(conformal.values) == len(conformal.said) == 12


@pytest.mark.parametrize(("steps", "levels"), [(0, [0.5]), (3, [0.0]), (3, [0.9, 0.1])])
def test_impossible_questions_are_refused(steps, levels):
    with pytest.raises(ModelError):
        fitted(noise(50)).quantiles(steps, levels)
    with pytest.raises(ModelError):
        Conformal(LastValue(), 0)


def test_the_grid_grows_by_halves_and_ends_at_the_longest_step():
    assert step_grid(1).tolist() == [1]
    assert step_grid(20).tolist() == [1, 2, 3, 4, 6, 8, 12, 16, 20]
    assert step_grid(16, per_octave=1).tolist() == [1, 2, 4, 8, 16]
    assert len(step_grid(1440)) == 21
    with pytest.raises(ModelError, match="per_octave"):
        step_grid(4, per_octave=3)


def test_between_grid_steps_values_are_linear_in_the_log_and_hold_at_the_end():
    grid = step_grid(8, per_octave=1)
    values = interpolate_steps(grid, np.log2(grid)[:, None], 10)[:, 0]
    np.testing.assert_allclose(values, np.minimum(np.log2(np.arange(1, 11)), 3.0))
    np.testing.assert_array_equal(interpolate_steps(step_grid(1), np.array([4.0]), 3), [4.0, 4.0, 4.0])


def test_kernels_equal_their_python_form(monkeypatch):
    grid, values = step_grid(6), noise(30)
    values[5] = NAN
    forecasts = np.random.default_rng(1).uniform(20.0, 80.0, (30, len(grid), 2 * TARGETS))
    results = []
    for python in (False, True):
        if python:
            for name in ("add_residual", "empirical_quantiles", "floor_of", "spreads", "_learn_outcome"):
                monkeypatch.setattr(conformal_kernels, name, getattr(conformal_kernels, name).py_func)
        see, quantiles = (kernel.py_func if python else kernel for kernel in (see_bins, grid_quantiles))
        learned, said = learning(grid), forecasts.copy()
        see(values, 0, said, 0, 1, grid, Fading(NAN, 1.01, 0.9, 0.99), learned)
        results.append((*learned, said, quantiles(learned, grid, 1, np.array([0.1, 0.9]))))
    for fast, slow in zip(*results, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12)
    rows = np.zeros((2, len(grid), TARGETS))
    for row, kernel in zip(rows, (at_grid, at_grid.py_func), strict=True):
        kernel(np.array([1.0, 5.0, 2.0, 3.0, 9.0, 4.0]), grid, row)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows[0, :, 1].tolist() == [1.0, 5.0, 5.0, 5.0, 9.0]
