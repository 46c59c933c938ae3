"""The clairvoyant plan where work may wait for several bins: dynamic programming over replicas and queued work.

A plan may let a burst queue and work it off over the next bins: arrivals are late only where more than
ready * max_wait_s is queued. So what counts at any moment is how many replicas are ready, what is queued, and what has
been paid: a replica costs its bins, its load when it becomes ready, and its drain when it goes. Of every size of the
fleet and every class of queues the cheapest way to get there is kept, with its exact queue. So the plan is never late,
and nearly the cheapest: on three public hours of one-second bins, loads from 30 s to 600 s, it costs 0.1 to 3.3 % more
than `optimum_bound`, below which no plan is.

What keeps it fast: the fleet changes at most once a block of bins, and large fleets go in steps of 1/32.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from autoscaler.backtest.setting import IntArray, ShortIntArray
from forecasting.series import FloatArray

# Classes of queues, finer for short ones. 16 cost up to 1.6 % more on the hours above, 64 up to 1.5 % less.
CLASSES = 32
# Up to this size every size is tried, above it steps of one of so many parts.
_FINE = 32
# States over all blocks, 4 bytes each for the way back: blocks are half a wait, or longer where there would be more.
# 14 days of seconds at 40 sizes take blocks of 31 s.
_STATES_MAX = 50_000_000
# Of the longest queue that isn't late: the simulated cluster rounds its sums differently.
_ROUNDING = 1e-9


class Costs(NamedTuple):
    """What the way through a trace costs, and what it may not do.

    Attributes:
        sizes: fleets that may be ready, ascending, shape (k,).
        wait_bins: the longest wait that is not late, in bins.
        load_bins: paid when a replica becomes ready.
        drain_bins: paid when a replica goes.
        forgives: whether work may be late under the largest fleet.
        block: the fleet changes only at multiples of so many bins.
    """

    sizes: IntArray
    wait_bins: float
    load_bins: float
    drain_bins: float
    forgives: bool
    block: int


class Ways(NamedTuple):
    """The best way to each state, shape (k, CLASSES): a size of the fleet and a class of queues.

    Attributes:
        paid: so far, in replica-bins; infinite where there is no way.
        queued: the exact queue, in replica-bins.
        came: number of the state before the block, its row * CLASSES + its class.
    """

    paid: FloatArray
    queued: FloatArray
    came: ShortIntArray


def patient_path(
    arrivals: FloatArray, *, wait_bins: float, load_bins: int, drain_bins: float, replicas_min: int, replicas_max: int
) -> IntArray:
    """Replicas to have ready in each bin, shape (n,).

    Args:
        arrivals: work that arrives per bin from the first in which a replica can be ready, in replica-bins, shape (n,).
        wait_bins: the longest wait that is not late, in bins.
        load_bins: bins from order to ready.
        drain_bins: bins that a released replica is paid for.
        replicas_min: fewest replicas.
        replicas_max: most replicas. Where they are too few, all of them are ready while work is late.
    """
    top = max(smallest_static(arrivals, wait_bins), replicas_min)
    sizes = _sizes(replicas_min, min(top, replicas_max))
    states = len(arrivals) * len(sizes) * CLASSES
    block = max(1, min(int(wait_bins), load_bins) // 2, math.ceil(states / _STATES_MAX))
    costs = Costs(sizes, wait_bins * (1.0 - _ROUNDING), float(load_bins), drain_bins, top > replicas_max, block)
    return np.repeat(_cheapest_way(arrivals, costs), block)[: len(arrivals)]


def smallest_static(arrivals: FloatArray, wait_bins: float, *, queued: float = 0.0, counted_from: int = 0) -> int:
    """The smallest fleet of one size under which no work that arrives from bin `counted_from` on is late.

    Args:
        arrivals: work that arrives per bin, in replica-bins, shape (n,).
        wait_bins: the longest wait that is not late, in bins, above 0.
        queued: work queued before the first bin, in replica-bins.
        counted_from: work that arrives before this bin may be late.
    """
    wait_bins *= 1.0 - _ROUNDING
    low, high = -1, math.ceil(max(float(arrivals.max(initial=0.0)), queued / wait_bins)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _is_late(arrivals, middle, wait_bins, queued, counted_from):
            low = middle
        else:
            high = middle
    return high


def _sizes(smallest: int, largest: int) -> IntArray:
    sizes = [smallest]
    while sizes[-1] < largest:
        sizes.append(min(largest, sizes[-1] + max(1, sizes[-1] // _FINE)))
    return np.array(sizes, dtype=np.int64)


@njit(cache=True)
def _is_late(arrivals: FloatArray, replicas: int, wait_bins: float, queued: float, counted_from: int) -> bool:
    """Whether work that arrives from bin `counted_from` on is late under a fleet of one size."""
    limit = replicas * wait_bins
    for t in range(len(arrivals)):
        after = max(0.0, queued + arrivals[t] - replicas)
        if t >= counted_from and arrivals[t] > 0.0 and max(queued, after) > limit:
            return True
        queued = after
    return False


@njit(cache=True)
def _cheapest_way(arrivals: FloatArray, costs: Costs) -> IntArray:
    """Replicas in each block, shape (blocks,): the cheapest way found."""
    k, blocks = len(costs.sizes), -(-len(arrivals) // costs.block)
    steps = np.zeros((blocks, k, CLASSES), np.int32)
    ways, served = _no_ways(k), _no_ways(k)
    ways.paid[0, 0] = 0.0  # the smallest fleet, and no queue
    for block in range(blocks):
        for code in range(k * CLASSES):
            ways.came[code // CLASSES, code % CLASSES] = code
        _change(ways, costs)
        served.paid[:] = np.inf
        part = arrivals[block * costs.block : (block + 1) * costs.block]
        for row in range(k):
            _serve(ways, served, row, part, costs)
        steps[block] = served.came
        ways, served = served, ways
    way = np.zeros(blocks, np.int64)
    at = np.argmin(ways.paid)
    for block in range(blocks - 1, -1, -1):
        way[block] = costs.sizes[at // CLASSES]
        at = steps[block, at // CLASSES, at % CLASSES]
    return way


@njit(cache=True)
def _no_ways(k: int) -> Ways:
    return Ways(np.full((k, CLASSES), np.inf), np.zeros((k, CLASSES)), np.zeros((k, CLASSES), np.int32))


@njit(cache=True)
def _change(ways: Ways, costs: Costs) -> None:
    """Order or release before a block: from each size to the next larger one, then to the next smaller one."""
    k = len(costs.sizes)
    for row in range(1, k):
        cost = costs.load_bins * (costs.sizes[row] - costs.sizes[row - 1])
        for at in range(CLASSES):
            _offer(ways, row, at, ways.paid[row - 1, at] + cost, ways.queued[row - 1, at], ways.came[row - 1, at])
    for row in range(k - 2, -1, -1):
        cost = costs.drain_bins * (costs.sizes[row + 1] - costs.sizes[row])
        for at in range(CLASSES):
            _offer(ways, row, at, ways.paid[row + 1, at] + cost, ways.queued[row + 1, at], ways.came[row + 1, at])


@njit(cache=True)
def _serve(ways: Ways, served: Ways, row: int, part: FloatArray, costs: Costs) -> None:
    """Serve one block with one size of the fleet, whatever was queued before."""
    replicas = costs.sizes[row]
    limit = replicas * costs.wait_bins
    # With q queued before, max(q + change, from_empty) is after, and q + highest the most that an arrival has seen.
    change, from_empty, highest, highest_from_empty = 0.0, 0.0, -np.inf, 0.0
    for work in part:
        if work > 0.0:
            highest, highest_from_empty = max(highest, change), max(highest_from_empty, from_empty)
        change += work - replicas
        from_empty = max(0.0, from_empty + work - replicas)
        if work > 0.0:
            highest, highest_from_empty = max(highest, change), max(highest_from_empty, from_empty)
    forgives = costs.forgives and row == len(costs.sizes) - 1
    if highest_from_empty > limit and not forgives:
        return
    finer = CLASSES / math.sqrt(costs.sizes[-1] * costs.wait_bins + 1.0)
    cheapest = np.inf
    for at in range(CLASSES):
        paid, queued = ways.paid[row, at], ways.queued[row, at]
        if paid >= cheapest:
            continue  # dearer than one with less queued
        cheapest = paid
        if queued + highest <= limit or forgives:
            after = max(queued + change, from_empty)
            to = min(CLASSES - 1, int(finer * math.sqrt(after)))
            _offer(served, row, to, paid + replicas * len(part), after, ways.came[row, at])


@njit(cache=True)
def _offer(ways: Ways, row: int, at: int, paid: float, queued: float, came: int) -> None:
    """Keep a way where it is better than the one of its state: cheaper, or with the largest fleet, less queued.

    So the way on which the largest fleet is ready all the time, which is never late, isn't lost.
    """
    if paid == np.inf:
        return
    cheaper, shorter = paid - ways.paid[row, at], queued - ways.queued[row, at]
    first, second = (shorter, cheaper) if row == len(ways.paid) - 1 else (cheaper, shorter)
    if ways.paid[row, at] == np.inf or first < 0.0 or (first == 0.0 and second < 0.0):
        ways.paid[row, at], ways.queued[row, at], ways.came[row, at] = paid, queued, came
