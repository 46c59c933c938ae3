"""What a driver knows at the start of a bin: the input of one decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.core.plan_kernels import IntArray


@dataclass(frozen=True, slots=True)
class Observation:
    """The world at the start of a bin.

    Attributes:
        now_s: start of the bin that the decision is for, seconds since the epoch (or the trace's start).
        demand_rps: unit -> work per second that arrived in the bin that ends now; NaN or absent where unknown.
        ready: replicas that serve.
        due_bins: per loading replica, bins until it is expected to serve, each at least 1; shape (loading,).
        backlog_rs: work queued, in replica-seconds, where it is measured; None, or what is no finite number >= 0, lets
            the core estimate it from demand and ready replicas.
        history_missing: whether demand before was asked for and couldn't be read, and little was seen since: nothing
            is released on what one quiet bin tells.
        queue_unseen: whether a queue may have grown while the driver didn't look: it began only now, or slept.
        fleet_assumed: whether nobody knows how many replicas there are: `ready` and `due_bins` are then what is safe to
            decide by, and no number to hold.
    """

    now_s: float
    demand_rps: Mapping[str, float]
    ready: int
    due_bins: IntArray
    backlog_rs: float | None = None
    history_missing: bool = False
    queue_unseen: bool = False
    fleet_assumed: bool = False
