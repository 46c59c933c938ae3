"""A result's curves over the scored bins, grouped: one point stands for several bins and keeps their extremes.

Late work is summed, so that no late bin disappears. Each policy's bins are run again once, one policy at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.result import BacktestResult, BandArray, ForecastBand, Outcome
from autoscaler.report.reasons import CodeArray, coded, headstart_reasons
from autoscaler.report.summary import HEADSTART
from forecasting.series import FloatArray

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Supply:
    """One policy's curves: fewest and most ready replicas, most loading ones, late work in replica-seconds."""

    ready_low: npt.NDArray[np.int32]
    ready_high: npt.NDArray[np.int32]
    loading: npt.NDArray[np.int32]
    late_rs: FloatArray

    def regrouped(self, times: int) -> Supply:
        """One point for `times` points."""
        return Supply(
            grouped(self.ready_low, times, np.minimum),
            grouped(self.ready_high, times, np.maximum),
            grouped(self.loading, times, np.maximum),
            grouped(self.late_rs, times, np.add),
        )


@dataclass(frozen=True, slots=True)
class Band:
    """The forecast's curves; NaN where there is none."""

    median: BandArray
    low: BandArray
    high: BandArray

    def regrouped(self, times: int) -> Band:
        """One point for `times` points."""
        return Band(
            grouped(self.median, times, np.fmax), grouped(self.low, times, np.fmin), grouped(self.high, times, np.fmax)
        )


@dataclass(frozen=True, slots=True)
class Reasons:
    """Headstart's reasons: per point those of the bin in which `desired` changed most, of the first among equals.

    Attributes:
        texts: the distinct ones, codes joined by spaces.
        codes: which text a point has.
        change: by how many replicas `desired` changed in that bin, up or down.
    """

    texts: Sequence[str]
    codes: CodeArray
    change: npt.NDArray[np.int32]

    def regrouped(self, times: int) -> Reasons:
        """One point for `times` points."""
        most = first_of_most(self.change, times)
        return Reasons(self.texts, self.codes[most], self.change[most])


@dataclass(frozen=True, slots=True)
class Curves:
    """All curves of a result.

    Attributes:
        group: bins that one point stands for; the last point may have fewer.
        demand_low, demand_high: in replicas at full use.
        missing: whether a bin's demand is missing in the trace.
        band: None without a forecast.
        supplies: policy name -> its curves.
        reasons: None where Headstart was not run.
    """

    group: int
    demand_low: FloatArray
    demand_high: FloatArray
    missing: npt.NDArray[np.bool_]
    band: Band | None
    supplies: Mapping[str, Supply]
    reasons: Reasons | None

    def regrouped(self, times: int) -> Curves:
        """One point for `times` points."""
        return Curves(
            self.group * times,
            grouped(self.demand_low, times, np.fmin),
            grouped(self.demand_high, times, np.fmax),
            grouped(self.missing, times, np.logical_or),
            None if self.band is None else self.band.regrouped(times),
            {name: supply.regrouped(times) for name, supply in self.supplies.items()},
            None if self.reasons is None else self.reasons.regrouped(times),
        )


def grouped_curves(result: BacktestResult, group: int) -> Curves:
    """The curves of `result` with one point per `group` scored bins."""
    setting = result.setting
    scored = slice(setting.score_from_bin, None)
    demand = setting.arrivals_rs[scored] / setting.bin_s
    return Curves(
        group,
        grouped(demand, group, np.fmin),
        grouped(demand, group, np.fmax),
        grouped(np.isnan(setting.observed_replicas[scored]), group, np.logical_or),
        None if result.forecast is None else _band(result.forecast, scored, group),
        {row.name: _supply(result, row.outcome, group) for row in result.policies},
        _reasons(result, group),
    )


def grouped(values: npt.NDArray[_Scalar], group: int, join: np.ufunc) -> npt.NDArray[_Scalar]:
    """One value per `group` bins of `values` (n,), joined by a binary ufunc; shape (ceil(n / group),)."""
    if group == 1 or len(values) == 0:
        return values
    joined: npt.NDArray[_Scalar] = join.reduceat(values, np.arange(0, len(values), group))
    return joined


def first_of_most(values: npt.NDArray[np.integer], group: int) -> npt.NDArray[np.intp]:
    """The place of the largest of each `group` of `values` (n,), none below 0: shape (ceil(n / group),)."""
    rows = np.pad(values, (0, -len(values) % group), constant_values=-1).reshape(-1, group)
    first: npt.NDArray[np.intp] = rows.argmax(axis=1) + group * np.arange(len(rows))
    return first


def _reasons(result: BacktestResult, group: int) -> Reasons | None:
    reasons = headstart_reasons(result)
    if not reasons:
        return None
    first = result.setting.score_from_bin
    desired = next(row.outcome.desired for row in result.policies if row.name == HEADSTART)
    change = np.abs(np.diff(desired[first:], prepend=desired[max(0, first - 1)]))
    texts, codes = coded(reasons, first)
    return Reasons(texts, codes, change).regrouped(group)


def _band(band: ForecastBand, scored: slice, group: int) -> Band:
    return Band(band.median[scored], band.low[scored], band.high[scored]).regrouped(group)


def _supply(result: BacktestResult, outcome: Outcome, group: int) -> Supply:
    scored = slice(result.setting.score_from_bin, None)
    bins = bins_of(result.setting, outcome)
    ready = bins.ready[scored]
    loading = np.maximum(outcome.desired[scored] - ready, 0)
    return Supply(ready, ready, loading, bins.late_rs[scored]).regrouped(group)
