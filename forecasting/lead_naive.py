"""Naive members of the lead ensemble: what can be said without a model, with intervals from what came.

Short and sparse histories are theirs: with them, and fewer regressions, 3 % less is lost at the next bin to two hours
over 17 traces, and a fifth on those of an hour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from forecasting.append_log import AppendLog
from forecasting.lead_bins import LeadBins
from forecasting.lead_features import FEATURES
from forecasting.lead_kernels import PREDICTION, TARGETS, latest_log_quantiles
from forecasting.point_kernel import say_bins
from forecasting.residual_histogram import CELLS
from forecasting.series import FloatArray
from forecasting.tempered_residuals import prior_record

# The demand will be what it is now, times what it usually changes by: what every forecast must beat.
LAST_VALUE = "last-value"
# The demand will be what it usually is, whatever it is now: as good as anything where bins are full or empty by chance.
CLIMATOLOGY = "climatology"
NAIVE_MEMBERS = (LAST_VALUE, CLIMATOLOGY)

# Spread of the log ratio that is believed before any came; quantiles don't depend on it later. At 0.5 a burst in the
# first hours is thought possible: 5 % less loss there than at 0.1. It counts like one residual, a twentieth of the
# usual prior: like five, 95 % of a steady first hour was 1.3 times all that came, and 1,086 starts (177 windows of an
# hour to four days, the later half scored) cost 1.2 % more, with as many budgets kept: 834.
_SPREAD = 0.5
_PRIOR_SHARE = 0.05
# A prediction as kernels make it, but for its level and its bound.
_PREDICTED = np.array([0.0, *[0.0, _SPREAD] * TARGETS, 0.0])


@dataclass(frozen=True, slots=True)
class NaiveMember:
    """Quantiles of what came over a middle that nothing is learned for. Fields are arrays not to be written to.

    Attributes:
        name: LAST_VALUE, whose middle is the newest bin, or CLIMATOLOGY, whose middle never moves.
        middle: that one, the log level after the first known bin, which any other would do for; NaN before.
        records: of log ratios of what came to the middle, shape (TARGETS, RECORD).
        predictions: one row per origin, shape (PREDICTION,).
    """

    name: str
    middle: float
    records: FloatArray = field(repr=False)
    predictions: AppendLog = field(repr=False)

    @classmethod
    def start(cls, name: str, *, lead: int) -> Self:
        """A member that has seen nothing."""
        record = prior_record()
        record[:CELLS] *= _PRIOR_SHARE
        return cls(name, math.nan, np.vstack([record] * TARGETS), AppendLog.empty((PREDICTION,), rows_max=lead + 2))

    def learn(self, bins: LeadBins, levels: FloatArray) -> tuple[Self, FloatArray]:
        """See LeadMember."""
        middle = float(bins.features[0, FEATURES]) if math.isnan(self.middle) else self.middle
        predictions = np.empty((len(bins), PREDICTION))
        predictions[:] = _PREDICTED
        predictions[:, 0] = bins.log_demand[-len(bins) :] if self.name == LAST_VALUE else middle
        predictions[:, -1] = bins.bounds
        records = self.records.copy()
        said = np.empty((len(bins), TARGETS, len(levels)))
        earlier = self.predictions.rows
        say_bins(bins.matured, bins.targets, bins.day, bins.lead, levels, records, earlier, predictions, said)
        return type(self)(self.name, middle, records, self.predictions.extend(predictions)), said

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """See LeadMember."""
        return latest_log_quantiles(self.predictions.rows, self.records, levels)
