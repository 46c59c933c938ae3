"""The lead ensemble: members weighted online by the pinball loss of what they said one lead ago.

The loss halves in weight in five days, so that the weights follow a season that appears or a tenant that leaves. Where
the average of the members did 10 % worse than the last value in these days, it has no vote: the last value is said.
What fell abruptly may come back whatever they say, and what rose at this time in the last weeks may rise: see
lead_raise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.append_log import AppendLog
from forecasting.clock import UTC_ZONE
from forecasting.errors import ModelError
from forecasting.lead_average import average, average_bins, give_vote, weights_of
from forecasting.lead_features import IntArray
from forecasting.lead_history import LeadHistory
from forecasting.lead_member import TARGETS, LeadMember
from forecasting.lead_members import DEFAULT_MEMBERS, MEMBERS, start_member
from forecasting.lead_naive import LAST_VALUE
from forecasting.lead_raise import raise_bins, raise_newest
from forecasting.protocol import check_levels
from forecasting.series import FloatArray, Series

# With 14 days office hours that began on day 14 closed 51 % of the gap instead of 58; 44 real cases 49.6 % instead of
# 49.2, with one budget of 57 fewer kept.
_LOSS_HALF_LIFE_DAYS = 5.0

# Levels at which every member is asked for each bin: the low end of a band, the median, then what may be bought.
_BAND_LEVELS = (0.05, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93)
_BUYING_LEVELS = (0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999)
LEAD_LEVELS = np.array([*_BAND_LEVELS, *_BUYING_LEVELS, 0.9995, 0.9998, 0.9999])
# The loss is taken where the autoscaler buys replicas; beyond 99.9 % a few residuals would decide.
BUYING_FROM = _BUYING_LEVELS[0]
_LOSS_TO = _BUYING_LEVELS[-1]

# Bins seen in one go: their quantiles by all members take 2 MB.
_RUN_BINS = 1_024


@dataclass(frozen=True, slots=True)
class LeadEnsemble:
    """Quantiles of the demand one lead ahead and of the peak until then.

    Attributes:
        history: what all members share.
        members: the models.
        loss_from: the lowest level whose loss counts for the weights.
        losses: decayed pinball loss of each member, then of their average, per target: shape (members + 1, TARGETS).
        judged: what the vote goes by, see `lead_average.judge`, shape (3,).
        trusted: whether their average has its vote: it wasn't clearly worse than the last value lately.
            Otherwise the member of that name alone is said; without such a member it always is.
        said: what the members and their average said at the latest origins where the loss is taken, logs, rows of
            shape (members + 1, TARGETS, levels).
        quantiles: `at_lead(LEAD_LEVELS)`, which is at hand: shape (TARGETS, len(LEAD_LEVELS)).
        fall_ago: what `lead_return.fallen_for` knows of the bins so far, shape (2,).
        fallen_bins: bins since demand fell abruptly below the usual, so that it may come back; 0 where it didn't.
        rises_weekly: whether it rose abruptly at this time one week ago and two, so that it may again.
    """

    history: LeadHistory
    members: tuple[LeadMember, ...]
    loss_from: float
    losses: FloatArray
    judged: FloatArray
    trusted: bool
    said: AppendLog
    quantiles: FloatArray
    fall_ago: IntArray
    fallen_bins: int = 0
    rises_weekly: bool = False

    @classmethod
    def start(
        cls,
        *,
        lead: int,
        bin_s: float,
        floor: float,
        start_s: float = 0.0,
        time_zone: str = UTC_ZONE,
        members: Sequence[str | LeadMember] = DEFAULT_MEMBERS,
        loss_from: float = BUYING_FROM,
    ) -> Self:
        """An ensemble that has seen nothing.

        Args:
            lead: bins between the next bin and the target, >= 0.
            bin_s: width of a bin in seconds.
            floor: demand that doesn't matter, > 0.
            start_s: start of the first bin.
            time_zone: IANA name of the zone whose clocks the seasons follow. ModelError where there is none.
            members: names from lead_members.MEMBERS, or models. ModelError on an unknown name or none at all.
            loss_from: the lowest of LEAD_LEVELS, at most BUYING_FROM, whose loss counts for the members' weights.
        """
        if not members:
            raise ModelError(f"an ensemble needs at least one member: choose from {', '.join(MEMBERS)}")
        models = tuple(
            start_member(member, lead=lead, bin_s=bin_s, time_zone=time_zone) if isinstance(member, str) else member
            for member in members
        )
        return cls(
            history=LeadHistory.start(lead=lead, bin_s=bin_s, floor=floor, start_s=start_s, time_zone=time_zone),
            members=models,
            loss_from=loss_from,
            losses=np.zeros((len(models) + 1, TARGETS)),
            judged=np.zeros(3),
            trusted=True,
            said=AppendLog.empty((len(models) + 1, TARGETS, len(LEAD_LEVELS[_at_loss(loss_from)])), rows_max=lead + 2),
            quantiles=np.full((TARGETS, len(LEAD_LEVELS)), np.nan),
            fall_ago=np.full(2, -1),
        )

    def fit(self, series: Series) -> Self:
        """See all bins of `series`, oldest first: the very bits of as many updates in a sixth of their time.

        0.42 s for 14 days of minutes. Threads can fit several at once: the kernels release the interpreter's lock.
        """
        return self.fit_with_quantiles(series)[0]

    def fit_with_quantiles(self, series: Series) -> tuple[Self, FloatArray]:
        """As `fit`, and what `quantiles` was after each bin, shape (n, TARGETS, len(LEAD_LEVELS)): 0.3 kB a bin."""
        fitted = self
        quantiles = np.empty((len(series), TARGETS, len(LEAD_LEVELS)))
        for first in range(0, len(series), _RUN_BINS):
            run = slice(first, first + _RUN_BINS)
            fitted = fitted._after(series.values[run], quantiles[run])
        return fitted, quantiles

    def update(self, value: float) -> Self:
        """See one more bin: work per second, NaN where it is missing."""
        return self._after(np.array([value], dtype=np.float64), np.empty((1, TARGETS, len(LEAD_LEVELS))))

    def _after(self, demand: FloatArray, quantiles: FloatArray) -> Self:
        """The ensemble after more bins, shape (n,); fills `quantiles`, shape (n, TARGETS, len(LEAD_LEVELS))."""
        history, bins = self.history.extend(demand)
        unknown = len(demand) - len(bins)
        quantiles[:unknown] = np.nan
        if len(bins) == 0:
            return replace(self, history=history)
        members = []
        said = np.empty((len(bins), len(self.members), TARGETS, len(LEAD_LEVELS)))
        for i, member in enumerate(self.members):
            learned, said[:, i] = member.learn(bins, LEAD_LEVELS)
            members.append(learned)
        counted = _at_loss(self.loss_from)
        loss_levels = LEAD_LEVELS[counted]
        at_loss = np.empty((len(bins), len(self.members) + 1, TARGETS, len(loss_levels)))
        at_loss[:, :-1] = said[..., counted]
        losses, judged = self.losses.copy(), self.judged.copy()
        trusted = average_bins(
            said,
            self.said.rows,
            at_loss,
            loss_levels,
            bins.matured,
            bins.targets,
            bins.known_after,
            bins.lead,
            bins.floor,
            0.5 ** (1.0 / (_LOSS_HALF_LIFE_DAYS * bins.day)),
            self._last_value,
            self.trusted,
            losses,
            judged,
            quantiles[unknown:],
        )
        fall_ago = self.fall_ago.copy()
        fallen_bins, rises_weekly = raise_bins(
            bins.log_demand, bins.lead, bins.days, bins.floor, LEAD_LEVELS, fall_ago, quantiles[unknown:]
        )
        return type(self)(
            history=history,
            members=tuple(members),
            loss_from=self.loss_from,
            losses=losses,
            judged=judged,
            trusted=trusted,
            said=self.said.extend(at_loss),
            quantiles=quantiles[-1].copy(),
            fall_ago=fall_ago,
            fallen_bins=fallen_bins,
            rises_weekly=rises_weekly,
        )

    @property
    def weights(self) -> FloatArray:
        """Weights of the members, shape (members, TARGETS)."""
        weights = weights_of(self.losses[:-1])
        if not self.trusted:
            give_vote(weights, self._last_value)
        return weights

    @property
    def skill(self) -> float:
        """Share of the last value's loss that the members' average saved lately, below 0 where it lost more.

        NaN before a loss is known, and where no member says the last value.
        """
        ours, its, _ = self.judged
        return math.nan if self._last_value < 0 or its == 0.0 else 1.0 - float(ours / its)

    @property
    def _last_value(self) -> int:
        """Which member says the last value, -1 where none does."""
        return next((i for i, member in enumerate(self.members) if member.name == LAST_VALUE), -1)

    def at_lead(self, levels: npt.ArrayLike) -> FloatArray:
        """Quantiles at increasing `levels` in (0, 1), work per second: shape (TARGETS, q).

        First the demand in the target bin, then the peak from the next bin to it; NaN before the first known bin.
        """
        wanted = check_levels(levels)
        if self.history.bins_known == 0:
            return np.full((TARGETS, len(wanted)), np.nan)
        said = np.array([member.log_quantiles(wanted) for member in self.members])
        demand = np.empty(said.shape[1:])
        history = self.history
        average(said, self.weights, history.floor, demand)
        rows = history.log_demand.rows
        raise_newest(rows, history.lead, history.days, history.floor, wanted, self.fallen_bins, demand)
        return demand


def _at_loss(loss_from: float) -> slice:
    """Which of LEAD_LEVELS the loss is taken at."""
    return slice(LEAD_LEVELS.searchsorted(loss_from), LEAD_LEVELS.searchsorted(_LOSS_TO, side="right"))
