"""`headstart keda serve` as a process, what its triggers scale, and its answers without KEDA between."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import grpc
from cluster.exporter import Exporter
from cluster.keda_objects import KedaObjects, external_trigger, scaled_by
from cluster.live_objects import LiveObjects
from cluster.processes import Process
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until

from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub
from autoscaler.telemetry.decision_line import OPENING, from_line
from autoscaler.telemetry.record import Record

BIN_S = 2
HISTORY_S = 600
TICK_S = 1
METRIC = "s0-headstart-replicas"
# Kernels are compiled for about a minute where their cache is empty, and longer on a busy machine.
START_S = 180.0
# A workload of which each replica serves one request a second.
DESCRIBED = {
    "query": "sum(demand)",
    "capacityPerReplica": "1",
    "loadLatency": "4s",
    "interval": f"{BIN_S}s",
    "history": f"{HISTORY_S}s",
    "maxReplicas": "20",
}


def start_with_history(prometheus: PrometheusServer, exporter: Exporter, demand: float) -> None:
    """Start Prometheus with a history of that demand, which goes on."""
    count = HISTORY_S // BIN_S
    prometheus.backfill({"demand": [demand] * count}, start_s=time.time() - HISTORY_S, step_s=BIN_S)
    exporter.set("demand", demand)
    prometheus.start()


def answer(address: str, namespace: str, name: str, metadata: dict[str, str]) -> float | grpc.StatusCode:
    """The metric's value, or why there is none, on a connection of its own."""
    ref = ScaledObjectRef(namespace=namespace, name=name, scalerMetadata=metadata)
    with grpc.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        try:
            answered = ExternalScalerStub(channel).GetMetrics(GetMetricsRequest(scaledObjectRef=ref), timeout=10)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return sum(float(value.metricValueFloat) for value in answered.metricValues)


class Serving:
    """One process, which answers at `address` by gRPC; its output goes to one log."""

    def __init__(self, name: str, folder: Path, *, prometheus_url: str, address: str) -> None:
        self.address = address
        command = [
            *(Path(sys.executable).with_name("headstart"), "keda", "serve", "--prometheus", prometheus_url),
            *("--tick", f"{TICK_S}s", "--listen", address, "--metrics-listen", "127.0.0.1:0"),
        ]
        self.process = Process(name, command, log=folder / f"{name}.log")

    def start(self) -> None:
        """Start, and return once it says that it serves."""
        before = self._starts()
        self.process.start()
        self.process.wait_until_ready(lambda: self._starts() > before, timeout_s=60)

    def trigger(self, **metadata: str) -> dict[str, Any]:
        """A trigger that asks it."""
        return external_trigger(self.address, **DESCRIBED, **metadata)

    def by_bin(self) -> dict[float, Record]:
        """Its last decision about each bin; it has none about what it was never asked for."""
        lines = self.process.log.read_text().splitlines(keepends=True)
        decisions = [from_line(line) for line in lines if line.startswith(OPENING) and line.endswith("\n")]
        return {each.observation.now_s: each for each in decisions}

    def _starts(self) -> int:
        log = self.process.log
        return log.read_text().count("headstart: gRPC at") if log.exists() else 0


class Workload:
    """A Deployment whose ScaledObject has one trigger."""

    def __init__(self, name: str, live: LiveObjects, scaled: KedaObjects) -> None:
        self._name = name
        self._live = live
        self._scaled = scaled

    def create(self, trigger: dict[str, Any], *, replicas: int = 1, **spec: Any) -> None:
        """Create both; there are never fewer than one replica."""
        self._live.create_deployment(self._name, replicas=replicas, load="0s")
        self._scaled.create("scaledobjects", scaled_by(trigger, name=self._name, minimum=1, **spec))

    def replicas(self) -> int:
        """What is ordered."""
        return self._live.replicas(self._name)

    def wait_for(self, least: float, *, most: float = 20, timeout_s: float = 60) -> int:
        """Return once there are `least` to `most` replicas and the HPA wants no others, within its tolerance."""

        def settled() -> int:
            replicas = self.replicas()
            wanted = float(self._scaled.external_metric(self._name, METRIC))
            return replicas if least <= replicas <= most and abs(wanted - replicas) <= 0.1 * replicas else 0

        return wait_until(settled, timeout_s=timeout_s, what=f"{least:g} replicas of {self._name}")

    def hpa_has_metric(self) -> bool:
        """Whether the HPA had the metric when it looked last."""
        return self._scaled.hpa_condition(self._name, "ScalingActive")[0] == "True"

    def wait_until_metric_fails(self) -> None:
        """Return once the HPA has no metric."""
        failing = ("False", "FailedGetExternalMetric")
        wait_until(
            lambda: self._scaled.hpa_condition(self._name, "ScalingActive") == failing,
            timeout_s=60,
            what="an HPA without metric",
        )
