"""Boosted trees and point models as members of the lead ensemble."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from forecasting import boosted as boosted_module
from forecasting.boosted import Boosted, grow, refit
from forecasting.forest import constant_forest, forest_of, forest_value
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_features import FEATURES
from forecasting.lead_history import LeadHistory
from forecasting.lead_member import TARGETS
from forecasting.naive import LastValue, SeasonalNaive
from forecasting.point_member import PointMember
from forecasting.series import Series

NAN = math.nan
HALF_HOUR_S = 1800.0
DAY = 48
LEVELS = np.array([0.05, 0.5, 0.95])


def daily(days: float, seed: int = 0) -> np.ndarray:
    bins = round(days * DAY)
    noise = np.random.default_rng(seed).normal(0.0, 0.05, bins)
    return 50.0 * np.exp(np.sin(2 * np.pi * np.arange(bins) / DAY) + noise)


def walked(member, values, *, lead: int = 1, floor: float = 1.0):
    """The history and the member after `values`."""
    return learned(LeadHistory.start(lead=lead, bin_s=HALF_HOUR_S, floor=floor), member, values)


def learned(history, member, values):
    """Both after more values, one by one."""
    for value in values:
        history, bins = history.extend(np.array([value]))
        if len(bins):
            member, _ = member.learn(bins, LEVELS)
    return history, member


@pytest.fixture(scope="module")
def grown():
    """A history of 13 days and boosted trees that were grown in it."""
    return walked(Boosted.start(lead=1), daily(13))


def sample(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns))
    return features, features[:, 1] ** 2 + np.sin(features[:, 2]) + 0.1 * rng.normal(size=rows)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_trees_as_arrays_predict_what_scikit_learn_predicts(loss):
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    features, target = sample(1500, 5)
    model = HistGradientBoostingRegressor(loss=loss, max_iter=40, early_stopping=False, random_state=0)
    # OpenMP's threads wait for each other by spinning: on a machine with something else to do, 60 s instead of 1.
    unseen, _ = sample(300, 5, seed=1)
    unseen[:50] = features[:50]
    with threadpool_limits(limits=1):
        expected = model.fit(features, target).predict(unseen)
    trees = [predictors[0].nodes for predictors in model._predictors]
    forest = forest_of(trees, float(np.ravel(model._baseline_prediction)[0]), np.arange(5))
    said = np.array([forest_value(forest, row) for row in unseen])
    np.testing.assert_allclose(said, expected, rtol=0, atol=1e-12)
    python = np.array([forest_value.py_func(forest, row) for row in unseen[:20]])
    np.testing.assert_array_equal(said[:20], python)


def test_columns_that_never_change_are_left_out_and_the_others_keep_their_place():
    features, target = sample(1500, 5)
    padded = np.ones((1500, FEATURES))
    padded[:, [3, 7, 9, 20, 28]] = features
    plain, spread_out = grow(features, target), grow(padded, target)
    assert set(np.unique(spread_out.feature)) <= {-1, 3, 7, 9, 20, 28}
    for i in range(50):
        assert forest_value(spread_out, padded[i]) == forest_value(plain, features[i])


def test_nothing_to_tell_rows_apart_by_gives_the_median():
    assert forest_value(grow(np.ones((20, 3)), np.arange(20.0)), np.ones(3)) == 9.5
    assert forest_value(constant_forest(2.5), np.zeros(4)) == 2.5
    constant = grow(sample(600, 3)[0], np.full(600, 4.0))
    assert forest_value(constant, np.zeros(3)) == pytest.approx(4.0)


def test_trees_do_not_depend_on_the_number_of_threads():
    from threadpoolctl import threadpool_limits

    features, target = sample(3000, 8)
    forests = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            forests.append(grow(features, target))
    for one, two in zip(*forests, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_refit_is_a_function_of_its_rows(grown):
    rows = grown[1].rows.rows
    for one, two in zip(refit(rows).middles[0], refit(rows.copy()).middles[0], strict=True):
        np.testing.assert_array_equal(one, two)


def test_there_are_no_trees_before_two_days_and_500_rows():
    history, member = walked(Boosted.start(lead=1), daily(10))
    assert len(member.rows) == 480 - 2
    assert member.trees is None
    # It says the level until then.
    assert member.log_quantiles(LEVELS)[0, 1] == pytest.approx(history.latest[1], abs=0.15)


def test_trees_learn_a_season_and_say_it_with_calibrated_residuals(grown):
    history, member = grown
    truth = daily(15)
    inside = 0
    for n in range(13 * DAY, 15 * DAY - 1):
        low, middle, high = np.exp(member.log_quantiles(LEVELS)[0]) - 1.0
        inside += low <= truth[n + 1] <= high
        assert middle == pytest.approx(truth[n + 1], rel=0.3)
        history, member = learned(history, member, truth[n : n + 1])
    assert inside / (2 * DAY - 1) == pytest.approx(0.9, abs=0.1)


def test_trees_are_grown_once_a_day(monkeypatch):
    grown_at = []
    real = boosted_module.refit
    monkeypatch.setattr(boosted_module, "refit", lambda rows: grown_at.append(len(rows)) or real(rows))
    walked(Boosted.start(lead=1), daily(12.6))
    assert grown_at == [500, 500 + DAY, 500 + 2 * DAY]


def test_training_rows_hold_what_was_known_and_what_came(grown):
    history, member = grown
    origin = history.matured()
    row = member.rows.rows[-1]
    np.testing.assert_array_equal(row[:FEATURES], origin.features)
    np.testing.assert_allclose(row[FEATURES : FEATURES + TARGETS], origin.targets - origin.level)
    said = member.predictions.rows[-1 - origin.age]
    np.testing.assert_allclose(row[-TARGETS:], origin.targets - said[0] - said[1:-1:2])


def test_rows_from_before_the_trees_know_no_residual(grown):
    assert np.isnan(grown[1].rows.rows[:400, -TARGETS:]).all()


def test_training_rows_are_thinned_and_bounded():
    member = Boosted.start(lead=0)
    history = LeadHistory.start(lead=0, bin_s=60.0, floor=1.0)
    _, member = learned(history, member, np.random.default_rng(0).uniform(1.0, 2.0, 300))
    # 28 days of minutes are 40,320 origins: one in five is kept of them.
    assert len(member.rows) == 60
    assert member.rows.rows_max == 8000


@pytest.mark.parametrize("start", [Boosted.start(lead=1), PointMember.start(SeasonalNaive(DAY), lead=1)])
def test_what_a_member_says_does_not_depend_on_other_branches(start):
    history, member = walked(start, daily(11.5))
    said = member.log_quantiles(LEVELS)
    branches = []
    for value in (5.0, 500.0, NAN):
        branches.append(learned(history, member, [value])[1])
    np.testing.assert_array_equal(member.log_quantiles(LEVELS), said)
    assert branches[0].log_quantiles(LEVELS)[0, 1] < branches[1].log_quantiles(LEVELS)[0, 1]


def test_growing_warns_of_nothing_on_odd_histories():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (np.zeros(530), np.full(530, 7.0), np.r_[daily(10.5), np.full(30, NAN), daily(2)]):
            _, member = walked(Boosted.start(lead=1), values)
            assert np.isfinite(member.log_quantiles(LEVELS)).all()


def test_a_point_model_says_its_forecast_of_the_target_bin_and_of_the_peak():
    # Doubles at bin 2 of each day of 48: from the end of day 3, a lead of 3 looks at bins 0 to 3.
    shape = np.full(DAY, 10.0)
    shape[2] = 80.0
    history, member = walked(PointMember.start(SeasonalNaive(DAY), lead=3), np.tile(shape, 3), lead=3)
    said = member.predictions.rows[-1]
    assert said[0] + said[1] == pytest.approx(math.log(11.0))
    assert said[0] + said[3] == pytest.approx(math.log(81.0))
    assert said[-1] == history.bound_log


def test_a_point_model_is_fitted_after_a_day_and_whenever_the_history_has_doubled():
    class Counting:
        name = "counting"
        seen: tuple[int, ...] = ()

        def fit(self, series: Series):
            self.seen = (*self.seen, len(series))
            return LastValue().fit(series)

    model = Counting()
    walked(PointMember.start(model, lead=1), daily(9))
    assert model.seen == (DAY, 2 * DAY, 4 * DAY, 8 * DAY)


def test_a_point_model_sees_missing_bins_as_missing():
    values = daily(3)
    values[70:74] = NAN
    fitted_to = []

    class Watched:
        name = "watched"

        def fit(self, series: Series):
            fitted_to.append(series.values)
            return LastValue().fit(series)

    walked(PointMember.start(Watched(), lead=1), values)
    np.testing.assert_allclose(fitted_to[-1], values[: 2 * DAY], rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(fitted_to[-1]), np.isnan(values[: 2 * DAY]))
    _, dark = walked(PointMember.start(LastValue(), lead=1), np.r_[values, np.full(3, NAN)])
    assert dark.predictions.rows[-1][:2].sum() == pytest.approx(math.log(values[-1] + 1.0))


def test_a_point_model_before_its_first_fit_says_the_level():
    _, member = walked(PointMember.start(SeasonalNaive(DAY), lead=1), daily(0.5))
    assert member.fitted is None
    assert member.predictions.rows[-1][1] == 0.0
    assert member.name == "seasonal-naive"


@pytest.mark.parametrize("lead", [0, 1, 4])
def test_residuals_are_those_of_the_forecast_for_the_newest_bin(lead):
    # On a ramp of the log the last value falls short by one slope per step, at any lead.
    values = np.exp(0.02 * np.arange(4 * DAY))
    _, member = walked(PointMember.start(LastValue(), lead=lead), values, lead=lead, floor=1e-9)
    median = member.log_quantiles(np.array([0.5]))
    np.testing.assert_allclose(median, 0.02 * (4 * DAY - 1 + lead + 1), atol=0.01)


def test_an_outage_teaches_members_nothing():
    for start in (Boosted.start(lead=1), PointMember.start(LastValue(), lead=1)):
        history, member = walked(start, daily(3))
        before = member.records
        _, member = learned(history, member, [NAN] * 20)
        np.testing.assert_array_equal(member.records, before)


def test_members_join_the_ensemble_beside_regressions():
    members = ["last-value", Boosted.start(lead=1), PointMember.start(SeasonalNaive(DAY), lead=1)]
    ensemble = LeadEnsemble.start(lead=1, bin_s=HALF_HOUR_S, floor=1.0, members=members)
    ensemble = ensemble.fit(Series.of(daily(12), bin_s=HALF_HOUR_S))
    assert [member.name for member in ensemble.members] == ["last-value", "boosted", "seasonal-naive"]
    assert ensemble.weights[2, 0] > ensemble.weights[0, 0]
