"""A run of bins as the members of the lead ensemble see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.bit_log import BitLog
from forecasting.clock import Days
from forecasting.lead_features import BoolArray, IntArray, demand_of
from forecasting.series import Float32Array, FloatArray, Series


@dataclass(frozen=True, slots=True)
class LeadBins:
    """n bins, from the first known one on, with the history before them. Arrays must not be written to.

    Attributes:
        lead: bins between the next bin and the target.
        days: of the rows of `log_demand`.
        floor: demand that doesn't matter.
        first: bins seen before these from the first known one on, missing ones included: years without an answer
            are no history that a fit could wait to double.
        known_after: bins seen that were not missing, after each of these, shape (n,).
        log_demand: log(demand + floor) of the bins remembered and of these, gaps imputed, shape (m + n,).
        earlier_missing: which of the bins before these are imputed.
        missing: which of these are, shape (n,).
        earlier_features: rows of the origins before these, shape (k, FEATURES + 1).
        features: what is known after each bin, then the level, shape (n, FEATURES + 1).
        matured: whether the bin is the target of an origin to learn from: the one lead + 1 bins before, where no bin
            in between is missing; shape (n,).
        targets: where it is, log demand in the bin, and the log peak since that origin; shape (n, TARGETS).
        bounds: log demand that forecasts made after the bin may not exceed, see lead_kernels.bound_at, shape (n,).
    """

    lead: int
    days: Days
    floor: float
    first: int
    known_after: IntArray
    log_demand: Float32Array
    earlier_missing: BitLog
    missing: BoolArray
    earlier_features: FloatArray
    features: FloatArray
    matured: BoolArray
    targets: FloatArray
    bounds: FloatArray

    def __len__(self) -> int:
        return len(self.features)

    @property
    def day(self) -> int:
        """Bins in a day, at least one."""
        return self.days.day

    def demand(self, first: int, stop: int) -> FloatArray:
        """Work per second in the bins `first` to `stop`, NaN where missing, shape (stop - first,).

        Bins count from the first of these; negative ones were before.
        """
        remembered = len(self.log_demand) - len(self)
        log_demand = self.log_demand[remembered + first : remembered + stop]
        if first >= 0:
            return demand_of(log_demand, self.missing[first:stop], self.floor)
        missing = np.concatenate([self.earlier_missing.rows, self.missing])
        return demand_of(log_demand, missing[remembered + first : remembered + stop], self.floor)

    def until(self, stop: int, bins: int) -> Series:
        """The demand in the last `bins` bins before bin `stop` of these, as far as they are remembered."""
        first = max(stop - bins, len(self) - len(self.log_demand))
        rows_before = first + len(self.log_demand) - len(self)
        start_s = self.days.start_s + rows_before * self.days.bin_s
        return Series.of(self.demand(first, stop), bin_s=self.days.bin_s, start_s=start_s)

    def origin(self, index: int) -> FloatArray:
        """The row of features lead + 1 bins before bin `index` of these: the origin whose target it is."""
        before = index - self.lead - 1
        row: FloatArray = self.features[before] if before >= 0 else self.earlier_features[before]
        return row
