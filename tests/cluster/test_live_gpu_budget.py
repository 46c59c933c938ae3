"""Two workloads on one GPU budget: a real API server, pods that load and take their time to go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import deployment, pod_annotations, predictive_autoscaler
from kubernetes import client

GPUS = 9
BIN_S = 2.0
HISTORY_S = 120.0
DEMAND = {"low": 6.0, "high": 0.5}

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")


def test_a_budget_is_never_exceeded_while_gpus_move_to_the_higher_priority(
    api: client.ApiClient,
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
) -> None:
    apps = client.AppsV1Api(api)
    for name in ("low", "high"):
        body = deployment(name, replicas=1, annotations=pod_annotations(load="2s", drain="4s"))
        apps.create_namespaced_deployment(live.namespace, body, _request_timeout=10)
        exporter.set(f"demand_{name}", DEMAND[name])
    # Without a past nothing that runs would be taken from a workload for an hour.
    start_s = time.time() // BIN_S * BIN_S - HISTORY_S
    past = {f"demand_{name}": [demand] * int(HISTORY_S // BIN_S) for name, demand in DEMAND.items()}
    prometheus.backfill(past, start_s=start_s, step_s=BIN_S)
    prometheus.start()
    for name, gpus, priority in (("low", 1, 0), ("high", 3, 5)):
        part = {"name": "shared", "gpusPerReplica": gpus, "priority": priority}
        query = f"sum(demand_{name})"
        live.create_autoscaler(predictive_autoscaler(name, target=name, query=query, minReplicas=1, gpuBudget=part))
    most, stop = [0], threading.Event()

    def watch() -> None:
        pods = client.CoreV1Api(api)
        while not stop.is_set():
            found = pods.list_namespaced_pod(live.namespace, _request_timeout=10).items
            held = sum({"low": 1, "high": 3}[pod.metadata.labels["app"]] for pod in found)
            most[0] = max(most[0], held)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        headstart("one", prometheus_url=prometheus.url, options=["--gpu-budget", f"shared={GPUS}"]).start_until_ready()
        wait_until(lambda: live.replicas("low") == 6, timeout_s=60, what="all that the higher one leaves")
        wait_until(
            lambda: live.condition("low", "ScalingLimited") == ("True", "GpuBudget"),
            timeout_s=30,
            what="the word that it is cut",
        )
        exporter.set("demand_high", 2.5)
        wait_until(lambda: (live.ready("low"), live.ready("high")) == (3, 2), timeout_s=90, what="the GPUs to move")
        wait_until(
            lambda: live.condition("high", "ScalingLimited") == ("True", "GpuBudget"),
            timeout_s=30,
            what="the word that it is cut",
        )
    finally:
        stop.set()
        watcher.join(10)
    assert most[0] == GPUS
