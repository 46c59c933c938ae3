"""The controller's view of a real cluster: watches against the API server, pods that kwok plays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import definitions
from cluster.control_plane import ControlPlane
from cluster.waiting import wait_until
from cluster.workloads import deployment, horizontal_pod_autoscaler, pod_annotations, scaled_object
from kubernetes import client

from autoscaler.core.learned_load import LoadTimes, Phase
from autoscaler.kube.client import Kube
from autoscaler.kube.cluster import KubeCluster
from autoscaler.kube.connect import connect
from autoscaler.kube.facts import OwnerKind, Target, TargetKey, Unavailable

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
MINIMAL = yaml.safe_load((MANIFESTS / "examples" / "minimal.yaml").read_text())


class Clock:
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def kube(kubeconfig: Path) -> Iterator[Kube]:
    connected = connect(kubeconfig)
    yield connected
    connected.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def view(kube: Kube, namespace: str, api: client.ApiClient, clock: Clock) -> Iterator[KubeCluster]:
    """Of the test's namespace, synced."""
    definitions.install(api, MANIFESTS / "crd" / "predictiveautoscalers.yaml")
    seen = KubeCluster(kube, namespace, clock=clock).start()
    try:
        assert seen.wait_synced(30.0), seen.errors()
        yield seen
    finally:
        seen.stop()


@pytest.fixture
def create(api: client.ApiClient, namespace: str) -> Callable[..., TargetKey]:
    """Creates a Deployment and the PredictiveAutoscaler that names it."""

    def created(name: str, *, replicas: int, **annotations: str) -> TargetKey:
        body = deployment(name, replicas=replicas, annotations=pod_annotations(**annotations))
        client.AppsV1Api(api).create_namespaced_deployment(namespace, body, _request_timeout=10)
        manifest: dict[str, Any] = {**MINIMAL, "metadata": {"name": name}}
        manifest["spec"] = {**MINIMAL["spec"], "scaleTargetRef": {"name": name}}
        client.CustomObjectsApi(api).create_namespaced_custom_object(
            "headstart.dev", "v1alpha1", namespace, "predictiveautoscalers", manifest, _request_timeout=10
        )
        return TargetKey(namespace, "apps/v1", "Deployment", name)

    return created


def until(condition: Callable[[], Any], what: str) -> Any:
    return wait_until(condition, timeout_s=90.0, what=what, every_s=0.05)


def ready(view: KubeCluster, key: TargetKey) -> int:
    target = view.target(key)
    return sum(pod.ready for pod in target.pods) if isinstance(target, Target) else -1


def test_load_times_are_measured_by_phase(view: KubeCluster, create: Callable[..., TargetKey]) -> None:
    key = create("llm", replicas=3, start="2s", load="4s")
    learned = LoadTimes()

    def learn() -> bool:
        nonlocal learned
        target = view.target(key)
        learned = learned.with_pods(target.pods) if isinstance(target, Target) else learned
        return len(learned.samples) == 3

    until(learn, "3 loads to be measured")
    # The API's times are whole seconds; a busy machine adds some.
    phases = {phase: latency.quantile_s(0.5) for phase, latency in learned.phases().items()}
    assert 5.0 <= min(learned.recent_s) <= max(learned.recent_s) <= 60.0
    assert phases[Phase.STARTING] >= 1.0
    assert phases[Phase.READYING] >= 3.0
    assert view.objects()[0].metadata.name == "llm"


def test_crashes_are_no_loads(view: KubeCluster, create: Callable[..., TargetKey]) -> None:
    key = create("crashing", replicas=1, load="1s", crash="1s")
    learned = LoadTimes()

    def restarted() -> bool:
        nonlocal learned
        target = view.target(key)
        if not isinstance(target, Target):
            return False
        learned = learned.with_pods(target.pods)
        return any(pod.restarts >= 2 for pod in target.pods)

    until(restarted, "2 restarts")
    assert len(learned.samples) <= 1


def test_replicas_follow_the_scale(
    view: KubeCluster, create: Callable[..., TargetKey], api: client.ApiClient, kube: Kube, namespace: str
) -> None:
    key = create("llm", replicas=1)
    until(lambda: ready(view, key) == 1, "a ready pod")
    client.AppsV1Api(api).patch_namespaced_deployment_scale(
        "llm", namespace, {"spec": {"replicas": 4}}, _request_timeout=10
    )
    until(lambda: ready(view, key) == 4, "4 ready pods")
    target = view.target(key)
    assert isinstance(target, Target)
    assert (target.replicas, target.rolling) == (4, False)
    # What the watch tells without asking is what the scale subresource would have said.
    until(lambda: kube.read_scale(key).resource_version == view.target(key).resource_version, "the newest version")


