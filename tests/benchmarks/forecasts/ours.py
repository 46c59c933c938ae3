"""Runs our models over a problem, as they run live: fitted once, then updated bin by bin."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from problems import LEVELS, LOAD_S, Problem

from forecasting.evaluate import rolling_forecasts
from forecasting.protocol import FittedForecaster, Forecaster
from forecasting.registry import ModelSetting, forecaster
from forecasting.series import Series

HEADSTART = "headstart"
# With intervals from their own errors (forecasting/conformal.py), the strongest that a naive model can be.
NAIVE = ("last-value", "same-time-yesterday", "same-time-last-week", "window-mean")
OURS = (HEADSTART, *NAIVE)


@dataclass(slots=True)
class _Clock:
    fit_s: float = 0.0
    update_s: float = 0.0
    updates: int = 0
    forecast_s: float = 0.0
    forecasts: int = 0


@dataclass(frozen=True, slots=True)
class _Timed:
    """A forecaster, or a fitted one, whose time is taken."""

    inner: Forecaster | FittedForecaster
    clock: _Clock = field(default_factory=_Clock)

    @property
    def name(self) -> str:
        return self.inner.name

    def fit(self, series: Series) -> _Timed:
        began_s = time.perf_counter()
        fitted = self.inner.fit(series)
        self.clock.fit_s += time.perf_counter() - began_s
        return _Timed(fitted, self.clock)

    def update(self, value: float) -> _Timed:
        began_s = time.perf_counter()
        updated = self.inner.update(value)
        self.clock.update_s += time.perf_counter() - began_s
        self.clock.updates += 1
        return _Timed(updated, self.clock)

    def quantiles(self, steps: int, levels: np.ndarray) -> np.ndarray:
        began_s = time.perf_counter()
        said = self.inner.quantiles(steps, levels)
        self.clock.forecast_s += time.perf_counter() - began_s
        self.clock.forecasts += 1
        return said


def run(name: str, problem: Problem) -> tuple[pd.DataFrame, dict[str, float]]:
    """Forecasts at all origins, a row per origin and step, a column per level; and seconds per fit, update, forecast.

    Missing bins stay missing. The first fit may compile kernels, so it is done twice.
    """
    steps = sorted(set(problem.steps))
    setting = ModelSetting(bin_s=problem.bin_s, lead_s=LOAD_S, horizon_s=steps[-1] * problem.bin_s, steps=tuple(steps))
    model = forecaster(name, setting)
    series = Series.of(problem.values, bin_s=problem.bin_s, start_s=problem.start_s)
    model.fit(Series.of(problem.values[: problem.origins[0]], bin_s=problem.bin_s)).update(0.0).quantiles(1, LEVELS)
    timed = _Timed(model)
    said = rolling_forecasts(
        timed, series, steps, levels=LEVELS, first_origin=int(problem.origins[0]), every=problem.every
    )
    frames = [
        pd.DataFrame(
            {
                "origin": said.origins,
                "step": step,
                **{f"q{level}": said.quantiles[:, k, i] for i, level in enumerate(LEVELS)},
            }
        )
        for k, step in enumerate(steps)
    ]
    clock = timed.clock
    return pd.concat(frames, ignore_index=True), {
        "fit_s": clock.fit_s,
        "update_s": clock.update_s / max(1, clock.updates),
        "forecast_s": clock.forecast_s / max(1, clock.forecasts),
    }
