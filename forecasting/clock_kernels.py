"""Looking back by the clock: how many bins ago the same time on earlier days was."""

from __future__ import annotations

from forecasting.clock import DAY_S, Clock, Days
from forecasting.kernel import inner
from forecasting.step_grid import IntArray


@inner
def ahead_at(clock: Clock, time_s: float) -> float:
    """Seconds that the clock is ahead of UTC, by halving: 220 changes in a century."""
    low, high = 0, len(clock.changes_s)
    while low < high:
        middle = (low + high) // 2
        if clock.changes_s[middle] <= time_s:
            low = middle + 1
        else:
            high = middle
    return float(clock.ahead_s[low])


@inner
def bins_back(days: Days, index: int, count: int) -> int:
    """Bins from the same time by the clock, `count` days before, to bin `index`; a change counts in whole bins.

    Of days in seconds: in bins of 25 minutes two weeks of whole bins a day are 140 minutes off.
    """
    back = max(count, round(count * DAY_S / days.bin_s))
    if len(days.clock.changes_s) == 0:
        return back
    time_s = days.start_s + index * days.bin_s
    moved_s = ahead_at(days.clock, time_s) - ahead_at(days.clock, time_s - back * days.bin_s)
    return back - round(moved_s / days.bin_s)


@inner
def all_back(days: Days, index: int, back: IntArray) -> None:
    """Fill back, shape (k,), with `bins_back` of one day, two, ... k."""
    for i in range(len(back)):
        back[i] = bins_back(days, index, i + 1)


@inner
def bin_by_clock(days: Days, index: int) -> int:
    """Bin `index` moved as clocks were since the first change, in whole bins: bins a day apart are at the same time.

    Of changes, as in `bins_back`: of how far they are ahead of UTC bins of three hours would move by one for an hour.
    """
    if len(days.clock.changes_s) == 0:
        return index
    moved_s = ahead_at(days.clock, days.start_s + index * days.bin_s) - float(days.clock.ahead_s[0])
    return index + round(moved_s / days.bin_s)
