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
from forecasting.errors import ModelError, SeriesError
from forecasting.lead_features import DAY_S, FEATURES, SEASON_DAYS, lead_features, seasonal_step, targets_between
from forecasting.series import FloatArray

# Largest demand seen, forgotten at half in 14 days: forecasts stay below 1.28 times it (0.25 in logs). Without a
# bound one extreme quantile after a 60-fold jump asked for 14 times the optimum's replicas.
_PEAK_HALF_LIFE_DAYS = 14.0
_HEADROOM_LOG = 0.25


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
        next_start_s: start of the next bin, seconds since the epoch (or the trace's start).
        bins: bins seen, missing ones included.
        bins_known: bins seen that were not missing.
        missing_at: index of the latest missing bin, -1 without one.
        log_demand: log(demand + floor) per bin.
        cumulative: its running sum, one entry more.
        features: one row per origin, then its level: shape (FEATURES + 1,).
        peak_log: largest log demand, slowly forgotten.
    """

    lead: int
    bin_s: float
    floor: float
    next_start_s: float
    bins: int
    bins_known: int
    missing_at: int
    log_demand: AppendLog
    cumulative: AppendLog
    features: AppendLog
    peak_log: float

    @classmethod
    def start(cls, *, lead: int, bin_s: float, floor: float, start_s: float = 0.0) -> Self:
        """A history without bins. ModelError if `lead` is negative or `floor` not positive."""
        if lead < 0 or not floor > 0 or not bin_s > 0:
            raise ModelError(f"lead must not be negative, floor and bin_s positive: got {lead}, {floor}, {bin_s}")
        kept = SEASON_DAYS * max(1, round(DAY_S / bin_s)) + lead + 2
        return cls(
            lead,
            bin_s,
            floor,
            start_s,
            0,
            0,
            -1,
            AppendLog.empty(rows_max=kept),
            AppendLog.of([0.0], rows_max=kept + 1),
            AppendLog.empty((FEATURES + 1,), rows_max=lead + 2),
            -math.inf,
        )

    @property
    def day(self) -> int:
        """Bins in a day, at least one."""
        return max(1, round(DAY_S / self.bin_s))

    @property
    def bound_log(self) -> float:
        """Log demand that no forecast may exceed."""
        return self.peak_log + _HEADROOM_LOG

    def append(self, demand: float) -> Self:
        """The history with one more bin; `demand` is NaN where it is missing."""
        if demand < 0 or math.isinf(demand):
            raise SeriesError(f"demand must be finite and not negative, got {demand}")
        missing = math.isnan(demand)
        if missing and self.bins_known == 0:
            return replace(self, next_start_s=self.next_start_s + self.bin_s, bins=self.bins + 1)
        value = self._imputed() if missing else math.log(demand + self.floor)
        log_demand = self.log_demand.append(value)
        cumulative = self.cumulative.append(self.cumulative.rows[-1] + value)
        next_start_s = self.next_start_s + self.bin_s
        row = np.empty(FEATURES + 1)
        row[FEATURES] = lead_features(
            log_demand.rows, cumulative.rows, self.lead, self.day, next_start_s + self.lead * self.bin_s, row[:FEATURES]
        )
        forgotten = math.log(2.0) / (_PEAK_HALF_LIFE_DAYS * self.day)
        return type(self)(
            self.lead,
            self.bin_s,
            self.floor,
            next_start_s,
            self.bins + 1,
            self.bins_known + (not missing),
            self.bins if missing else self.missing_at,
            log_demand,
            cumulative,
            self.features.append(row),
            max(self.peak_log - forgotten, value),
        )

    def _imputed(self) -> float:
        """Log demand of a missing bin: the one before, moved as the same time on earlier days moved.

        Not outside what was seen: yesterday's fall from 1,000 to 10 would leave next to nothing of today's 20.
        """
        rows = self.log_demand.rows
        moved = rows[-1] + seasonal_step(rows, self.cumulative.rows, self.day)
        return float(min(max(moved, rows.min()), self.peak_log))

    @property
    def latest_demand(self) -> float:
        """Demand of the newest bin, imputed where it is missing; ModelError before the first known bin."""
        if self.bins_known == 0:
            raise ModelError("no bin is known yet")
        return max(0.0, math.exp(self.log_demand.rows[-1]) - self.floor)

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
        targets = targets_between(self.log_demand.rows, self.lead + 1)
        return Origin(age, row[:FEATURES], float(row[FEATURES]), targets)
