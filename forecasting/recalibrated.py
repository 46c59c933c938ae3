"""The lead ensemble with its coverage put right: what came is ranked in what was said, and the ranks shift the levels.

Averaging the quantiles of members that err in different directions gives intervals that are too wide: 94.5 % instead of
90 % one hour ahead on the bundled chat trace. A rank (probability integral transform) is counted as its normal score:
a histogram of residuals can count those, and its prior, a normal, says that the levels are right as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Self

import numpy as np
import numpy.typing as npt
from numba import njit

from forecasting.append_log import AppendLog
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_member import TARGETS
from forecasting.protocol import check_levels
from forecasting.residual_histogram import PRIOR_DEVIATION, add_residual, prior_histogram, residual_quantiles
from forecasting.series import FloatArray, Series

_HALF_LIFE_DAYS = 7.0
_SCORES = NormalDist(0.0, PRIOR_DEVIATION)

# Levels that ranks are found between, even as normal scores, from 0.0001 to 0.9999.
_RANK_SCORES = np.linspace(_SCORES.inv_cdf(1e-4), _SCORES.inv_cdf(1 - 1e-4), 33)
_RANK_LEVELS = np.array([_SCORES.cdf(score) for score in _RANK_SCORES])


@njit(cache=True)
def count_ranks(said: FloatArray, came: FloatArray, scores: FloatArray, growth: float, histograms: FloatArray) -> None:
    """Count the ranks of what came, shape (TARGETS,), in the quantiles said, shape (TARGETS, s), at `scores` (s,)."""
    for k in range(len(came)):
        add_residual(histograms[k], np.interp(came[k], said[k], scores), growth)


@dataclass(frozen=True, slots=True)
class RecalibratedEnsemble:
    """A lead ensemble, and where in its quantiles the demand came to lie.

    Attributes:
        ensemble: what is recalibrated.
        histograms: of normal scores of ranks, shape (TARGETS, CELLS + 1).
        said: log quantiles at the latest origins, rows of shape (TARGETS, s).
    """

    ensemble: LeadEnsemble
    histograms: FloatArray = field(repr=False)
    said: AppendLog = field(repr=False)

    @classmethod
    def start(cls, ensemble: LeadEnsemble) -> Self:
        """With an ensemble that has seen nothing."""
        said = AppendLog.empty((TARGETS, len(_RANK_LEVELS)), rows_max=ensemble.history.lead + 2)
        return cls(ensemble, np.vstack([prior_histogram()] * TARGETS), said)

    def fit(self, series: Series) -> Self:
        """See all bins of `series`, oldest first."""
        fitted = self
        for value in series.values:
            fitted = fitted.update(float(value))
        return fitted

    def update(self, value: float) -> Self:
        """See one more bin: work per second, NaN where it is missing."""
        ensemble = self.ensemble.update(value)
        history = ensemble.history
        if history.bins_known == 0:
            return type(self)(ensemble, self.histograms, self.said)
        histograms, origin = self.histograms, history.matured()
        if origin is not None and len(self.said) >= origin.age:
            histograms = histograms.copy()
            growth = 2.0 ** (1.0 / (_HALF_LIFE_DAYS * history.day))
            count_ranks(self.said.rows[len(self.said) - origin.age], origin.targets, _RANK_SCORES, growth, histograms)
        said = np.log(ensemble.at_lead(_RANK_LEVELS) + history.floor)
        return type(self)(ensemble, histograms, self.said.append(said))

    def at_lead(self, levels: npt.ArrayLike) -> FloatArray:
        """As LeadEnsemble.at_lead: quantiles at increasing `levels`, shape (TARGETS, q); NaN before a bin is known."""
        wanted = check_levels(levels)
        if self.ensemble.history.bins_known == 0:
            return np.full((TARGETS, len(wanted)), np.nan)
        logs = np.empty((TARGETS, len(wanted)))
        scores = np.empty(len(wanted))
        for k in range(TARGETS):
            residual_quantiles(self.histograms[k], wanted, scores)
            logs[k] = np.interp(scores, _RANK_SCORES, self.said.rows[-1][k])
        return np.maximum(np.exp(logs) - self.ensemble.history.floor, 0.0)
