"""Rolling-origin evaluation: how good a forecaster is at each horizon, on history it had not seen.

An origin n is a moment: bins < n are known, step h is bin n + h - 1. The forecaster is fitted once on the bins before
the first origin and updated bin by bin from there, as it runs live, or fitted anew every `refit_every` bins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from forecasting.errors import ModelError
from forecasting.kernel import kernel
from forecasting.protocol import FittedForecaster, FittedPoint, Forecaster, PointModel, check_levels
from forecasting.series import FloatArray, Series

IntArray = npt.NDArray[np.int64]

_MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class RollingForecasts:
    """What was forecast at each origin, beside what came.

    Attributes:
        name: the forecaster's.
        bin_s: width of a bin in seconds.
        origins: bins known at each origin, shape (m,).
        horizons: steps ahead, shape (k,), increasing; step h of origin n is bin n + h - 1.
        levels: quantile levels, shape (q,), increasing, the median among them; (0.5,) for a point model.
        quantiles: shape (m, k, q), work per second; NaN where nothing was known.
        actual: what came, shape (m, k); NaN where it is missing or past the end of the series.
        last: the last known value at each origin, shape (m,): the forecast to beat.
    """

    name: str
    bin_s: float
    origins: IntArray
    horizons: IntArray
    levels: FloatArray
    quantiles: FloatArray
    actual: FloatArray
    last: FloatArray


@dataclass(frozen=True, slots=True)
class HorizonAccuracy:
    """Accuracy at one horizon, over the origins with a known outcome and a forecast.

    Attributes:
        steps: bins ahead; step 1 is the bin that starts now.
        ahead_s: the same in seconds, from now to the end of that bin.
        count: origins scored.
        mae: mean absolute error of the median, work per second.
        wape: mae over the mean demand of the same bins.
        pinball: mean pinball loss over all levels, work per second; of the median alone for a point model.
        coverage: central interval (0.9 is from level 0.05 to 0.95) -> share of outcomes inside it.
        skill: 1 - mae / (mae of the last value): 0 is no better, 1 is perfect, below 0 is worse.
    """

    steps: int
    ahead_s: float
    count: int
    mae: float
    wape: float
    pinball: float
    coverage: Mapping[float, float]
    skill: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One forecaster's accuracy, a row per horizon."""

    name: str
    rows: tuple[HorizonAccuracy, ...]


def evaluate(
    forecaster: Forecaster | PointModel,
    series: Series,
    horizons: Sequence[int],
    *,
    levels: npt.ArrayLike = (_MEDIAN,),
    first_origin: int | None = None,
    every: int = 1,
    refit_every: int | None = None,
) -> Accuracy:
    """Accuracy of `forecaster` on `series` per horizon: `score` of `rolling_forecasts`, which has the arguments."""
    return score(
        rolling_forecasts(
            forecaster,
            series,
            horizons,
            levels=levels,
            first_origin=first_origin,
            every=every,
            refit_every=refit_every,
        )
    )


def rolling_forecasts(
    forecaster: Forecaster | PointModel,
    series: Series,
    horizons: Sequence[int],
    *,
    levels: npt.ArrayLike = (_MEDIAN,),
    first_origin: int | None = None,
    every: int = 1,
    refit_every: int | None = None,
    on_origin: Callable[[], None] | None = None,
) -> RollingForecasts:
    """Forecast at the origins first_origin, first_origin + every, ... up to the last bin of `series`.

    Args:
        forecaster: a forecaster, or a point model, of which only the median is scored.
        series: the whole history; a forecast at origin n sees bins < n only.
        horizons: steps ahead, each at least 1.
        levels: quantile levels for a forecaster; the median is added when it is not among them.
        first_origin: bins known at the first forecast; None is half of the series.
        every: bins between origins.
        refit_every: bins between fits; None fits once, at the first origin.
        on_origin: called after each origin, for a progress bar.

    Raises:
        ModelError: when a horizon, `every` or `refit_every` is below 1, or the first origin is outside the series.
    """
    steps = np.unique(np.asarray(horizons, dtype=np.int64))
    if len(steps) == 0 or steps[0] < 1:
        raise ModelError(f"horizons must be at least 1 step, got {list(horizons)}")
    if every < 1 or (refit_every is not None and refit_every < 1):
        raise ModelError(f"every and refit_every must be at least 1 bin, got {every} and {refit_every}")
    values = series.values
    first = len(values) // 2 if first_origin is None else first_origin
    if not 0 <= first < len(values):
        raise ModelError(f"the first origin must be in 0..{len(values) - 1}, got {first}")
    origins = np.arange(first, len(values), every, dtype=np.int64)
    wanted = check_levels(np.union1d(check_levels(levels), _MEDIAN))
    walk = _Walk(forecaster, series, first, refit_every)
    if not hasattr(walk.at(first), "quantiles"):
        wanted = np.array([_MEDIAN])
    quantiles = np.full((len(origins), len(steps), len(wanted)), math.nan)
    for i, origin in enumerate(origins):
        quantiles[i] = _quantiles(walk.at(int(origin)), int(steps[-1]), wanted)[steps - 1]
        if on_origin is not None:
            on_origin()
    return RollingForecasts(
        name=forecaster.name,
        bin_s=series.bin_s,
        origins=origins,
        horizons=steps,
        levels=wanted,
        quantiles=quantiles,
        actual=_actual(values, origins, steps),
        last=_last_known(values)[origins],
    )