def test_a_rollout_is_seen_and_its_end(
    view: KubeCluster, create: Callable[..., TargetKey], api: client.ApiClient, namespace: str
) -> None:
    key = create("llm", replicas=2, load="2s")
    until(lambda: ready(view, key) == 2, "2 ready pods")
    until(lambda: not view.target(key).rolling, "the first rollout to end")
    image = {"spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "registry.invalid/engine:2"}]}}}}
    client.AppsV1Api(api).patch_namespaced_deployment("llm", namespace, image, _request_timeout=10)
    until(lambda: view.target(key).rolling, "a rollout")
    until(lambda: not view.target(key).rolling, "its end")


def test_owners_are_found_and_seen_to_go(
    view: KubeCluster,
    create: Callable[..., TargetKey],
    api: client.ApiClient,
    namespace: str,
) -> None:
    key = create("llm", replicas=1)
    hpas = client.AutoscalingV2Api(api)
    body = horizontal_pod_autoscaler("mine", target="llm", minimum=1, maximum=5)
    hpas.create_namespaced_horizontal_pod_autoscaler(namespace, body, _request_timeout=10)
    owner = until(lambda: view.target(key).owners, "the HPA")[0]
    assert (owner.kind, owner.name, owner.replicas_min, owner.replicas_max) == (OwnerKind.HPA, "mine", 1, 5)
    hpas.delete_namespaced_horizontal_pod_autoscaler("mine", namespace, _request_timeout=10)
    until(lambda: view.target(key).owners == (), "the HPA to go")


def test_a_scaled_object_comes_before_the_hpa_made_for_it(
    scaled_objects: None, view: KubeCluster, create: Callable[..., TargetKey], api: client.ApiClient, namespace: str
) -> None:
    key = create("llm", replicas=1)
    made = client.CustomObjectsApi(api).create_namespaced_custom_object(
        "keda.sh",
        "v1alpha1",
        namespace,
        "scaledobjects",
        scaled_object("mine", target="llm", minimum=2, maximum=6),
        _request_timeout=10,
    )
    body = horizontal_pod_autoscaler("keda-hpa-mine", target="llm", minimum=2, maximum=6)
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "mine", "uid": made["metadata"]["uid"]}
    ]
    client.AutoscalingV2Api(api).create_namespaced_horizontal_pod_autoscaler(namespace, body, _request_timeout=10)
    owners = until(lambda: len(view.target(key).owners) == 2 and view.target(key).owners, "both owners")
    assert [str(owner) for owner in owners] == [
        f"ScaledObject {namespace}/mine",
        f"HorizontalPodAutoscaler {namespace}/keda-hpa-mine",
    ]
    assert (owners[0].replicas_min, owners[0].replicas_max, owners[0].paused) == (2, 6, "")


def test_a_deleted_target_is_seen_to_go(
    view: KubeCluster, create: Callable[..., TargetKey], api: client.ApiClient, namespace: str
) -> None:
    key = create("llm", replicas=1)
    until(lambda: ready(view, key) == 1, "a ready pod")
    client.AppsV1Api(api).delete_namespaced_deployment("llm", namespace, _request_timeout=10)

    def reason() -> str:
        seen = view.target(key)
        return seen.reason if isinstance(seen, Unavailable) else ""

    until(lambda: reason() == "TargetNotFound", "the Deployment to go")


def test_a_restart_of_the_api_server_is_survived(
    cluster: ControlPlane, view: KubeCluster, create: Callable[..., TargetKey], clock: Clock
) -> None:
    key = create("llm", replicas=2)
    until(lambda: ready(view, key) == 2, "2 ready pods")
    cluster.stop_api_server()
    try:
        until(view.errors, "the watches to notice")
        # What is known serves on for a minute.
        assert ready(view, key) == 2
        clock.ahead_s = 61.0
        seen = view.target(key)
        assert isinstance(seen, Unavailable)
        assert seen.reason == "ClusterStale"
    finally:
        cluster.start_api_server()
    until(lambda: ready(view, key) == 2, "the target to be known again")
    until(lambda: not view.errors(), "all watches to follow again")
    other = create("later", replicas=1)
    until(lambda: ready(view, other) == 1, "a new target")
