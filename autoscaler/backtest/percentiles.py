"""A distribution of waits, told by a few of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A distribution in seconds, in the rank form that never interpolates, so that infinite waits stay visible.

    NaN where there was nothing to measure.
    """

    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, values_s: FloatArray) -> Self:
        """Percentiles of some values, infinite ones included; each is one of the values."""
        if not len(values_s):
            return cls(math.nan, math.nan, math.nan, math.nan)
        return cls(*np.quantile(values_s, [0.5, 0.9, 0.99, 1.0], method="inverted_cdf").tolist())
