"""The loops of a point model as a member of the lead ensemble: spreads around its forecasts, then quantiles.

Two, since naive members need the second as well: compiled for them once more, a first decision took 0.3 s longer.
"""

from __future__ import annotations

import math

from forecasting.kernel import inner, kernel
from forecasting.lead_features import FEATURES, BoolArray
from forecasting.lead_kernels import (
    HALF_LIFE_DAYS,
    LOG_RESIDUAL_FLOOR,
    PREDICTION,
    TARGETS,
    bounded_spread,
    count_residuals,
    quantiles_from,
    row_before,
    spread_prior,
)
from forecasting.series import FloatArray
from forecasting.tempered_residuals import blocks_of

# As for conformal intervals: the size to expect of a residual is the geometric mean of recent change and residuals.
_SIZE_HALF_LIFE_DAYS = 0.25
_PRIOR_RESIDUALS = 20.0


@inner
def age_sizes(sizes: FloatArray, made: FloatArray, targets: FloatArray, decay: float) -> None:
    """Decay `sizes`, shape (TARGETS, 2), and add the residuals of a prediction whose targets came."""
    for k in range(TARGETS):
        residual = abs(targets[k] - made[0] - made[1 + 2 * k])
        sizes[k, 0] = decay * sizes[k, 0] + math.log(residual + LOG_RESIDUAL_FLOOR)
        sizes[k, 1] = decay * sizes[k, 1] + 1.0


@inner
def predict_around(
    ahead: FloatArray, features: FloatArray, bound: float, lead: int, floor: float, sizes: FloatArray, out: FloatArray
) -> None:
    """Fill out, shape (PREDICTION,): the level, then a point model's middle and a spread per target, then the bound.

    Args:
        ahead: forecast of the target bin, and the largest until then, work per second, shape (TARGETS,); where it is
            NaN the level is said.
        features: of the origin, and its level, shape (FEATURES + 1,).
        bound: log demand that forecasts may not exceed, see `bound_at`.
        lead: bins between the next bin and the target.
        floor: demand that doesn't matter.
        sizes: of recent residuals, see PointMember.
        out: written to.
    """
    level = features[FEATURES]
    change = spread_prior(features, lead)
    out[0] = level
    out[PREDICTION - 1] = bound
    for k in range(TARGETS):
        out[1 + 2 * k] = 0.0 if math.isnan(ahead[k]) else math.log(ahead[k] + floor) - level
        size = (sizes[k, 0] + _PRIOR_RESIDUALS * change) / (sizes[k, 1] + _PRIOR_RESIDUALS)
        out[2 + 2 * k] = bounded_spread(0.5 * (change + size))


@kernel(nogil=True)
def predict_bins(
    ahead: FloatArray,
    features: FloatArray,
    matured: BoolArray,
    targets: FloatArray,
    bounds: FloatArray,
    day: int,
    lead: int,
    floor: float,
    sizes: FloatArray,
    earlier_predictions: FloatArray,
    predictions: FloatArray,
) -> None:
    """See n bins with a point model's forecasts; writes `sizes` and `predictions`.

    Args:
        ahead: forecasts made after each bin, see `predict_around`, shape (n, TARGETS).
        features: rows of the origins after each bin, shape (n, FEATURES + 1).
        matured: whether a bin is the target of an origin to learn from, shape (n,).
        targets: what came of it, shape (n, TARGETS).
        bounds: log demand that forecasts made after a bin may not exceed, see `bound_at`, shape (n,).
        day: bins in a day.
        lead: bins between the next bin and the target.
        floor: demand that doesn't matter.
        sizes: see PointMember.
        earlier_predictions: what was said before, shape (p, PREDICTION).
        predictions: receives what is said after each bin, shape (n, PREDICTION).
    """
    decay = 0.5 ** (1.0 / (_SIZE_HALF_LIFE_DAYS * day))
    for n in range(len(features)):
        origin = n - lead - 1
        if matured[n] and len(earlier_predictions) + origin >= 0:
            age_sizes(sizes, row_before(earlier_predictions, predictions, origin), targets[n], decay)
        predict_around(ahead[n], features[n], bounds[n], lead, floor, sizes, predictions[n])


@kernel(nogil=True)
def say_bins(
    matured: BoolArray,
    targets: FloatArray,
    day: int,
    lead: int,
    levels: FloatArray,
    records: FloatArray,
    earlier_predictions: FloatArray,
    predictions: FloatArray,
    said: FloatArray,
) -> None:
    """Say quantiles around predictions that no residual changes, of naive members too; writes `records` and `said`.

    Args:
        matured: whether a bin is the target of an origin to learn from, shape (n,).
        targets: what came of it, shape (n, TARGETS).
        day: bins in a day.
        lead: bins between the next bin and the target.
        levels: increasing, shape (q,).
        records: of residuals, see tempered_residuals, shape (TARGETS, RECORD).
        earlier_predictions: what was predicted before, shape (p, PREDICTION).
        predictions: what is predicted after each bin, shape (n, PREDICTION).
        said: receives its log quantiles, shape (n, TARGETS, q).
    """
    growth = 2.0 ** (1.0 / (HALF_LIFE_DAYS * day))
    blocks = blocks_of(records)
    for n in range(len(predictions)):
        origin = n - lead - 1
        if matured[n] and len(earlier_predictions) + origin >= 0:
            made = row_before(earlier_predictions, predictions, origin)
            count_residuals(made, targets[n], growth, records, blocks)
        quantiles_from(predictions[n], records, blocks, levels, said[n])
