"""Load latency: the time from ordering a replica to its first readiness, as a distribution.

A model load is not a number. Base-model loads of one production service run from 2.6 s (p10) over 22.7 s (median)
to 79 s (worst), so the core plans with a quantile and the simulated cluster draws from the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np

from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class LoadLatency:
    """Load latency as quantiles at evenly spaced levels.

    Attributes:
        quantiles_s: load latencies in seconds, not decreasing; entry i of n is the quantile at (i + 0.5) / n.
        label: how the user gave it, for tables: '600s', 'lognormal:120s,0.5', 'loads.csv'.
    """

    quantiles_s: tuple[float, ...]
    label: str

    @classmethod
    def constant(cls, load_s: float) -> Self:
        """Every load takes `load_s` seconds (>= 0)."""
        return cls.empirical([load_s], label=f"{load_s:g}s")

    @classmethod
    def empirical(cls, loads_s: Sequence[float], *, label: str) -> Self:
        """Loads as they were observed, in seconds, at least one. ValueError if one is negative or not finite."""
        if not loads_s or not all(math.isfinite(load) and load >= 0 for load in loads_s):
            raise ValueError(
                f"load latencies must be finite and not negative, and at least one: got {list(loads_s)[:3]}"
            )
        return cls(tuple(sorted(float(load) for load in loads_s)), label)

    @classmethod
    def lognormal(cls, median_s: float, sigma: float, *, quantiles: int = 199) -> Self:
        """Lognormal with the given median in seconds and standard deviation of the logarithm."""
        normal = NormalDist(math.log(median_s), sigma)
        loads = [math.exp(normal.inv_cdf((i + 0.5) / quantiles)) for i in range(quantiles)] if sigma > 0 else [median_s]
        return cls(tuple(loads), f"lognormal:{median_s:g}s,{sigma:g}")

    def quantile_s(self, level: float) -> float:
        """Load latency in seconds that a share `level` of loads stays within (interpolated)."""
        n = len(self.quantiles_s)
        return float(np.interp(level, (np.arange(n) + 0.5) / n, self.quantiles_s))

    def sample_s(self, count: int, seed: int) -> FloatArray:
        """`count` load latencies in seconds, drawn with `seed`."""
        rng = np.random.default_rng(seed)
        return rng.choice(np.asarray(self.quantiles_s), size=count)
