"""What observed demand can be believed; whatever can't is missing.

A bin of a thousand times all that was ever seen is a broken counter, and a fall to next to nothing of what wasn't below
half a replica for an hour and more is a target that restarted, or a label that changed: neither is believed for five
minutes, as long as an HPA at its default looks back before it releases. In wider bins the fall is, since it lasted, and
the rise after one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autoscaler.core.plan_kernels import COUNT_MAX
from forecasting.clock import DAY_S
from forecasting.kernel import kernel
from forecasting.lead_history import LeadHistory
from forecasting.lead_history_kernel import peak_after
from forecasting.series import FloatArray

# A bin beyond so many times the largest demand known, or so many replicas where that is more, is absurd; so is one
# below such a part of the least of late.
_ABSURD_FACTOR = 1_000.0
# An HPA's stabilization window for scaling down. A rate over two minutes makes two bins or three of one bad sample:
# believed in the second, it kept a fleet at its maximum for eight days.
_DOUBTED_S = 300.0
# The least of late is forgotten by doubling: from nothing to half a replica in 100 minutes.
_FORGOTTEN_S = 600.0


@dataclass(frozen=True, slots=True)
class Lately:
    """What a fall is measured against, for one unit.

    Attributes:
        least: demand of late was at least so much, work per second.
        falls: how often in a row a bin was absurdly little, missing ones not counted.
        rises: likewise absurdly much.
    """

    least: float = 0.0
    falls: int = 0
    rises: int = 0


def _countable(capacity: float) -> float:
    """The largest demand that is ever believed, work per second: the largest float put an end to all decisions."""
    return COUNT_MAX * capacity


def believable_only(
    values: FloatArray, history: LeadHistory, lately: Lately, capacity: float
) -> tuple[FloatArray, Lately]:
    """Demand that follows on `history`, NaN where it isn't believed.

    Args:
        values: work per second, NaN where missing, shape (n,).
        history: what was believed before.
        lately: what was returned with that.
        capacity: work per second that one replica sustains.

    Returns:
        The values, shape (n,), and what the next call needs.
    """
    usable = np.where((values >= 0) & (values <= _countable(capacity)), values, np.nan)
    least, falls, rises = _drop_absurd(
        usable,
        history.peak_log,
        history.floor,
        capacity,
        history.bins_known,
        history.day,
        lately.least,
        lately.falls,
        lately.rises,
        math.floor(_DOUBTED_S / history.bin_s),
        # A day forgets all; bins of months would be too much for a float.
        2.0 ** (min(history.bin_s, DAY_S) / _FORGOTTEN_S),
    )
    return usable, Lately(least, falls, rises)


@kernel()
def _drop_absurd(
    values: FloatArray,
    peak_log: float,
    floor: float,
    capacity: float,
    known: int,
    day: int,
    least: float,
    falls: int,
    rises: int,
    doubted_max: int,
    growth: float,
) -> tuple[float, int, int]:
    """NaN for values that aren't believed; returns the least of late, and the falls and the rises in a row."""
    for i in range(len(values)):
        bound = _ABSURD_FACTOR * max(math.exp(peak_log), capacity)
        if known >= day and values[i] > bound and rises < max(1, doubted_max):
            values[i] = math.nan
            rises += 1
        if least >= floor and values[i] * _ABSURD_FACTOR < least and falls < doubted_max:
            values[i] = math.nan
            falls += 1
        missing = math.isnan(values[i])
        # What is imputed sets no new peak.
        seen = -math.inf if missing else float(np.float32(math.log(values[i] + floor)))
        peak_log = peak_after(peak_log, seen, day)
        if not missing:
            known += 1
            falls = rises = 0
            least = min(values[i], growth * max(least, floor / _ABSURD_FACTOR))
    return least, falls, rises