def score(forecasts: RollingForecasts) -> Accuracy:
    """Accuracy per horizon. A horizon without any outcome to compare has count 0 and NaN."""
    return Accuracy(forecasts.name, tuple(_score_horizon(forecasts, k) for k in range(len(forecasts.horizons))))


@kernel()
def pinball_loss(actual: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    """Pinball loss of forecasts `quantile` (n,) at `level` against `actual` (n,), shape (n,); NaN where either is.

    level * (actual - quantile) when the outcome is above, (1 - level) * (quantile - actual) when it is below: its
    mean is least for the true quantile (Koenker and Bassett, "Regression Quantiles", 1978).
    """
    loss = np.empty(len(actual))
    for i in range(len(actual)):
        error = actual[i] - quantile[i]
        loss[i] = level * error if error >= 0.0 else (level - 1.0) * error
    return loss


class _Walk:
    """A forecaster that is walked along the series, bin by bin."""

    def __init__(
        self, forecaster: Forecaster | PointModel, series: Series, first: int, refit_every: int | None
    ) -> None:
        self._forecaster = forecaster
        self._series = series
        self._refit_every = refit_every
        self._known = first
        self._fitted_at = first
        self._fitted = forecaster.fit(_head(series, first))

    def at(self, origin: int) -> FittedForecaster | FittedPoint:
        """The fitted forecaster that has seen bins < `origin`, which must not decrease."""
        if self._refit_every is not None and origin - self._fitted_at >= self._refit_every:
            self._known = self._fitted_at = origin
            self._fitted = self._forecaster.fit(_head(self._series, origin))
        values = self._series.values
        while self._known < origin:
            self._fitted = self._fitted.update(float(values[self._known]))
            self._known += 1
        return self._fitted


def _head(series: Series, bins: int) -> Series:
    """The first `bins` bins in storage of their own, so that no forecaster can reach those after them."""
    return Series.of(series.values[:bins], bin_s=series.bin_s, start_s=series.start_s, max_bins=series.log.rows_max)


def _quantiles(fitted: FittedForecaster | FittedPoint, steps: int, levels: FloatArray) -> FloatArray:
    """Quantiles at steps 1..steps, shape (steps, len(levels))."""
    if hasattr(fitted, "quantiles"):
        return cast("FittedForecaster", fitted).quantiles(steps, levels)
    return fitted.forecast(steps)[:, None]


def _actual(values: FloatArray, origins: IntArray, steps: IntArray) -> FloatArray:
    """Outcome of step h at origin n, which is bin n + h - 1: shape (m, k), NaN past the end."""
    bins = origins[:, None] + steps[None, :] - 1
    return np.where(bins < len(values), values[np.minimum(bins, len(values) - 1)], math.nan)


def _last_known(values: FloatArray) -> FloatArray:
    """The last known value before each bin, shape (n,)."""
    known_at = np.where(np.isnan(values), -1, np.arange(len(values)))
    before = np.concatenate([[-1], np.maximum.accumulate(known_at)[:-1]])
    return np.where(before < 0, math.nan, values[before])


def _score_horizon(forecasts: RollingForecasts, k: int) -> HorizonAccuracy:
    steps = int(forecasts.horizons[k])
    levels = forecasts.levels
    known = ~np.isnan(forecasts.actual[:, k]) & ~np.isnan(forecasts.quantiles[:, k, :]).any(axis=1)
    actual, quantiles, last = forecasts.actual[known, k], forecasts.quantiles[known, k], forecasts.last[known]
    if len(actual) == 0:
        nan = math.nan
        return HorizonAccuracy(steps, steps * forecasts.bin_s, 0, nan, nan, nan, {}, nan)
    median = int(np.argmin(np.abs(levels - _MEDIAN)))
    mae = float(np.abs(actual - quantiles[:, median]).mean())
    naive_mae = float(np.abs(actual - last).mean())
    losses = [pinball_loss(actual, np.ascontiguousarray(quantiles[:, j]), levels[j]) for j in range(len(levels))]
    return HorizonAccuracy(
        steps=steps,
        ahead_s=steps * forecasts.bin_s,
        count=len(actual),
        mae=mae,
        wape=_ratio(mae, float(actual.mean())),
        pinball=float(np.mean(losses)),
        coverage=_coverage(actual, quantiles, levels),
        skill=1.0 - _ratio(mae, naive_mae),
    )


def _coverage(actual: FloatArray, quantiles: FloatArray, levels: FloatArray) -> dict[float, float]:
    """Share of outcomes within each central interval whose two ends are among `levels`."""
    coverage = {}
    for low, level in enumerate(levels):
        high = int(np.argmin(np.abs(levels - (1.0 - level))))
        if high > low and math.isclose(levels[high], 1.0 - level, abs_tol=1e-9):
            inside = (quantiles[:, low] <= actual) & (actual <= quantiles[:, high])
            coverage[round(1.0 - 2.0 * float(level), 9)] = float(inside.mean())
    return dict(sorted(coverage.items()))


def _ratio(numerator: float, denominator: float) -> float:
    """The share numerator / denominator, NaN for 0 / 0 and where nothing was there to be divided by."""
    return numerator / denominator if denominator > 0 else math.nan
