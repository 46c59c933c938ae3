"""Boosted trees as a member of the lead ensemble, for services with a history of days.

Trees say the middle, and on the log of the absolute residual the spread. The tails come from the residuals of what was
really said, never from trees: a boosted 99.9 % quantile of 1,000 rows is one row's accident.

The only file that imports scikit-learn, and only when trees are grown: the import takes two seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np

from forecasting.append_log import AppendLog
from forecasting.forest import Forest, constant_forest, forest_of, forest_value
from forecasting.lead_bins import LeadBins
from forecasting.lead_features import FEATURES
from forecasting.lead_kernels import (
    HALF_LIFE_DAYS,
    LOG_RESIDUAL_FLOOR,
    PREDICTION,
    TARGETS,
    bounded_spread,
    count_residuals,
    latest_log_quantiles,
    spread_prior,
)
from forecasting.series import FloatArray
from forecasting.tempered_residuals import blocks_of, prior_record

_ROWS_MAX = 8_000
_ROWS_DAYS = 28
_FIRST_DAYS = 2
_FIRST_ROWS = 500

# Small trees, slowly: 33 features of which few matter, rows that overlap by all but one bin.
_TREES = 100
_LEAVES_MAX = 8
_LEARNING_RATE = 0.06
_LEAF_ROWS_MIN = 40

# Columns of a training row: features, then per target what came (relative to the level) and the residual of what was
# said; NaN where no trees had said it.
_TARGET, _RESIDUAL = FEATURES, FEATURES + TARGETS
_COLUMNS = FEATURES + 2 * TARGETS


class Trees(NamedTuple):
    """A forest per target for the middle, and one for the log of the spread, both relative to what is said without."""

    middles: tuple[Forest, Forest]
    log_spreads: tuple[Forest, Forest]


def refit(rows: FloatArray) -> Trees:
    """Grow trees on training rows, oldest first, shape (n, columns). Pure, and a second long: a worker may run it."""
    middles, log_spreads = [], []
    for k in range(TARGETS):
        features, target = rows[:, :FEATURES], rows[:, _TARGET + k]
        middle = grow(features, target)
        middles.append(middle)
        residual = rows[:, _RESIDUAL + k]
        if np.isfinite(residual).sum() < _FIRST_ROWS:
            residual = _later_residuals(features, target)
        seen = np.isfinite(residual)
        log_spreads.append(grow(features[seen], np.log(np.abs(residual[seen]) + LOG_RESIDUAL_FLOOR)))
    return Trees((middles[0], middles[1]), (log_spreads[0], log_spreads[1]))


def grow(features: FloatArray, target: FloatArray) -> Forest:
    """Boosted trees for the median of `target` (n,) given `features` (n, FEATURES).

    One thread: several would sum in another order, and wait for each other on a busy machine: 7 s instead of 0.2.
    """
    columns = np.flatnonzero(np.ptp(features, axis=0) > 0)
    if len(columns) == 0:
        return constant_forest(float(np.median(target)))
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=_TREES,
        max_leaf_nodes=_LEAVES_MAX,
        learning_rate=_LEARNING_RATE,
        min_samples_leaf=_LEAF_ROWS_MIN,
        early_stopping=False,
        random_state=0,
    )
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(features[:, columns], target)
    trees = [predictors[0].nodes for predictors in model._predictors]
    return forest_of(trees, float(np.ravel(model._baseline_prediction)[0]), columns)


def _later_residuals(features: FloatArray, target: FloatArray) -> FloatArray:
    """Residuals of the later half by trees grown on the earlier one; NaN in the earlier one."""
    half = len(target) // 2
    earlier = grow(features[:half], target[:half])
    residual = np.full(len(target), math.nan)
    for i in range(half, len(target)):
        residual[i] = target[i] - forest_value(earlier, features[i])
    return residual


@dataclass(frozen=True, slots=True)
class Boosted:
    """A member of the lead ensemble. Until there are trees it says the level, and the recent change as the spread.

    Attributes:
        trees: None until two days and 500 training rows were seen.
        grown_at: bins seen when they were grown.
        rows: training rows, thinned to 28 days.
        origins: origins whose target is known.
        records: of residuals, see tempered_residuals, shape (TARGETS, RECORD).
        predictions: one row per origin, shape (PREDICTION,).
        by_trees: 1 where trees made the prediction, one per row of `predictions`.
        name: short name for tables.
    """

    trees: Trees | None = field(repr=False)
    grown_at: int
    rows: AppendLog = field(repr=False)
    origins: int
    records: FloatArray = field(repr=False)
    predictions: AppendLog = field(repr=False)
    by_trees: AppendLog = field(repr=False)
    name: str = "boosted"

    @classmethod
    def start(cls, *, lead: int) -> Self:
        """A member that has seen nothing."""
        return cls(
            trees=None,
            grown_at=0,
            rows=AppendLog.empty((_COLUMNS,), rows_max=_ROWS_MAX),
            origins=0,
            records=_no_residuals(),
            predictions=AppendLog.empty((PREDICTION,), rows_max=lead + 2),
            by_trees=AppendLog.empty(rows_max=lead + 2),
        )

    def learn(self, bins: LeadBins, levels: FloatArray) -> tuple[Self, FloatArray]:
        """See LeadMember. Grows trees, for a second, once a day."""
        learned = self
        said = np.empty((len(bins), TARGETS, len(levels)))
        for i in range(len(bins)):
            learned = learned._after(bins, i)
            said[i] = learned.log_quantiles(levels)
        return learned, said

    def _after(self, bins: LeadBins, index: int) -> Self:
        """The member after bin `index` of the run."""
        rows, origins, records = self.rows, self.origins, self.records
        age = bins.lead + 1
        if bins.matured[index] and len(self.predictions) >= age:
            at = len(self.predictions) - age
            made, made_by_trees = self.predictions.rows[at], self.by_trees.rows[at] > 0
            if made_by_trees or self.trees is None:
                records = records.copy()
                growth = 2.0 ** (1.0 / (HALF_LIFE_DAYS * bins.day))
                count_residuals(made, bins.targets[index], growth, records, blocks_of(records))
            if origins % max(1, round(_ROWS_DAYS * bins.day / _ROWS_MAX)) == 0:
                rows = rows.append(_training_row(bins.origin(index), bins.targets[index], made, made_by_trees))
            origins += 1
        learned = replace(self, rows=rows, origins=origins, records=records)
        if learned._is_due(bins, index):
            learned = learned._with_trees(refit(rows.rows), bins.first + index + 1)
        return learned._standing(bins, index)

    def _is_due(self, bins: LeadBins, index: int) -> bool:
        """Whether trees should be grown at this bin: once a day, when there is enough to grow them on."""
        if len(self.rows) < _FIRST_ROWS or bins.known_after[index] < _FIRST_DAYS * bins.day:
            return False
        return self.trees is None or bins.first + index + 1 - self.grown_at >= bins.day

    def _with_trees(self, trees: Trees, grown_at: int) -> Self:
        """The member with trees that were grown on its rows. Residuals from before the first trees are not theirs."""
        records = _no_residuals() if self.trees is None else self.records
        return replace(self, trees=trees, grown_at=grown_at, records=records)

    def _standing(self, bins: LeadBins, index: int) -> Self:
        """The member with its prediction from the origin after this bin."""
        features = bins.features[index]
        row = np.empty(PREDICTION)
        row[0], row[-1] = features[FEATURES], bins.bounds[index]
        for k in range(TARGETS):
            middle, log_spread = 0.0, spread_prior(features, bins.lead)
            if self.trees is not None:
                middle = forest_value(self.trees.middles[k], features)
                log_spread = forest_value(self.trees.log_spreads[k], features)
            row[1 + 2 * k], row[2 + 2 * k] = middle, bounded_spread(log_spread)
        by_trees = self.by_trees.append(float(self.trees is not None))
        return replace(self, predictions=self.predictions.append(row), by_trees=by_trees)

    def log_quantiles(self, levels: FloatArray) -> FloatArray:
        """See LeadMember."""
        return latest_log_quantiles(self.predictions.rows, self.records, levels)


def _no_residuals() -> FloatArray:
    return np.vstack([prior_record()] * TARGETS)


def _training_row(origin: FloatArray, targets: FloatArray, made: FloatArray, made_by_trees: bool) -> FloatArray:
    """A row from the features and level of an origin, shape (FEATURES + 1,), and what came, shape (TARGETS,)."""
    row = np.empty(_COLUMNS)
    row[:FEATURES] = origin[:FEATURES]
    row[_TARGET:_RESIDUAL] = targets - origin[FEATURES]
    row[_RESIDUAL:] = row[_TARGET:_RESIDUAL] - made[1:-1:2] if made_by_trees else math.nan
    return row
