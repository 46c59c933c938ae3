"""Prometheus or the API server fails: replicas never fall for it, the condition says why, and it ends by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from cluster.control_plane import ControlPlane
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.faulty_prometheus import FaultyPrometheus
from cluster.live_objects import LiveObjects
from cluster.processes import free_port
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import predictive_autoscaler

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")

BIN_S = 1
TICKS = 10
DEMAND, MORE = 4.0, 9.0
# What each fault is called in the condition.
FAULTS = (
    ("unavailable", "ServerError"),
    ("hang", "Timeout"),
    ("nan", "NoData"),
    ("empty", "NoData"),
    ("partial", "NoData"),
    ("not_json", "BadAnswer"),
)


def metrics_available(live: LiveObjects, name: str) -> tuple[str, str]:
    return live.condition(name, "MetricsAvailable")


def wait_for_metrics(live: LiveObjects, name: str, status: str, reason: str) -> None:
    wait_until(
        lambda: metrics_available(live, name) == (status, reason), timeout_s=60, what=f"{name}: {status} {reason}"
    )


def changes_down(controller: Controller, name: str, *, after_s: float, until_s: float) -> list[tuple[float, str]]:
    """What was released, or wanted to be, in that time."""
    return [
        (each.observation.now_s, each.done.message)
        for each in controller.decisions()
        if each.name == name
        and after_s < each.observation.now_s <= until_s
        and each.decision.desired < each.decision.current
    ]


def test_replicas_never_fall_for_a_prometheus_that_fails(
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    faulty_prometheus: FaultyPrometheus,
    headstart: Callable[..., Controller],
) -> None:
    exporter.set("demand", DEMAND)
    prometheus.start()
    for name in ("chat", "lost"):
        live.create_deployment(name, replicas=8)
    live.create_autoscaler(predictive_autoscaler("chat", target="chat", query="sum(demand)", interval="1s"))
    elsewhere = {"serverAddress": f"http://127.0.0.1:{free_port()}"}
    live.create_autoscaler(
        predictive_autoscaler("lost", target="lost", query="sum(demand)", interval="1s", prometheus=elsewhere)
    )
    controller = headstart("one", prometheus_url=faulty_prometheus.url)
    controller.start_until_ready()
    wait_for_metrics(live, "chat", "True", "Answered")

    for fault, reason in FAULTS:
        begun_s = time.time()
        faulty_prometheus.set_fault(fault)
        wait_for_metrics(live, "chat", "False", reason)
        seen_s = controller.decisions()[-1].observation.now_s
        controller.wait_for_decision(seen_s + BIN_S)
        ended_s = controller.decisions()[-1].observation.now_s
        assert not changes_down(controller, "chat", after_s=begun_s + BIN_S, until_s=ended_s), fault
        faulty_prometheus.set_fault("none")
        wait_for_metrics(live, "chat", "True", "Answered")

    prometheus.stop()
    wait_for_metrics(live, "chat", "False", "ServerError")
    before = live.replicas("chat")
    begun_s = controller.decisions()[-1].observation.now_s
    controller.wait_for_decision(begun_s + TICKS * BIN_S)
    ended_s = controller.decisions()[-1].observation.now_s
    assert not changes_down(controller, "chat", after_s=begun_s, until_s=ended_s)
    assert live.replicas("chat") >= before
    prometheus.start()
    exporter.set("demand", MORE)
    wait_for_metrics(live, "chat", "True", "Answered")
    wait_until(lambda: live.replicas("chat") >= MORE, timeout_s=60, what="replicas for more demand")

    # The one with the wrong address was held all the time, and the others were decided on beside it.
    assert metrics_available(live, "lost") == ("False", "Unreachable")
    assert live.replicas("lost") == 8
    assert controller.end() == 0


def test_a_restart_of_the_api_server_is_survived(
    cluster: ControlPlane,
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
) -> None:
    exporter.set("demand", DEMAND)
    prometheus.start()
    live.create_deployment("chat", replicas=1)
    live.create_autoscaler(predictive_autoscaler("chat", target="chat", query="sum(demand)"))
    controller = headstart("one", prometheus_url=prometheus.url)
    controller.start_until_ready()
    wait_until(lambda: live.replicas("chat") >= DEMAND, timeout_s=60, what="replicas")

    cluster.stop_api_server()
    try:
        stopped_s = controller.decisions()[-1].observation.now_s
        exporter.set("demand", 2 * MORE)
        controller.wait_for_decision(stopped_s + 3 * 2)
    finally:
        cluster.start_api_server()

    wait_until(lambda: live.replicas("chat") >= 2 * MORE, timeout_s=90, what="replicas for more demand")
    wait_until(lambda: live.condition("chat", "Ready") == ("True", "Deciding"), timeout_s=60, what="a new status")
    assert controller.page("/healthz")[0] == 200
    assert controller.end() == 0
