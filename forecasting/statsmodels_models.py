"""Exponential smoothing as statsmodels estimates it: the reference beside our own search, and a model to choose.

The only file that imports statsmodels, and only when a model is fitted: the import takes two seconds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from forecasting.errors import ModelError
from forecasting.holt_winters import FittedHoltWinters, HoltWinters, initial_states
from forecasting.holt_winters_kernels import Smoothing, States
from forecasting.periods import detect_periods
from forecasting.series import FloatArray, Series, linear_fill
from forecasting.transform import Transform, TransformName

# Below this many known bins there is nothing to estimate four parameters from.
_MIN_KNOWN_BINS = 16
# The latest bins that the parameters are estimated on: 14 days of 5 minutes take statsmodels 0.2 seconds.
_MAX_BINS = 4_032


@dataclass(frozen=True, slots=True)
class StatsmodelsETS:
    """Additive level, damped trend and one season; smoothing parameters by statsmodels' ExponentialSmoothing.

    A fit estimates the parameters from known initial states (the classical decomposition's, as for `HoltWinters`:
    estimating 288 or 1,440 of them would take hours), with missing bins filled linearly for the estimation alone. An
    update moves the states on with those parameters, by our kernel, which computes what statsmodels does; parameters
    change at the next fit only.

    Attributes:
        period: bins of the season; None takes the shortest that is detected when it is fitted, 0 is none.
        transform: scale on which the season adds up.
        name: short name for tables.
    """

    period: int | None = None
    transform: TransformName = "sqrt"
    name: str = "ets"

    def __post_init__(self) -> None:
        if self.period is not None and (self.period < 0 or self.period == 1):
            raise ModelError(f"period must be 0 for none, or at least 2 bins, got {self.period}")

    def fit(self, series: Series) -> FittedHoltWinters:
        """Estimate the parameters from `series`, and stand at its end."""
        periods = detect_periods(series)[:1] if self.period is None else (self.period,) * (self.period > 0)
        periods = tuple(period for period in periods if 2 * period <= len(series))
        if int(np.isfinite(series.values).sum()) < _MIN_KNOWN_BINS:
            return HoltWinters(periods=(), transform=self.transform).fit(series)
        transform = Transform.of(self.transform, series.values)
        values = transform.forward(series.values)
        recent = values[-_MAX_BINS:]
        smoothing = estimate_smoothing(linear_fill(recent), periods, initial_states(recent, periods)[0])
        return FittedHoltWinters(transform, smoothing, 0, initial_states(values, periods)[0]).after(values)


def estimate_smoothing(values: FloatArray, periods: tuple[int, ...], start: States) -> Smoothing:
    """Statsmodels' least squares of the parameters on `values` (n,), without missing ones, from known states.

    `periods` has at most one season, of which `values` holds two cycles or more.
    """
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(
        values,
        trend="add",
        damped_trend=True,
        seasonal="add" if periods else None,
        seasonal_periods=periods[0] if periods else None,
        initialization_method="known",
        initial_level=start.level,
        initial_trend=start.trend,
        initial_seasonal=start.seasons if periods else None,
    )
    # A perfect fit, of a service that is constant, has an infinite likelihood: log(0).
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        # The best point that it found is good enough; that it isn't proven to be the optimum is no news to act on.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = model.fit(use_brute=False).params
    gammas = [found["smoothing_seasonal"]] if periods else []
    return Smoothing(
        alpha=float(found["smoothing_level"]),
        beta=float(found["smoothing_trend"]),
        phi=float(found["damping_trend"]),
        gammas=np.array(gammas, dtype=np.float64),
        periods=np.array(periods, dtype=np.int64),
    )
