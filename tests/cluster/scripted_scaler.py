"""An external scaler that says what a test tells it to, to see what KEDA makes of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from enum import Enum
from typing import Any

import grpc
from cluster.processes import free_port

from autoscaler.keda import externalscaler_pb2 as messages
from autoscaler.keda import externalscaler_pb2_grpc as services

METRIC = "scripted-replicas"


class Fault(Enum):
    """How the scaler goes wrong."""

    NO_VALUE = "GetMetrics answers UNAVAILABLE"
    ALL_FAIL = "every call answers UNAVAILABLE"
    HANG = "no call is answered"


class ScriptedScaler(services.ExternalScalerServicer):
    """An external scaler on loopback that wants `wanted` replicas by a target of 1 each, and is `active` or not.

    `fault` makes it go wrong, and each call then takes up to `delay_s`. Its stream of activity sends what it
    is twice a second. `calls` counts what was asked for by name.
    """

    def __init__(self, *, wanted: int = 1, active: bool = True) -> None:
        self.wanted = wanted
        self.active = active
        self.fault: Fault | None = None
        self.delay_s = 0.0
        self.calls: Counter[str] = Counter()
        self.address = f"127.0.0.1:{free_port()}"
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """Serve, at the same address each time."""
        # A call that hangs keeps a thread.
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
        services.add_ExternalScalerServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        """Break all connections and refuse new ones, as a process that is killed does."""
        if self._server:
            self._server.stop(grace=None).wait(10)
            self._server = None

    def IsActive(self, request: Any, context: Any) -> messages.IsActiveResponse:  # noqa: N802 (the protocol's name)
        """Whether it is active."""
        self._go_wrong("IsActive", context)
        return messages.IsActiveResponse(result=self.active)

    def StreamIsActive(self, request: Any, context: Any) -> Iterator[messages.IsActiveResponse]:  # noqa: N802
        """Whether it is active, again and again."""
        self._go_wrong("StreamIsActive", context)
        while context.is_active():
            yield messages.IsActiveResponse(result=self.active)
            time.sleep(0.5)

    def GetMetricSpec(self, request: Any, context: Any) -> messages.GetMetricSpecResponse:  # noqa: N802
        """A target of 1 for each replica."""
        self._go_wrong("GetMetricSpec", context)
        return messages.GetMetricSpecResponse(
            metricSpecs=[messages.MetricSpec(metricName=METRIC, targetSize=1, targetSizeFloat=1.0)]
        )

    def GetMetrics(self, request: Any, context: Any) -> messages.GetMetricsResponse:  # noqa: N802
        """As many as are wanted."""
        self._go_wrong("GetMetrics", context)
        value = messages.MetricValue(metricName=METRIC, metricValue=self.wanted, metricValueFloat=float(self.wanted))
        return messages.GetMetricsResponse(metricValues=[value])

    def _go_wrong(self, call: str, context: Any) -> None:
        self.calls[call] += 1
        if self.fault:
            time.sleep(random.uniform(0.0, self.delay_s))  # noqa: S311 (no secret)
        while self.fault is Fault.HANG and context.is_active():
            time.sleep(0.1)
        if self.fault is Fault.ALL_FAIL or (self.fault is Fault.NO_VALUE and call == "GetMetrics"):
            context.abort(grpc.StatusCode.UNAVAILABLE, "the test says so")
