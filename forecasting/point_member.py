"""Any point model as a member of the lead ensemble: it says the middle, its residuals say the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from forecasting.append_log import AppendLog
from forecasting.lead_bins import LeadBins
from forecasting.lead_history import REMEMBERED_DAYS
from forecasting.lead_kernels import PREDICTION, TARGETS, latest_log_quantiles
from forecasting.point_kernel import predict_bins, say_bins
from forecasting.protocol import FittedPoint, PointModel
from forecasting.series import FloatArray
from forecasting.tempered_residuals import prior_record
from forecasting.walk import walk

# A fit chooses seasons and smoothing, so it comes again when the history has doubled.
_GROWTH_TO_REFIT = 2


@dataclass(frozen=True, slots=True)
class PointMember:
    """A point model that is fitted after the first day, and again whenever its history has doubled.

    Attributes:
        model: the point model.
        fitted: None before the first day is over.
        fitted_bins: bins seen when it was fitted.
        records: of residuals, see tempered_residuals, shape (TARGETS, RECORD).
        sizes: weighted sum of the logs of recent residuals' size, and weights, shape (TARGETS, 2).
        predictions: one row per origin, shape (PREDICTION,).
    """

    model: PointModel
    fitted: FittedPoint | None
    fitted_bins: int
    records: FloatArray = field(repr=False)
    sizes: FloatArray = field(repr=False)
    predictions: AppendLog = field(repr=False)

    @classmethod
    def start(cls, model: PointModel, *, lead: int) -> Self:
        """A member that has seen nothing: it says the level, and the recent change as the spread."""
        predictions = AppendLog.empty((PREDICTION,), rows_max=lead + 2)
        return cls(model, None, 0, np.vstack([prior_record()] * TARGETS), np.zeros((TARGETS, 2)), predictions)

    @property
    def name(self) -> str:
        """The point model's."""
        return self.model.name

    def learn(self, bins: LeadBins, levels: FloatArray) -> tuple[Self, FloatArray]:
        """See LeadMember."""
        fitted, fitted_bins, ahead = self._forecasts(bins)
        records, sizes = self.records.copy(), self.sizes.copy()
        predictions = np.empty((len(bins), PREDICTION))
        said = np.empty((len(bins), TARGETS, len(levels)))
        earlier = self.predictions.rows
        predict_bins(
            ahead,
            bins.features,
            bins.matured,
            bins.targets,
            bins.bounds,
            bins.day,
            bins.lead,
            bins.floor,
            sizes,
            earlier,
            predictions,
        )
        say_bins(bins.matured, bins.targets, bins.day, bins.lead, levels, records, earlier, predictions, said)
        predicted = self.predictions.extend(predictions)
        return type(self)(self.model, fitted, fitted_bins, records, sizes, predicted), said

    def _forecasts(self, bins: LeadBins) -> tuple[FittedPoint | None, int, FloatArray]:
        """The fitted model after the bins, the bins it was fitted to, and what it forecast after each, shape (n, 2).

        First the target bin, then the largest until it; NaN before the first fit.
        """
        fitted, fitted_bins = self.fitted, self.fitted_bins
        ahead = np.full((len(bins), TARGETS), math.nan)
        at = 0
        while at < len(bins):
            refit = max(at, max(bins.day, _GROWTH_TO_REFIT * fitted_bins) - bins.first - 1)
            stop = min(refit, len(bins))
            if fitted is not None:
                fitted, at_lead = walk(fitted, bins.demand(at, stop), np.array([bins.lead + 1]))
                ahead[at:stop] = at_lead[:, 0]
            if refit < len(bins):
                fitted, fitted_bins = (
                    self.model.fit(bins.until(refit + 1, REMEMBERED_DAYS * bins.day)),
                    bins.first + refit + 1,
                )
                forecast = fitted.forecast(bins.lead + 1)
                ahead[refit] = forecast[-1], forecast.max()
            at = refit + 1
        return fitted, fitted_bins, ahead

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """See LeadMember."""
        return latest_log_quantiles(self.predictions.rows, self.records, levels)
