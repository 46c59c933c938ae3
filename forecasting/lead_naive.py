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
from forecasting.kernel import kernel
from forecasting.lead_bins import LeadBins
from forecasting.lead_features import FEATURES, BoolArray
from forecasting.lead_kernels import (
    HALF_LIFE_DAYS,
    PREDICTION,
    TARGETS,
    count_residuals,
    latest_log_quantiles,
    quantiles_from,
    row_before,
)
from forecasting.residual_histogram import CELLS
from forecasting.series import FloatArray
from forecasting.tempered_residuals import blocks_of, prior_record

# The demand will be what it is now, times what it usually changes by: what every forecast must beat.
LAST_VALUE = "last-value"
# The demand will be what it usually is, whatever it is now: as good as anything where bins are full or empty by chance.
CLIMATOLOGY = "climatology"
NAIVE_MEMBERS = (LAST_VALUE, CLIMATOLOGY)

# Spread of the log ratio that is believed before any came; quantiles don't depend on it later. At 0.5, and a quarter of
# the usual weight, a burst in the first hours is thought possible: 5 % less loss there than at 0.1.
_SPREAD = 0.5
_PRIOR_SHARE = 0.25


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
        middles = np.full(len(bins), middle)
        if self.name == LAST_VALUE:
            middles[:] = bins.log_demand[-len(bins) :]
        records = self.records.copy()
        predictions = np.empty((len(bins), PREDICTION))
        said = np.empty((len(bins), TARGETS, len(levels)))
        ratio_bins(
            middles,
            bins.matured,
            bins.targets,
            bins.bounds,
            bins.day,
            bins.lead,
            levels,
            records,
            self.predictions.rows,
            predictions,
            said,
        )
        return type(self)(self.name, middle, records, self.predictions.extend(predictions)), said

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """See LeadMember."""
        return latest_log_quantiles(self.predictions.rows, self.records, levels)


@kernel(nogil=True)
def ratio_bins(
    middles: FloatArray,
    matured: BoolArray,
    targets: FloatArray,
    bounds: FloatArray,
    day: int,
    lead: int,
    levels: FloatArray,
    records: FloatArray,
    earlier_predictions: FloatArray,
    predictions: FloatArray,
    said: FloatArray,
) -> None:
    """See n bins with given middles; writes `records`, `predictions` and `said`.

    Args:
        middles: log demand that is said after each bin, shape (n,).
        matured: whether a bin is the target of an origin to learn from, shape (n,).
        targets: what came of it, shape (n, TARGETS).
        bounds: log demand that forecasts made after a bin may not exceed, see `bound_at`, shape (n,).
        day: bins in a day.
        lead: bins between the next bin and the target.
        levels: increasing, shape (q,).
        records: see NaiveMember.
        earlier_predictions: what was said before, shape (p, PREDICTION).
        predictions: receives what is said after each bin, shape (n, PREDICTION).
        said: receives its log quantiles, shape (n, TARGETS, q).
    """
    growth = 2.0 ** (1.0 / (HALF_LIFE_DAYS * day))
    blocks = blocks_of(records)
    for n in range(len(middles)):
        origin = n - lead - 1
        if matured[n] and len(earlier_predictions) + origin >= 0:
            made = row_before(earlier_predictions, predictions, origin)
            count_residuals(made, targets[n], growth, records, blocks)
        predictions[n, 0] = middles[n]
        for k in range(TARGETS):
            predictions[n, 1 + 2 * k] = 0.0
            predictions[n, 2 + 2 * k] = _SPREAD
        predictions[n, PREDICTION - 1] = bounds[n]
        quantiles_from(predictions[n], records, blocks, levels, said[n])
