"""The simulated cluster's three steps of a bin, as numba kernels: loads due become ready, scale, serve.

A whole plan, a driver that decides bin by bin, and a policy with a loop of its own all run these same steps.
Replicas that load hang in one linked list per bin in which they become ready, so that every step costs a time that
doesn't depend on the size of the fleet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoscaler.backtest.setting import IntArray, ShortIntArray
from autoscaler.core.fluid import serve_bin
from forecasting.series import FloatArray

# Entries of ClusterState.counters.
READY = 0
LOADING = 1
DRAINING = 2
ORDERS = 3  # replicas ordered since the start: which load latency comes next
LAST_DUE = 4  # no replica becomes ready after this bin
NODES_USED = 5
NODES_FREE = 6  # first of the list of nodes to use again, or NONE
COUNTERS = 7

NONE = -1
ORDERED_AT = 0  # columns of ClusterState.nodes
NEXT = 1


class ClusterState(NamedTuple):
    """A cluster of n bins. The steps change the arrays in place; the scalars stay.

    Attributes:
        counters: see the indices above.
        backlog_rs: shape (1,), work queued, replica-seconds.
        due_head: bin -> first node of the replicas that become ready at its start, or NONE; longer than n by the
            longest load, so that what happens never depends on where the trace ends.
        nodes: one row per loading replica: the bin in which it was ordered, the next node of its list.
        drain_ends: bin -> released replicas that are paid for in full up to that bin, and for `drain_rest` of it.
        load_bins: bins from order to ready of the k-th order, repeated when used up.
        arrivals_rs: shape (n,), replica-seconds that arrive in each bin.
        ready, paid, late_rs, served_rs: shape (n,), as in Bins; written by `serve`.
    """

    counters: IntArray
    backlog_rs: FloatArray
    due_head: ShortIntArray
    nodes: IntArray
    drain_ends: ShortIntArray
    load_bins: IntArray
    arrivals_rs: FloatArray
    ready: ShortIntArray
    paid: FloatArray
    late_rs: FloatArray
    served_rs: FloatArray
    bin_s: float
    max_wait_s: float
    drain_bins: int
    drain_rest: float


@njit(cache=True)
def begin_bin(state: ClusterState, t: int) -> None:
    """Loads due at the start of bin t become ready. Call it once for every bin, in order."""
    counters = state.counters
    node = state.due_head[t]
    while node != NONE:
        following = state.nodes[node, NEXT]
        _free(state, node)
        counters[LOADING] -= 1
        counters[READY] += 1
        node = following
    state.due_head[t] = NONE


@njit(cache=True)
def scale(state: ClusterState, t: int, desired: int) -> None:
    """Order or release at the start of bin t so that ready and loading replicas are `desired` together."""
    counters = state.counters
    missing = desired - counters[READY] - counters[LOADING]
    if missing >= 0:
        for _ in range(missing):
            _order(state, t)
        return
    surplus = _release_loading(state, -missing)
    counters[READY] -= surplus
    counters[DRAINING] += surplus
    state.drain_ends[t + state.drain_bins] += surplus


@njit(cache=True)
def serve(state: ClusterState, t: int) -> None:
    """Serve bin t with the replicas that are ready and write its row of the bins."""
    counters = state.counters
    ready = counters[READY]
    ending = state.drain_ends[t]
    counters[DRAINING] -= ending
    state.ready[t] = ready
    state.paid[t] = ready + counters[LOADING] + counters[DRAINING] + ending * state.drain_rest
    before_rs = state.backlog_rs[0]
    after_rs, state.late_rs[t] = serve_bin(before_rs, state.arrivals_rs[t], float(ready), state.bin_s, state.max_wait_s)
    state.backlog_rs[0] = after_rs
    # The difference of two long queues is rounded; a replica serves neither more than its time nor less than nothing.
    state.served_rs[t] = min(max(before_rs + state.arrivals_rs[t] - after_rs, 0.0), ready * state.bin_s)


@njit(cache=True)
def run_plan(state: ClusterState, desired: ShortIntArray) -> None:
    """Run a whole plan, shape (n,), from the first bin.

    A step that would change nothing isn't called: handing the state on takes half of the time of a bin of one second.
    """
    for t in range(len(desired)):
        if state.due_head[t] != NONE:
            begin_bin(state, t)
        if t == 0 or desired[t] != desired[t - 1]:
            scale(state, t, desired[t])
        serve(state, t)


@njit(cache=True)
def scale_and_serve(state: ClusterState, t: int, desired: int) -> None:
    """The rest of bin t after `begin_bin`."""
    scale(state, t, desired)
    serve(state, t)


@njit(cache=True)
def begin_and_look(state: ClusterState, t: int, remaining_bins: IntArray) -> IntArray:
    """Begin bin t and return the bins until each loading replica is expected to serve, ascending.

    Args:
        state: the cluster.
        t: the bin.
        remaining_bins: age in bins of a loading replica -> bins that it is expected to load still.
    """
    begin_bin(state, t)
    due = np.empty(state.counters[LOADING], np.int64)
    found = 0
    for due_bin in range(t + 1, state.counters[LAST_DUE] + 1):
        node = state.due_head[due_bin]
        while node != NONE:
            due[found] = remaining_bins[t - state.nodes[node, ORDERED_AT]]
            found += 1
            node = state.nodes[node, NEXT]
    due.sort()
    return due


@njit(cache=True)
def _order(state: ClusterState, t: int) -> None:
    """Order one replica at the start of bin t."""
    counters = state.counters
    load_bins = state.load_bins[counters[ORDERS] % len(state.load_bins)]
    counters[ORDERS] += 1
    if load_bins == 0:
        counters[READY] += 1
        return
    node = counters[NODES_FREE]
    if node == NONE:
        node = counters[NODES_USED]
        counters[NODES_USED] += 1
    else:
        counters[NODES_FREE] = state.nodes[node, NEXT]
    due = t + load_bins
    state.nodes[node, ORDERED_AT] = t
    state.nodes[node, NEXT] = state.due_head[due]
    state.due_head[due] = node
    counters[LOADING] += 1
    counters[LAST_DUE] = max(counters[LAST_DUE], due)


@njit(cache=True)
def _release_loading(state: ClusterState, surplus: int) -> int:
    """Release up to `surplus` loading replicas, the latest due first; return how many are still too many."""
    counters = state.counters
    while surplus > 0 and counters[LOADING] > 0:
        node = state.due_head[counters[LAST_DUE]]
        if node == NONE:
            counters[LAST_DUE] -= 1
            continue
        state.due_head[counters[LAST_DUE]] = state.nodes[node, NEXT]
        _free(state, node)
        counters[LOADING] -= 1
        surplus -= 1
    return surplus


@njit(cache=True)
def _free(state: ClusterState, node: int) -> None:
    """Give a node back."""
    state.nodes[node, NEXT] = state.counters[NODES_FREE]
    state.counters[NODES_FREE] = node
