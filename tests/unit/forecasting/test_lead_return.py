"""After an abrupt fall below the usual, the quantiles beyond the chance of a return are at the usual."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting import lead_return
from forecasting.clock import clock_of
from forecasting.clock import days_of as days_in
from forecasting.lead_ensemble import LEAD_LEVELS, LeadEnsemble
from forecasting.lead_raise import raise_bins, raise_newest
from forecasting.series import Series

DAY = 144
BIN_S = 600.0
LEAD = 3
DAYS = days_in(clock_of("UTC"), start_s=0.0, bin_s=BIN_S)


def days_of(demand, days=5):
    bins = np.arange(days * DAY)
    return demand * (1 + 0.5 * np.sin(2 * np.pi * bins / DAY))


def logs(values):
    return np.log(np.asarray(values) + 0.5).astype(np.float32)


def fitted(values, lead=LEAD):
    start = LeadEnsemble.start(lead=lead, bin_s=BIN_S, floor=0.5)
    return start.fit(Series.of(np.asarray(values, dtype=np.float64), bin_s=BIN_S))


def fallen_after(values, before=0, ago=None):
    """Bins since the fall, after the bins from `before` on."""
    ago = np.full(2, -1) if ago is None else ago
    quantiles = np.zeros((len(values) - before, 2, len(LEAD_LEVELS)))
    return raise_bins(logs(values), LEAD, DAYS, 0.5, LEAD_LEVELS, ago, quantiles)[0]


def looked_back(log_demand):
    """Bins since the fall by looking back at all bins of a day."""
    newest = len(log_demand) - 1
    usual = [lead_return.usual_at(log_demand, i, DAYS) for i in range(len(log_demand))]
    height = log_demand - np.array(usual)
    if not height[newest] < np.log(0.1):
        return 0
    fallen = newest
    for i in range(newest - 1, max(0, newest - DAY), -1):
        if height[i] < np.log(0.1):
            fallen = i
        elif not height[i] < np.log(0.5):
            fell = log_demand[i] >= usual[fallen] + np.log(0.5)
            return newest - fallen + 1 if fell and fallen - i <= 3 else 0
    return 0


@pytest.mark.parametrize("gone", [1, 5, 20, 100])
def test_what_fell_is_counted_from_its_first_bin(gone):
    values = days_of(40.0)
    values[-gone:] = 0.1
    assert fallen_after(values) == gone


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values,
        lambda values: np.concatenate((values[:-20], values[-20:] * 0.3)),  # less than usual, not next to nothing
        lambda values: np.concatenate((values[:-30], values[-30:] * np.geomspace(1.0, 0.01, 30))),  # not abrupt
        lambda values: np.concatenate((values, np.zeros(DAY + 1))),  # a day ago
        lambda values: np.concatenate((values[:DAY], np.zeros(20))),  # nothing is usual yet
        lambda values: np.concatenate((values[:-20], np.zeros(20), values[-20:])),  # it is back
    ],
    ids=["as usual", "a third", "slowly", "long ago", "a first day", "back"],
)
def test_nothing_else_is_a_fall(change):
    assert fallen_after(change(days_of(40.0))) == 0


def test_an_early_end_that_came_a_week_ago_is_no_fall():
    day = np.where((np.arange(DAY) >= 48) & (np.arange(DAY) < 108), 40.0, 0.1)
    short = np.where(np.arange(DAY) < 78, day, 0.1)
    week = [day, day, day, day, short, day, day]
    values = np.concatenate(week + week[:5])[: 11 * DAY + 90]
    assert fallen_after(values) == 0
    values = np.concatenate([day] * 7 + week[:5])[: 11 * DAY + 90]
    assert fallen_after(values) == 12


def test_a_rise_that_does_not_come_is_no_fall():
    values = np.tile(np.where(np.arange(DAY) < 48, 0.1, 40.0), 6)
    assert fallen_after(values[: 5 * DAY + 60]) == 0
    values[5 * DAY :] = 0.1
    assert fallen_after(values[: 5 * DAY + 60]) == 0


def test_a_burst_that_ends_is_no_fall():
    values = np.full(5 * DAY, 2.0)
    values[-40:-20] = 80.0
    assert fallen_after(values) == 0


def test_the_fall_is_found_as_by_looking_back_over_a_day():
    rng = np.random.default_rng(3)
    values = days_of(40.0, 6)
    for first in range(2 * DAY, 6 * DAY, 40):
        values[first : first + rng.integers(1, 60)] *= rng.choice([1.0, 0.3, 0.01])
    values[-DAY - 20 :] = 0.1
    found, ago = [], np.full(2, -1)
    for n in range(1, len(values) + 1):
        found.append(fallen_after(values[:n], n - 1, ago))
    expected = [looked_back(logs(values[:n])) for n in range(2 * DAY, len(values) + 1, 5)]
    assert found[2 * DAY - 1 :: 5] == expected
    assert 0 < np.count_nonzero(expected) < len(expected)
    assert max(expected) > 100
    assert found[-1] == 0


def test_what_came_since_the_fall_is_not_looked_at_again():
    values, ago = days_of(40.0), np.full(2, -1)
    values[-100:] = 0.1
    fallen_after(values[:-1], 0, ago)
    values[-99:-1] = np.nan
    assert fallen_after(values, len(values) - 1, ago) == 100


def test_the_chance_of_a_return_falls_with_the_time_without_one():
    values = days_of(40.0)
    raised = []
    for gone in (1, 10, 60):
        values[-gone:] = 0.1
        quantiles = np.zeros((2, len(LEAD_LEVELS)))
        raise_newest(logs(values), LEAD, DAYS, 0.5, LEAD_LEVELS, gone, quantiles)
        usual = days_of(40.0, 6)[5 * DAY + LEAD]
        assert np.all((quantiles == 0) | (np.abs(quantiles / (1.1 * usual) - 1) < 0.1))
        assert np.all(np.diff(quantiles[0]) >= 0)
        raised.append(float(LEAD_LEVELS[np.flatnonzero(quantiles[0])[0]]))
        # Half of it: 1 - 0.5 * 4 / (4 + gone).
        assert raised[-1] >= 1 - 0.5 * (LEAD + 1) / (LEAD + 1 + gone)
    assert raised == [0.7, 0.9, 0.97]


def test_an_outage_upstream_keeps_a_fleet_at_tight_risks_and_no_median():
    values = days_of(40.0, 8)
    values[-12:] = 0.05
    during = fitted(values)
    usual = days_of(40.0, 9)[8 * DAY + LEAD]
    at = dict(zip(LEAD_LEVELS.tolist(), during.quantiles[0].tolist(), strict=True))
    assert at[0.5] < 1.0
    assert at[0.99] > usual
    assert np.all(np.diff(during.quantiles, axis=1) >= 0)
    np.testing.assert_array_equal(during.at_lead(LEAD_LEVELS), during.quantiles)


def test_bins_at_once_are_bins_one_by_one():
    values = days_of(40.0, 4)
    values[-60:-30] = 0.1
    values[-5:] = np.nan
    _, said = LeadEnsemble.start(lead=LEAD, bin_s=BIN_S, floor=0.5).fit_with_quantiles(Series.of(values, bin_s=BIN_S))
    ensemble = fitted(values[:-70])
    for n in range(len(values) - 70, len(values)):
        ensemble = ensemble.update(float(values[n]))
        np.testing.assert_array_equal(ensemble.quantiles, said[n])


@pytest.mark.parametrize("name", ["usual_at", "fallen_for"])
def test_the_kernels_are_their_python(name):
    values = days_of(40.0)
    values[-9:] = 0.1
    function = getattr(lead_return, name)
    said = [
        kernel(logs(values), *((5 * DAY + 1, DAYS) if name == "usual_at" else (DAYS, np.array([8, 7]))))
        for kernel in (function, function.py_func)
    ]
    assert said[0] == pytest.approx(said[1], rel=1e-6)
    assert said[0] == 9 or name == "usual_at"
