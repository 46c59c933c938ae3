"""The lead ensemble: members weighted online by the pinball loss of what they said one lead ago.

Quantiles are averaged in logs with weights exp(-ETA * (loss / best loss - 1)) (exponential weights; Vovk 1990) over
a loss that halves in weight in five days, so that the weights follow a season that appears or a tenant that leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from numba import njit

from forecasting.append_log import AppendLog
from forecasting.errors import ModelError
from forecasting.lead_history import LeadHistory
from forecasting.lead_member import TARGETS, LeadMember
from forecasting.lead_members import DEFAULT_MEMBERS, MEMBERS, start_member
from forecasting.protocol import check_levels
from forecasting.series import FloatArray, Series

# A member whose loss is 10 % above the best's keeps 37 % of the best's weight. Sharper weights (30) lost on short
# histories: 34 % of the distance to the optimum against 78 % on a tenant with 1,000 bins before scoring.
_ETA = 10.0
_LOSS_HALF_LIFE_DAYS = 5.0

# Levels at which every member is asked for each bin: the low end of a band, the median, then what may be bought.
_BAND_LEVELS = (0.05, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93)
_BUYING_LEVELS = (0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999)
LEAD_LEVELS = np.array([*_BAND_LEVELS, *_BUYING_LEVELS, 0.9995, 0.9998, 0.9999])
# The loss is taken where the autoscaler buys replicas; beyond 99.9 % a few residuals would decide.
_LOSS_LEVELS = slice(len(_BAND_LEVELS), len(_BAND_LEVELS) + len(_BUYING_LEVELS))


@njit(cache=True)
def add_losses(losses: FloatArray, said: FloatArray, targets: FloatArray, levels: FloatArray, decay: float) -> None:
    """Decay losses, shape (members, TARGETS), and add the mean pinball loss of what the members said.

    Args:
        losses: written to.
        said: log quantiles, shape (members, TARGETS, q).
        targets: what came, shape (TARGETS,).
        levels: the quantiles' levels, shape (q,).
        decay: weight that the past keeps.
    """
    losses *= decay
    for m in range(said.shape[0]):
        for k in range(said.shape[1]):
            total = 0.0
            for i in range(len(levels)):
                error = targets[k] - said[m, k, i]
                total += max(levels[i] * error, (levels[i] - 1.0) * error)
            losses[m, k] += total / len(levels)


@njit(cache=True)
def weights_of(losses: FloatArray) -> FloatArray:
    """Weights of the members per target, shape (members, TARGETS); each column sums to 1."""
    weights = np.empty_like(losses)
    for k in range(losses.shape[1]):
        best = max(losses[:, k].min(), 1e-12)
        for m in range(losses.shape[0]):
            weights[m, k] = math.exp(-_ETA * (losses[m, k] / best - 1.0)) if losses[:, k].max() > 0.0 else 1.0
        weights[:, k] /= weights[:, k].sum()
    return weights


@dataclass(frozen=True, slots=True)
class LeadEnsemble:
    """Quantiles of the demand one lead ahead and of the peak until then.

    Attributes:
        history: what all members share.
        members: the models.
        losses: decayed pinball loss per member and target.
        said: what the members said at the latest origins, logs, rows of shape (members, TARGETS, len(LEAD_LEVELS)).
    """

    history: LeadHistory
    members: tuple[LeadMember, ...]
    losses: FloatArray
    said: AppendLog

    @classmethod
    def start(
        cls,
        *,
        lead: int,
        bin_s: float,
        floor: float,
        start_s: float = 0.0,
        members: Sequence[str | LeadMember] = DEFAULT_MEMBERS,
    ) -> Self:
        """An ensemble that has seen nothing.

        Args:
            lead: bins between the next bin and the target, >= 0.
            bin_s: width of a bin in seconds.
            floor: demand that doesn't matter, > 0.
            start_s: start of the first bin.
            members: names from lead_members.MEMBERS, or models. ModelError on an unknown name or none at all.
        """
        if not members:
            raise ModelError(f"an ensemble needs at least one member: choose from {', '.join(MEMBERS)}")
        models = tuple(
            start_member(member, lead=lead, bin_s=bin_s) if isinstance(member, str) else member for member in members
        )
        shape = (len(models), TARGETS, len(LEAD_LEVELS))
        return cls(
            LeadHistory.start(lead=lead, bin_s=bin_s, floor=floor, start_s=start_s),
            models,
            np.zeros(shape[:2]),
            AppendLog.empty(shape, rows_max=lead + 2),
        )

    def fit(self, series: Series) -> Self:
        """See all bins of `series`, oldest first."""
        fitted = self
        for value in series.values:
            fitted = fitted.update(float(value))
        return fitted

    def update(self, value: float) -> Self:
        """See one more bin: work per second, NaN where it is missing."""
        history = self.history.append(value)
        if history.bins_known == 0:
            return replace(self, history=history)
        origin = history.matured()
        members = tuple(member.learn(history, origin) for member in self.members)
        losses = self.losses
        if origin is not None and len(self.said) >= origin.age:
            losses = losses.copy()
            decay = 0.5 ** (1.0 / (_LOSS_HALF_LIFE_DAYS * history.day))
            said = self.said.rows[len(self.said) - origin.age][:, :, _LOSS_LEVELS]
            add_losses(losses, said, origin.targets, LEAD_LEVELS[_LOSS_LEVELS], decay)
        said = self.said.append([member.log_quantiles(LEAD_LEVELS) for member in members])
        return type(self)(history, members, losses, said)

    @property
    def weights(self) -> FloatArray:
        """Weights of the members, shape (members, TARGETS)."""
        return weights_of(self.losses)

    @property
    def quantiles(self) -> FloatArray:
        """`at_lead(LEAD_LEVELS)`, which is at hand: shape (TARGETS, len(LEAD_LEVELS))."""
        if self.history.bins_known == 0:
            return np.full((TARGETS, len(LEAD_LEVELS)), np.nan)
        return self._averaged(self.said.rows[-1])

    def at_lead(self, levels: npt.ArrayLike) -> FloatArray:
        """Quantiles at increasing `levels` in (0, 1), work per second: shape (TARGETS, q).

        First the demand in the target bin, then the peak from the next bin to it; NaN before the first known bin.
        """
        wanted = check_levels(levels)
        if self.history.bins_known == 0:
            return np.full((TARGETS, len(wanted)), np.nan)
        return self._averaged(np.array([member.log_quantiles(wanted) for member in self.members]))

    def _averaged(self, logs: FloatArray) -> FloatArray:
        """Demand from the members' log quantiles, shape (members, TARGETS, q)."""
        mean = (self.weights[:, :, None] * logs).sum(axis=0)
        demand: FloatArray = np.maximum(np.exp(mean) - self.history.floor, 0.0)
        return demand
