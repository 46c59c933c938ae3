"""Fitting an ensemble to many bins gives the very bits of as many updates, and states stay small and their holders'."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from forecasting.lead_ensemble import LEAD_LEVELS, LeadEnsemble
from forecasting.lead_member import TARGETS
from forecasting.lead_members import DEFAULT_MEMBERS, MEMBERS
from forecasting.naive import SeasonalNaive
from forecasting.point_member import PointMember
from forecasting.series import Series

HOUR_S = 3600.0
DAY = 24
# More than the 28 days that are remembered, and than the 1,024 bins that are seen in one go.
BINS = 1300


def demand_of(bins: int, seed: int = 0) -> np.ndarray:
    """A day, noise, bursts, an idle stretch, gaps of 1 to 40 bins and three missing bins at the start."""
    rng = np.random.default_rng(seed)
    values = 50.0 * np.exp(np.sin(2 * np.pi * np.arange(bins) / DAY) + rng.normal(0.0, 0.2, bins))
    values[rng.random(bins) < 0.01] *= 20.0
    values[bins // 3 : bins // 3 + 30] = 0.0
    for first, length in ((0, 3), (30, 1), (bins // 2, 40), (bins - 60, 2), (bins - 58, 1)):
        values[first : first + length] = math.nan
    return values


def start_of(lead: int, members=DEFAULT_MEMBERS) -> LeadEnsemble:
    return LeadEnsemble.start(lead=lead, bin_s=HOUR_S, floor=0.5, start_s=1.7e9, members=members)


def updated(ensemble: LeadEnsemble, values) -> tuple[LeadEnsemble, np.ndarray]:
    """The ensemble after one update per value, and its quantiles after each."""
    quantiles = []
    for value in values:
        ensemble = ensemble.update(float(value))
        quantiles.append(ensemble.quantiles)
    return ensemble, np.array(quantiles).reshape(-1, TARGETS, len(LEAD_LEVELS))


def series(values) -> Series:
    return Series.of(values, bin_s=HOUR_S)


@pytest.fixture
def assert_same(arrays_of):
    """Fails unless two states are equal to the bit."""

    def check(one, other):
        ours, theirs = arrays_of(one), arrays_of(other)
        assert len(ours) == len(theirs) > 50
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)

    return check


@pytest.mark.parametrize("lead", [0, 3, 10, 30])
@pytest.mark.parametrize("before", [0, 2, 700])
def test_a_fit_is_as_many_updates_to_the_bit(lead, before, assert_same):
    values = demand_of(BINS + before + 200)
    start, _ = updated(start_of(lead), values[:before])
    rest, following = values[before:-200], values[-200:]
    fitted, quantiles = start.fit_with_quantiles(series(rest))
    expected, expected_quantiles = updated(start, rest)
    np.testing.assert_array_equal(quantiles, expected_quantiles)
    assert_same(fitted, expected)
    np.testing.assert_array_equal(updated(fitted, following)[1], updated(expected, following)[1])


def test_how_a_series_is_cut_into_fits_does_not_matter(assert_same):
    values = demand_of(BINS)
    whole = start_of(3).fit(series(values))
    cut = start_of(3)
    for part in np.split(values, [1, 2, 7, 30, 48, 49, 600, 1200, 1200]):
        cut = cut.fit(series(part))
    assert_same(cut, whole)


def test_what_came_before_the_first_known_bin_has_no_quantiles():
    fitted, quantiles = start_of(3).fit_with_quantiles(series([math.nan, math.nan, 5.0]))
    assert np.isnan(quantiles[:2]).all()
    np.testing.assert_array_equal(quantiles[2], fitted.quantiles)
    dark, nothing = start_of(3).fit_with_quantiles(series([math.nan] * 5))
    assert np.isnan(nothing).all()
    assert (dark.history.bins, dark.history.bins_known) == (5, 0)
    assert start_of(3).fit_with_quantiles(series([]))[1].shape == (0, TARGETS, len(LEAD_LEVELS))


def test_quantiles_are_those_asked_for_at_the_lead():
    fitted = start_of(3).fit(series(demand_of(400)))
    np.testing.assert_array_equal(fitted.quantiles, fitted.at_lead(LEAD_LEVELS))


def test_any_member_can_be_fitted(assert_same):
    # Trees are grown after 500 training rows; a point model without a loop of its own is updated bin by bin.
    members = (*MEMBERS, PointMember.start(SeasonalNaive(DAY), lead=1))
    values = demand_of(560)
    fitted, quantiles = start_of(1, members).fit_with_quantiles(series(values))
    expected, expected_quantiles = updated(start_of(1, members), values)
    assert fitted.members[MEMBERS.index("boosted")].trees is not None
    np.testing.assert_array_equal(quantiles, expected_quantiles)
    assert_same(fitted, expected)


def test_a_fit_leaves_the_old_ensemble_and_its_other_branches_as_they_were(arrays_of, assert_same):
    values = demand_of(BINS + 400)
    old = start_of(10).fit(series(values[:BINS]))
    before = [array.copy() for array in arrays_of(old)]
    branch = old.update(1.0).update(2.0)
    seen = [array.copy() for array in arrays_of(branch)]
    longer = old.fit(series(values[BINS:]))
    assert_same(old, before)
    assert_same(branch, seen)
    assert_same(longer, start_of(10).fit(series(values)))


def test_an_ensemble_survives_pickling_without_the_spare_room(assert_same):
    fitted = start_of(10).fit(series(demand_of(BINS)))
    pickled = pickle.dumps(fitted)
    restored = pickle.loads(pickled)  # noqa: S301 (our own bytes)
    assert_same(restored, fitted)
    following = demand_of(50, seed=1)
    np.testing.assert_array_equal(updated(restored, following)[1], updated(fitted, following)[1])
    assert len(pickled) < 130_000


def buffers_of(state: object, found: dict[int, np.ndarray]) -> int:
    """Bytes of all arrays that a state holds on to, each once, whole where only a part is seen."""
    if isinstance(state, np.ndarray):
        while isinstance(state.base, np.ndarray):
            state = state.base
        found[id(state)] = state
    elif isinstance(state, (list, tuple)):
        for part in state:
            buffers_of(part, found)
    for name in getattr(type(state), "__slots__", ()):
        buffers_of(getattr(state, name), found)
    return sum(array.nbytes for array in found.values())


def test_two_weeks_of_minutes_take_less_than_230_kb_at_any_time():
    bins = 14 * 1440
    rate = 50.0 + 40.0 * np.sin(2 * np.pi * np.arange(bins) / 1440)
    demand = np.random.default_rng(0).poisson(60 * rate) / 60.0
    ensemble = LeadEnsemble.start(lead=10, bin_s=60.0, floor=2.5)
    ensemble = ensemble.fit(Series.of(demand[:-2000], bin_s=60.0))
    sizes = [buffers_of(ensemble, {})]
    for value in demand[-2000:]:
        ensemble = ensemble.update(float(value))
        sizes.append(buffers_of(ensemble, {}))
    assert 150_000 < max(sizes) < 230_000
