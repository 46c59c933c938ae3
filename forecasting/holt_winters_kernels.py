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

from forecasting.kernel import kernel
from forecasting.series import FloatArray
from forecasting.step_grid import IntArray, at_grid

# Places of the parameters in a search.
_BETA, _PHI, _GAMMA = 1, 2, 3

# A third pass rarely changes anything; two cost some 15 filters, 1.5 ms for two seasons on 20,160 bins.
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


@kernel()
def _places(bin_index: int, periods: IntArray) -> IntArray:
    """Where `bin_index` is in the seasons behind one another, per season and then where that one ends, shape (k, 2)."""
    places = np.empty((len(periods), 2), dtype=np.int64)
    offset = 0
    for i in range(len(periods)):
        places[i, 0] = offset + bin_index % periods[i]
        offset += periods[i]
        places[i, 1] = offset
    return places


@kernel()
def _move_on(places: IntArray, periods: IntArray) -> None:
    """The places one bin later. A division per season and bin took most of the time of a filter."""
    for i in range(len(periods)):
        places[i, 0] += 1
        if places[i, 0] == places[i, 1]:
            places[i, 0] -= periods[i]


@kernel()
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
    # Taken out of the tuple here: in the loop, each look-up counts a reference, three times the time.
    alpha, beta, phi, gammas, periods = smoothing
    level, trend, seasons = states
    places = _places(first_bin, periods)
    for t in range(len(values)):
        trend *= phi
        level += trend
        season = 0.0
        for i in range(len(places)):
            season += seasons[places[i, 0]]
        fitted[t] = level + season
        error = values[t] - fitted[t]
        if not np.isnan(error):
            level += alpha * error
            trend += alpha * beta * error
            for i in range(len(places)):
                seasons[places[i, 0]] += gammas[i] * error
        _move_on(places, periods)
    return level, trend


@kernel()
def hw_forecast(smoothing: Smoothing, next_bin: int, states: States, forecast: FloatArray) -> None:
    """Fill `forecast`, shape (steps,), with that at steps 1..steps from the states before bin `next_bin`."""
    phi, periods = smoothing.phi, smoothing.periods
    level, trend, seasons = states
    places = _places(next_bin, periods)
    for h in range(len(forecast)):
        trend *= phi
        level += trend
        season = 0.0
        for i in range(len(places)):
            season += seasons[places[i, 0]]
        forecast[h] = level + season
        _move_on(places, periods)


@kernel()
def hw_walk(
    values: FloatArray,
    smoothing: Smoothing,
    first_bin: int,
    states: States,
    grid: IntArray,
    every: int,
    ahead: FloatArray,
) -> tuple[float, float]:
    """`hw_filter` that says after every so many bins what it forecasts.

    `ahead`, shape (n // every, k, 2), receives the forecast at each step of `grid` (k,) and the largest until then.
    """
    level, trend, seasons = states
    fitted = np.empty(every)
    forecast = np.empty(grid[-1])
    for origin in range(0, len(values), every):
        bins = values[origin : origin + every]
        level, trend = hw_filter(bins, smoothing, first_bin + origin, States(level, trend, seasons), fitted)
        if len(bins) == every:
            hw_forecast(smoothing, first_bin + origin + every, States(level, trend, seasons), forecast)
            at_grid(forecast, grid, ahead[origin // every])
    return level, trend


@kernel()
def hw_loss(
    values: FloatArray, smoothing: Smoothing, score_from: int, start: States, seasons: FloatArray, fitted: FloatArray
) -> float:
    """Mean squared one-step error over values[score_from:], from the states before values[0]; infinite if it diverges.

    Scoring later than `start` was estimated on keeps seasons from looking better than they are. `seasons`, of the
    same shape as its, and `fitted` (n,) are written to.
    """
    seasons[:] = start.seasons
    hw_filter(values, smoothing, 0, States(start.level, start.trend, seasons), fitted)
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


@kernel()
def hw_search(
    values: FloatArray, first: IntArray, grid: tuple[FloatArray, ...], periods: IntArray, score_from: int, start: States
) -> FloatArray:
    """Coordinate search of the least `hw_loss`: alpha, beta, phi and the gammas in turn.

    Each goes to its neighbour in the grid as long as that is better: half the filters that all candidates would take.
    Two passes at most, and no further than back to the last that changed.

    Args:
        values: the series, already transformed, shape (n,); NaN is missing.
        first: where the search starts: the place in the grid of alpha, beta, phi and each gamma, shape (3 + k,).
        grid: candidates of alpha, of beta, of phi, and of each gamma, increasing: four arrays.
        periods: bins per season, shape (k,).
        score_from: first bin whose error counts.
        start: states before values[0]; left as they are.

    Returns:
        (alpha, beta, phi, gammas...), shape (3 + k,).
    """
    at = first.copy()
    best = np.array([grid[min(p, _GAMMA)][at[p]] for p in range(len(at))])
    seasons, fitted = np.empty(len(start.seasons)), np.empty(len(values))
    smoothing = Smoothing(best[0], best[1], best[2], best[3:], periods)
    best_loss = hw_loss(values, smoothing, score_from, start, seasons, fitted)
    last_changed = 0
    for turn in range(_SEARCH_PASSES * len(at)):
        p = turn % len(at)
        if turn >= len(at) and p == last_changed:
            break  # all others were tried since
        if p == _PHI and best[_BETA] == 0.0:
            continue  # a trend that never begins isn't damped
        candidates = grid[min(p, _GAMMA)]
        for step in (1, -1):
            tried = at[p]
            while 0 <= at[p] + step < len(candidates):
                trial = best.copy()
                trial[p] = candidates[at[p] + step]
                smoothing = Smoothing(trial[0], trial[1], trial[2], trial[3:], periods)
                loss = hw_loss(values, smoothing, score_from, start, seasons, fitted)
                if not loss < best_loss:
                    break
                at[p] += step
                best, best_loss, last_changed = trial, loss, p
            if at[p] != tried:
                break
    return best
