"""The series of one PredictiveAutoscaler: names, meanings, and when a value is not to be told.

One object has at most about 65 series where it has one unit of demand: 5 quantiles of the forecast, 2 of demand, 5
pinball losses as gauge and as counter, 3 shares of coverage, 2 of load latency and 8 of its phases, a counter per
reason (16) and per outcome (some of 10) that occurred, and 10 single ones. A thousand objects are 65,000 at most.

What isn't known has no series, and what is old has none either: a 0 would be read as no demand. An HPA without its
metric holds. A KEDA Prometheus trigger takes an empty answer for 0, unless it says `ignoreNullValues: "false"`. Of a
workload that a KEDA trigger describes nobody sees the replicas: those that are ready or load have no series, nor has
the late share.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from autoscaler.core.risk import LEVELS
from autoscaler.telemetry.accuracy import Accuracy
from autoscaler.telemetry.record import Record
from forecasting.series import FloatArray

# All of them are among risk.LEVELS.
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
QUANTILE_INDICES = np.searchsorted(LEVELS, QUANTILES)
_COVERAGE = (0.5, 0.9, 0.99)
_OF_DEMAND = (0.5, 0.9)
_OF_LOADS = (0.5, 0.9)

# Decisions that may be missed before what the last one said is old: a restart of the API server takes one or two.
_MISSED_DECISIONS = 3


class ObjectKey(NamedTuple):
    """Names a PredictiveAutoscaler."""

    namespace: str
    name: str


@dataclass(slots=True)
class Series:
    """What is known of one object. Times are seconds since the epoch.

    Attributes:
        accuracy: forecast against actual, at QUANTILES.
        bin_s: width of its bins.
        since_s: when it was first seen.
        known_s: end of the newest bin whose demand is known; NaN before one.
        newest: its newest decision.
        forecast_rps: unit -> forecast one lead ahead at QUANTILES, work per second.
        late_share: as measured; NaN where it isn't known.
        reasons: decisions by reason.
        outcomes: attempts by action and its reason: of decisions the first one, and later ones that wrote.
    """

    accuracy: Accuracy
    bin_s: float
    since_s: float
    known_s: float = math.nan
    newest: Record | None = None
    forecast_rps: Mapping[str, FloatArray] = field(default_factory=dict)
    late_share: float = math.nan
    reasons: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def is_fresh(self, end_s: float, now_s: float, *, lead_bins: int = 0) -> bool:
        """Whether what was known at `end_s` may be told: at most three decisions, or one lead, were missed since."""
        return now_s - end_s <= (max(_MISSED_DECISIONS, lead_bins) + 1) * self.bin_s


class ObjectFamilies:
    """The families of one scrape, filled object by object."""

    def __init__(self) -> None:
        self.decisions = _counter("decisions", "Decisions by reason; one with several counts under each.", "reason")
        self.actions = _counter(
            "actions",
            "What was done about decisions, and why not more; what a later tick wrote counts too.",
            "action",
            "reason",
        )
        self.desired = _gauge("desired_replicas", "Replicas that the newest decision wants, ready and loading.")
        self.ready = _gauge("ready_replicas", "Replicas that serve.")
        self.loading = _gauge("loading_replicas", "Replicas that are ordered and don't serve yet.")
        self.forecast = _gauge(
            "forecast_replicas", "Demand forecast one load ahead, in replicas; none while it is old.", "quantile"
        )
        self.forecast_demand = _gauge(
            "forecast_demand", "Demand forecast one load ahead, work per second.", "unit", "quantile"
        )
        self.demand = _gauge("demand_actual", "Demand of the newest bin as measured, work per second.", "unit")
        self.demand_replicas = _gauge("demand_replicas", "Demand of the newest bin, in replicas.")
        self.loss = _gauge(
            "pinball_loss", "Mean pinball loss in replicas of forecasts one load ahead; half-life a day.", "quantile"
        )
        self.loss_sum = _counter("pinball_loss_replicas", "Sum of those pinball losses, in replicas.", "quantile")
        self.scored = _counter("forecasts_scored", "Forecasts whose bin has come, and was measured.")
        self.coverage = _gauge(
            "coverage_ratio", "Share of bins whose demand stayed within the quantile; half-life a day.", "quantile"
        )
        self.late = _gauge("late_share", "Share of the work that waited longer than maxWait, by the fluid model.")
        self.late_budget = _gauge("late_budget", "Share of the work that may wait longer, as asked for by lateBudget.")
        self.loads = _gauge("load_latency_seconds", "Load latency that is planned with.", "quantile")
        self.phases = _gauge(
            "load_phase_seconds",
            "Time that loads spend waiting for a node, on scheduling where one has room, starting and readying, as"
            " seen.",
            "phase",
            "quantile",
        )
        self.placeholders = _gauge("placeholder_replicas", "Placeholders that the newest decision wants.")
        self.age = _gauge("metrics_age_seconds", "Time since the end of the newest bin whose demand is known.")

    def all(self) -> list[Metric]:
        """All families."""
        return list(vars(self).values())

    def add(self, key: ObjectKey, series: Series, now_s: float) -> None:
        """Add one object's series as of `now_s`."""
        for reason, count in series.reasons.items():
            self.decisions.add_metric((*key, reason), count)
        for outcome, count in series.outcomes.items():
            self.actions.add_metric((*key, *outcome), count)
        self._add_accuracy(key, series.accuracy)
        # An object without any demand yet ages from when it was first seen, so that an alert on the age sees it.
        known_s = series.since_s if math.isnan(series.known_s) else series.known_s
        self.age.add_metric(key, now_s - known_s)
        record = series.newest
        if record is None or not series.is_fresh(record.observation.now_s, now_s):
            return
        self._add_newest(key, record)
        if not record.fleet_unseen:
            _put(self.late, key, series.late_share)
        self.late_budget.add_metric(key, record.spec.objective.late_budget)
        if series.is_fresh(known_s, now_s, lead_bins=record.outlook.lead_bins):
            ahead = record.outlook.needs[0, QUANTILE_INDICES]
            for level, need in zip(QUANTILES, ahead.tolist(), strict=True):
                _put(self.forecast, (*key, str(level)), need)
            for unit, rates in series.forecast_rps.items():
                for level, rate in zip(QUANTILES, rates.tolist(), strict=True):
                    if level in _OF_DEMAND:
                        _put(self.forecast_demand, (*key, unit, str(level)), rate)

    def _add_newest(self, key: ObjectKey, record: Record) -> None:
        if not record.assumed:
            # Else the numbers are maxReplicas, and what holds them.
            self.desired.add_metric(key, record.decision.desired)
        if not (record.assumed or record.fleet_unseen):
            self.ready.add_metric(key, record.observation.ready)
            self.loading.add_metric(key, len(record.observation.due_bins))
        for level in _OF_LOADS:
            _put(self.loads, (*key, str(level)), record.spec.load_latency.quantile_s(level))
        for phase, took in record.phases.items():
            for level in _OF_LOADS:
                _put(self.phases, (*key, phase, str(level)), took.quantile_s(level))
        if record.placeholders is not None:
            self.placeholders.add_metric(key, record.placeholders.desired)
        for unit, rate in record.observation.demand_rps.items():
            _put(self.demand, (*key, unit), rate)
        if not record.outlook.missing:
            _put(self.demand_replicas, key, record.outlook.demand_replicas)

    def _add_accuracy(self, key: ObjectKey, accuracy: Accuracy) -> None:
        self.scored.add_metric(key, accuracy.scored)
        scores = zip(
            QUANTILES,
            accuracy.mean_loss.tolist(),
            accuracy.loss_sum.tolist(),
            accuracy.coverage.tolist(),
            strict=True,
        )
        for level, loss, loss_sum, coverage in scores:
            labels = (*key, str(level))
            self.loss_sum.add_metric(labels, loss_sum)
            _put(self.loss, labels, loss)
            if level in _COVERAGE:
                _put(self.coverage, labels, coverage)


def _counter(name: str, meaning: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"headstart_{name}", meaning, labels=(*ObjectKey._fields, *labels))


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"headstart_{name}", meaning, labels=(*ObjectKey._fields, *labels))


def _put(family: GaugeMetricFamily, labels: tuple[str, ...], value: float) -> None:
    """Add a sample where there is a value."""
    if math.isfinite(value):
        family.add_metric(labels, value)
