"""The cluster that other tests build on does what a cluster does."""

from __future__ import annotations

from typing import Any

import pytest
from cluster.control_plane import ControlPlane
from cluster.waiting import wait_until
from cluster.workloads import deployment, horizontal_pod_autoscaler, pod_annotations, scaled_object
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

MERGE_PATCH = "application/merge-patch+json"


def pods_of(api: client.ApiClient, namespace: str, app: str) -> list[client.V1Pod]:
    pods = client.CoreV1Api(api).list_namespaced_pod(namespace, label_selector=f"app={app}", _request_timeout=5)
    return list(pods.items)


def since_scheduled_s(pod: client.V1Pod) -> float | None:
    """Seconds from scheduled to Ready, None unless the pod is Ready."""
    changed = {one.type: one.last_transition_time for one in pod.status.conditions or [] if one.status == "True"}
    if "Ready" not in changed:
        return None
    return float((changed["Ready"] - changed["PodScheduled"]).total_seconds())


def ready_replicas(api: client.ApiClient, namespace: str, name: str) -> int:
    read = client.AppsV1Api(api).read_namespaced_deployment_status(name, namespace, _request_timeout=5)
    return int(read.status.ready_replicas or 0)


def test_pods_become_ready_after_the_load_time_that_they_ask_for(api: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    for name, load in (("slow", "3s"), ("quick", "0s")):
        body = deployment(name, replicas=2, annotations=pod_annotations(start="1s", load=load))
        apps.create_namespaced_deployment(namespace, body, _request_timeout=10)
    for name in ("slow", "quick"):
        wait_until(lambda name=name: ready_replicas(api, namespace, name) == 2, timeout_s=90, what=f"2 ready of {name}")

    # The API's times are whole seconds, so a wait of 4 s may show as 3.
    assert all(since_scheduled_s(pod) >= 3 for pod in pods_of(api, namespace, "slow"))
    started = [pod.status.container_statuses[0].state.running.started_at for pod in pods_of(api, namespace, "slow")]
    assert all(started)


def test_pods_that_find_no_gpu_stay_pending_until_one_is_free(api: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment("wide", replicas=4, gpus=8), _request_timeout=10)
    wait_until(lambda: ready_replicas(api, namespace, "wide") == 3, timeout_s=90, what="3 nodes of 8 GPUs to be full")

    def refusals() -> list[str]:
        conditions = [one for pod in pods_of(api, namespace, "wide") for one in pod.status.conditions or []]
        return [one.reason for one in conditions if one.type == "PodScheduled" and one.status == "False"]

    wait_until(lambda: refusals() == ["Unschedulable"], timeout_s=60, what="the fourth pod to find no GPU")

    apps.patch_namespaced_deployment_scale("wide", namespace, {"spec": {"replicas": 0}}, _request_timeout=10)
    wait_until(lambda: not pods_of(api, namespace, "wide"), timeout_s=90, what="all pods to go")


def test_a_pod_that_crashes_loads_again(api: client.ApiClient, namespace: str) -> None:
    annotations = pod_annotations(load="1s", crash="1s")
    body = deployment("broken", replicas=1, annotations=annotations)
    client.AppsV1Api(api).create_namespaced_deployment(namespace, body, _request_timeout=10)

    def restarts() -> int:
        return sum(
            one.restart_count for pod in pods_of(api, namespace, "broken") for one in pod.status.container_statuses
        )

    wait_until(lambda: restarts() >= 2, timeout_s=90, what="the second restart")


def test_scale_refuses_a_stale_resource_version(api: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment("chat", replicas=1), _request_timeout=10)
    scale = apps.read_namespaced_deployment_scale("chat", namespace, _request_timeout=10)
    apps.patch_namespaced_deployment_scale("chat", namespace, {"spec": {"replicas": 2}}, _request_timeout=10)

    def patch(version: str) -> Any:
        body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": 5}}
        return apps.patch_namespaced_deployment_scale(
            "chat", namespace, body, _content_type=MERGE_PATCH, _request_timeout=10
        )

    with pytest.raises(ApiException) as refused:
        patch(scale.metadata.resource_version)
    assert refused.value.status == 409

    def patched() -> bool:
        # The Deployment's controller writes its status meanwhile: a fresh version is stale again at times.
        now = apps.read_namespaced_deployment_scale("chat", namespace, _request_timeout=10)
        return patch(now.metadata.resource_version).spec.replicas == 5

    wait_until(patched, timeout_s=90, what="a patch of the newest version")


def test_an_hpa_lifts_its_target_to_its_floor(api: client.ApiClient, namespace: str) -> None:
    apps, autoscaling = client.AppsV1Api(api), client.AutoscalingV2Api(api)
    apps.create_namespaced_deployment(namespace, deployment("chat", replicas=1), _request_timeout=10)
    body = horizontal_pod_autoscaler("chat", target="chat", minimum=3, maximum=9)
    autoscaling.create_namespaced_horizontal_pod_autoscaler(namespace, body, _request_timeout=10)
    wait_until(lambda: ready_replicas(api, namespace, "chat") == 3, timeout_s=90, what="3 ready replicas")


@pytest.mark.usefixtures("scaled_objects")
def test_the_scaled_object_crd_takes_good_objects_and_refuses_bad_ones(api: client.ApiClient, namespace: str) -> None:
    custom = client.CustomObjectsApi(api)

    def create(body: dict[str, Any]) -> Any:
        return custom.create_namespaced_custom_object(
            "keda.sh", "v1alpha1", namespace, "scaledobjects", body, _request_timeout=10
        )

    good = scaled_object("chat", target="chat", minimum=None, maximum=10)
    assert create({**good, "spec": {**good["spec"], "fallback": {"failureThreshold": 3, "replicas": 6}}})["spec"][
        "fallback"
    ] == {"failureThreshold": 3, "replicas": 6, "behavior": "static"}

    bad = scaled_object("bad", target="chat", minimum=1, maximum=10)
    for change, field in (
        ({"minReplicaCount": "1"}, "spec.minReplicaCount"),
        ({"scaleTargetRef": {}}, "spec.scaleTargetRef.name"),
        ({"triggers": [{"type": "prometheus", "metadata": {"threshold": 5}}]}, "spec.triggers[0].metadata.threshold"),
    ):
        with pytest.raises(ApiException) as refused:
            create({**bad, "spec": {**bad["spec"], **change}})
        assert refused.value.status == 422
        assert field in refused.value.body


def test_a_service_account_may_do_nothing_that_no_role_allows(
    cluster: ControlPlane, api: client.ApiClient, namespace: str
) -> None:
    def lists_pods(kubeconfig: str) -> bool:
        with config.new_client_from_config(kubeconfig) as connected:
            client.CoreV1Api(connected).list_namespaced_pod(namespace, _request_timeout=5)
        return True

    kubeconfig = str(cluster.service_account_kubeconfig(namespace, "default"))
    with pytest.raises(ApiException) as refused:
        lists_pods(kubeconfig)
    assert refused.value.status == 403

    access = client.RbacAuthorizationV1Api(api)
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    access.create_namespaced_role(namespace, {"metadata": {"name": "pods"}, "rules": rules}, _request_timeout=10)
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pods"}
    binding = {"metadata": {"name": "pods"}, "subjects": [subject], "roleRef": role}
    access.create_namespaced_role_binding(namespace, binding, _request_timeout=10)
    wait_until(lambda: lists_pods(kubeconfig), timeout_s=15, what="the new role to count")


def test_objects_outlive_a_restart_of_the_api_server(
    cluster: ControlPlane, api: client.ApiClient, namespace: str
) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment("chat", replicas=1), _request_timeout=10)
    cluster.restart_api_server()
    apps.patch_namespaced_deployment_scale("chat", namespace, {"spec": {"replicas": 2}}, _request_timeout=10)
    wait_until(lambda: ready_replicas(api, namespace, "chat") == 2, timeout_s=60, what="2 ready after the restart")
