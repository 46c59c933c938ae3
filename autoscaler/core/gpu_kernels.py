"""How many replicas of each workload to fit into a number of GPUs."""

from __future__ import annotations

import math

import numpy as np

from autoscaler.core.plan_kernels import IntArray
from forecasting.kernel import kernel
from forecasting.series import FloatArray

# So many of the last GPUs are given out exactly; those before go to whoever makes most of them, which loses less than
# what one workload wants, once. Exact for 1,024 GPUs and five workloads that want as many takes 4 ms, 5,000 workloads
# of ten replicas on 20,000 GPUs 0.1 s.
EXACT_GPUS = 1_024


@kernel()
def best_counts(room: int, sizes: IntArray, starts: IntArray, worth: FloatArray) -> IntArray:
    """Those that are worth most together and fit: the multiple-choice knapsack, exact over the last EXACT_GPUS.

    Args:
        room: GPUs, at least 0.
        sizes: GPUs of each workload's replicas, within [1, EXACT_GPUS], shape (workloads,).
        starts: where each one's row in `worth` begins, and the end of the last, shape (workloads + 1,).
        worth: of 0, 1, 2, ... replicas of one workload, increasing, and so on of the next.

    Returns:
        Replicas of each, shape (workloads,); fewer of the later ones where it makes no difference.
    """
    counts, room = _steepest(room, sizes, starts, worth)
    most = 0
    for k in range(len(sizes)):
        most += sizes[k] * (starts[k + 1] - starts[k] - 1 - counts[k])
    room = min(room, most)
    best = np.zeros(room + 1)
    chosen = np.zeros((len(sizes), room + 1), np.int32)
    for k in range(len(sizes)):
        begin = starts[k] + counts[k]
        before = best.copy()
        for gpus in range(sizes[k], room + 1):
            for more in range(1, min(gpus // sizes[k], starts[k + 1] - begin - 1) + 1):
                value = before[gpus - more * sizes[k]] + worth[begin + more] - worth[begin]
                # Sums of the same numbers in another order differ in the last digits.
                if value > best[gpus] + 1e-9:
                    best[gpus] = value
                    chosen[k, gpus] = more
    for k in range(len(sizes) - 1, -1, -1):
        counts[k] += chosen[k, room]
        room -= chosen[k, room] * sizes[k]
    return counts


@kernel()
def _steepest(room: int, sizes: IntArray, starts: IntArray, worth: FloatArray) -> tuple[IntArray, int]:
    """Replicas by worth per GPU until EXACT_GPUS are left, and those that are."""
    counts = np.zeros(len(sizes), np.int64)
    if room <= EXACT_GPUS:
        return counts, room
    slopes = np.empty(len(sizes))
    steps = np.empty(len(sizes), np.int64)
    for k in range(len(sizes)):
        slopes[k], steps[k] = _steepest_step(worth[starts[k] : starts[k + 1]], room // sizes[k], sizes[k])
    while room > EXACT_GPUS:
        k = int(np.argmax(slopes))
        if slopes[k] == -math.inf:
            break
        # A step that fitted before may not any more: its first part alone may be worth little.
        if steps[k] * sizes[k] <= room:
            counts[k] += steps[k]
            room -= steps[k] * sizes[k]
        slopes[k], steps[k] = _steepest_step(worth[starts[k] + counts[k] : starts[k + 1]], room // sizes[k], sizes[k])
    return counts, room


@kernel()
def _steepest_step(worth: FloatArray, most: int, size: int) -> tuple[float, int]:
    """Of the next `most` replicas, what they are worth per GPU up to the best, and that one's number.

    Minus infinity without any.
    """
    best, step = -math.inf, 0
    for more in range(1, min(len(worth) - 1, most) + 1):
        slope = (worth[more] - worth[0]) / (more * size)
        if slope > best:
            best, step = slope, more
    return best, step
