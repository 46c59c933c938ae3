"""Load latencies as distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import lead_bins_of


def test_a_constant_is_the_same_at_every_level_and_in_every_draw():
    load = LoadLatency.constant(90.0)
    assert [load.quantile_s(level) for level in (0.01, 0.5, 0.99)] == [90.0] * 3
    assert load.sample_s(5, seed=1).tolist() == [90.0] * 5
    assert load.label == "90s"


def test_observed_loads_are_sorted_and_interpolated():
    load = LoadLatency.empirical([30.0, 10.0], label="loads.csv")
    assert load.quantiles_s == (10.0, 30.0)
    assert load.quantile_s(0.5) == 20.0
    assert (load.quantile_s(0.01), load.quantile_s(0.99)) == (10.0, 30.0)


def test_a_lognormal_has_its_median_and_its_spread():
    load = LoadLatency.lognormal(120.0, 0.5)
    assert load.quantile_s(0.5) == pytest.approx(120.0)
    assert load.quantile_s(0.8413) == pytest.approx(120.0 * np.exp(0.5), rel=0.01)
    drawn = np.log(load.sample_s(100_000, seed=3))
    assert (drawn.mean(), drawn.std()) == pytest.approx((np.log(120.0), 0.5), abs=0.01)
    assert LoadLatency.lognormal(120.0, 0.0).quantiles_s == (120.0,)


def test_draws_follow_the_seed():
    load = LoadLatency.lognormal(120.0, 0.5)
    np.testing.assert_array_equal(load.sample_s(50, seed=4), load.sample_s(50, seed=4))
    assert not np.array_equal(load.sample_s(50, seed=4), load.sample_s(50, seed=5))


@pytest.mark.parametrize("loads_s", [[], [-1.0], [float("nan")], [5.0, float("inf")]])
def test_what_is_no_load_is_refused(loads_s):
    with pytest.raises(ValueError, match="load latencies must be finite and not negative"):
        LoadLatency.empirical(loads_s, label="x")


@pytest.mark.parametrize(
    ("load_s", "bin_s", "bins"),
    [(0, 60, 0), (1, 60, 1), (60, 60, 1), (61, 60, 2), (600, 60.00000001, 10), (0.3, 0.1, 3)],
)
def test_a_lead_is_whole_bins_and_rounding_adds_none(load_s, bin_s, bins):
    spec = Spec(bin_s, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.constant(load_s))
    assert lead_bins_of(spec) == bins


def test_the_lead_covers_most_loads_not_the_median_one():
    spec = Spec(60.0, {"requests": 1.0}, Objective(10.0, 0.01), LoadLatency.lognormal(120.0, 0.5))
    assert lead_bins_of(spec) == 4  # nine loads in ten are done within 120 s * exp(0.5 * 1.28) = 228 s


def test_what_is_left_of_a_load_is_the_median_of_the_longer_ones():
    load = LoadLatency.empirical([10.0, 20.0, 30.0, 40.0, 50.0], label="x")
    assert load.remaining_s(0.0) == 30.0
    assert load.remaining_s(25.0) == 15.0  # 30, 40 and 50 remain possible
    assert load.remaining_s(45.0) == 5.0
    assert load.remaining_s(0.0, level=0.9) == 50.0
    assert LoadLatency.constant(120.0).remaining_s(90.0) == 30.0


def test_an_overdue_load_is_expected_soon_and_a_stuck_one_not_before_a_whole_load():
    load = LoadLatency.constant(100.0)
    assert load.remaining_s(100.0) == 1.0
    assert load.remaining_s(130.0) == 30.0
    assert load.remaining_s(300.0) == load.remaining_s(1e9) == load.remaining_s(float("inf")) == 100.0


def test_ages_that_make_no_sense_are_those_of_a_load_just_ordered():
    load = LoadLatency.constant(100.0)
    assert [load.remaining_s(age_s) for age_s in (-5.0, float("nan"))] == [100.0, 100.0]


def test_due_bins_are_whole_at_least_one_and_rounding_adds_none():
    load = LoadLatency.constant(600.0)
    assert load.due_bins([0.0, 541.0, 599.9, 600.0, 1200.0], 60.0).tolist() == [10, 1, 1, 1, 10]
    assert load.due_bins([0.0], 60.00000001).tolist() == [10]
    assert load.due_bins([], 60.0).shape == (0,)
    assert LoadLatency.constant(0.0).due_bins([0.0, 5.0], 60.0).tolist() == [1, 1]


LOADS = st.lists(st.floats(0.0, 1e5), min_size=1, max_size=30).map(lambda s: LoadLatency.empirical(s, label="x"))


@given(LOADS, st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_the_expected_time_of_readiness_only_moves_later_as_a_load_takes_longer(load, age, other_age, level, other):
    younger, older = sorted((age, other_age))
    likely, surely = sorted((level, other))
    near = 1e-6
    assert younger + load.remaining_s(younger, likely) <= older + load.remaining_s(older, likely) + near
    assert 0.0 < load.remaining_s(age, likely) <= load.remaining_s(age, surely) + near


@given(LOADS, st.lists(st.floats(), max_size=10), st.floats(0.1, 3600.0))
def test_due_bins_are_at_least_one_whatever_the_ages(load, ages, bin_s):
    due = load.due_bins(ages, bin_s)
    assert due.shape == (len(ages),)
    assert (due >= 1).all()
