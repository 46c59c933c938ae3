"""What the metrics remember of each object between scrapes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from prometheus_client.core import Metric

from autoscaler.telemetry.accuracy import Accuracy
from autoscaler.telemetry.object_families import QUANTILE_INDICES, QUANTILES, ObjectFamilies, ObjectKey, Series
from autoscaler.telemetry.record import Done, Record, Write
from forecasting.series import FloatArray

# Outcomes per object: a reason that carries a number by mistake must not fill the memory.
_OUTCOMES_MAX = 50


class ObjectSeries:
    """A collector for prometheus_client's registry. Thread-safe."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s` tells the time of the clock that decisions are made by, seconds since the epoch."""
        self._now_s = now_s
        self._lock = threading.Lock()
        self._series: dict[ObjectKey, Series] = {}

    def decided(self, record: Record, forecast_rps: Mapping[str, FloatArray], *, counted: bool) -> None:
        """Take in one decision; see `Metrics.decided`."""
        outlook, now_s, bin_s = record.outlook, record.observation.now_s, record.spec.bin_s
        with self._lock:
            series = self._of(ObjectKey(record.namespace, record.name), now_s, bin_s)
            if outlook.early and series.newest is not None:
                # Between bins placeholders stay as they are.
                record = replace(record, placeholders=series.newest.placeholders)
            series.newest = record
            series.forecast_rps = {unit: quantiles[QUANTILE_INDICES] for unit, quantiles in forecast_rps.items()}
            if not outlook.missing:
                series.known_s = now_s
            if not outlook.early:
                # The bin's own decision scores it.
                series.accuracy.decided(
                    now_s=now_s,
                    actual=math.nan if outlook.missing else outlook.demand_replicas,
                    quantiles=outlook.needs[0, QUANTILE_INDICES],
                    lead_bins=outlook.lead_bins,
                )
            if counted:
                series.reasons.update(str(reason) for reason in record.decision.reasons)
                _count(series, record.done)

    def written(self, write: Write) -> None:
        """Take in what was written in a later tick than its decision, for an object that has been decided on."""
        key = ObjectKey(write.namespace, write.name)
        with self._lock:
            if key in self._series and not write.placeholders:
                _count(self._series[key], write.done)

    def late(self, key: ObjectKey, share: float) -> None:
        """Take in the measured late share of an object that has been decided on; NaN where it isn't known."""
        with self._lock:
            if key in self._series:
                self._series[key].late_share = share

    def keep_only(self, keys: Collection[ObjectKey]) -> None:
        """Forget all other objects."""
        with self._lock:
            self._series = {key: series for key, series in self._series.items() if key in keys}

    def describe(self) -> list[Metric]:
        """Names, for the registry's check against duplicates."""
        return ObjectFamilies().all()

    def collect(self) -> list[Metric]:
        """All series as of now."""
        families = ObjectFamilies()
        now_s = self._now_s()
        with self._lock:
            for key, series in self._series.items():
                families.add(key, series, now_s)
        return families.all()

    def _of(self, key: ObjectKey, now_s: float, bin_s: float) -> Series:
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series(Accuracy(QUANTILES, bin_s=bin_s), bin_s, since_s=now_s)
        elif series.bin_s != bin_s:
            # What was forecast on a grid of other bins can't be scored on this one.
            series.accuracy, series.bin_s = Accuracy(QUANTILES, bin_s=bin_s), bin_s
        return series


def _count(series: Series, done: Done) -> None:
    outcome = (done.action, done.reason)
    if outcome in series.outcomes or len(series.outcomes) < _OUTCOMES_MAX:
        series.outcomes[outcome] += 1
