"""Objects from files: no CustomResourceDefinition, no right to read one, and edits without a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane import ControlPlane
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import predictive_autoscaler
from kubernetes import client

# All that mode Scale needs in a namespace when objects come from files: no PredictiveAutoscalers, no Events.
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list", "watch"]},
    {"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": ["list", "watch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]
DEMAND = 3.0


@pytest.fixture
def account(cluster: ControlPlane, api: client.ApiClient, namespace: str) -> Path:
    """The kubeconfig of the namespace's ServiceAccount with these rights."""
    access = client.RbacAuthorizationV1Api(api)
    access.create_namespaced_role(namespace, {"metadata": {"name": "files"}, "rules": RULES}, _request_timeout=10)
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "files"}
    binding = {"metadata": {"name": "files"}, "subjects": [subject], "roleRef": role}
    access.create_namespaced_role_binding(namespace, binding, _request_timeout=10)
    return cluster.service_account_kubeconfig(namespace, "default")


def write(path: Path, manifest: dict[str, Any]) -> None:
    """Replace the file at once, as editors and mounted ConfigMaps do."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(manifest))
    fresh.replace(path)


def test_objects_in_files_scale_without_a_definition_and_edits_count_at_once(
    account: Path,
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
    tmp_path: Path,
) -> None:
    exporter.set("demand", DEMAND)
    prometheus.start()
    live.create_deployment("chat", replicas=1)
    folder = tmp_path / "objects"
    folder.mkdir()
    manifest = predictive_autoscaler("chat", target="chat", query="sum(demand)")
    manifest["metadata"]["namespace"] = live.namespace
    write(folder / "chat.yaml", manifest)

    controller = headstart("one", prometheus_url=prometheus.url, options=["--config", folder, "--kubeconfig", account])
    controller.start_until_ready()
    wait_until(lambda: live.replicas("chat") >= DEMAND, timeout_s=60, what="replicas")

    # What can't be read is told, and what was read before stays in force.
    write(folder / "chat.yaml", {**manifest, "spec": {**manifest["spec"], "maxReplicas": "many"}})
    wait_until(lambda: controller.said("stays in force"), timeout_s=30, what="the broken edit to be told")
    assert controller.said("chat.yaml")
    latest_s = controller.decisions()[-1].observation.now_s
    assert controller.wait_for_decision(latest_s).spec.replicas_max == manifest["spec"]["maxReplicas"]

    write(folder / "chat.yaml", {**manifest, "spec": {**manifest["spec"], "minReplicas": 17}})
    wait_until(lambda: live.replicas("chat") == 17, timeout_s=60, what="the edited minimum")
    assert controller.end() == 0
    assert not controller.said("Traceback")
    assert not controller.said("Forbidden")
