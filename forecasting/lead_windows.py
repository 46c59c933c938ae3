"""Sums, means, maxima and medians over stretches of a history: what the lead features are made of."""

from __future__ import annotations

from forecasting.kernel import inner
from forecasting.series import RealArray


@inner
def sum_between(values: RealArray, first: int, stop: int) -> float:
    """Sum of values[first:stop] as four sums, which a processor adds up at once: each add waits for the last one."""
    a = b = c = d = 0.0
    whole = first + (stop - first) // 4 * 4
    for i in range(first, whole, 4):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
    for i in range(whole, stop):
        a += values[i]
    return (a + b) + (c + d)


@inner
def mean_before(values: RealArray, stop: int, width: int) -> float:
    """Mean of the `width` values before `stop`, fewer where the history is shorter."""
    first = max(0, stop - width)
    return sum_between(values, first, stop) / max(1, stop - first)


@inner
def mean_around(values: RealArray, index: int, half: int) -> float:
    """Mean of the values from index - half to index + half that are known."""
    first = max(0, index - half)
    stop = min(len(values), index + half + 1)
    return sum_between(values, first, stop) / max(1, stop - first)


@inner
def max_between(values: RealArray, first: int, stop: int) -> float:
    """Largest of values[first:stop], which must not be empty."""
    largest = values[first]
    for i in range(first + 1, stop):
        largest = max(largest, values[i])
    return float(largest)


@inner
def median_of(values: RealArray, count: int) -> float:
    """Median of the first `count` values, which are put in order; 0 where there are none."""
    if count == 0:
        return 0.0
    for i in range(1, count):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return 0.5 * float(values[(count - 1) // 2] + values[count // 2])
