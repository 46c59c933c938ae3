"""Replica-hours below which no plan is never late, where work may wait for several bins: a proven bound.

The simulated cluster finds work late when it arrives in a bin before or after which more than ready * max_wait_s is
queued. Of any plan that is never late in the scored bins, let r(t) be the replicas ready in bin t and q(t) what is
queued before it. Then

- it pays at least the sum of r(t), and for every replica that becomes ready the shortest load, and for every one that
  goes its drain, as far as they lie in the scored bins;
- q(t + 1) = max(0, q(t) + arrivals(t) - r(t)), and where work arrives, neither is above r(t) * wait.

`_cheapest` finds the least of these payments over all integer r(t) by dynamic programming: for every fleet that may be
ready and every payment, the shortest queue that can be had. A way with a shorter queue, for no more, can do whatever
another can, so nothing is lost. What isn't exact only makes plans cheaper, so the bound stays one:

- The scored bins begin with nothing queued and any fleet that could have loaded, for nothing.
- `top` stands for all larger fleets too: what they have more is paid for bin by bin, without a load. It lies above the
  smallest static fleet that is never late, which few plans would exceed.
- Payments more than `dearest` above the least are counted as `dearest` above it.
- Of a drain, whole bins count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoscaler.backtest.baselines.patient_optimum import smallest_static
from autoscaler.backtest.cluster import order_load_bins
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray

# Pairs of a fleet and a payment over all bins, which bounds the time: about ten seconds on one core. An hour of seconds
# needs fewer; 14 days of them take a `dearest` of a few hundred replica-bins, less than one replica's load of 600 s.
_PAIRS_MAX = 5_000_000_000
_DEAREST_MIN, _DEAREST_MAX = 64, 32_768
# Fleets above the smallest static one: 8 instead raised the bound by at most 0.2 % on three public hours of seconds.
_FLEETS_ABOVE = 4
# Of the longest queue that isn't late: rounding in the simulated cluster's sums isn't taken for late work.
_ROUNDING = 1e-9


class Rules(NamedTuple):
    """What a way through the scored bins pays, and what it may not do; times are in bins.

    Attributes:
        smallest, top: the fleets that may be ready.
        wait_bins: the longest wait that is not late.
        load_bins: the shortest load.
        drain_bins: whole bins that a released replica is paid for.
        paid_bins: scored bins before the first one of the arrivals.
    """

    smallest: int
    top: int
    wait_bins: float
    load_bins: int
    drain_bins: int
    paid_bins: int


def least_replica_hours(setting: Setting) -> float:
    """Replica-hours over the scored bins that no plan is below that has no late work in them."""
    loads = order_load_bins(setting.load_latency, setting.bin_s, setting.start_failure_share, setting.seed)
    load_bins = int(loads.min())
    first = min(max(setting.score_from_bin, load_bins), len(setting))
    arrivals: FloatArray = setting.arrivals_rs[first:] / setting.bin_s
    wait_bins = setting.max_wait_s / setting.bin_s
    # What is ordered in the first bin of all at the latest is ready by then, and stays.
    smallest = setting.replicas_min if loads.max() <= first else 0
    static = smallest_static(arrivals, wait_bins)
    fleets_max = max(1, _PAIRS_MAX // (_DEAREST_MIN * max(1, len(arrivals))))
    top = max(smallest, min(static + _FLEETS_ABOVE, setting.replicas_max, smallest + fleets_max - 1))
    rules = Rules(
        smallest=smallest,
        top=top,
        wait_bins=wait_bins,
        load_bins=load_bins,
        drain_bins=int(setting.drain_s // setting.bin_s),
        paid_bins=first - min(first, setting.score_from_bin),
    )
    pairs = _PAIRS_MAX // (max(1, len(arrivals)) * (top - smallest + 1))
    dearest = min(max(pairs, _DEAREST_MIN), _DEAREST_MAX)
    return _cheapest(arrivals, rules, dearest) * setting.bin_s / 3600.0


class Queues(NamedTuple):
    """The shortest queue of each fleet (row) at each payment above the least (column), shape (fleets, dearest).

    Attributes:
        queued: in replica-bins, falling along a row; known from its `first` to before its `end`, infinite before that
            and constant behind. A row without any has `first` = `end`.
        first, end: shape (fleets,).
    """

    queued: FloatArray
    first: IntArray
    end: IntArray


@njit(cache=True)
def _cheapest(arrivals: FloatArray, rules: Rules, dearest: int) -> int:
    """The least payment over all bins, replica-bins."""
    fleets = rules.top - rules.smallest + 1
    now, after = _no_queues(fleets, dearest), _no_queues(fleets, dearest)
    now.queued[0, 0], now.end[0] = 0.0, 1
    least = rules.smallest * rules.paid_bins
    for t in range(len(arrivals)):
        load = min(rules.load_bins, rules.paid_bins + t)
        for row in range(1, fleets):
            _merge(now, row, row - 1, load)
        drain = min(rules.drain_bins, len(arrivals) - t) if t > 0 else 0
        for row in range(fleets - 2, -1, -1):
            _merge(now, row, row + 1, drain)
        for row in range(fleets - 1):
            _keep_in_time(now, row, arrivals[t], rules)
        paid = _least_paid(now, 1)
        for row in range(fleets - 1):
            _serve(now, after, row, row - paid, arrivals[t] - rules.smallest - row)
        _serve_with_more(now, after, fleets - 1 - paid, arrivals[t], rules)
        least += rules.smallest + paid
        now, after = after, now
    return least + _least_paid(now, 0)


@njit(cache=True)
def _no_queues(fleets: int, dearest: int) -> Queues:
    return Queues(np.full((fleets, dearest), np.inf), np.zeros(fleets, np.int64), np.zeros(fleets, np.int64))


@njit(cache=True)
def _merge(queues: Queues, row: int, other: int, cost: int) -> None:
    """Let a fleet become the fleet of `row` from that of row `other`, at a cost."""
    width = queues.queued.shape[1]
    queued, source = queues.queued[row], queues.queued[other]
    begin, stop = queues.first[other], queues.end[other]
    if begin == stop:
        return
    shortest = source[stop - 1]
    to, to_stop = min(begin + cost, width - 1), min(stop + cost, width)
    first, end = queues.first[row], queues.end[row]
    if first == end:
        first, end = to, to
    elif first <= to and queued[min(to, end - 1)] <= shortest:
        return  # it has as short a queue for as little already
    last = queued[end - 1] if end > first else np.inf
    queued[to:first] = np.inf
    queued[end:to_stop] = last
    for at in range(begin, min(stop, width - cost)):
        queued[at + cost] = min(queued[at + cost], source[at])
    for at in range(to_stop - 1, max(end, to_stop)):
        queued[at] = min(queued[at], shortest)
    queues.first[row], queues.end[row] = min(first, to), max(end, to_stop)


@njit(cache=True)
def _keep_in_time(queues: Queues, row: int, work: float, rules: Rules) -> None:
    """Forget the queues of a row with which the work that arrives in a bin is late."""
    if work <= 0.0:
        return
    fleet = rules.smallest + row
    rounding = _ROUNDING * (1.0 + rules.top * rules.wait_bins)
    limit = fleet * rules.wait_bins + rounding
    longest = min(limit, limit + fleet - work)
    first, end = queues.first[row], queues.end[row]
    if first == end or queues.queued[row, end - 1] > longest:
        queues.first[row] = end
        return
    while queues.queued[row, first] > longest:
        first += 1
    queues.first[row] = first


@njit(cache=True)
def _least_paid(queues: Queues, bins: int) -> int:
    """The least payment in any row, above the least before, once each has served `bins` bins more than `smallest`."""
    least: int = 2**62
    for row in range(len(queues.first)):
        if queues.first[row] < queues.end[row]:
            least = min(least, queues.first[row] + row * bins)
    return least


@njit(cache=True)
def _serve(now: Queues, after: Queues, row: int, cost: int, growth: float) -> None:
    """Serve a bin with the fleet of `row`, at a cost above the least; payments beyond the last column count as it."""
    first, end = now.first[row], now.end[row]
    if first == end:
        after.first[row] = after.end[row] = 0
        return
    width = now.queued.shape[1]
    queued, served = now.queued[row], after.queued[row]
    to, to_end = min(first + cost, width - 1), min(end + cost, width)
    for at in range(first, min(end, width - cost)):
        served[at + cost] = max(0.0, queued[at] + growth)
    if end + cost > width:
        served[width - 1] = max(0.0, queued[end - 1] + growth)
    while to_end - 1 > to and served[to_end - 2] == served[to_end - 1]:
        to_end -= 1
    after.first[row], after.end[row] = to, to_end


@njit(cache=True)
def _serve_with_more(now: Queues, after: Queues, cost: int, work: float, rules: Rules) -> None:
    """Serve a bin with the largest fleet and as many replicas more as are paid for, at least so many that none is late.

    `top` replicas are always among the states, since they are reached from every other at some cost.
    """
    row = len(now.first) - 1
    queued, served = now.queued[row], after.queued[row]
    width, begin = len(queued), now.first[row]
    rounding = _ROUNDING * (1.0 + rules.top * rules.wait_bins)
    served[max(0, begin + cost) :] = np.inf
    for at in range(begin, now.end[row]):
        more = 0.0
        if work > 0.0:
            limit = queued[at] - rounding
            more = max(0.0, np.ceil(max(limit / rules.wait_bins, (limit + work) / (1.0 + rules.wait_bins)) - rules.top))
        to = min(at + cost + int(more), width - 1)
        served[to] = min(served[to], max(0.0, queued[at] + work - rules.top - more))
    first = max(0, begin + cost)
    while served[first] == np.inf:
        first += 1
    after.first[row] = first
    for at in range(first + 1, width):
        if served[at - 1] == 0.0:
            after.end[row] = at
            return
        served[at] = min(served[at], max(0.0, served[at - 1] - 1.0))
    served[-1] = 0.0
    after.end[row] = width
