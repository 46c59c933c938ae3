"""The loop of the per-request fidelity: one FIFO queue over a fleet whose replicas come and go.

Every slot of every replica, loading ones included, is one entry of a binary heap: the time at which it is free next
(its replica's ready time at first) and the replica that owns it. Request after request takes the top, so one request
costs one sink through log2(slots) levels. Only a release looks at the whole heap: to count busy slots, to find when
the released replicas' last requests end, and to take their slots out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from autoscaler.backtest.setting import IntArray
from forecasting.series import FloatArray


class FleetPlan(NamedTuple):
    """What the fleet is told to be, and what its replicas are like.

    Attributes:
        desired: replicas asked for at the start of each bin, shape (bins,), at least one bin.
        bin_s: width of a bin.
        load_s: load latency of the k-th order, at least as many as the plan orders.
        concurrency: slots per replica.
    """

    desired: IntArray
    bin_s: float
    load_s: FloatArray
    concurrency: int


class Requests(NamedTuple):
    """The queue, shape (n,): arrivals, how long each request holds a slot, and the start of service, written here."""

    arrival_s: FloatArray
    service_s: FloatArray
    start_s: FloatArray


class Fleet(NamedTuple):
    """The slots that take requests, as a heap, and every replica ever ordered, by its number.

    Attributes:
        free_s, owner: shape (slots,), the heap: when a slot is free next, and its replica's number.
        ordered_s, ready_s, gone_s: shape (orders,); gone is infinite while the replica is not released.
        busy: shape (orders,), room in which `release` counts.
    """

    free_s: FloatArray
    owner: IntArray
    ordered_s: FloatArray
    ready_s: FloatArray
    gone_s: FloatArray
    busy: IntArray


@njit(cache=True)
def comes_first(free_s: float, owner: int, other_free_s: float, other_owner: int) -> bool:
    """Whether a slot is taken before another: the one free longer, of equals the one of the older replica."""
    return free_s < other_free_s or (free_s == other_free_s and owner < other_owner)


@njit(cache=True)
def sink(fleet: Fleet, size: int, at: int, slot_free_s: float, slot_owner: int) -> None:
    """Put a slot into the hole `at` of the heap's first `size` entries and let it sink to its level."""
    free_s, owner = fleet.free_s, fleet.owner
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and comes_first(free_s[child + 1], owner[child + 1], free_s[child], owner[child]):
            child += 1
        if not comes_first(free_s[child], owner[child], slot_free_s, slot_owner):
            break
        free_s[at] = free_s[child]
        owner[at] = owner[child]
        at = child
        child = 2 * at + 1
    free_s[at] = slot_free_s
    owner[at] = slot_owner


