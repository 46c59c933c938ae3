"""When Headstart decides in a backtest, and on what demand: once an interval, as live.

A second says little of demand: on hours of seconds of LLM services, deciding bin by bin cost 1.5 to 7 times as much as
once a minute, at the same lateness. What the live loop does for bursts between two intervals is left out: on the same
hours it bought 1 % more and changed no lateness.
"""

from __future__ import annotations

import math

import numpy as np

from autoscaler.backtest.setting import IntArray, Setting
from autoscaler.core.observation import Observation
from forecasting.series import FloatArray

# An interval of which less is known is missing.
_KNOWN_SHARE = 0.5


class Rhythm:
    """Intervals of one setting, in whole bins."""

    def __init__(self, setting: Setting) -> None:
        """See Setting.interval_s."""
        self.every = max(1, round(setting.interval_s / setting.bin_s))
        self._start_s, self._bin_s = setting.start_s, setting.bin_s
        self._demand_rps = setting.demand_rps

    def is_interval(self, t: int) -> bool:
        """Whether an interval begins with bin `t`."""
        return t % self.every == 0

    def observation(self, t: int, ready: int, due_bins: IntArray) -> Observation:
        """What is known at the start of bin `t`, with the fleet as the simulated cluster tells it."""
        return Observation(self._start_s + t * self._bin_s, self.demand_rps(t), ready, self.due(due_bins))

    def demand_rps(self, t: int) -> dict[str, float]:
        """Unit -> mean of the known demand in the interval's width of bins before `t`; NaN where half is missing."""
        return {unit: self._mean(demand[max(0, t - self.every) : t]) for unit, demand in self._demand_rps.items()}

    def due(self, due_bins: IntArray) -> IntArray:
        """Intervals until replicas serve that do in so many bins, both at least 1."""
        return due_bins if self.every == 1 else -(-due_bins // self.every)

    def _mean(self, demand: FloatArray) -> float:
        known = demand[~np.isnan(demand)]
        return float(known.mean()) if len(known) > _KNOWN_SHARE * self.every else math.nan
