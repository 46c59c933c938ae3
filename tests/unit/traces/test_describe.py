from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.errors import UsageError
from autoscaler.traces.describe import _lowest_before, describe
from autoscaler.traces.read import read_trace
from autoscaler.traces.trace import Trace

NAN = float("nan")


def trace_of(counts: list[float] | np.ndarray, bin_s: float = 60.0) -> Trace:
    return Trace("t", 0.0, bin_s, {"requests": np.array(counts, dtype=float)}, False)


def test_rates_are_per_second_and_leave_missing_bins_out() -> None:
    d = describe(trace_of([60, NAN, 0, 180]))
    assert (d.bins, d.span_s, d.total) == (4, 240.0, 240.0)
    assert (d.mean_per_s, d.median_per_s, d.peak_per_s) == (80 / 60, 1.0, 3.0)
    assert (d.missing_share, d.zero_share) == (0.25, 1 / 3)
    assert d.peak_to_mean == pytest.approx(180 / 80)


def test_a_ramp_is_missed_by_one_step_a_bin_ago() -> None:
    d = describe(trace_of(np.arange(1, 101.0)))
    assert d.bin_ago_wape == pytest.approx(99 / (5050 - 1))


def test_a_repeated_day_is_forecast_by_yesterday_and_a_week_is_too_short_to_tell() -> None:
    day = np.random.default_rng(1).integers(100, 900, 24).astype(float)
    d = describe(trace_of(np.tile(day, 3), bin_s=3600))
    assert (d.day_ago_wape, d.day_correlation) == (0.0, pytest.approx(1.0))
    assert (d.week_ago_wape, d.week_correlation) == (None, None)


def test_a_day_that_is_no_whole_number_of_bins_has_no_yesterday() -> None:
    assert describe(trace_of(np.ones(100), bin_s=7 * 3600)).day_ago_wape is None


def test_constant_and_empty_demand_divide_nothing_by_zero() -> None:
    flat = describe(trace_of(np.full(60, 5.0), bin_s=3600))
    assert (flat.variation, flat.dispersion, flat.day_correlation, flat.fastest_doubling_s) == (0.0, 0.0, None, None)
    none = describe(trace_of(np.zeros(60)))
    assert (none.peak_to_mean, none.bin_ago_wape, none.dispersion, none.steepest_rise_per_s) == (None, None, None, 0.0)


def test_poisson_noise_has_dispersion_one_and_does_not_double() -> None:
    d = describe(trace_of(np.random.default_rng(2).poisson(6, 5000)))
    assert d.dispersion == pytest.approx(1, abs=0.1)
    assert d.noise_dispersion == pytest.approx(1, abs=0.1)
    assert d.fastest_doubling_s is None


@pytest.mark.parametrize(("ramp_bins", "bins"), [(1, 1), (2, 2), (5, 5)])
def test_the_fastest_doubling_is_as_long_as_the_ramp(ramp_bins: int, bins: int) -> None:
    ramp = np.linspace(1000, 2000, ramp_bins + 1)
    d = describe(trace_of(np.concatenate([np.full(50, 1000.0), ramp[1:], np.full(50, 2000.0)])))
    assert d.fastest_doubling_s == bins * 60


def test_the_steepest_rise_looks_ten_minutes_back_and_across_gaps() -> None:
    counts = np.full(40, 600.0)
    counts[20:] = 1800.0
    assert describe(trace_of(counts)).steepest_rise_per_s == 20.0
    slow = describe(trace_of(600.0 + 60 * np.arange(100)))
    assert (slow.steepest_rise_per_s, slow.rise_window_s) == (10.0, 600.0)
    counts[15:25] = NAN
    assert describe(trace_of(counts)).steepest_rise_per_s == 0.0
    counts[15] = 600.0
    assert describe(trace_of(counts)).steepest_rise_per_s == 20.0
    assert describe(trace_of([600, 1200], bin_s=1800)).rise_window_s == 1800


@given(st.lists(st.one_of(st.just(NAN), st.integers(0, 9).map(float)), min_size=1, max_size=12), st.integers(1, 13))
def test_the_lowest_before_is_what_a_loop_finds(counts: list[float], bins: int) -> None:
    expected = [min((c for c in counts[max(0, i - bins) : i] if c >= 3), default=np.inf) for i in range(len(counts))]
    np.testing.assert_array_equal(_lowest_before(np.array(counts), bins, 3.0), expected)


def test_unknown_units_and_nothing_known_are_refused() -> None:
    with pytest.raises(UsageError, match="no unit 'tokens'; there are: requests"):
        describe(trace_of([1, 2]), "tokens")
    with pytest.raises(UsageError, match="missing in all 2 bins"):
        describe(trace_of([NAN, NAN]))


def test_the_known_predictability_of_a_real_trace(shared_traces: Path) -> None:
    d = describe(read_trace(shared_traces / "servegen_m_large_10min.csv"))
    assert round(d.day_ago_wape, 2) == 0.39
    assert round(d.bin_ago_wape, 2) == 0.11
    assert (round(d.mean_per_s), round(d.peak_per_s)) == (196, 583)
