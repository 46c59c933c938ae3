"""How many label values one query may have: fewer where a batch was too much for the server."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from autoscaler.sources.batch import VALUES_MAX, Endpoint, Shape
from autoscaler.sources.promql import Expression

_REMEMBERED_MAX = 1_000
_FORGET_AFTER_S = 3_600.0


class BatchSizes:
    """One object's query may be so heavy that its whole batch times out, at every tick.

    Such a batch is a quarter as large the next time, down to single queries, so that only the heavy one fails. After an
    hour the full size is tried again.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._smaller: OrderedDict[tuple[Expression, tuple[str, ...], Endpoint], tuple[int, float]] = OrderedDict()

    def values_max(self, shape: Shape) -> int:
        """The most values in a query of `shape` now."""
        with self._lock:
            most, until_s = self._smaller.get(shape.key, (VALUES_MAX, 0.0))
            return most if self._clock() < until_s else VALUES_MAX

    def shrink(self, shape: Shape, values: int) -> None:
        """A query of `shape` with `values` values was too much."""
        with self._lock:
            self._smaller[shape.key] = (max(1, values // 4), self._clock() + _FORGET_AFTER_S)
            self._smaller.move_to_end(shape.key)
            if len(self._smaller) > _REMEMBERED_MAX:
                self._smaller.popitem(last=False)
