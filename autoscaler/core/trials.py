"""The self-backtest: each candidate risk run along on what really came.

Every bin, each candidate makes the decision that it would have made of the forecast logged for that bin, by the very
arithmetic of `decide`, and serves the demand that then came. What it paid for and what was late is summed per day, so
that choosing a risk looks at four weeks without keeping them: 13 kB per workload instead of 14 MB of logged forecasts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from autoscaler.core.fluid import serve_bin
from autoscaler.core.plan_kernels import IntArray, choose_replicas, priced_level, queue_ahead, release
from autoscaler.core.risk import LEVELS, Candidates
from autoscaler.core.spec import Spec
from forecasting.append_log import AppendLog
from forecasting.clock import DAY_S
from forecasting.kernel import inner, kernel
from forecasting.series import FloatArray

BoolArray = npt.NDArray[np.bool_]

# Days that count. Each takes 0.5 kB.
WINDOW_DAYS = 28
_MEDIAN = 1
_PAID, _LATE = 0, 1
# Bins after the first load that aren't scored.
FIRST_BINS = 5
_ROUNDING = 1e-9
# Demand beyond so many times the largest fleet is late whatever is decided. In full, one absurd bin outweighed weeks
# and left a queue for years: all candidates were late alike, and the cheapest was taken.
_SERVABLE_FACTOR = 20.0


@kernel()
def servable(demand: float, replicas_max: int) -> float:
    """Demand in replicas, as far as it counts for how late work is."""
    return float(min(demand, _SERVABLE_FACTOR * max(1, replicas_max)))


@inner
def _begin_bin(due: IntArray) -> int:
    """Move replicas on order, shape (lead,), one bin ahead; returns those that begin to serve."""
    if len(due) == 0:
        return 0
    serving = int(due[0])
    # Not as slices: numba compiles numpy's error texts for those, for 1.5 s.
    for i in range(len(due) - 1):
        due[i] = due[i + 1]
    due[-1] = 0
    return serving


@kernel(nogil=True)
def advance(
    needs: FloatArray,
    demand: FloatArray,
    missing: BoolArray,
    last_demand: float,
    last_missing: bool,
    fixed_levels: IntArray,
    late_prices: FloatArray,
    grid: FloatArray,
    bin_s: float,
    max_wait_s: float,
    drain_s: float,
    replicas_min: int,
    replicas_max: int,
    unscored: int,
    ready: IntArray,
    due: IntArray,
    backlog_rs: FloatArray,
    sums: FloatArray,
    scored: FloatArray,
) -> int:
    """Run the candidates over bins; returns how many more bins are not scored.

    Bins without a forecast are passed over. The first load of bins is not scored, since each candidate starts with a
    fleet that fits the first bin, and neither are the first ones after it, whose forecasts knew next to nothing: they
    made all candidates late alike, so that the most cautious were taken for an hour. Nor are missing ones: what is
    imputed is smoother than what comes, and days of it made little caution look like enough.

    Args:
        needs: what was forecast at the start of each bin, in replicas, shape (n, 2, levels): one lead ahead, and the
            peak until then.
        demand: what then came, in replicas, shape (n,).
        missing: which of it is imputed, shape (n,).
        last_demand: demand of the bin before, NaN where there was none.
        last_missing: whether that is imputed.
        fixed_levels: level index per candidate, -1 where a price finds it, shape (c,).
        late_prices: price of late work per candidate, 0 where its level is fixed, shape (c,).
        grid: the levels, shape (levels,).
        bin_s: width of a bin.
        max_wait_s: the longest wait that is not late.
        drain_s: time in which a backlog is to be worked off.
        replicas_min: fewest replicas.
        replicas_max: most replicas.
        unscored: bins still to pass before scoring; -1 before the first forecast.
        ready: replicas that serve, shape (c,); written to, like all that follow.
        due: replicas on order by the bin in which they begin to serve, shape (c, lead): due[:, 0] in the next bin.
        backlog_rs: work queued, shape (c,).
        sums: replicas paid for, and late work, shape (c, 2).
        scored: bins scored, and the work that arrived in them, shape (2,).
    """
    lead = due.shape[1]
    for t in range(len(demand)):
        at_lead, until_lead = needs[t, 0], needs[t, 1]
        if not math.isnan(at_lead[_MEDIAN]):
            last = demand[t] if math.isnan(last_demand) else last_demand
            arrivals_rs = servable(demand[t], replicas_max) * bin_s
            counts = unscored == 0 and not missing[t]
            starting = unscored < 0
            if starting:
                unscored = lead + FIRST_BINS
            for c in range(len(fixed_levels)):
                level, ordered = fixed_levels[c], due[c]
                if level < 0:
                    level = priced_level(at_lead, grid, late_prices[c])
                if starting:
                    ready[c] = math.ceil(min(max(until_lead[level], replicas_min), replicas_max))
                ready[c] += _begin_bin(ordered)
                current = ready[c]
                for i in range(lead):
                    current += ordered[i]
                ahead_rs, busy = queue_ahead(backlog_rs[c], ready[c], ordered, last, at_lead[_MEDIAN], bin_s)
                wanted = choose_replicas(
                    at_lead[level],
                    until_lead[level],
                    grid[level],
                    last,
                    backlog_rs[c],
                    ahead_rs,
                    drain_s,
                    busy,
                    current,
                    last_missing,
                )
                wanted = min(max(wanted, replicas_min), replicas_max)
                if wanted < current:
                    ready[c] = release(current, wanted, ready[c], ordered)
                elif lead == 0:
                    ready[c] = wanted
                else:
                    ordered[-1] += wanted - current
                backlog_rs[c], late_rs = serve_bin(backlog_rs[c], arrivals_rs, ready[c], bin_s, max_wait_s)
                if counts:
                    sums[c, _PAID] += wanted
                    sums[c, _LATE] += late_rs
            if counts:
                scored[0] += 1.0
                scored[1] += arrivals_rs
            unscored = max(0, unscored - 1)
        last_demand, last_missing = demand[t], missing[t]
    return unscored


@dataclass(frozen=True, slots=True)
class Trials:
    """Where the candidates stand. Arrays must not be written to.

    Attributes:
        unscored, ready, due, backlog_rs, sums, scored: see `advance`; the sums are of the running day.
        days: one row per day before that had a scored bin: sums, then scored, shape (2 * candidates + 2,).
        day_bins: bins of the running day.
        last_demand: demand of the newest bin in replicas, NaN before one.
        last_missing: whether that is imputed.
    """

    unscored: int
    ready: IntArray
    due: IntArray
    backlog_rs: FloatArray
    sums: FloatArray
    scored: FloatArray
    days: AppendLog
    day_bins: int
    last_demand: float
    last_missing: bool

    @classmethod
    def start(cls, candidates: int, *, lead_bins: int) -> Self:
        """Candidates that have seen nothing."""
        return cls(
            unscored=-1,
            ready=np.zeros(candidates, dtype=np.int64),
            due=np.zeros((candidates, lead_bins), dtype=np.int64),
            backlog_rs=np.zeros(candidates),
            sums=np.zeros((candidates, 2)),
            scored=np.zeros(2),
            days=AppendLog.empty((2 * candidates + 2,), rows_max=WINDOW_DAYS),
            day_bins=0,
            last_demand=math.nan,
            last_missing=False,
        )

    def seen(
        self,
        needs: FloatArray,
        demand: FloatArray,
        missing: BoolArray,
        *,
        candidates: Candidates,
        spec: Spec,
        drain_s: float,
    ) -> Self:
        """The candidates after more bins; see `advance` for the arrays."""
        trials = self
        day = max(1, round(DAY_S / spec.bin_s))
        first = 0
        while first < len(demand):
            stop = min(len(demand), first + day - trials.day_bins)
            bins = slice(first, stop)
            trials = trials._run(needs[bins], demand[bins], missing[bins], candidates, spec, drain_s)
            if trials.day_bins == day:
                trials = trials._with_day_closed()
            first = stop
        return trials

    def _run(
        self,
        needs: FloatArray,
        demand: FloatArray,
        missing: BoolArray,
        candidates: Candidates,
        spec: Spec,
        drain_s: float,
    ) -> Self:
        ready, due, backlog_rs = self.ready.copy(), self.due.copy(), self.backlog_rs.copy()
        sums, scored = self.sums.copy(), self.scored.copy()
        unscored = advance(
            needs,
            demand,
            missing,
            self.last_demand,
            self.last_missing,
            candidates.levels,
            candidates.prices,
            LEVELS,
            spec.bin_s,
            spec.objective.max_wait_s,
            drain_s,
            spec.replicas_min,
            spec.replicas_max,
            self.unscored,
            ready,
            due,
            backlog_rs,
            sums,
            scored,
        )
        return type(self)(
            unscored,
            ready,
            due,
            backlog_rs,
            sums,
            scored,
            self.days,
            self.day_bins + len(demand),
            float(demand[-1]),
            bool(missing[-1]),
        )

    def _with_day_closed(self) -> Self:
        if not self.scored[0]:
            # A day without an answer is none of the days that count, and takes no other one's place.
            return replace(self, day_bins=0)
        row = np.concatenate([self.sums.ravel(), self.scored])
        return replace(
            self,
            sums=np.zeros_like(self.sums),
            scored=np.zeros_like(self.scored),
            days=self.days.append(row),
            day_bins=0,
        )

    @property
    def results(self) -> FloatArray | None:
        """Mean replicas and late share per candidate, shape (c, 2), over the last weeks; None before any score."""
        total = self._total
        bins, arrived_rs = total[-2:]
        if bins == 0:
            return None
        results: FloatArray = total[:-2].reshape(-1, 2) / [bins, max(arrived_rs, _ROUNDING)]
        return results

    @property
    def bins_scored(self) -> int:
        """How many bins the results are of."""
        return int(self._total[-2])

    @property
    def _total(self) -> FloatArray:
        total: FloatArray = self.days.rows.sum(axis=0) + np.concatenate([self.sums.ravel(), self.scored])
        return total
