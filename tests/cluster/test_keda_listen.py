"""`headstart run --keda-listen`: KEDA's HPA follows an object in mode Shadow, and nobody else writes replicas."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.keda_objects import KedaObjects, external_trigger
from cluster.keda_serving import START_S, Workload, answer, start_with_history
from cluster.live_objects import LiveObjects
from cluster.processes import free_port
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import stays, wait_until
from cluster.workloads import predictive_autoscaler

from autoscaler.actuators.outcome import Action

LOW, HIGH = 3.0, 7.0
NAMED = {"predictiveAutoscaler": "chat"}
MISSING = {"predictiveAutoscaler": "missing"}

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")


def test_kedas_hpa_alone_follows_an_object_in_shadow_and_holds_what_a_missing_one_has(
    live: LiveObjects,
    scaled: KedaObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
) -> None:
    start_with_history(prometheus, exporter, LOW)
    address = f"127.0.0.1:{free_port()}"
    chat, batch = Workload("chat", live, scaled), Workload("batch", live, scaled)
    live.create_autoscaler(predictive_autoscaler("chat", target="chat", query="sum(demand)", mode="Shadow"))
    chat.create(external_trigger(address, **NAMED))
    batch.create(external_trigger(address, **MISSING), replicas=4)
    controller = headstart("one", prometheus_url=prometheus.url, options=["--keda-listen", address])
    controller.start_until_ready()
    chat.wait_for(LOW, timeout_s=START_S)
    exporter.set("demand", HIGH)
    chat.wait_for(HIGH)

    # Each change of the Deployment is one that the HPA tells.
    def changes_told() -> bool:
        return live.deployment("chat").metadata.generation == 1 + scaled.rescales("chat")

    wait_until(changes_told, timeout_s=30, what="the HPA to tell of each change")
    # The Lease may come after the first tick.
    leading = [each for each in controller.decisions() if each.done.reason != "NotLeading"]
    assert {each.done.action for each in leading} == {Action.NONE}
    assert live.events("chat", "Scaled") == []

    assert answer(address, scaled.namespace, "batch", MISSING) is grpc.StatusCode.NOT_FOUND
    batch.wait_until_metric_fails()
    assert batch.replicas() == 4

    live.delete_autoscaler("chat")
    chat.wait_until_metric_fails()
    assert answer(address, scaled.namespace, "chat", NAMED) is grpc.StatusCode.NOT_FOUND
    held = chat.replicas()
    assert held > LOW
    assert stays(lambda: (chat.replicas(), batch.replicas()) == (held, 4), for_s=8)
    assert controller.end() == 0
