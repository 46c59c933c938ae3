"""What all lead models share: the demand in logs, gaps imputed, and the features of each forecast's origin.

A lead model forecasts one bin, `lead` bins after the next one, and the peak until then: when a replica ordered now
begins to serve, and whether one released now would be missed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from forecasting.append_log import AppendLog
from forecasting.bit_log import BitLog
from forecasting.clock import DAY_S, UTC_ZONE, Clock, Days, clock_of, days_of
from forecasting.errors import ModelError, SeriesError
from forecasting.lead_bins import LeadBins
from forecasting.lead_features import FEATURES, KEPT_DAYS, RUNNING, SEASON_DAYS, demand_at, demand_of, targets_between
from forecasting.lead_history_kernel import HEADROOM_LOG, see_bins
from forecasting.lead_member import TARGETS
from forecasting.series import FloatArray

# What models are fitted to anew: two weeks tell one weekday from another. Over 18 trace and load pairs 28 days saved
# next to nothing, where one week lost 10 to 14 % on the pair with a week's season. Features look back on SEASON_DAYS.
REMEMBERED_DAYS = 14


@dataclass(frozen=True, slots=True)
class Origin:
    """A forecast's origin whose target is known now.

    Attributes:
        age: origins that came after it; the newest has age 0.
        features: what was known then, shape (FEATURES,).
        level: log level then.
        targets: log demand in the target bin, and the log peak until then, shape (2,).
    """

    age: int
    features: FloatArray
    level: float
    targets: FloatArray


@dataclass(frozen=True, slots=True)
class LeadHistory:
    """Log demand with gaps imputed, as known at the start of the next bin.

    Attributes:
        lead: bins between the next bin and the target.
        bin_s: width of a bin.
        floor: demand that doesn't matter, added before the log; half a replica's capacity suits an autoscaler.
        clock: that its seasons follow.
        next_start_s: start of the next bin, seconds since the epoch (or the trace's start).
        bins: bins seen, missing ones included.
        bins_known: bins seen that were not missing.
        missing_at: index of the latest missing bin, -1 without one.
        gap: bins missing in a row up to the newest, from the first known one on.
        log_demand: log(demand + floor) per bin of the last KEPT_DAYS, from the first known one on; of float32, which is
            86 kB instead of 173 for minutes, and a millionth of demand.
        missing: which of it is imputed.
        running: sum of log_demand over the last day, then of squared changes of it from bin to bin over the last
            `lead_features.change_width` bins, shape (RUNNING,).
        features: one row per origin, then its level: shape (FEATURES + 1,).
        peak_log: largest log demand, slowly forgotten.
    """

    lead: int
    bin_s: float
    floor: float
    clock: Clock
    next_start_s: float
    bins: int
    bins_known: int
    missing_at: int
    gap: int
    log_demand: AppendLog
    missing: BitLog
    running: FloatArray
    features: AppendLog
    peak_log: float

    @classmethod
    def start(cls, *, lead: int, bin_s: float, floor: float, start_s: float = 0.0, time_zone: str = UTC_ZONE) -> Self:
        """A history without bins. ModelError if `lead` is negative, `floor` not positive, or no such time zone."""
        if lead < 0 or not floor > 0 or not bin_s > 0:
            raise ModelError(f"lead must not be negative, floor and bin_s positive: got {lead}, {floor}, {bin_s}")
        clock = clock_of(time_zone)
        day = days_of(clock, start_s=start_s, bin_s=bin_s).day
        remembered = max(KEPT_DAYS * day, _looked_at(lead, bin_s))
        return cls(
            lead=lead,
            bin_s=bin_s,
            floor=floor,
            clock=clock,
            next_start_s=start_s,
            bins=0,
            bins_known=0,
            missing_at=-1,
            gap=0,
            log_demand=AppendLog.empty(rows_max=remembered, dtype=np.float32),
            missing=BitLog.empty(rows_max=remembered),
            running=np.zeros(RUNNING),
            features=AppendLog.empty((FEATURES + 1,), rows_max=lead + 2),
            peak_log=-math.inf,
        )

    @property
    def day(self) -> int:
        """Bins in a day, at least one."""
        return self.days.day

    @property
    def days(self) -> Days:
        """Of the rows of `log_demand`."""
        start_s = self.next_start_s - len(self.log_demand) * self.bin_s
        return days_of(self.clock, start_s=start_s, bin_s=self.bin_s)

    @property
    def bound_log(self) -> float:
        """Log demand that forecasts may not exceed, see lead_kernels.bound_at."""
        return self.peak_log + HEADROOM_LOG

    def append(self, demand: float) -> Self:
        """The history with one more bin; `demand` is NaN where it is missing."""
        return self.extend(np.array([demand], dtype=np.float64))[0]

    def extend(self, demand: FloatArray) -> tuple[Self, LeadBins]:
        """The history with more bins, shape (n,), NaN where missing, and what members learn from.

        Of bins before the first known one there is nothing to learn: the run starts with that one.
        """
        if (demand < 0).any() or np.isinf(demand).any():
            raise SeriesError(f"demand must be finite and not negative, got {demand}")
        history, values = self._after_leading_gap(np.array(demand, dtype=np.float64))
        log_demand, log_window = history.log_demand.grow(len(values))
        days = history.days
        missing = np.empty(len(values), dtype=np.bool_)
        features = np.empty((len(values), FEATURES + 1))
        matured = np.empty(len(values), dtype=np.bool_)
        targets = np.zeros((len(values), TARGETS))
        bounds = np.empty(len(values))
        running = history.running.copy()
        missing_at, gap, next_start_s, peak_log = see_bins(
            values,
            history.lead,
            days,
            history.floor,
            _looked_at(history.lead, days.bin_s),
            history.bins,
            len(history.features),
            history.missing_at,
            history.gap,
            history.next_start_s,
            history.peak_log,
            log_window,
            running,
            missing,
            features,
            matured,
            targets,
            bounds,
        )
        known_after = history.bins_known + np.cumsum(~missing)
        bins = LeadBins(
            lead=history.lead,
            days=days,
            floor=history.floor,
            first=history.log_demand.dropped + len(history.log_demand),
            known_after=known_after,
            log_demand=log_window,
            earlier_missing=history.missing,
            missing=missing,
            earlier_features=history.features.rows,
            features=features,
            matured=matured,
            targets=targets,
            bounds=bounds,
        )
        longer = replace(
            history,
            next_start_s=next_start_s,
            bins=history.bins + len(values),
            bins_known=int(known_after[-1]) if len(known_after) else history.bins_known,
            missing_at=missing_at,
            gap=gap,
            log_demand=log_demand,
            missing=history.missing.extend(missing),
            running=running,
            features=history.features.extend(features),
            peak_log=peak_log,
        )
        return longer, bins

    def _after_leading_gap(self, demand: FloatArray) -> tuple[Self, FloatArray]:
        """The history after what `demand` misses before the first bin that is ever known, and the rest of it."""
        if self.bins_known:
            return self, demand
        gap = int(np.logical_and.accumulate(np.isnan(demand)).sum())
        next_start_s = self.next_start_s
        for _ in range(gap):
            next_start_s += self.bin_s
        return replace(self, next_start_s=next_start_s, bins=self.bins + gap), demand[gap:]

    def demand_of_last(self, bins: int) -> FloatArray:
        """Demand of the last `bins` bins, as many as are remembered, gaps imputed: work per second, shape (n,)."""
        rows = self.log_demand.rows[-bins:]
        return demand_of(rows, np.zeros(len(rows), dtype=np.bool_), self.floor)

    @property
    def latest_demand(self) -> float:
        """Demand of the newest bin, imputed where it is missing; ModelError before the first known bin."""
        if self.bins_known == 0:
            raise ModelError("no bin is known yet")
        return float(demand_at(float(self.log_demand.rows[-1]), self.floor))

    @property
    def latest(self) -> tuple[FloatArray, float]:
        """Features and level of the newest origin; ModelError before the first known bin."""
        if self.bins_known == 0:
            raise ModelError("no bin is known yet")
        row = self.features.rows[-1]
        return row[:FEATURES], float(row[FEATURES])

    def matured(self) -> Origin | None:
        """The origin whose target bin is the newest one; None where a bin in between is missing or too few are."""
        age = self.lead + 1
        if len(self.features) <= age or self.missing_at >= self.bins - age:
            return None
        row = self.features.rows[len(self.features) - 1 - age]
        targets = np.array(targets_between(self.log_demand.rows, self.lead + 1))
        return Origin(age, row[:FEATURES], float(row[FEATURES]), targets)


def _looked_at(lead: int, bin_s: float) -> int:
    """Bins that the features of an origin look back on, at most."""
    season = max(SEASON_DAYS, math.ceil(SEASON_DAYS * DAY_S / bin_s))
    return season + lead + max(2, lead // 4 + 1)
