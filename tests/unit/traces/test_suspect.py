"""Columns that read well and are hardly counts per bin: cumulative counters and rates."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.traces.suspect import suspicions
from autoscaler.traces.trace import Trace


def told(values) -> str:
    return " ".join(suspicions(Trace("t", 0.0, 60.0, {"requests": np.array(values, dtype=float)}, True)))


def test_a_counter_is_told_through_gaps_and_idle_bins():
    rising = np.cumsum([5.0, 0.0, 3.5, 8.0] * 10)
    rising[[7, 8]] = np.nan
    assert "column 'requests' never falls, like a cumulative counter" in told(rising)


def counter(mean: float, resets: int, bins: int = 4000) -> np.ndarray:
    """What a counter shows at the end of each bin, begun anew so many times, one time soon after another."""
    counts = np.random.default_rng(1).poisson(mean, bins)
    starts = [0, *(bins // 2 + 15 * k for k in range(resets))]
    return np.concatenate([np.cumsum(each, dtype=float) for each in np.split(counts, starts)])


@pytest.mark.parametrize("mean", [0.3, 600.0])
def test_a_counter_is_told_through_resets_and_though_it_rarely_rises(mean):
    assert "never falls, like a cumulative counter: counts" in told(counter(mean, 0))
    reset = counter(mean, 3)
    reset[700:720] = np.nan
    assert "never falls but to near nothing, like a cumulative counter with resets: counts" in told(reset)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5],  # too few to say
        [*range(30), 12],  # falls once
        [0] * 20 + [1] * 20 + [2] * 20,  # rarely rises
        np.random.default_rng(0).poisson(50, 500),
        np.random.default_rng(0).poisson(0.001, 20_000),  # falls seldom, and to nothing, but rises as seldom
        np.random.default_rng(0).poisson(0.1, 20_000),
        [0] * 5000 + [3] + [0] * 5000,
        np.zeros(5000),
        [*range(100), *range(50, 200)],  # falls once, and not to near nothing
        np.tile(np.append(np.arange(50), 0), 20),  # falls after each 50 rises
        [np.nan, 4, np.nan],
    ],
)
def test_counts_are_not_suspected(values):
    assert told(values) == ""


def test_a_column_that_is_mostly_fractional_is_like_a_rate():
    assert "mostly fractional, like a rate" in told([0.5, 1.25, 0, 3.1])
    assert told([0.5, 1, 2, 0, np.nan]) == ""


def test_a_file_that_states_its_bins_width_holds_no_rate_though_it_may_hold_a_counter():
    def told_stated(values) -> str:
        return " ".join(suspicions(Trace("t", 0.0, 60.0, {"requests": np.array(values)}, True, counted=True)))

    assert told_stated([0.5, 1.25, 0, 3.1]) == ""
    assert "like a cumulative counter" in told_stated(np.arange(30) + 0.5)


def test_each_unit_is_told_by_its_name():
    values = np.array([0.5, 0.25, 1.5])
    trace = Trace("t", 0.0, 60.0, {"requests": np.arange(3.0), "a": values, "b": values}, True)
    assert [text.split("'")[1] for text in suspicions(trace)] == ["a", "b"]


@pytest.mark.parametrize("broken", [[7], [7, 8]])
def test_a_bin_of_a_thousand_times_all_others_is_like_a_counter_that_broke(broken):
    values = np.random.default_rng(0).poisson(50, 500).astype(float)
    values[broken] = 5e7
    assert "has 5e+07 at 1970-01-01T00:07:00Z, more than 1,000 times nearly all others" in told(values)
    # Three are a burst, and one that is no thousand times all others may be.
    values[[9, 10, 11]] = 5e7
    assert told(values) == ""
    values[[7, 8, 9, 10, 11]] = [4e4, 50, 50, 50, 50]
    assert told(values) == ""
