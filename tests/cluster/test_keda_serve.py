"""`headstart keda serve` between a real Prometheus and KEDA itself: one process, triggers, no object of ours."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.exporter import Exporter
from cluster.keda_objects import KedaObjects, external_trigger, scaled_by
from cluster.live_objects import LiveObjects
from cluster.processes import Process, free_port
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import stays, wait_until

BIN_S = 2
HISTORY_S = 600
LOW, HIGH = 3.0, 9.0
METRIC = "s0-headstart-replicas"
FALLBACK = {"failureThreshold": 3, "replicas": 12}
# Kernels are compiled for about a minute where their cache is empty, and longer on a busy machine.
START_S = 180.0


class Headstart:
    """The process, and the triggers that ask it."""

    def __init__(self, folder: Path, prometheus_url: str) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        command = [
            *(Path(sys.executable).with_name("headstart"), "keda", "serve", "--prometheus", prometheus_url),
            *("--prometheus-timeout", "2s", "--tick", "1s"),
            *("--listen", self._address, "--metrics-listen", "127.0.0.1:0"),
        ]
        self.process = Process("headstart-keda", command, log=folder / "headstart-keda.log")

    def start(self) -> None:
        """Start, and return once it says that it serves."""
        before = self._starts()
        self.process.start()
        self.process.wait_until_ready(lambda: self._starts() > before, timeout_s=60)

    def trigger(self, **metadata: str) -> dict[str, object]:
        """A trigger that describes a workload of which each replica serves one request a second."""
        described = {"query": "sum(demand)", "capacityPerReplica": "1", "loadLatency": "4s"}
        return external_trigger(
            self._address, **described, interval=f"{BIN_S}s", history=f"{HISTORY_S}s", maxReplicas="20", **metadata
        )

    def _starts(self) -> int:
        log = self.process.log
        return log.read_text().count("headstart: gRPC at") if log.exists() else 0


@pytest.fixture
def headstart(tmp_path: Path, prometheus: PrometheusServer, exporter: Exporter) -> Iterator[Headstart]:
    """It serves, and Prometheus has a history of low demand."""
    count = HISTORY_S // BIN_S
    prometheus.backfill({"demand": [LOW] * count}, start_s=time.time() - HISTORY_S, step_s=BIN_S)
    exporter.set("demand", LOW)
    prometheus.start()
    serving = Headstart(tmp_path, prometheus.url)
    try:
        serving.start()
        yield serving
    finally:
        serving.process.stop(kill=True)


class Workload:
    """A Deployment whose ScaledObject has one trigger."""

    def __init__(self, name: str, live: LiveObjects, scaled: KedaObjects) -> None:
        self._name = name
        self._live = live
        self._scaled = scaled

    def create(self, trigger: dict[str, object], **spec: object) -> None:
        """Create both."""
        self._live.create_deployment(self._name, replicas=1, load="0s")
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

    def wait_until_metric_fails(self) -> None:
        """Return once the HPA has no metric."""
        failing = ("False", "FailedGetExternalMetric")
        wait_until(
            lambda: self._scaled.hpa_condition(self._name, "ScalingActive") == failing,
            timeout_s=60,
            what="an HPA without metric",
        )


@pytest.fixture
def chat(live: LiveObjects, scaled: KedaObjects) -> Workload:
    return Workload("chat", live, scaled)


def test_one_process_and_one_trigger_scale_a_deployment_and_its_death_holds_it(
    chat: Workload, headstart: Headstart, exporter: Exporter
) -> None:
    chat.create(headstart.trigger())
    chat.wait_for(LOW, timeout_s=START_S)
    exporter.set("demand", HIGH)
    high = chat.wait_for(HIGH)

    assert headstart.process.stop(kill=True) == -signal.SIGKILL
    exporter.set("demand", LOW)
    chat.wait_until_metric_fails()
    assert stays(lambda: chat.replicas() == high, for_s=8)

    exporter.set("demand", HIGH + 4)
    headstart.start()
    chat.wait_for(HIGH + 4, timeout_s=START_S)


def test_a_process_that_is_stopped_for_a_while_holds_the_replicas(
    chat: Workload, headstart: Headstart, exporter: Exporter
) -> None:
    chat.create(headstart.trigger(), fallback=FALLBACK)
    low = chat.wait_for(LOW, timeout_s=START_S)
    with headstart.process.paused():
        exporter.set("demand", HIGH)
        assert stays(lambda: chat.replicas() == low, for_s=10)
    chat.wait_for(HIGH)


def test_without_prometheus_a_trigger_holds_or_lets_the_fallback_count(
    chat: Workload, live: LiveObjects, scaled: KedaObjects, headstart: Headstart, prometheus: PrometheusServer
) -> None:
    batch = Workload("batch", live, scaled)
    chat.create(headstart.trigger(), fallback=FALLBACK)
    batch.create(headstart.trigger(onMissing="unavailable"), fallback=FALLBACK)
    # Until the history is read there is no answer, and the fallback may count already.
    for one in (chat, batch):
        one.wait_for(LOW, most=FALLBACK["replicas"] - 1, timeout_s=START_S)
    low = chat.replicas()

    prometheus.stop()
    wait_until(lambda: batch.replicas() == FALLBACK["replicas"], timeout_s=60, what="the fallback")
    # Held, and no fallback: a decision from before the outage may still add one.
    assert stays(lambda: low <= chat.replicas() < FALLBACK["replicas"], for_s=8)

    prometheus.start()
    wait_until(lambda: batch.replicas() < FALLBACK["replicas"], timeout_s=120, what="the end of the fallback")
    assert min(chat.replicas(), batch.replicas()) >= LOW
