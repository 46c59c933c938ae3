"""Transforms that make additive models of demand behave: swings that grow with the level, and never below zero.

A monotone transform keeps quantiles, so the median forecast is the back-transformed median.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from forecasting.series import FloatArray

TransformName = Literal["none", "sqrt", "log"]

# Share of the mean demand that is added before the logarithm: an idle bin is then 4.6 below a busy one, not infinitely.
_LOG_OFFSET_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Transform:
    """A monotone transform of work per second, fixed once the history is known."""

    kind: TransformName
    offset: float

    @classmethod
    def of(cls, kind: TransformName, values: FloatArray) -> Self:
        """The transform for a history `values` (n,), which may be empty or all missing."""
        known = values[~np.isnan(values)]
        mean = float(known.mean()) if len(known) else 0.0
        return cls(kind, _LOG_OFFSET_SHARE * mean if mean > 0 else 1.0)

    def forward(self, values: FloatArray) -> FloatArray:
        """Work per second to the model's scale, same shape; NaN stays."""
        if self.kind == "log":
            return np.log(values + self.offset)
        return np.sqrt(values) if self.kind == "sqrt" else values

    def inverse(self, values: FloatArray) -> FloatArray:
        """The model's scale to work per second, same shape, never below zero; NaN stays."""
        if self.kind == "log":
            # exp(700) is still finite: a diverging trend must not become an infinite demand.
            return np.maximum(np.exp(np.minimum(values, 700.0)) - self.offset, 0.0)
        positive = np.maximum(values, 0.0)
        return np.square(positive) if self.kind == "sqrt" else positive
