"""Naive members of the lead ensemble, and the vote that the ensemble's average loses to one of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from forecasting.evaluate import pinball_loss
from forecasting.lead_average import has_vote
from forecasting.lead_ensemble import LEAD_LEVELS, LeadEnsemble
from forecasting.lead_member import TARGETS
from forecasting.lead_members import start_member
from forecasting.lead_naive import CLIMATOLOGY, LAST_VALUE
from forecasting.series import Series

MINUTE_S = 60.0
LEAD = 2
LEVELS = np.array([0.05, 0.5, 0.9])


def ensemble_of(*members: str, lead: int = LEAD, bin_s: float = MINUTE_S) -> LeadEnsemble:
    return LeadEnsemble.start(lead=lead, bin_s=bin_s, floor=0.5, **({"members": members} if members else {}))


def series(values, bin_s: float = MINUTE_S) -> Series:
    return Series.of(values, bin_s=bin_s)


def noisy(bins: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(8.0, 5.0, bins)


def said_by(ensemble: LeadEnsemble, name: str, levels=LEVELS) -> np.ndarray:
    member = next(member for member in ensemble.members if member.name == name)
    return np.exp(member.log_quantiles(np.asarray(levels))) - ensemble.history.floor


def misled(bins: int) -> LeadEnsemble:
    """An ensemble whose average lost twice what the last value lost."""
    fitted = ensemble_of().fit(series(noisy(bins)))
    _, its, bins = fitted.judged
    return replace(fitted, judged=np.array([2.0 * its, its, bins]))


def test_climatology_says_what_usually_came_whatever_the_demand_is_now():
    values = noisy(3000)
    values[-3:] = 400.0
    fitted = ensemble_of(CLIMATOLOGY).fit(series(values))
    np.testing.assert_allclose(fitted.at_lead(LEVELS)[0], np.quantile(values, LEVELS), rtol=0.03)
    peaks = np.max([values[:-2], values[1:-1], values[2:]], axis=0)
    np.testing.assert_allclose(fitted.at_lead(LEVELS)[1], np.quantile(peaks, LEVELS), rtol=0.03)


def test_the_last_value_goes_where_the_demand_goes_with_the_ratios_that_came():
    steps = np.random.default_rng(0).normal(0.0, 0.05, 3000)
    values = 20.0 * np.exp(np.cumsum(steps - steps.mean()))
    values[-1] *= 30.0
    before, after = ensemble_of(LAST_VALUE).fit(series(values[:-1])), ensemble_of(LAST_VALUE).fit(series(values))
    ratios = np.log((values[LEAD + 1 :] + 0.5) / (values[: -LEAD - 1] + 0.5))[:-1]
    expected = (values[-2] + 0.5) * np.exp(np.quantile(ratios, LEVELS)) - 0.5
    np.testing.assert_allclose(before.at_lead(LEVELS)[0], expected, rtol=0.03)
    assert after.at_lead([0.5])[0, 0] == pytest.approx(values[-1], rel=0.05)


def test_in_a_gap_the_last_value_is_the_imputed_one():
    values = np.full(400, 20.0)
    values[-30:] = math.nan
    fitted = ensemble_of(LAST_VALUE).fit(series(values))
    assert fitted.at_lead([0.5])[0, 0] == pytest.approx(20.0, rel=0.05)


@pytest.mark.parametrize("name", [LAST_VALUE, CLIMATOLOGY])
def test_before_anything_came_a_burst_is_thought_possible(name):
    said = ensemble_of(name).update(10.0).at_lead([0.05, 0.5, 0.95])[0]
    assert said[1] == pytest.approx(10.0, rel=0.05)
    assert said[0] < 5.0
    # No forecast is far above all that ever came.
    assert 12.0 < said[2] < 14.0


def test_half_an_hour_of_seconds_that_are_mostly_empty_is_enough_for_quantiles_that_hold():
    # As requests that come in batches: with spreads of no experience in the quantiles, 90 % held 73 % of what came.
    rng = np.random.default_rng(0)
    values = np.where(rng.random(3600) < 0.7, 0.0, rng.poisson(12.0, 3600))
    lead = 300
    _, quantiles = ensemble_of(lead=lead, bin_s=1.0).fit_with_quantiles(series(values, 1.0))
    said = quantiles[1800 : -lead - 1, 0]
    came = values[1800 + lead + 1 :]
    nine_tenths, ideal = said[:, np.searchsorted(LEAD_LEVELS, 0.9)], np.quantile(came, 0.9)
    assert pinball_loss(came, nine_tenths, 0.9).mean() < 1.2 * pinball_loss(came, np.full(len(came), ideal), 0.9).mean()
    for level in (0.9, 0.95, 0.99):
        assert (came <= said[:, np.searchsorted(LEAD_LEVELS, level)]).mean() > level - 0.03


def test_a_member_by_name_is_one():
    for name in (LAST_VALUE, CLIMATOLOGY):
        assert start_member(name, lead=3, bin_s=MINUTE_S).name == name


def test_the_vote_is_lost_and_regained_with_a_margin_between():
    judged = [np.array([loss, 1.0, 1.0]) for loss in (0.9, 1.04, 1.08, 1.12)]
    assert [has_vote(losses, True) for losses in judged] == [True, True, True, False]
    assert [has_vote(losses, False) for losses in judged] == [True, True, False, False]
    assert has_vote(np.zeros(3), True)


def with_spike(at, factor):
    """What an ensemble is after each bin from a spike on, of ten days of a regular service."""
    rng = np.random.default_rng(5)
    bins = 10 * 288
    values = 40.0 * (1.1 + np.sin(2 * np.pi * np.arange(bins) / 288)) * np.exp(rng.normal(0.0, 0.05, bins))
    values[at : at + 4] *= factor
    ensemble = ensemble_of(bin_s=300.0, lead=2).fit(series(values[: at - 1], 300.0))
    for value in values[at - 1 :]:
        ensemble = ensemble.update(float(value))
        yield ensemble


def test_one_spike_does_not_cost_a_regular_service_its_forecast():
    after = list(with_spike(6 * 288, 20.0))
    assert all(ensemble.trusted for ensemble in after)
    assert after[-1].skill > 0.0


def test_what_is_absurd_leaves_no_loss_below_nothing():
    assert all((ensemble.judged >= 0.0).all() for ensemble in with_spike(6 * 288, 1e18))


def test_what_begins_after_days_of_nothing_is_judged_by_what_it_loses_then():
    ensemble = ensemble_of(bin_s=300.0, lead=2).fit(series(np.zeros(3 * 288), 300.0))
    assert (ensemble.judged[:2] < 2.0).all()
    ensemble = ensemble.fit(series(np.random.default_rng(6).gamma(8.0, 5.0, 288), 300.0))
    assert (ensemble.judged[:2] > 20.0).all()


def test_an_average_that_was_worse_than_the_last_value_says_what_that_says():
    ensemble = misled(800)
    assert ensemble.trusted
    assert ensemble.skill == pytest.approx(-1.0)
    ensemble = ensemble.update(40.0)
    assert not ensemble.trusted
    assert ensemble.skill < -0.9
    np.testing.assert_allclose(ensemble.at_lead(LEVELS), said_by(ensemble, LAST_VALUE), rtol=1e-12)
    np.testing.assert_array_equal(ensemble.quantiles, ensemble.at_lead(LEAD_LEVELS))
    names = [member.name for member in ensemble.members]
    assert ensemble.weights[names.index(LAST_VALUE)].tolist() == [1.0] * TARGETS
    assert ensemble.weights.sum() == TARGETS


def test_the_vote_comes_back_when_the_average_was_better_for_long_enough():
    ensemble = misled(800).fit(series(noisy(20 * 1440, seed=1)))
    assert ensemble.trusted
    assert ensemble.skill > 0.1
    assert ensemble.weights.max() < 1.0


def test_nobody_is_judged_by_the_first_hundred_leads():
    assert misled(100 * (LEAD + 1) - 1).update(40.0).trusted
    assert not misled(100 * (LEAD + 1)).update(40.0).trusted


def test_without_the_vote_a_fit_is_as_many_updates_to_the_bit():
    start, values = misled(800), noisy(100, seed=1)
    values[40:43] = math.nan
    fitted, quantiles = start.fit_with_quantiles(series(values))
    one_by_one = start
    for n, value in enumerate(values):
        one_by_one = one_by_one.update(float(value))
        np.testing.assert_array_equal(one_by_one.quantiles, quantiles[n])
    assert one_by_one.trusted is fitted.trusted is False
    np.testing.assert_array_equal(one_by_one.losses, fitted.losses)


def test_skill_is_unknown_before_a_loss_is_and_without_the_last_value():
    assert math.isnan(ensemble_of().skill)
    assert math.isnan(ensemble_of().update(5.0).skill)
    without = ensemble_of(CLIMATOLOGY).fit(series(noisy(800)))
    assert math.isnan(without.skill)
    assert without.trusted
    assert ensemble_of().fit(series(noisy(800))).skill > 0.1
