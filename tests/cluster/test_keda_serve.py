"""`headstart keda serve` between a real Prometheus and KEDA itself: one process, triggers, no object of ours."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.exporter import Exporter
from cluster.keda_objects import KedaObjects
from cluster.keda_serving import START_S, Serving, Workload, start_with_history
from cluster.live_objects import LiveObjects
from cluster.processes import free_port
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import stays, wait_until

LOW, HIGH = 3.0, 9.0
FALLBACK = {"failureThreshold": 3, "replicas": 12}


@pytest.fixture
def headstart(tmp_path: Path, prometheus: PrometheusServer, exporter: Exporter) -> Iterator[Serving]:
    """It serves, and Prometheus has a history of low demand."""
    start_with_history(prometheus, exporter, LOW)
    serving = Serving("headstart-keda", tmp_path, prometheus_url=prometheus.url, address=f"127.0.0.1:{free_port()}")
    try:
        serving.start()
        yield serving
    finally:
        serving.process.stop(kill=True)


@pytest.fixture
def chat(live: LiveObjects, scaled: KedaObjects) -> Workload:
    return Workload("chat", live, scaled)


def test_one_process_and_one_trigger_scale_a_deployment_and_its_death_holds_it(
    chat: Workload, headstart: Serving, exporter: Exporter
) -> None:
    chat.create(headstart.trigger())
    chat.wait_for(LOW, timeout_s=START_S)
    exporter.set("demand", HIGH)
    chat.wait_for(HIGH)

    assert headstart.process.stop(kill=True) == -signal.SIGKILL
    exporter.set("demand", LOW)
    chat.wait_until_metric_fails()
    # The HPA may have settled on one fewer meanwhile.
    held = chat.replicas()
    assert held > LOW
    assert stays(lambda: chat.replicas() == held, for_s=8)

    exporter.set("demand", HIGH + 4)
    headstart.start()
    chat.wait_for(HIGH + 4, timeout_s=START_S)


def test_a_process_that_is_stopped_for_a_while_holds_the_replicas(
    chat: Workload, headstart: Serving, exporter: Exporter
) -> None:
    chat.create(headstart.trigger(), fallback=FALLBACK)
    # Until the history is read there is no answer, and the fallback may count already.
    chat.wait_for(LOW, most=FALLBACK["replicas"] - 1, timeout_s=START_S)
    with headstart.process.paused():
        exporter.set("demand", HIGH)
        # What was decided before is carried out.
        time.sleep(3)
        held = chat.replicas()
        assert LOW <= held < FALLBACK["replicas"]
        assert stays(lambda: chat.replicas() == held, for_s=10)
    chat.wait_for(HIGH)


def test_without_prometheus_a_trigger_holds_or_lets_the_fallback_count(
    chat: Workload, live: LiveObjects, scaled: KedaObjects, headstart: Serving, prometheus: PrometheusServer
) -> None:
    batch = Workload("batch", live, scaled)
    chat.create(headstart.trigger(), fallback=FALLBACK)
    batch.create(headstart.trigger(onMissing="unavailable"), fallback=FALLBACK)
    # Until the history is read there is no answer, and the fallback may count already.
    for one in (chat, batch):
        one.wait_for(LOW, most=FALLBACK["replicas"] - 1, timeout_s=START_S)

    prometheus.stop()
    wait_until(lambda: batch.replicas() == FALLBACK["replicas"], timeout_s=60, what="the fallback")
    held = chat.replicas()
    assert held >= LOW
    # Held, and no fallback: a decision from before the outage may still add one.
    assert stays(lambda: held <= chat.replicas() < FALLBACK["replicas"], for_s=8)

    prometheus.start()
    wait_until(lambda: batch.replicas() < FALLBACK["replicas"], timeout_s=120, what="the end of the fallback")
    assert min(chat.replicas(), batch.replicas()) >= LOW
