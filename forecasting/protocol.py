"""What every forecaster offers.

Steps count from 1: after n known bins, step 1 is bin n, the one that starts now. A replica ordered now with a
load of L bins serves from step L + 1 on.

Fitted forecasters are values: `update` returns the next one and leaves the old unchanged, so that `decide` can
stay a pure function and a replay can branch. An update costs O(1) in the length of the history.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from forecasting.errors import ModelError
from forecasting.series import FloatArray, Series


class PointModel(Protocol):
    """A model of the middle of the demand: no intervals of its own, `conformal` adds them."""

    @property
    def name(self) -> str:
        """Short name, as tables and the command line show it: 'seasonal-naive'."""
        ...

    def fit(self, series: Series) -> FittedPoint:
        """Learn from the history (which may be empty or all missing) and stand at its end."""
        ...


class FittedPoint(Protocol):
    """A point model that has seen some history."""

    def update(self, value: float) -> Self:
        """See one more bin: work per second, NaN where it is missing."""
        ...

    def forecast(self, steps: int) -> FloatArray:
        """Median of the demand at steps 1..steps, shape (steps,), work per second; NaN where nothing is known."""
        ...


class Forecaster(Protocol):
    """A model of the whole distribution of the demand."""

    @property
    def name(self) -> str:
        """Short name, as tables and the command line show it."""
        ...

    def fit(self, series: Series) -> FittedForecaster:
        """Learn from the history (which may be empty or all missing) and stand at its end."""
        ...


class FittedForecaster(Protocol):
    """A forecaster that has seen some history."""

    def update(self, value: float) -> Self:
        """See one more bin: work per second, NaN where it is missing."""
        ...

    def quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """Quantiles at `levels`, each in (0, 1), for steps 1..steps: shape (steps, len(levels)).

        Not decreasing along a row; NaN where nothing is known.
        """
        ...

    def peak_quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """Quantiles of the largest demand in the windows 1..1, 1..2, ..., 1..steps: shape (steps, len(levels))."""
        ...


def check_steps(steps: int) -> None:
    """Raise ModelError unless `steps` is at least 1."""
    if steps < 1:
        raise ModelError(f"steps must be at least 1, got {steps}")


def check_levels(levels: npt.ArrayLike) -> FloatArray:
    """`levels` as an array of shape (q,); ModelError unless each is in (0, 1) and they increase."""
    array = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if array.ndim != 1 or not np.all((array > 0) & (array < 1)) or np.any(np.diff(array) <= 0):
        raise ModelError(f"levels must increase and lie between 0 and 1, got {levels!r}")
    return array