@njit(cache=True)
def add_slots(fleet: Fleet, size: int, replica: int, concurrency: int) -> int:
    """Push the slots of the youngest replica, free once it is ready; returns the heap's new size."""
    free_s, owner, ready_s = fleet.free_s, fleet.owner, fleet.ready_s[replica]
    for _ in range(concurrency):
        at = size
        size += 1
        while at > 0 and free_s[(at - 1) // 2] > ready_s:
            free_s[at] = free_s[(at - 1) // 2]
            owner[at] = owner[(at - 1) // 2]
            at = (at - 1) // 2
        free_s[at] = ready_s
        owner[at] = replica
    return size


@njit(cache=True)
def start_before(limit_s: float, following: int, requests: Requests, fleet: Fleet, size: int) -> int:
    """Start, in order of arrival, every request that starts before `limit_s`; returns the first one left waiting."""
    while following < len(requests.arrival_s) and size > 0:
        begin_s = max(requests.arrival_s[following], fleet.free_s[0])
        if begin_s >= limit_s:
            break
        requests.start_s[following] = begin_s
        sink(fleet, size, 0, begin_s + requests.service_s[following], fleet.owner[0])
        following += 1
    return following


@njit(cache=True)
def choose_surplus(busy: IntArray, ready_s: FloatArray, surplus: int) -> IntArray:
    """Which `surplus` replicas leave, as positions in `busy` and `ready_s`, shape (alive,).

    Loading ones (busy -1) first, the latest due first; then ready ones with the fewest busy slots, of equals the
    youngest.
    """
    chosen = np.empty(surplus, np.int64)
    taken = np.zeros(len(busy), np.bool_)
    for k in range(surplus):
        best = -1
        for at in range(len(busy)):
            if taken[at]:
                continue
            if best < 0 or busy[at] < busy[best] or (busy[at] == busy[best] and ready_s[at] >= ready_s[best]):
                best = at
        taken[best] = True
        chosen[k] = best
    return chosen


@njit(cache=True)
def release(now_s: float, surplus: int, alive: IntArray, fleet: Fleet, size: int) -> tuple[IntArray, int]:
    """Release `surplus` of the replicas `alive`: write when each is gone, take its slots out of the heap.

    Returns:
        (replicas still alive, the heap's new size).
    """
    free_s, owner, busy, gone_s = fleet.free_s, fleet.owner, fleet.busy, fleet.gone_s
    for replica in alive:
        busy[replica] = -1 if fleet.ready_s[replica] > now_s else 0
    for at in range(size):
        if free_s[at] > now_s and busy[owner[at]] >= 0:
            busy[owner[at]] += 1
    for at in choose_surplus(busy[alive], fleet.ready_s[alive], surplus):
        gone_s[alive[at]] = now_s
    kept = 0
    for at in range(size):
        replica = owner[at]
        if gone_s[replica] == math.inf:
            free_s[kept] = free_s[at]
            owner[kept] = replica
            kept += 1
        elif busy[replica] > 0:
            gone_s[replica] = max(gone_s[replica], free_s[at])
    for at in range(kept // 2 - 1, -1, -1):
        sink(fleet, kept, at, free_s[at], owner[at])
    return alive[gone_s[alive] == math.inf], kept


@njit(cache=True)
def replay_requests(
    arrival_s: FloatArray, service_s: FloatArray, plan: FleetPlan
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Run a plan against a request log.

    At the start of a bin the fleet changes first; a request that arrives or a slot that becomes free at that very
    moment sees the new fleet. After the last bin the fleet stays as it is until the queue is empty.

    Args:
        arrival_s: arrivals in seconds from the start of the first bin, not decreasing, shape (n,).
        service_s: how long each request holds a slot, shape (n,).
        plan: the fleet.

    Returns:
        (start of service per request, infinite where none; and per order: when ordered, when ready, when gone, that
        is the end of its last request, infinite where it stays). A replica released while loading is gone at once.
    """
    requests = Requests(arrival_s, service_s, np.full(len(arrival_s), math.inf))
    slots, orders_max = plan.desired.max() * plan.concurrency, len(plan.load_s)
    fleet = Fleet(
        np.empty(slots),
        np.empty(slots, np.int64),
        np.empty(orders_max),
        np.empty(orders_max),
        np.full(orders_max, math.inf),
        np.empty(orders_max, np.int64),
    )
    alive = np.empty(0, np.int64)
    size, following, orders = 0, 0, 0
    for t in range(len(plan.desired)):
        now_s = t * plan.bin_s
        change = plan.desired[t] - len(alive)
        if change == 0:
            continue
        following = start_before(now_s, following, requests, fleet, size)
        if change < 0:
            alive, size = release(now_s, -change, alive, fleet, size)
            continue
        for replica in range(orders, orders + change):
            fleet.ordered_s[replica] = now_s
            fleet.ready_s[replica] = now_s + plan.load_s[replica]
            size = add_slots(fleet, size, replica, plan.concurrency)
        alive = np.append(alive, np.arange(orders, orders + change))
        orders += change
    start_before(math.inf, following, requests, fleet, size)
    return requests.start_s, fleet.ordered_s[:orders], fleet.ready_s[:orders], fleet.gone_s[:orders]
