"""Any point model as a member of the lead ensemble: it says the middle, its residuals say the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from forecasting.append_log import AppendLog
from forecasting.lead_history import LeadHistory, Origin
from forecasting.lead_kernels import PREDICTION, TARGETS, bounded_spread, count_residuals, quantiles_from, spread_prior
from forecasting.protocol import FittedPoint, PointModel
from forecasting.residual_histogram import prior_histogram
from forecasting.series import FloatArray, Series

_HALF_LIFE_DAYS = 14.0
# As for conformal intervals: the size to expect of a residual is the geometric mean of recent change and residuals.
_SIZE_HALF_LIFE_DAYS = 0.25
_PRIOR_RESIDUALS = 20.0
_LOG_RESIDUAL_FLOOR = 0.01
# A fit chooses seasons and smoothing, so it comes again when the history has doubled; it looks at 28 days.
_FIT_DAYS = 28
_GROWTH_TO_REFIT = 2


@dataclass(frozen=True, slots=True)
class PointMember:
    """A point model that is fitted after the first day, and again whenever its history has doubled.

    Attributes:
        model: the point model.
        fitted: None before the first day is over.
        fitted_bins: bins seen when it was fitted.
        series: the latest 28 days; None before the first bin.
        histograms: of standardised residuals, shape (TARGETS, CELLS + 1).
        sizes: weighted sum of the logs of recent residuals' size, and weights, shape (TARGETS, 2).
        predictions: one row per origin, shape (PREDICTION,).
    """

    model: PointModel
    fitted: FittedPoint | None
    fitted_bins: int
    series: Series | None = field(repr=False)
    histograms: FloatArray = field(repr=False)
    sizes: FloatArray = field(repr=False)
    predictions: AppendLog = field(repr=False)

    @classmethod
    def start(cls, model: PointModel, *, lead: int) -> Self:
        """A member that has seen nothing: it says the level, and the recent change as the spread."""
        predictions = AppendLog.empty((PREDICTION,), rows_max=lead + 2)
        return cls(model, None, 0, None, np.vstack([prior_histogram()] * TARGETS), np.zeros((TARGETS, 2)), predictions)

    @property
    def name(self) -> str:
        """The point model's."""
        return self.model.name

    def learn(self, history: LeadHistory, matured: Origin | None) -> Self:
        """See LeadMember."""
        histograms, sizes = self.histograms, self.sizes
        if matured is not None and len(self.predictions) >= matured.age:
            histograms = histograms.copy()
            made = self.predictions.rows[len(self.predictions) - matured.age]
            count_residuals(made, matured.targets, 2.0 ** (1.0 / (_HALF_LIFE_DAYS * history.day)), histograms)
            sizes = _aged(sizes, made, matured.targets, 0.5 ** (1.0 / (_SIZE_HALF_LIFE_DAYS * history.day)))
        demand = math.nan if history.missing_at == history.bins - 1 else history.latest_demand
        series = self._appended(history, demand)
        fitted, fitted_bins = self.fitted, self.fitted_bins
        if history.bins >= max(history.day, _GROWTH_TO_REFIT * fitted_bins):
            fitted, fitted_bins = self.model.fit(series), history.bins
        elif fitted is not None:
            fitted = fitted.update(demand)
        predictions = self.predictions.append(_prediction(history, fitted, sizes))
        return type(self)(self.model, fitted, fitted_bins, series, histograms, sizes, predictions)

    def _appended(self, history: LeadHistory, demand: float) -> Series:
        if self.series is not None:
            return self.series.append(demand)
        start_s = history.next_start_s - history.bin_s
        return Series.of([demand], bin_s=history.bin_s, start_s=start_s, max_bins=_FIT_DAYS * history.day)

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """See LeadMember."""
        return quantiles_from(self.predictions.rows[-1], self.histograms, levels)


def _aged(sizes: FloatArray, made: FloatArray, targets: FloatArray, decay: float) -> FloatArray:
    """Sizes with the residuals of a prediction, shape (PREDICTION,), whose targets, shape (TARGETS,), came."""
    residual = np.abs(targets - made[0] - made[1:-1:2])
    aged: FloatArray = decay * sizes
    aged[:, 0] += np.log(residual + _LOG_RESIDUAL_FLOOR)
    aged[:, 1] += 1.0
    return aged


def _prediction(history: LeadHistory, fitted: FittedPoint | None, sizes: FloatArray) -> FloatArray:
    """Prediction, shape (PREDICTION,): the target bin's forecast, and the largest until then."""
    features, level = history.latest
    row = np.zeros(PREDICTION)
    row[0], row[-1] = level, history.bound_log
    if fitted is not None:
        forecast = fitted.forecast(history.lead + 1)
        row[1] = math.log(forecast[-1] + history.floor) - level
        row[3] = math.log(forecast.max() + history.floor) - level
    change = spread_prior(features, history.lead)
    for k in range(TARGETS):
        size = (sizes[k, 0] + _PRIOR_RESIDUALS * change) / (sizes[k, 1] + _PRIOR_RESIDUALS)
        row[2 + 2 * k] = bounded_spread(0.5 * (change + size))
    return row
