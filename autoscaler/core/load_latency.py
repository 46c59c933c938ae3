"""Load latency: the time from ordering a replica to its first readiness, as a distribution.

A model load is not a number. Base-model loads of one production service run from 2.6 s (p10) over 22.7 s (median)
to 79 s (worst), so the core plans with a quantile and the simulated cluster draws from the whole.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.series import FloatArray

# A load that outlasted all that were seen, if only just, is expected within a second.
_SOON_S = 1.0


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

    def remaining_s(self, age_s: float, level: float = 0.5) -> float:
        """Seconds that a load still takes which has taken `age_s`: a share `level` of such loads stays within. Above 0.

        Only loads longer than `age_s` count. Where none was, it is expected after as long as it is overdue (what has
        waited twice as long as the longest load tells no more than that), but at most after one longest load: from
        twice that age on it counts as stuck, and a replica ordered now is Ready no later than it.
        An age that is no positive number, as clocks that differ give, is 0.
        """
        taken_s = age_s if age_s > 0 else 0.0
        longest_s = self.quantiles_s[-1]
        longer = self.quantiles_s[bisect_right(self.quantiles_s, taken_s) :]
        if not longer:
            return max(_SOON_S, min(taken_s - longest_s, longest_s))
        at = min(max(level * len(longer) - 0.5, 0.0), len(longer) - 1.0)
        below = math.floor(at)
        above = min(below + 1, len(longer) - 1)
        return longer[below] + (longer[above] - longer[below]) * (at - below) - taken_s

    def due_bins(self, ages_s: Sequence[float], bin_s: float) -> npt.NDArray[np.int64]:
        """Bins until loads of these ages are Ready in half of all cases, each at least 1; shape (loads,)."""
        # As for the lead: 600 s of 60.00000001 s are 10 bins, not 11.
        bins = [math.ceil(self.remaining_s(age_s) / bin_s * (1 - 1e-12)) for age_s in ages_s]
        return np.maximum(1, np.asarray(bins, dtype=np.int64))

    def sample_s(self, count: int, seed: int) -> FloatArray:
        """`count` load latencies in seconds, drawn with `seed`."""
        rng = np.random.default_rng(seed)
        return rng.choice(np.asarray(self.quantiles_s), size=count)
