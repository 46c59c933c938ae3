"""The loops of multi-seasonal additive Holt-Winters.

Error-correction form of R. J. Hyndman, A. B. Koehler, J. K. Ord, R. D. Snyder, "Forecasting with Exponential
Smoothing" (2008), with several seasons as in J. W. Taylor, "Short-term electricity demand forecasting using double
seasonal exponential smoothing" (2003), and a damped trend. With e = y - (level + phi trend + sum of seasons):

    level'    = level + phi trend + alpha e
    trend'    = phi trend + alpha beta e
    season_i' = season_i + gamma_i e        at the bin's phase only

which, for one season, is what statsmodels' ExponentialSmoothing computes from (smoothing_level, smoothing_trend,
smoothing_seasonal, damping_trend). A missing bin has no error: states move on by their own forecast, uncorrected.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from forecasting.series import FloatArray

IntArray = npt.NDArray[np.int64]

# A third pass rarely changes anything; two cost at most 52 filters, 20 ms for two seasons on 20,160 bins.
_SEARCH_PASSES = 2


class Smoothing(NamedTuple):
    """How the states follow the series.

    Attributes:
        alpha: share of the error that moves the level.
        beta: share of the level's move that moves the trend.
        phi: damping of the trend per bin; 1 is none.
        gammas: share of the error that moves each season, shape (k,).
        periods: bins per season, shape (k,).
    """

    alpha: float
    beta: float
    phi: float
    gammas: FloatArray
    periods: IntArray


class States(NamedTuple):
    """What was learned, on the series' own scale.

    Attributes:
        level: without the seasons.
        trend: change of the level per bin.
        seasons: the seasons behind one another, each by phase, shape (sum of periods,).
    """

    level: float
    trend: float
    seasons: FloatArray


@njit(cache=True)
def season_at(bin_index: int, periods: IntArray, seasons: FloatArray) -> float:
    """Sum of all seasons at `bin_index`."""
    total = 0.0
    offset = 0
    for period in periods:
        total += seasons[offset + bin_index % period]
        offset += period
    return total


@njit(cache=True)
def hw_filter(
    values: FloatArray, smoothing: Smoothing, first_bin: int, states: States, fitted: FloatArray
) -> tuple[float, float]:
    """Run over `values` (n,) and return (level, trend) at their end.

    Args:
        values: the series, already transformed; NaN is missing.
        smoothing: how states follow it.
        first_bin: index of values[0], which gives its phase.
        states: states before values[0]; its seasons are overwritten with those at the end.
        fitted: receives the one-step forecasts, shape (n,).
    """
    level, trend, seasons = states
    for t in range(len(values)):
        trend *= smoothing.phi
        level += trend
        fitted[t] = level + season_at(first_bin + t, smoothing.periods, seasons)
        error = values[t] - fitted[t]
        if np.isnan(error):
            continue
        level += smoothing.alpha * error
        trend += smoothing.alpha * smoothing.beta * error
        offset = 0
        for i in range(len(smoothing.periods)):
            period = smoothing.periods[i]
            seasons[offset + (first_bin + t) % period] += smoothing.gammas[i] * error
            offset += period
    return level, trend


@njit(cache=True)
def hw_forecast(steps: int, smoothing: Smoothing, next_bin: int, states: States) -> FloatArray:
    """Forecast at steps 1..steps, shape (steps,), from the states before bin `next_bin`."""
    level, trend, seasons = states
    forecast = np.empty(steps)
    for h in range(steps):
        trend *= smoothing.phi
        level += trend
        forecast[h] = level + season_at(next_bin + h, smoothing.periods, seasons)
    return forecast


@njit(cache=True)
def hw_loss(values: FloatArray, smoothing: Smoothing, score_from: int, start: States) -> float:
    """Mean squared one-step error over values[score_from:], from the states before values[0]; infinite if it diverges.

    Scoring later than `start` was estimated on keeps seasons from looking better than they are.
    """
    fitted = np.empty(len(values))
    hw_filter(values, smoothing, 0, States(start.level, start.trend, start.seasons.copy()), fitted)
    total = 0.0
    known = 0
    for t in range(score_from, len(values)):
        error = values[t] - fitted[t]
        if not np.isnan(error):
            total += error * error
            known += 1
        elif not np.isnan(values[t]):
            return np.inf
    return total / known if known else np.inf


@njit(cache=True)
def hw_search(
    values: FloatArray, first: Smoothing, grid: tuple[FloatArray, ...], score_from: int, start: States
) -> FloatArray:
    """Coordinate search of the least `hw_loss`: alpha, beta, phi and the gammas in turn, over their candidates.

    Two passes at most; a pass that changes nothing is the last.

    Args:
        values: the series, already transformed, shape (n,); NaN is missing.
        first: where the search starts.
        grid: candidates of alpha, of beta, of phi, and of each gamma: four arrays.
        score_from: first bin whose error counts.
        start: states before values[0]; left as they are.

    Returns:
        (alpha, beta, phi, gammas...), shape (3 + k,).
    """
    best = np.empty(3 + len(first.periods))
    best[0], best[1], best[2] = first.alpha, first.beta, first.phi
    best[3:] = first.gammas
    best_loss = hw_loss(values, first, score_from, start)
    for _ in range(_SEARCH_PASSES):
        changed = False
        for p in range(len(best)):
            for candidate in grid[min(p, 3)]:
                if candidate == best[p]:
                    continue
                trial = best.copy()
                trial[p] = candidate
                smoothing = Smoothing(trial[0], trial[1], trial[2], trial[3:], first.periods)
                loss = hw_loss(values, smoothing, score_from, start)
                if loss < best_loss:
                    best, best_loss, changed = trial, loss, True
        if not changed:
            break
    return best
