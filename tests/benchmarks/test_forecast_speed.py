"""Our seasonal models beside other libraries', in one run: `make benchmark-speed`.

A fit and a forecast of 40 steps with quantiles, and an update, on minutes with a day and a week. No time is asserted.
test_rivals_speed.py has MSTL and statsmodels beside it.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from forecasting.conformal import Conformal
from forecasting.holt_winters import HoltWinters
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.profile import SeasonalProfile
from forecasting.series import Series

pytestmark = pytest.mark.timeout(900)

BIN_S = 60.0
DAY = 1_440
STEPS = 40
LEVELS = (0.5, 0.9, 0.95, 0.99)


def demand(bins, day):
    """A day and a week around 64 a second, with noise that has a memory of half an hour."""
    rng = np.random.default_rng(6)
    at = np.arange(bins)
    noise = np.zeros(bins)
    for i in range(1, bins):
        noise[i] = 0.95 * noise[i - 1] + rng.normal(0.0, 0.02)
    season = 1.0 + 0.5 * np.sin(2 * np.pi * at / day) + 0.2 * np.sin(2 * np.pi * at / (7 * day))
    return 64.0 * season * np.exp(noise)


MODELS = {
    "holt-winters": HoltWinters(periods=(DAY, 7 * DAY)),
    "holt-winters, parameters known": HoltWinters(periods=(DAY, 7 * DAY), parameters=(0.2, 0.0, 0.98, 0.03, 0.03)),
    "seasonal-profile": SeasonalProfile(periods=(DAY, 7 * DAY), lead_s=600.0),
}

# Seconds of this process alone, which has one thread: a busy machine interrupts whatever takes longer than 3 ms.
FITS = pytest.mark.benchmark(
    group="fit 20,160 minutes of two seasons, forecast 40 steps, CPU time", timer=time.process_time
)


@pytest.fixture(scope="module")
def minutes():
    return Series.of(demand(14 * DAY, DAY), bin_s=BIN_S)


@FITS
@pytest.mark.parametrize("name", MODELS)
def test_fit_and_middle_of_40_steps(benchmark, minutes, name):
    assert benchmark.pedantic(lambda: MODELS[name].fit(minutes).forecast(STEPS), rounds=5, warmup_rounds=1).all()


@FITS
@pytest.mark.parametrize("name", MODELS)
def test_fit_and_quantiles_of_40_steps(benchmark, minutes, name):
    model = Conformal(MODELS[name], STEPS)
    said = benchmark.pedantic(lambda: model.fit(minutes).quantiles(STEPS, LEVELS), rounds=5, warmup_rounds=1)
    assert said.shape == (STEPS, len(LEVELS))


@FITS
def test_fit_and_quantiles_by_the_lead_ensemble(benchmark, minutes):
    start = LeadEnsemble.start(lead=STEPS - 1, bin_s=BIN_S, floor=1.6)
    said = benchmark.pedantic(lambda: start.fit(minutes).at_lead(LEVELS), rounds=3, warmup_rounds=1)
    assert np.isfinite(said).all()


@pytest.mark.benchmark(group="one more bin")
@pytest.mark.parametrize("name", MODELS)
def test_update(benchmark, minutes, name):
    fitted = MODELS[name].fit(minutes)
    assert benchmark(fitted.update, 64.0) is not fitted


@pytest.mark.benchmark(group="one more bin")
@pytest.mark.parametrize("name", MODELS)
def test_update_with_intervals(benchmark, minutes, name):
    fitted = Conformal(MODELS[name], STEPS).fit(minutes)
    assert benchmark(fitted.update, 64.0) is not fitted


@pytest.mark.benchmark(group="one more bin")
def test_update_of_the_lead_ensemble(benchmark, minutes):
    fitted = LeadEnsemble.start(lead=10, bin_s=BIN_S, floor=1.6).fit(minutes)
    assert benchmark(fitted.update, 64.0) is not fitted
