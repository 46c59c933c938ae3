"""Load latencies as distributions."""

from __future__ import annotations

import numpy as np
import pytest

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
