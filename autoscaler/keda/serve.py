"""The external scaler by itself: it needs a Prometheus, and no rights in any cluster."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from autoscaler.controller.clock import SystemClock
from autoscaler.controller.no_cluster import NoCluster
from autoscaler.controller.process import Alone, Process, World, run_process
from autoscaler.keda.attach import ExternalScaler
from autoscaler.keda.desk import Desk
from autoscaler.keda.messages import Listening


def external_scaler(listening: Listening) -> ExternalScaler:
    """The extension of the loop that KEDA asks."""
    return ExternalScaler(Desk(listening), SystemClock())


def serve(process: Process, listening: Listening, stop: Event, *, on_start: Callable[[int], object]) -> None:
    """Decide for what triggers describe, until `stop` is set.

    Args:
        process: see Process.
        listening: see Listening.
        stop: set to end.
        on_start: called with the port of /metrics once it and the gRPC server are up.
    """
    nothing = NoCluster()
    run_process(
        process,
        lambda _log, _metrics, _ending: World(nothing, nothing, Alone()),
        stop,
        on_start=on_start,
        extension=external_scaler(listening),
    )
