"""Our seasonal models beside other libraries', in one run: `make benchmark-speed`.

A fit and a forecast of 40 steps with quantiles, and an update, on minutes with a day and a week. No time is asserted;
both losses are in the benchmark's extra info (`--benchmark-json`), since quick and wrong is easy. MSTL is timed by
`make benchmark-forecasts`, whose environment has statsforecast.
"""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.core.decide import decide
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State
from forecasting.conformal import Conformal
from forecasting.evaluate import pinball_loss
from forecasting.holt_winters import HoltWinters
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.profile import SeasonalProfile
from forecasting.series import Series

pytestmark = pytest.mark.timeout(900)

BIN_S = 60.0
DAY = 1_440
FIVE_MINUTES_DAY = 288
STEPS = 40
LEVELS = (0.5, 0.9, 0.95, 0.99)
OBJECTS = 5_000


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


@pytest.fixture(scope="module")
def minutes():
    return Series.of(demand(14 * DAY, DAY), bin_s=BIN_S)


@pytest.mark.benchmark(group="fit 20,160 minutes of two seasons, forecast 40 steps")
@pytest.mark.parametrize("name", MODELS)
def test_fit_and_middle_of_40_steps(benchmark, minutes, name):
    assert benchmark.pedantic(lambda: MODELS[name].fit(minutes).forecast(STEPS), rounds=5, warmup_rounds=1).all()


@pytest.mark.benchmark(group="fit 20,160 minutes of two seasons, forecast 40 steps")
@pytest.mark.parametrize("name", MODELS)
def test_fit_and_quantiles_of_40_steps(benchmark, minutes, name):
    model = Conformal(MODELS[name], STEPS)
    said = benchmark.pedantic(lambda: model.fit(minutes).quantiles(STEPS, LEVELS), rounds=3, warmup_rounds=1)
    assert said.shape == (STEPS, len(LEVELS))


@pytest.mark.benchmark(group="fit 20,160 minutes of two seasons, forecast 40 steps")
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
def test_update_of_the_lead_ensemble(benchmark, minutes):
    fitted = LeadEnsemble.start(lead=10, bin_s=BIN_S, floor=1.6).fit(minutes)
    assert benchmark(fitted.update, 64.0) is not fitted


def holt_winters_of_statsmodels(values):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(
        values, trend="add", damped_trend=True, seasonal="add", seasonal_periods=FIVE_MINUTES_DAY
    )
    return model.fit().forecast(STEPS)


def ours(values):
    return HoltWinters(periods=(FIVE_MINUTES_DAY,)).fit(Series.of(values, bin_s=5 * BIN_S)).forecast(STEPS)


# Its best point is good enough; that it isn't proven to be the optimum is its own affair.
@pytest.mark.filterwarnings("ignore:Optimization failed to converge")
@pytest.mark.benchmark(group="fit 4,032 bins of one season, forecast 40 steps")
@pytest.mark.parametrize("forecast", [ours, holt_winters_of_statsmodels])
def test_holt_winters_beside_statsmodels(benchmark, forecast):
    values = demand(15 * FIVE_MINUTES_DAY, FIVE_MINUTES_DAY)
    history, came = values[: 14 * FIVE_MINUTES_DAY], values[14 * FIVE_MINUTES_DAY :][:STEPS]
    said = benchmark.pedantic(forecast, args=(history,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["pinball_rps"] = float(pinball_loss(came, np.ascontiguousarray(said), 0.5).mean())
    assert np.isfinite(said).all()


def test_5_000_objects_forecast_and_decided(benchmark):
    spec = Spec(BIN_S, {"requests": 3.2}, Objective(10.0, 0.01), LoadLatency.constant(600.0))
    values = demand(2 * DAY, DAY)
    none_due = np.zeros(0, dtype=np.int64)
    state = State.start(spec, start_s=0.0)
    for i, value in enumerate([np.nan, *values]):
        _, state = decide(spec, state, Observation(i * BIN_S, {"requests": float(value)}, 20, none_due))
    observation = Observation((len(values) + 1) * BIN_S, {"requests": 64.0}, 20, none_due)

    def tick():
        return [decide(spec, state, observation)[0].desired for _ in range(OBJECTS)]

    # Each object's state is a value, so that one state serves all: what is timed is the deciding, not the caches.
    assert min(benchmark.pedantic(tick, rounds=3, warmup_rounds=1)) > 0
