"""How the lead ensemble averages: weights from the losses of what its members said one lead ago.

Losses are of the demand itself, as replicas are: in logs, an idle hour at 1 instead of 2 weighed as much as a burst at
half of its size, and cost 13 to 21 % of the loss on a tenant that moves in steps. Quantiles are averaged in logs with
weights exp(-ETA * (loss / best loss - 1)) (exponential weights; Vovk 1990).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from forecasting.lead_features import BoolArray
from forecasting.lead_kernels import row_before
from forecasting.series import FloatArray

# A member whose loss is 10 % above the best's keeps 37 % of the best's weight. Sharper weights (30) lost on short
# histories: 34 % of the distance to the optimum against 78 % on a tenant with 1,000 bins before scoring.
_ETA = 10.0


@njit(cache=True)
def add_losses(losses: FloatArray, said: FloatArray, targets: FloatArray, levels: FloatArray, decay: float) -> None:
    """Decay losses, shape (members, TARGETS), and add the mean pinball loss of what the members said, in demand.

    Args:
        losses: written to.
        said: log quantiles, shape (members, TARGETS, q).
        targets: what came, logs, shape (TARGETS,).
        levels: the quantiles' levels, shape (q,).
        decay: weight that the past keeps.
    """
    for m in range(said.shape[0]):
        for k in range(said.shape[1]):
            came = math.exp(targets[k])
            total = 0.0
            for i in range(len(levels)):
                error = came - math.exp(said[m, k, i])
                total += max(levels[i] * error, (levels[i] - 1.0) * error)
            losses[m, k] = decay * losses[m, k] + total / len(levels)


@njit(cache=True)
def weights_of(losses: FloatArray) -> FloatArray:
    """Weights of the members per target, shape (members, TARGETS); each column sums to 1."""
    members = losses.shape[0]
    weights = np.empty(losses.shape)
    for k in range(losses.shape[1]):
        best = worst = losses[0, k]
        for m in range(1, members):
            best = min(best, losses[m, k])
            worst = max(worst, losses[m, k])
        total = 0.0
        for m in range(members):
            weights[m, k] = math.exp(-_ETA * (losses[m, k] / max(best, 1e-12) - 1.0)) if worst > 0.0 else 1.0
            total += weights[m, k]
        for m in range(members):
            weights[m, k] /= total
    return weights


@njit(cache=True)
def average(said: FloatArray, weights: FloatArray, floor: float, out: FloatArray) -> None:
    """Fill out, shape (TARGETS, q), with demand from the members' log quantiles, shape (members, TARGETS, q)."""
    for k in range(said.shape[1]):
        for i in range(said.shape[2]):
            mean = 0.0
            for m in range(said.shape[0]):
                mean += weights[m, k] * said[m, k, i]
            out[k, i] = max(math.exp(mean) - floor, 0.0)


@njit(cache=True, nogil=True)
def average_bins(
    said: FloatArray,
    earlier_at_loss: FloatArray,
    at_loss: FloatArray,
    loss_levels: FloatArray,
    matured: BoolArray,
    targets: FloatArray,
    lead: int,
    floor: float,
    decay: float,
    losses: FloatArray,
    quantiles: FloatArray,
) -> None:
    """Average what the members said after each of n bins; writes the losses, and quantiles, shape (n, TARGETS, q).

    Args:
        said: log quantiles, shape (n, members, TARGETS, q).
        earlier_at_loss: those at `loss_levels` after bins before these, shape (p, members, TARGETS, l).
        at_loss: likewise after these, shape (n, members, TARGETS, l).
        loss_levels: where the loss is taken, shape (l,).
        matured: whether a bin is the target of an origin to learn from, shape (n,).
        targets: what came of it, shape (n, TARGETS).
        lead: bins between the next bin and the target.
        floor: demand that doesn't matter, inside the logs.
        decay: weight that past losses keep per bin.
        losses: decayed pinball losses, shape (members, TARGETS).
        quantiles: receives the demand, work per second.
    """
    for n in range(len(said)):
        origin = n - lead - 1
        if matured[n] and len(earlier_at_loss) + origin >= 0:
            add_losses(losses, row_before(earlier_at_loss, at_loss, origin), targets[n], loss_levels, decay)
        average(said[n], weights_of(losses), floor, quantiles[n])
