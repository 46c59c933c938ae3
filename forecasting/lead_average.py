"""How the lead ensemble averages: weights from the losses of what its members said one lead ago.

Losses are of the demand itself, as replicas are: in logs, an idle hour at 1 instead of 2 weighed as much as a burst at
half of its size, and cost 13 to 21 % of the loss on a tenant that moves in steps. Quantiles are averaged in logs with
weights exp(-ETA * (loss / best loss - 1)) (exponential weights; Vovk 1990). Where even their average was 10 % worse
than the last value, it says what the last value says.
"""

from __future__ import annotations

import math

import numpy as np

from forecasting.kernel import inner, kernel
from forecasting.lead_features import BoolArray, IntArray
from forecasting.lead_kernels import row_before
from forecasting.series import FloatArray

# A member whose loss is 10 % above the best's keeps 37 % of the best's weight. Sharper weights (30) lost on short
# histories: 34 % of the distance to the optimum against 78 % on a tenant with 1,000 bins before scoring.
_ETA = 10.0
# A best loss of nothing divides no other. In whatever unit of work: at 1e-12 a replica that does 1e-15 of it per second
# had all members weighted alike.
_LEAST_LOSS = 1e-300

# The average loses its vote when its loss is 10 % above the last value's, and has it again below 5 %; nobody is judged
# by fewer than 100 known leads. The last value's weight has done the work by then: with margins of 2 %, or judged from
# the first bin on, the vote was lost by chance, and up to 7 % of the loss with it after the first week, 26 % before.
_VOTE_LOST_AT = 0.10
_VOTE_REGAINED_AT = 0.05
_JUDGED_FROM_LEADS = 100
# After ten leads a bin counts at most so many times what the last value usually loses, or a tenth of the floor:
# twenty minutes of twenty times the demand outweighed two weeks of a regular service, and the vote was lost for them.
_CUT_FROM_LEADS = 10
_JUDGED_MOST = 20.0
_JUDGED_LEAST_SHARE = 0.1


@inner
def bin_losses(said: FloatArray, targets: FloatArray, levels: FloatArray, losses: FloatArray) -> None:
    """Fill losses, shape (m, TARGETS), with the mean pinball loss of what the members and their average said of a bin.

    Args:
        said: log quantiles, shape (m, TARGETS, q).
        targets: what came, logs, shape (TARGETS,).
        levels: the quantiles' levels, shape (q,).
        losses: in demand, written to.
    """
    for m in range(said.shape[0]):
        for k in range(said.shape[1]):
            came = math.exp(targets[k])
            total = 0.0
            for i in range(len(levels)):
                error = came - math.exp(said[m, k, i])
                total += max(levels[i] * error, (levels[i] - 1.0) * error)
            losses[m, k] = total / len(levels)


@kernel()
def weights_of(losses: FloatArray) -> FloatArray:
    """Weights of the members per target, shape (members, TARGETS); each column sums to 1.

    For the demand at the lead they go by its loss, for the peak by the loss of both. Of the peak alone, the usual
    distribution lost least wherever most peaks are alike: where a service is busy for a third of each hour, a peak as
    always was said in the calm too, and nothing was ever released.
    """
    members, targets = losses.shape
    weights = np.empty(losses.shape)
    counted = np.empty(members)
    for m in range(members):
        counted[m] = 0.0
    for k in range(targets):
        for m in range(members):
            counted[m] += losses[m, k]
        best = worst = counted[0]
        for m in range(1, members):
            best = min(best, counted[m])
            worst = max(worst, counted[m])
        total = 0.0
        for m in range(members):
            weights[m, k] = math.exp(-_ETA * (counted[m] / max(best, _LEAST_LOSS) - 1.0)) if worst > 0.0 else 1.0
            total += weights[m, k]
        for m in range(members):
            weights[m, k] /= total
    return weights


@kernel()
def give_vote(weights: FloatArray, member: int) -> None:
    """Give one member all the weight, shape (members, TARGETS)."""
    for m in range(len(weights)):
        for k in range(weights.shape[1]):
            weights[m, k] = 1.0 if m == member else 0.0


@inner
def both_targets(losses: FloatArray) -> float:
    """Sum of a member's losses, shape (TARGETS,)."""
    total = 0.0
    for k in range(len(losses)):
        total += losses[k]
    return total


