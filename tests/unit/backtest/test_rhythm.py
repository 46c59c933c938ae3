"""Once an interval, on the interval before: a trace finer than that is not decided on bin by bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.backtest.headstart import replay_headstart, spec_of
from autoscaler.backtest.rhythm import Rhythm

NAN = np.nan


def test_demand_is_the_mean_of_the_interval_that_ended(replica_setting):
    rhythm = Rhythm(replica_setting(np.arange(12.0), bin_s=15.0, load_s=60.0))
    assert rhythm.every == 4
    assert [t for t in range(12) if rhythm.is_interval(t)] == [0, 4, 8]
    assert rhythm.demand_rps(8) == {"requests": 5.5}
    assert np.isnan(rhythm.demand_rps(0)["requests"])


@pytest.mark.parametrize(
    ("demand", "mean"), [([1.0, NAN, 3.0, 5.0], 3.0), ([1.0, NAN, NAN, 5.0], NAN), ([NAN] * 4, NAN)]
)
def test_what_is_missing_is_not_zero_and_half_of_an_interval_is_too_little(demand, mean, replica_setting):
    setting = replace(
        replica_setting(np.ones(8), bin_s=15.0, load_s=60.0), demand_rps={"requests": np.array(demand * 2)}
    )
    np.testing.assert_equal(Rhythm(setting).demand_rps(4)["requests"], mean)


def test_loading_replicas_are_due_in_intervals_rounded_up(replica_setting):
    rhythm = Rhythm(replica_setting(np.ones(8), bin_s=15.0, load_s=60.0))
    assert rhythm.due(np.array([1, 4, 5, 8])).tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(("bin_s", "every"), [(1.0, 60), (7.0, 9), (60.0, 1), (600.0, 1)])
def test_an_interval_is_whole_bins_and_one_at_least(bin_s, every, replica_setting):
    setting = replica_setting(np.ones(100), bin_s=bin_s, load_s=60.0)
    assert Rhythm(setting).every == every
    assert spec_of(setting).bin_s == every * bin_s


def test_the_plan_changes_with_an_interval_and_knows_only_what_was_before(replica_setting):
    demand = 5 + 3 * np.sin(np.arange(3600) / 300) + np.random.default_rng(0).uniform(-1, 1, 3600)
    setting = replica_setting(demand, bin_s=1.0, load_s=120.0)
    desired = replay_headstart(setting).outcome.desired
    assert set(np.flatnonzero(np.diff(desired)) % 60) == {59}
    cut = replay_headstart(replica_setting(demand[:2000], bin_s=1.0, load_s=120.0)).outcome.desired
    np.testing.assert_array_equal(cut, desired[:2000])
