"""Forecast against actual: what was forecast one lead ago for the bin that has just ended, and how well.

A decision at the start of bin t forecasts bin t + lead, so that forecast is scored by the decision at the start of bin
t + lead + 1, the first that knows what came. A bin whose demand is missing scores nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecasting.series import FloatArray

# The running means forget half in a day: long enough to average over a day's course, short enough to show that today
# is worse than last week.
HALF_LIFE_S = 86_400.0
# Forecasts that wait for their bin, at most: a lead of a day at 15 s bins, far beyond any model load.
_WAITING_MAX = 5_760


class Accuracy:
    """Scores of one object's forecasts at fixed levels, in replicas. Not thread-safe.

    Attributes:
        levels: the quantiles' levels, shape (q,).
        scored: forecasts scored so far.
        loss_sum: sum of their pinball losses (Koenker and Bassett 1978), shape (q,).
    """

    def __init__(self, levels: npt.ArrayLike, *, bin_s: float) -> None:
        self.levels: FloatArray = np.array(levels, dtype=np.float64)
        self.scored = 0
        self.loss_sum: FloatArray = np.zeros(len(self.levels))
        self._bin_s = bin_s
        self._keep = 0.5 ** (bin_s / HALF_LIFE_S)
        self._weight = 0.0
        self._loss: FloatArray = np.zeros(len(self.levels))
        self._covered: FloatArray = np.zeros(len(self.levels))
        self._waiting: dict[int, FloatArray] = {}  # quantiles by the index of the bin that they are for

    @property
    def mean_loss(self) -> FloatArray:
        """Mean pinball loss per level, shape (q,), half forgotten in a day; NaN before the first score."""
        return self._loss / self._weight if self._weight else np.full(len(self.levels), np.nan)

    @property
    def coverage(self) -> FloatArray:
        """Share of actuals at or below the quantile per level, shape (q,), half forgotten in a day; NaN before one."""
        return self._covered / self._weight if self._weight else np.full(len(self.levels), np.nan)

    def decided(self, *, now_s: float, actual: float, quantiles: npt.ArrayLike, lead_bins: int) -> None:
        """Take in one decision: score the forecast for the bin that ends now, and remember the new one.

        Args:
            now_s: start of the bin that the decision is for.
            actual: demand of the bin that ends now, replicas; NaN where it is missing.
            quantiles: what is forecast now at `levels` for the bin `lead_bins` after the one that starts now, replicas,
                shape (q,); NaN where there is no forecast.
            lead_bins: bins from order to ready.
        """
        starts = round(now_s / self._bin_s)
        said = self._waiting.pop(starts - 1, None)
        if said is not None and not np.isnan(actual):
            self._score(said, actual)
        # Bins whose decision was skipped never score. A clock set back leaves bins ahead, until time comes to them.
        self._waiting = {target: kept for target, kept in self._waiting.items() if target >= starts}
        forecast = np.array(quantiles, dtype=np.float64)
        if not np.isnan(forecast).any() and len(self._waiting) < _WAITING_MAX:
            self._waiting[starts + lead_bins] = forecast

    def _score(self, said: FloatArray, actual: float) -> None:
        error = actual - said
        loss = np.maximum(self.levels * error, (self.levels - 1.0) * error)
        self.scored += 1
        self.loss_sum = self.loss_sum + loss
        self._weight = self._keep * self._weight + 1.0
        self._loss = self._keep * self._loss + loss
        self._covered = self._keep * self._covered + (error <= 0.0)
