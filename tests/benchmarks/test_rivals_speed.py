"""Holt-Winters of two seasons beside statsforecast's MSTL and statsmodels', on the same series in one run.

14 days of 5 minutes, since MSTL takes minutes on minutes; `make benchmark-speed` prints the table. Losses are in it,
since quick and wrong is easy: the mean pinball loss over all series, each in units of its own mean, times 100.
"""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_forecast_speed import LEVELS, STEPS, demand
from threadpoolctl import threadpool_limits

from autoscaler.traces.read import read_trace
from forecasting.conformal import Conformal
from forecasting.evaluate import pinball_loss
from forecasting.holt_winters import HoltWinters
from forecasting.series import Series

pytestmark = pytest.mark.timeout(1800)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RIVALS_PYTHON = ROOT / ".venv-rivals" / "bin" / "python"
BIN_S = 300.0
DAY = 288
PERIODS = (DAY, 7 * DAY)
HISTORY = 14 * DAY
# A forecast at night and one at noon of each series, which has 15 days at least.
ENDS = (HISTORY + DAY // 8, HISTORY + DAY // 2)
# Threads of BLAS that wait for each other count as CPU time, and are no part of what a rival needs.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
OURS = Conformal(HoltWinters(periods=PERIODS), STEPS)


@dataclass(frozen=True)
class Said:
    """CPU seconds of each fit and forecast (m,), and quantiles (m, STEPS, q), where q is 1 for the median alone."""

    seconds: np.ndarray
    quantiles: np.ndarray


@pytest.fixture(scope="module")
def histories_and_outcomes():
    """Shapes (m, HISTORY) and (m, STEPS), work per second: a made series and two of the bundled traces."""
    traces = [read_trace(ROOT / "data" / f"{name}.csv") for name in ("chat", "code")]
    series = [demand(15 * DAY, DAY), *(trace.demand["requests"] / trace.bin_s for trace in traces)]
    cuts = [(values, end) for values in series for end in ENDS]
    return (
        np.array([values[end - HISTORY : end] for values, end in cuts]),
        np.array([values[end : end + STEPS] for values, end in cuts]),
    )


def timed(forecast, histories, rounds):
    """The least CPU seconds of several rounds, so that a busy machine is no part of it; the first isn't counted."""
    forecast(histories[0])
    seconds, quantiles = [], []
    for history in histories:
        took = []
        for _ in range(rounds):
            began_s = time.process_time()
            said = forecast(history)
            took.append(time.process_time() - began_s)
        seconds.append(min(took))
        quantiles.append(said)
    return Said(np.array(seconds), np.array(quantiles))


def ours(history):
    return OURS.fit(Series.of(history, bin_s=BIN_S)).quantiles(STEPS, LEVELS)


def statsmodels(history):
    """It knows one season, and no intervals."""
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(history, trend="add", damped_trend=True, seasonal="add", seasonal_periods=DAY)
    with warnings.catch_warnings():
        # Its best point is good enough; that it isn't proven to be the optimum is its own affair.
        warnings.simplefilter("ignore", ConvergenceWarning)
        with threadpool_limits(limits=1):
            return model.fit().forecast(STEPS)[:, None]


def mstl(histories, folder):
    problem, answer = folder / "problem.npz", folder / "answer.npz"
    np.savez(problem, histories=histories, periods=PERIODS, steps=STEPS, levels=LEVELS)
    subprocess.run([RIVALS_PYTHON, HERE / "mstl.py", problem, answer], check=True, env={**os.environ, **ONE_THREAD})
    said = np.load(answer)
    return Said(said["seconds"], said["quantiles"])


def update_s(history):
    fitted = OURS.fit(Series.of(history, bin_s=BIN_S))
    took = []
    for value in np.tile(history, 2):
        began_s = time.perf_counter()
        fitted = fitted.update(float(value))
        took.append(time.perf_counter() - began_s)
    return float(np.median(took))


def row(name, said, came, least_s, update):
    scale = came.mean(axis=1)[:, None]
    said_of = [(level, said.quantiles[:, :, i]) for i, level in enumerate(LEVELS[: said.quantiles.shape[2]])]
    losses = [
        100 * pinball_loss((came / scale).ravel(), (quantile / scale).ravel(), level).mean()
        for level, quantile in said_of
    ]
    line = f"{name:24}{1000 * np.median(said.seconds):>12,.1f} ms"
    line += f"{np.median(said.seconds) / least_s:>9,.0f}{update:>10}{losses[0]:>9.2f}"
    if len(said_of) > 1:
        below = " ".join(f"{100 * (came <= quantile).mean():.0f}" for _, quantile in said_of)
        line += f"{np.mean(losses):>9.2f}   {below}"
    return line


def test_two_seasons_beside_mstl_and_statsmodels(benchmark, histories_and_outcomes, tmp_path, capsys):
    histories, came = histories_and_outcomes
    own = benchmark.pedantic(timed, args=(ours, histories, 10), rounds=1)
    least_s = float(np.median(own.seconds))
    rows = [
        row("Headstart: Holt-Winters", own, came, least_s, f"{1e6 * update_s(histories[0]):.0f} us"),
        row("statsmodels: same, a day", timed(statsmodels, histories, 1), came, least_s, ""),
    ]
    if RIVALS_PYTHON.exists():
        rows.append(row("statsforecast: MSTL", mstl(histories, tmp_path), came, least_s, ""))
    else:
        rows.append("statsforecast: MSTL      left out: `make .venv-rivals/.installed` sets up its environment")
    levels = " ".join(f"{100 * level:.0f}" for level in LEVELS)
    head = f"{'':24}{'fit, forecast':>15}{'times':>9}{'update':>10}{'median':>9}{'levels':>9}   below {levels} %"
    title = f"{HISTORY:,} bins of a day and a week, {STEPS} steps ahead, {len(came)} series, CPU time"
    with capsys.disabled():
        print("", title, head, *rows, sep="\n")  # noqa: T201
    assert np.isfinite(own.quantiles).all()