@inner
def judge(judged: FloatArray, ours: float, its: float, cutting: bool, floor: float, decay: float) -> None:
    """Decay what the vote goes by, and add the losses of one more bin.

    Args:
        judged: losses of the average, then of the last value, spikes cut, then how many bins they are of: shape (3,),
            written to.
        ours: the average's in this bin.
        its: the last value's.
        cutting: whether so many bins are known that spikes are cut.
        floor: demand that doesn't matter.
        decay: weight that the past keeps.
    """
    most = math.inf
    if cutting and judged[2] > 0.0:
        most = _JUDGED_MOST * max(judged[1] / judged[2], _JUDGED_LEAST_SHARE * floor)
    judged[0] = decay * judged[0] + min(ours, most)
    judged[1] = decay * judged[1] + min(its, most)
    judged[2] = decay * judged[2] + 1.0


@inner
def has_vote(judged: FloatArray, had: bool) -> bool:
    """Whether the average is to be followed, see `judge`, if it was so far."""
    return bool(judged[0] <= (1.0 + (_VOTE_LOST_AT if had else _VOTE_REGAINED_AT)) * judged[1])


@inner
def average_logs(said: FloatArray, weights: FloatArray, out: FloatArray) -> None:
    """Fill out, shape (TARGETS, q), with the weighted mean of the members' log quantiles."""
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            mean = 0.0
            for m in range(len(weights)):
                mean += weights[m, k] * said[m, k, i]
            out[k, i] = mean


@kernel()
def average(said: FloatArray, weights: FloatArray, floor: float, out: FloatArray) -> None:
    """Fill out, shape (TARGETS, q), with demand from the members' log quantiles, shape (members, TARGETS, q)."""
    average_logs(said, weights, out)
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[k, i] = max(math.exp(out[k, i]) - floor, 0.0)


@kernel(nogil=True)
def average_bins(
    said: FloatArray,
    earlier_at_loss: FloatArray,
    at_loss: FloatArray,
    loss_levels: FloatArray,
    matured: BoolArray,
    targets: FloatArray,
    known: IntArray,
    lead: int,
    floor: float,
    decay: float,
    last_value: int,
    trusted: bool,
    losses: FloatArray,
    judged: FloatArray,
    quantiles: FloatArray,
) -> bool:
    """Average what the members said after each of n bins; returns whether the average still has its vote.

    Writes the losses, what the vote goes by, the quantiles, shape (n, TARGETS, q), and the average into `at_loss`.

    Args:
        said: log quantiles, shape (n, members, TARGETS, q).
        earlier_at_loss: those at `loss_levels`, then their average, after bins before these, shape
            (p, members + 1, TARGETS, l).
        at_loss: likewise after these, shape (n, members + 1, TARGETS, l); receives the average.
        loss_levels: where the loss is taken, shape (l,).
        matured: whether a bin is the target of an origin to learn from, shape (n,).
        targets: what came of it, shape (n, TARGETS).
        known: bins known after each, shape (n,).
        lead: bins between the next bin and the target.
        floor: demand that doesn't matter, inside the logs.
        decay: weight that past losses keep per bin.
        last_value: which member says the last value, -1 where none does.
        trusted: whether the average had its vote before.
        losses: decayed pinball losses of the members, then of their average, shape (members + 1, TARGETS).
        judged: what the vote goes by, see `judge`.
        quantiles: receives the demand, work per second.
    """
    members = said.shape[1]
    fresh = np.empty((members + 1, said.shape[2]))
    for n in range(len(said)):
        origin = n - lead - 1
        if matured[n] and len(earlier_at_loss) + origin >= 0:
            bin_losses(row_before(earlier_at_loss, at_loss, origin), targets[n], loss_levels, fresh)
            for m in range(members + 1):
                for k in range(fresh.shape[1]):
                    losses[m, k] = decay * losses[m, k] + fresh[m, k]
            leads = known[n] / (lead + 1)
            ours, its = both_targets(fresh[members]), both_targets(fresh[last_value])
            judge(judged, ours, its, leads > _CUT_FROM_LEADS, floor, decay)
            if last_value >= 0 and leads > _JUDGED_FROM_LEADS:
                trusted = has_vote(judged, trusted)
        weights = weights_of(losses[:members])
        average_logs(at_loss[n], weights, at_loss[n, members])
        if not trusted:
            give_vote(weights, last_value)
        average(said[n], weights, floor, quantiles[n])
    return trusted
