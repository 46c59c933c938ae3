"""Nodes that get a head start: placeholders on a real API server, and pods that wait for a node that comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import definitions
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.fake_nodes import GPUS_PER_NODE, fake_node
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import deployment, pod_annotations, predictive_autoscaler
from kubernetes import client
from manifest_rights import MANIFESTS

from autoscaler.core.learned_load import NODE_WAIT_S_MIN, LoadTimes
from autoscaler.kube.parse import parse_pod
from autoscaler.report.explanation import explain

BIN_S = 2.0
HISTORY_S = 120.0
LOAD_S, NODE_S = 4, 20
AT_LEAST = 8
BUFFERS = ("autoscaling.x-k8s.io", "v1beta1")
OBJECTS = ("headstart.dev", "v1alpha1")
CRDS = Path(__file__).resolve().parent / "crds"

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")


class Warm:
    """The placeholders `warm` of either kind, as their user has them."""

    def __init__(self, api: client.ApiClient, live: LiveObjects, kind: str) -> None:
        self._custom = client.CustomObjectsApi(api)
        self._apps = client.AppsV1Api(api)
        self._live, self.kind = live, kind

    def create(self) -> None:
        """Without a replica, as an example has them."""
        if self.kind == "Deployment":
            body = deployment("warm", replicas=0)
            self._apps.create_namespaced_deployment(self._live.namespace, body, _request_timeout=10)
            return
        body = {
            "apiVersion": "/".join(BUFFERS),
            "kind": "CapacityBuffer",
            "metadata": {"name": "warm"},
            "spec": {"podTemplateRef": {"name": "warm"}, "replicas": 0},
        }
        self._custom.create_namespaced_custom_object(
            *BUFFERS, self._live.namespace, "capacitybuffers", body, _request_timeout=10
        )

    def replicas(self) -> int:
        """As ordered now."""
        if self.kind == "Deployment":
            return self._live.replicas("warm")
        found = self._custom.get_namespaced_custom_object(
            *BUFFERS, self._live.namespace, "capacitybuffers", "warm", _request_timeout=10
        )
        return int(found["spec"]["replicas"])


def edit(api: client.ApiClient, namespace: str, name: str, spec: dict[str, Any]) -> None:
    """Merge into an object's spec."""
    client.CustomObjectsApi(api).patch_namespaced_custom_object(
        *OBJECTS,
        namespace,
        "predictiveautoscalers",
        name,
        {"spec": spec},
        _content_type="application/merge-patch+json",
        _request_timeout=10,
    )


