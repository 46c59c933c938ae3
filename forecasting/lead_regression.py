"""The lead regression: ridge on scale-free features for the middle, again for the spread, conformal for the rest.

Two regressions of 29 features cost microseconds per bin. On the shared minute trace one fixed quantile of them closed
33 % of the distance from the best HPA to the optimum at 1.4 % late, where daily retrained boosted quantiles closed 28 %
at best and were never less than 3 % late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from forecasting.append_log import AppendLog
from forecasting.lead_features import FEATURES
from forecasting.lead_history import LeadHistory, Origin
from forecasting.lead_kernels import PREDICTION, TARGETS, learn_target, predict, quantiles_from, solve_ridge
from forecasting.residual_histogram import prior_histogram
from forecasting.series import FloatArray

# Moments and residuals halve in weight in 14 days: two of each weekday.
_HALF_LIFE_DAYS = 14.0
# Solving 29 equations takes longer than all else in a bin, and the weights move slowly: 48 times a day.
_SOLVES_PER_DAY = 48

# Which features each member sees (lead_features.py numbers them). Few features do better on short histories, no season
# is right where there is none, and a spread that ignores recent change is right where spikes come out of calm; the
# ensemble finds out. The intercept, 28, always counts.
FEATURE_SETS = {
    "regression": tuple(range(FEATURES)),
    "regression-small": (0, 1, 2, 4, 7, 8, 9, 15, 16, 19, 21, 28),
    "regression-level": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 28),
    "last-level": (7, 8, 9, 28),
    "fixed-ratio": (28,),
}


@dataclass(frozen=True, slots=True)
class LeadRegression:
    """A member of the lead ensemble. Fields are arrays that must not be written to.

    Attributes:
        name: which of FEATURE_SETS it sees.
        mask: 1 where a feature is seen, shape (FEATURES,).
        gram, moments, histograms, weights: see lead_kernels.
        predictions: one row per origin, shape (PREDICTION,).
    """

    name: str
    mask: FloatArray
    gram: FloatArray
    moments: FloatArray
    histograms: FloatArray
    weights: FloatArray
    predictions: AppendLog

    @classmethod
    def start(cls, name: str, *, lead: int) -> Self:
        """A member that has seen nothing: its middle is the level, its spread the recent change per bin."""
        mask = np.zeros(FEATURES)
        mask[list(FEATURE_SETS[name])] = 1.0
        return cls(
            name,
            mask,
            np.zeros((FEATURES, FEATURES)),
            np.zeros((TARGETS, 2, FEATURES)),
            np.vstack([prior_histogram()] * TARGETS),
            np.zeros((TARGETS, 2, FEATURES)),
            AppendLog.empty((PREDICTION,), rows_max=lead + 2),
        )

    def learn(self, history: LeadHistory, matured: Origin | None) -> Self:
        """See LeadMember."""
        gram, moments, histograms, weights = self.gram, self.moments, self.histograms, self.weights
        if matured is not None and len(self.predictions) >= matured.age:
            gram, moments, histograms = gram.copy(), moments.copy(), histograms.copy()
            decay = 0.5 ** (1.0 / (_HALF_LIFE_DAYS * history.day))
            made = self.predictions.rows[len(self.predictions) - matured.age]
            learn_target(
                matured.features, self.mask, made, matured.targets, history.lead, decay, gram, moments, histograms
            )
            if history.bins % max(1, history.day // _SOLVES_PER_DAY) == 0:
                weights = solve_ridge(gram, moments)
        features, level = history.latest
        prediction = predict(features, self.mask, level, history.lead, weights, history.bound_log)
        return type(self)(self.name, self.mask, gram, moments, histograms, weights, self.predictions.append(prediction))

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """See LeadMember."""
        return quantiles_from(self.predictions.rows[-1], self.histograms, levels)
