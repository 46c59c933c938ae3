"""Which replicas of unlike sizes to fit into a number of GPUs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autoscaler.core.plan_kernels import IntArray
from forecasting.kernel import kernel
from forecasting.series import FloatArray

# So many of the last GPUs are given out exactly; those before go to the best in order, which loses less than one of
# the largest replicas, once. Exact for 1,024 GPUs in replicas of 1, 2, 4 and 8 takes a millisecond.
EXACT_GPUS = 1_024


@kernel()
def best_replicas(room: int, sizes: IntArray, worth: FloatArray) -> npt.NDArray[np.bool_]:
    """Those that are worth most together and fit: the knapsack, exact over the last EXACT_GPUS.

    Args:
        room: GPUs, at least 0.
        sizes: GPUs of each replica, at least 1.
        worth: of each of its GPUs, falling. Of one size the first are taken, so that order within a workload holds.

    Returns:
        Shape (replicas,), whether it is taken.
    """
    taken = np.zeros(len(sizes), np.bool_)
    begin = 0
    while begin < len(sizes) and room - sizes[begin] >= EXACT_GPUS:
        taken[begin] = True
        room -= sizes[begin]
        begin += 1
    room = min(room, sizes[begin:].sum())
    distinct = _distinct(sizes[begin:])
    best = np.zeros(room + 1)
    counts = np.zeros((len(distinct), room + 1), np.int64)
    for group in range(len(distinct)):
        size = distinct[group]
        total = _totals(size, room // size, sizes[begin:], worth[begin:])
        before = best.copy()
        for gpus in range(size, room + 1):
            for count in range(1, min(gpus // size, len(total) - 1) + 1):
                value = before[gpus - count * size] + total[count]
                # Sums of the same numbers in another order differ in the last digits.
                if value > best[gpus] + 1e-9:
                    best[gpus] = value
                    counts[group, gpus] = count
    gpus = room
    for group in range(len(distinct) - 1, -1, -1):
        left = counts[group, gpus]
        gpus -= left * distinct[group]
        for k in range(begin, len(sizes)):
            if left == 0:
                break
            if sizes[k] == distinct[group]:
                taken[k] = True
                left -= 1
    return taken


@kernel()
def _distinct(sizes: IntArray) -> IntArray:
    """Each size once, increasing: np.unique takes 1.5 s to compile."""
    distinct = np.empty(len(sizes), np.int64)
    count = 0
    for size in sizes:
        at = 0
        while at < count and distinct[at] < size:
            at += 1
        if at < count and distinct[at] == size:
            continue
        for i in range(count, at, -1):
            distinct[i] = distinct[i - 1]
        distinct[at] = size
        count += 1
    return distinct[:count]


@kernel()
def _totals(size: int, count_max: int, sizes: IntArray, worth: FloatArray) -> FloatArray:
    """What the first 0, 1, 2, ... of one size are worth together, up to `count_max` of them."""
    total = np.zeros(count_max + 1)
    count = 0
    for k in range(len(sizes)):
        if count == count_max:
            break
        if sizes[k] == size:
            total[count + 1] = total[count] + worth[k] * size
            count += 1
    return total[: count + 1]
