"""The series of the external scaler: calls, streams, guests, certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.telemetry.scaler_figures import ScalerFigures


class ScalerSeries(Collector):
    """A collector that asks for the figures with each scrape; five methods and some statuses make about 20 series."""

    def __init__(self, figures: Callable[[], ScalerFigures]) -> None:
        """`figures` answers at once, from any thread; its counts never fall."""
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """All series as of now. Without TLS there are none of certificates."""
        figures = self._figures()
        calls = CounterMetricFamily("headstart_keda_calls", "Calls of KEDA that ended.", labels=("method", "code"))
        for labels, count in sorted(figures.calls.items()):
            calls.add_metric(labels, count)
        yield calls
        yield _gauge("streams", "Calls of StreamIsActive that are open.", figures.streams)
        yield _gauge("guests", "Workloads that triggers describe.", figures.guests)
        yield CounterMetricFamily(
            "headstart_keda_restarts", "Times that the process which answers KEDA was started anew.", figures.restarts
        )
        if figures.certificate_expires_s is not None:
            yield _gauge(
                "certificate_problem",
                "1 where newer certificates can't be used, and the ones before are served.",
                1 if figures.certificate_problem else 0,
            )
            yield _gauge(
                "certificate_expiry_timestamp_seconds",
                "When the served certificate ends, seconds since the epoch.",
                figures.certificate_expires_s,
            )


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"headstart_keda_{name}", meaning, value)