def seen_until_now(prometheus: PrometheusServer, exporter: Exporter) -> None:
    """One request a second, for two minutes until now and from now on."""
    exporter.set("demand", 1.0)
    start_s = time.time() // BIN_S * BIN_S - HISTORY_S
    prometheus.backfill({"demand": [1.0] * int(HISTORY_S // BIN_S)}, start_s=start_s, step_s=BIN_S)
    prometheus.start()


def lead_s(controller: Controller) -> float:
    """What the newest decision on `chat` was planned with."""
    *_, newest = (each for each in controller.decisions() if each.name == "chat")
    return newest.decision.lead_bins * BIN_S


@pytest.mark.parametrize("kind", ["Deployment", "CapacityBuffer"])
def test_placeholders_are_ordered_one_node_ahead_and_make_room_for_replicas(
    kind: str,
    api: client.ApiClient,
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
) -> None:
    if kind == "CapacityBuffer":
        definitions.install(api, CRDS / "capacitybuffers.autoscaling.x-k8s.io.yaml")
    warm = Warm(api, live, kind)
    live.create_deployment("chat", replicas=1, load=f"{LOAD_S}s")
    live.create_deployment("beside", replicas=1, load=f"{LOAD_S}s")
    seen_until_now(prometheus, exporter)
    head_start = {
        "placeholders": {"kind": kind, "name": "warm", "maxReplicas": 20},
        "provisioning": {"prior": f"{NODE_S}s"},
    }
    # Learned loads would shorten what the test counts on.
    load = {"prior": f"{LOAD_S}s", "learn": False}
    for name, more in (("chat", {"nodeHeadStart": head_start}), ("beside", {})):
        ours = predictive_autoscaler(name, target=name, query="sum(demand)", loadLatency=load, **more)
        live.create_autoscaler(ours)
    controller = headstart("one", prometheus_url=prometheus.url)
    controller.start_until_ready()

    # Nothing to write to yet: said so, while replicas are scaled.
    wait_until(
        lambda: live.condition("chat", "NodeHeadStart") == ("False", "PlaceholdersNotFound"),
        timeout_s=30,
        what="the word that there are no placeholders",
    )
    for name in ("chat", "beside"):
        for condition, told in (("ScalingActive", ("True", "Scale")), ("Ready", ("True", "Deciding"))):
            wait_until(
                lambda name=name, condition=condition, told=told: live.condition(name, condition) == told,
                timeout_s=60,
                what=f"{name}'s {condition} to be {told}",
            )
    assert live.condition("beside", "NodeHeadStart") == ("", "")
    wait_until(lambda: lead_s(controller) == LOAD_S + NODE_S, timeout_s=30, what="loads to be planned with a node each")

    warm.create()
    wait_until(lambda: live.condition("chat", "NodeHeadStart")[0] == "True", timeout_s=30, what="placeholders in place")

    wait_until(lambda: lead_s(controller) == LOAD_S, timeout_s=30, what="loads to be planned on a ready node")

    due_s = time.time() + NODE_S + LOAD_S + 8
    event = {"name": "launch", "at": datetime.fromtimestamp(due_s, UTC).isoformat(timespec="seconds"), "duration": "1h"}
    edit(api, live.namespace, "chat", {"schedule": [{**event, "atLeast": AT_LEAST}]})

    def room_before_the_launch() -> bool:
        """Nodes were ordered before any replica of the launch was; what was held before it may go just then."""
        before, count = live.replicas("chat"), warm.replicas()
        return before < AT_LEAST <= before + count and count >= AT_LEAST // 2

    wait_until(room_before_the_launch, timeout_s=60, what="room for the replicas of the launch")
    wait_until(lambda: live.replicas("chat") >= AT_LEAST, timeout_s=60, what="the replicas of the launch")
    wait_until(lambda: warm.replicas() == 0, timeout_s=60, what="placeholders to make room")
    wait_until(lambda: live.status("chat")["placeholderReplicas"] == 0, timeout_s=30, what="the status to say so")
    assert len(live.events("chat", "PlaceholdersSet")) >= 1

    # Room for a second launch, which nobody asks for any more.
    due_s = time.time() + NODE_S + LOAD_S + 8
    event |= {"at": datetime.fromtimestamp(due_s, UTC).isoformat(timespec="seconds"), "atLeast": 2 * AT_LEAST}
    edit(api, live.namespace, "chat", {"schedule": [event]})
    wait_until(warm.replicas, timeout_s=60, what="room for the second launch")
    edit(api, live.namespace, "chat", {"nodeHeadStart": None, "schedule": None})
    wait_until(lambda: live.events("chat", "PlaceholdersTakenAway"), timeout_s=30, what="placeholders to be taken away")
    assert warm.replicas() == 0
    assert controller.end() == 0

    told = [each for each in controller.decisions() if each.placeholders is not None]
    assert {each.name for each in told} == {"chat"}
    largest = max(told, key=lambda each: each.placeholders.desired)
    assert largest.placeholders.desired + largest.decision.desired >= AT_LEAST
    steps = {step.name: step.text for step in explain(largest).steps}
    assert "One node and one load ahead" in steps["nodes"]


def test_how_long_a_node_takes_is_learned_from_a_pod_that_waited_for_one(
    api: client.ApiClient,
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
) -> None:
    core = client.CoreV1Api(api)
    label = {"headstart.dev/test-pool": live.namespace}
    body = deployment("chat", replicas=1, annotations=pod_annotations(load="3s"))
    body["spec"]["template"]["spec"]["nodeSelector"] = label
    seen_until_now(prometheus, exporter)
    live.create_autoscaler(predictive_autoscaler("chat", target="chat", query="sum(demand)", mode="Shadow"))
    controller = headstart("one", prometheus_url=prometheus.url)
    client.AppsV1Api(api).create_namespaced_deployment(live.namespace, body, _request_timeout=10)
    controller.start_until_ready()

    def unschedulable_since_s() -> float:
        """When the pod that finds no node was created; 0.0 before it finds none."""
        for pod in core.list_namespaced_pod(live.namespace, _request_timeout=10).items:
            for one in pod.status.conditions or []:
                if one.type == "PodScheduled" and one.reason == "Unschedulable":
                    return float(pod.metadata.creation_timestamp.timestamp())
        return 0.0

    # What is learned counts from the pod's creation, and not from the Deployment's.
    created_s = wait_until(unschedulable_since_s, timeout_s=90, what="the pod to find no node")
    time.sleep(max(0.0, created_s + NODE_WAIT_S_MIN + 2.0 - time.time()))
    node = fake_node(f"late-{live.namespace}")
    node["metadata"]["labels"] |= label
    core.create_node(node, _request_timeout=10)
    try:
        wait_until(lambda: live.ready("chat") == 1, timeout_s=60, what="the pod to be ready on its node")
        learned = wait_until(
            lambda: live.status("chat").get("nodeProvisioning"), timeout_s=330, what="the node's time in the status"
        )
    finally:
        core.delete_node(node["metadata"]["name"], _request_timeout=10)
    assert learned["samples"] == 1
    assert learned["p50Seconds"] >= NODE_WAIT_S_MIN
    loads = live.status("chat")["loadLatency"]
    assert {phase["phase"] for phase in loads["phases"]} == {"Node", "Starting", "Readying"}
    assert 2.0 <= loads["recentSeconds"][0] - loads["recentNodeSeconds"][0] <= 30.0
    _, text = controller.page("/metrics")
    assert (
        f'headstart_load_phase_seconds{{name="chat",namespace="{live.namespace}",phase="Node",quantile="0.5"}}' in text
    )


def test_the_examples_placeholders_give_way_to_replicas_at_once(api: client.ApiClient, live: LiveObjects) -> None:
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    pool = {"headstart.dev/test-pool": live.namespace}
    node = fake_node(f"warm-{live.namespace}")
    node["metadata"]["labels"] |= pool
    text = (MANIFESTS / "examples" / "node-head-start" / "placeholders.yaml").read_text()
    priority_class, placeholders = yaml.safe_load_all(text)
    priority_class["metadata"]["name"] = pod_priority = f"placeholders-{live.namespace}"
    placeholders["metadata"]["namespace"] = live.namespace
    # One more than there is room for: as on a cluster whose next node is on its way.
    placeholders["spec"]["replicas"] = GPUS_PER_NODE + 1
    placeholders["spec"]["template"]["spec"] |= {"nodeSelector": pool, "priorityClassName": pod_priority}
    replicas = deployment("chat", replicas=3, gpus=1, annotations=pod_annotations(load="2s"))
    replicas["spec"]["template"]["spec"]["nodeSelector"] = pool

    def running(app: str) -> int:
        pods = core.list_namespaced_pod(live.namespace, _request_timeout=10).items
        mine = [pod for pod in pods if app in pod.metadata.labels.values()]
        return sum(pod.status.phase == "Running" and not pod.metadata.deletion_timestamp for pod in mine)

    core.create_node(node, _request_timeout=10)
    client.SchedulingV1Api(api).create_priority_class(priority_class, _request_timeout=10)
    try:
        apps.create_namespaced_deployment(live.namespace, placeholders, _request_timeout=10)
        wait_until(lambda: running("chat-placeholders") == GPUS_PER_NODE, timeout_s=60, what="placeholders to run")
        apps.create_namespaced_deployment(live.namespace, replicas, _request_timeout=10)
        wait_until(lambda: live.ready("chat") == 3, timeout_s=60, what="replicas in the placeholders' places")
        wait_until(
            lambda: running("chat-placeholders") == GPUS_PER_NODE - 3, timeout_s=30, what="the others to stay there"
        )
        found = core.list_namespaced_pod(live.namespace, label_selector="app=chat", _request_timeout=10).items
    finally:
        client.SchedulingV1Api(api).delete_priority_class(pod_priority, _request_timeout=10)
        core.delete_node(node["metadata"]["name"], _request_timeout=10)
    pods = [parse_pod(api.sanitize_for_serialization(pod)).pod for pod in found]
    learned = LoadTimes().with_pods(pods)
    # They were scheduled as on a ready node, and teach nothing of how long one takes.
    assert (len(learned.samples), learned.node_waits_s) == (3, ())
