"""The controller's own metrics, for its `/metrics`.

Names follow Prometheus' conventions: base units, `_total` for what only grows. Cardinality: series per object as
`object_families` counts them, and below a hundred for the process: tick times by step (about ten, 14 buckets each), API
errors by verb and kind of failure, Prometheus errors by failure, KEDA's calls by method and status. Label values are
words of the program, and names of objects that exist; never a message, a query or a pod.

The labels `namespace` and `name` are the object's. A scrape that sets a `namespace` of its own, as a ServiceMonitor
does, needs `honorLabels: true`; else they arrive as `exported_namespace`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from autoscaler.telemetry.object_families import ObjectKey
from autoscaler.telemetry.object_series import ObjectSeries
from autoscaler.telemetry.record import Record, Write
from autoscaler.telemetry.scaler_figures import ScalerFigures
from autoscaler.telemetry.scaler_series import ScalerSeries
from forecasting.series import FloatArray

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# A step of a tick takes from a millisecond, with one object, to the tick's 15 s.
_STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)


class Metrics:
    """All metrics of one controller, in a registry of their own. Thread-safe."""

    def __init__(self, *, version: str, now_s: Callable[[], float]) -> None:
        """Start with nothing known.

        Args:
            version: Headstart's.
            now_s: the time of the clock that decisions are made by, seconds since the epoch.
        """
        registry = self._registry = CollectorRegistry()
        self._objects = ObjectSeries(now_s)
        registry.register(self._objects)
        ProcessCollector(registry=registry)
        self._tick = Histogram(
            "headstart_tick_seconds", "Time by step of a tick.", ["step"], buckets=_STEP_BUCKETS_S, registry=registry
        )
        self._api_errors = Counter(
            "headstart_api_errors", "Kubernetes API calls that failed.", ["verb", "kind"], registry=registry
        )
        self._prometheus_errors = Counter(
            "headstart_prometheus_errors", "Prometheus queries that failed.", ["failure"], registry=registry
        )
        self._dropped_lines = Counter(
            "headstart_decision_lines_dropped", "Decision lines that found no reader.", registry=registry
        )
        self._leader = Gauge("headstart_leader", "1 where this replica is the leader and acts.", registry=registry)
        self._watched = Gauge("headstart_objects", "PredictiveAutoscalers that are looked after.", registry=registry)
        self._undecided = Gauge(
            "headstart_undecided_objects", "Those not decided on since the start.", registry=registry
        )
        build = Info("headstart_build", "What runs.", registry=registry)
        build.info({"version": version, "python": platform.python_version()})

    def text(self) -> bytes:
        """Everything in Prometheus' text format, CONTENT_TYPE."""
        return generate_latest(self._registry)

    def add_scaler(self, figures: Callable[[], ScalerFigures]) -> None:
        """Show the external scaler's figures too, as they are at each scrape; once, see ScalerSeries."""
        self._registry.register(ScalerSeries(figures))

    def decided(self, record: Record, forecast_rps: Mapping[str, FloatArray], *, counted: bool = True) -> None:
        """Take in one decision: what it saw, wants and did, and how good the forecast for the bin before it was.

        Args:
            record: as it is logged.
            forecast_rps: unit -> quantiles at risk.LEVELS of its demand one lead ahead, work per second, NaN before
                one is known: row 0 of `LeadEnsemble.quantiles`.
            counted: whether it counts; one that repeats another, between bins, only refreshes the gauges.
        """
        self._objects.decided(record, forecast_rps, counted=counted)

    def written(self, write: Write) -> None:
        """Take in what was written in a later tick than its decision."""
        self._objects.written(write)

    def late(self, namespace: str, name: str, share: float) -> None:
        """Take in an object's measured late share; NaN where it isn't known."""
        self._objects.late(ObjectKey(namespace, name), share)

    def watched(self, objects: Collection[tuple[str, str]], *, guests: int = 0, undecided: int = 0) -> None:
        """Take in which objects there are, as (namespace, name): the series of all others go.

        So many of them are `guests`: triggers describe them, and they have a gauge with KEDA's series. Of the others
        `undecided` were never decided on by this process.
        """
        self._watched.set(len(objects) - guests)
        self._undecided.set(undecided)
        self._objects.keep_only({ObjectKey(*key) for key in objects})

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the block as a step of the tick."""
        begun_s = perf_counter()
        try:
            yield
        finally:
            self.step_took(name, perf_counter() - begun_s)

    def step_took(self, name: str, seconds: float) -> None:
        """Take in how long a step of the tick took."""
        self._tick.labels(name).observe(seconds)

    def api_failed(self, verb: str, kind: str) -> None:
        """Count a call to the Kubernetes API that failed: 'patch', 'Conflict'."""
        self._api_errors.labels(verb, kind).inc()

    def prometheus_failed(self, failure: str) -> None:
        """Count a query that failed: 'Timeout'."""
        self._prometheus_errors.labels(failure).inc()

    def line_dropped(self) -> None:
        """Count a decision line that found no reader."""
        self._dropped_lines.inc()

    def leads(self, leading: bool) -> None:
        """Take in whether this replica is the leader."""
        self._leader.set(leading)
