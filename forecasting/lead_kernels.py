"""Kernels of the lead regression: learn from a matured target, solve, predict.

Targets are log ratios to the level at the time of the forecast: the demand in the target bin, and the peak from the
next bin to the target bin. Two ridge regressions on the same features give the middle and, on the log of the
absolute residual, the spread; conformal quantiles of the standardised residuals do the rest.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from forecasting.lead_features import FEATURES
from forecasting.residual_histogram import add_residual, residual_quantiles
from forecasting.series import FloatArray

TARGETS = 2
# Level, middle and spread per target, bound.
PREDICTION = 2 + 2 * TARGETS

# Features are differences of logs, 0.1 to 1 in size; 3 residuals' worth of shrinkage keeps a first day stable.
_RIDGE = 3.0
_RIDGE_INTERCEPT = 0.01

# Residuals beyond this many spreads pull at the middle like one at the limit (Huber): a spike is not the rule.
_HUBER_SPREADS = 6.0
_LOG_RESIDUAL_FLOOR = 0.01
_LOG_SPREAD_MIN, _LOG_SPREAD_MAX = -5.0, 1.5

_RECENT_CHANGE = 7
_FIXED_LOG_SPREAD = math.log(0.1)


@njit(cache=True)
def spread_prior(features: FloatArray, lead: int) -> float:
    """Log spread before any residual is seen: the recent change per bin, growing slowly with the lead."""
    return float(features[_RECENT_CHANGE]) + 0.25 * math.log(1.0 + lead)


@njit(cache=True)
def _prior_of_member(features: FloatArray, mask: FloatArray, lead: int) -> float:
    """Log spread to start from: a constant for a member that doesn't see the recent change."""
    return spread_prior(features, lead) if mask[_RECENT_CHANGE] > 0.0 else _FIXED_LOG_SPREAD


@njit(cache=True)
def bounded_spread(log_spread: float) -> float:
    """A spread from its logarithm, within what a service can do from one lead to the next."""
    return math.exp(min(max(log_spread, _LOG_SPREAD_MIN), _LOG_SPREAD_MAX))


@njit(cache=True)
def count_residuals(prediction: FloatArray, targets: FloatArray, growth: float, histograms: FloatArray) -> None:
    """Count the standardised residuals of a prediction, shape (PREDICTION,), whose targets, shape (TARGETS,), came."""
    for k in range(TARGETS):
        residual = targets[k] - prediction[0] - prediction[1 + 2 * k]
        add_residual(histograms[k], residual / prediction[2 + 2 * k], growth)


@njit(cache=True)
def learn_target(
    features: FloatArray,
    mask: FloatArray,
    prediction: FloatArray,
    targets: FloatArray,
    lead: int,
    decay: float,
    gram: FloatArray,
    moments: FloatArray,
    histograms: FloatArray,
) -> None:
    """Learn from one forecast whose target is known now; writes gram, moments and histograms.

    Args:
        features: what the forecast was made from, shape (FEATURES,).
        mask: 1 for features that this member sees, else 0, shape (FEATURES,).
        prediction: what it said, shape (PREDICTION,).
        targets: what came, log demand per target, shape (TARGETS,).
        lead: the forecast's lead in bins.
        decay: weight that the past keeps per bin, below 1.
        gram: features' weighted second moments, shape (FEATURES, FEATURES).
        moments: with the targets, shape (TARGETS, 2, FEATURES): middle, then log spread.
        histograms: of standardised residuals, shape (TARGETS, CELLS + 1).
    """
    prior = _prior_of_member(features, mask, lead)
    seen = features * mask
    gram *= decay
    moments *= decay
    for i in range(FEATURES):
        for j in range(FEATURES):
            gram[i, j] += seen[i] * seen[j]
    for k in range(TARGETS):
        middle, spread = prediction[1 + 2 * k], prediction[2 + 2 * k]
        residual = targets[k] - prediction[0] - middle
        limit = _HUBER_SPREADS * spread
        pull = middle + min(max(residual, -limit), limit)
        log_spread = math.log(abs(residual) + _LOG_RESIDUAL_FLOOR) - prior
        moments[k, 0] += pull * seen
        moments[k, 1] += log_spread * seen
        add_residual(histograms[k], residual / spread, 1.0 / decay)


@njit(cache=True)
def solve_ridge(gram: FloatArray, moments: FloatArray) -> FloatArray:
    """Ridge solutions of all TARGETS x 2 regressions, shape (TARGETS, 2, FEATURES)."""
    regularised = gram.copy()
    for i in range(FEATURES - 1):
        regularised[i, i] += _RIDGE
    regularised[FEATURES - 1, FEATURES - 1] += _RIDGE_INTERCEPT
    columns = np.ascontiguousarray(moments.reshape(TARGETS * 2, FEATURES).T)
    solved = np.linalg.solve(regularised, columns)
    return np.ascontiguousarray(solved.T).reshape(TARGETS, 2, FEATURES)


@njit(cache=True)
def predict(
    features: FloatArray, mask: FloatArray, level: float, lead: int, weights: FloatArray, bound: float
) -> FloatArray:
    """Prediction, shape (PREDICTION,): log level, then middle and spread per target relative to it, then the bound."""
    out = np.empty(PREDICTION)
    out[0] = level
    out[PREDICTION - 1] = bound
    prior = _prior_of_member(features, mask, lead)
    seen = features * mask
    for k in range(TARGETS):
        middle = 0.0
        log_spread = prior
        for i in range(FEATURES):
            middle += weights[k, 0, i] * seen[i]
            log_spread += weights[k, 1, i] * seen[i]
        out[1 + 2 * k] = middle
        out[2 + 2 * k] = bounded_spread(log_spread)
    return out


@njit(cache=True)
def quantiles_from(prediction: FloatArray, histograms: FloatArray, levels: FloatArray) -> FloatArray:
    """Log quantiles of a prediction at increasing `levels`, bounded: shape (TARGETS, q)."""
    out = np.empty((TARGETS, len(levels)))
    for k in range(TARGETS):
        residual_quantiles(histograms[k], levels, out[k])
        for i in range(len(levels)):
            log_demand = prediction[0] + prediction[1 + 2 * k] + prediction[2 + 2 * k] * out[k, i]
            out[k, i] = min(log_demand, prediction[PREDICTION - 1])
    return out
