"""The actuators against the real API server: its versions, its validation, its HPA controller, KEDA's schema."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster.control_plane import ControlPlane
from cluster.waiting import wait_until
from cluster.workloads import deployment, horizontal_pod_autoscaler, scaled_object
from kubernetes import client

from autoscaler.actuators.apply import apply
from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.note import ANNOTATION
from autoscaler.actuators.outcome import Action, ActuatorMemory, Outcome
from autoscaler.actuators.restore import release, sweep
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.connect import connect
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.events import EventRecorder, Regarding
from autoscaler.kube.facts import Target, TargetKey
from autoscaler.kube.parse import parse_autoscaler, parse_hpa, parse_scaled_object
from autoscaler.kube.resources import EVENTS, HPAS, PODS, PREDICTIVE_AUTOSCALERS, SCALED_OBJECTS, Resource

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")

pytestmark = pytest.mark.usefixtures("predictive_autoscalers", "scaled_objects")


@pytest.fixture
def kube(kubeconfig: Path) -> Iterator[Kube]:
    connected = connect(kubeconfig)
    yield connected
    connected.close()


class World:
    """The Deployment 'llm' and its PredictiveAutoscaler in a namespace; each decision comes a minute later."""

    def __init__(self, kube: Kube, namespace: str, *, mode: str, replicas: int = 2) -> None:
        self.kube, self.namespace = kube, namespace
        self.key = TargetKey(namespace, "apps/v1", "Deployment", "llm")
        self.memory = ActuatorMemory()
        self.now_s = 0.0
        created = kube.create(DEPLOYMENTS, deployment("llm", replicas=replicas), namespace=namespace)
        self.first_version = created["metadata"]["resourceVersion"]
        kube.create(PREDICTIVE_AUTOSCALERS, self.body(mode), namespace=namespace)

    def body(self, mode: str) -> dict[str, Any]:
        return {
            "apiVersion": "headstart.dev/v1alpha1",
            "kind": "PredictiveAutoscaler",
            "metadata": {"name": "llm"},
            "spec": {
                "scaleTargetRef": {"name": "llm"},
                "mode": mode,
                "maxReplicas": 20,
                "demand": [{"query": "up", "capacity": 1}],
            },
        }

    def read(self, resource: Resource, name: str = "llm") -> dict[str, Any]:
        return self.kube.get(resource, namespace=self.namespace, name=name)

    def edit(self, resource: Resource, body: dict[str, Any], name: str = "llm") -> None:
        self.kube.patch(resource, body, namespace=self.namespace, name=name)

    def object(self) -> PredictiveAutoscaler:
        return parse_autoscaler(self.read(PREDICTIVE_AUTOSCALERS))

    def target(self) -> Target:
        scale = self.kube.read_scale(self.key)
        claims = [parse_scaled_object(raw) for raw in self.kube.list(SCALED_OBJECTS, namespace=self.namespace)[0]]
        claims += [parse_hpa(raw) for raw in self.kube.list(HPAS, namespace=self.namespace)[0]]
        owners = tuple(claim.owner for claim in claims)
        return Target(self.key, scale.replicas, scale.resource_version, (), owners=owners)

    def apply(self, desired: int, target: Target | None = None) -> Outcome:
        """As one tick does; where the cluster's controllers wrote between read and patch, as the next tick would."""
        for _ in range(5):
            self.now_s += 60.0
            seen = target or self.target()
            outcome = apply(self.kube, self.object(), seen, desired, now_s=self.now_s, memory=self.memory)
            if target or outcome.action is not Action.CONFLICT:
                break
        return outcome


def note_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    text = (raw["metadata"].get("annotations") or {}).get(ANNOTATION)
    return None if text is None else dict(json.loads(text))


def managers(raw: dict[str, Any]) -> set[str]:
    return {entry["manager"] for entry in raw["metadata"]["managedFields"]}


def test_replicas_are_ordered_to_0_and_back(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Scale")
    for desired in (4, 0, 1):
        assert world.apply(desired).action is Action.PATCHED
        assert kube.read_scale(world.key).replicas == desired
    assert world.apply(1).reason == "InPlace"
    assert "headstart" in managers(world.read(DEPLOYMENTS))


def test_a_stale_version_is_refused_by_the_server_and_a_users_order_stands(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Scale")
    target = world.target()
    world.edit(DEPLOYMENTS, {"spec": {"replicas": 7}})
    with pytest.raises(KubeError) as attempt:
        kube.patch_scale(world.key, replicas=3, resource_version=target.resource_version)
    assert attempt.value.kind is KubeFailure.CONFLICT
    assert world.apply(3, target).action is Action.CONFLICT
    assert world.read(DEPLOYMENTS)["spec"]["replicas"] == 7


def test_pods_that_become_ready_meanwhile_are_no_conflict(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Scale")
    # As read before any pod was there: on a quick machine both may be ready when the target is read.
    target = replace(world.target(), resource_version=world.first_version)
    wait_until(
        lambda: world.read(DEPLOYMENTS).get("status", {}).get("readyReplicas") == 2, timeout_s=60, what="2 ready"
    )
    assert kube.read_scale(world.key).resource_version != target.resource_version
    assert world.apply(3, target).action is Action.PATCHED


def test_an_hpa_lifts_the_replicas_to_the_floor_and_gets_its_bound_back(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Floor")
    kube.create(HPAS, horizontal_pod_autoscaler("llm", target="llm", minimum=None, maximum=8), namespace=namespace)
    outcome = world.apply(5)
    assert (outcome.action, outcome.before, outcome.after) == (Action.PATCHED, 1, 5)
    hpa = world.read(HPAS)
    assert hpa["spec"]["minReplicas"] == 5
    assert note_of(hpa) == {"min": 1, "written": 5, "by": f"{namespace}/llm"}
    assert world.object().metadata.finalizers == (FINALIZER,)
    wait_until(lambda: kube.read_scale(world.key).replicas == 5, timeout_s=60, what="the HPA to follow its floor")
    assert world.apply(5).reason == "InPlace"
    assert world.apply(50).reason == "LimitedByMax"
    assert release(kube, world.object()).action is Action.PATCHED
    hpa = world.read(HPAS)
    assert (hpa["spec"]["minReplicas"], note_of(hpa)) == (1, None)
    assert world.object().metadata.finalizers == ()


def test_an_hpa_whose_status_changes_all_the_time_is_patched_and_a_users_edit_is_not(
    kube: Kube, namespace: str
) -> None:
    world = World(kube, namespace, mode="Floor")
    kube.create(HPAS, horizontal_pod_autoscaler("llm", target="llm", minimum=2, maximum=8), namespace=namespace)
    target = world.target()
    wait_until(lambda: world.read(HPAS).get("status", {}).get("conditions"), timeout_s=60, what="the HPA's status")
    assert world.apply(5, target).action is Action.PATCHED
    target = world.target()
    world.edit(HPAS, {"spec": {"minReplicas": 3}})
    assert world.apply(6, target).action is Action.CONFLICT
    assert world.read(HPAS)["spec"]["minReplicas"] == 3
    assert world.apply(6).action is Action.PATCHED
    assert note_of(world.read(HPAS)) == {"min": 3, "written": 6, "by": f"{namespace}/llm"}


def test_a_scaled_object_gets_its_floor_and_an_unset_field_is_unset_again(
    kube: Kube, namespace: str, api: client.ApiClient
) -> None:
    world = World(kube, namespace, mode="Floor")
    kube.create(SCALED_OBJECTS, scaled_object("llm", target="llm", minimum=None, maximum=8), namespace=namespace)
    before = world.read(SCALED_OBJECTS)["spec"]
    assert world.apply(5).after == 5
    assert world.read(SCALED_OBJECTS)["spec"] == {**before, "minReplicaCount": 5}
    # Deleted while the floor is there: the finalizer holds the object until the bound is put back.
    client.CustomObjectsApi(api).delete_namespaced_custom_object(
        "headstart.dev", "v1alpha1", namespace, "predictiveautoscalers", "llm", _request_timeout=10
    )
    assert world.object().metadata.deletion_timestamp is not None
    assert world.apply(5).reason == "FloorPutBack"
    assert world.read(SCALED_OBJECTS)["spec"] == before
    with pytest.raises(KubeError) as attempt:
        world.read(PREDICTIVE_AUTOSCALERS)
    assert attempt.value.kind is KubeFailure.NOT_FOUND


def test_a_floor_that_was_left_behind_is_swept(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Floor")
    kube.create(HPAS, horizontal_pod_autoscaler("llm", target="llm", minimum=2, maximum=8), namespace=namespace)
    world.apply(5)
    assert sweep(kube, [world.object()], namespaces=[namespace]) == ()
    world.edit(PREDICTIVE_AUTOSCALERS, {"spec": {"mode": "Shadow"}})
    (outcome,) = sweep(kube, [world.object()], namespaces=[namespace])
    assert outcome.action is Action.PATCHED
    assert world.read(HPAS)["spec"]["minReplicas"] == 2


def test_what_the_server_refuses_is_one_line_that_names_the_field(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Floor")
    kube.create(HPAS, horizontal_pod_autoscaler("llm", target="llm", minimum=2, maximum=8), namespace=namespace)
    owner = world.target().owners[0]
    with pytest.raises(KubeError, match=r"minReplicas|maxReplicas") as attempt:
        kube.patch_bounds(owner, replicas_min=9, annotations={}, resource_version="")
    assert attempt.value.kind is KubeFailure.INVALID
    assert "\n" not in str(attempt.value)


def test_a_restarted_server_fails_calls_and_then_serves_them(kube: Kube, namespace: str, cluster: ControlPlane) -> None:
    world = World(kube, namespace, mode="Scale")
    target, user = world.target(), world.object()
    cluster.stop_api_server()
    try:
        outcome = apply(kube, user, target, 5, now_s=0.0, memory=world.memory)
        assert (outcome.action, outcome.reason) == (Action.FAILED, "Unreachable")
    finally:
        cluster.start_api_server()
    assert world.apply(5).action is Action.PATCHED


def test_status_is_stored_beside_the_spec(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Shadow")
    generation = world.object().metadata.generation
    kube.patch_status(namespace, "llm", {"desiredReplicas": 4, "currentReplicas": 2})
    kube.patch_status(namespace, "llm", {"currentReplicas": None})
    status = world.read(PREDICTIVE_AUTOSCALERS)["status"]
    assert status["desiredReplicas"] == 4
    assert "currentReplicas" not in status
    assert world.object().metadata.generation == generation


def test_events_are_accepted_and_counted(kube: Kube, namespace: str) -> None:
    world = World(kube, namespace, mode="Shadow")
    recorder = EventRecorder(kube, instance="headstart-0")
    regarding = Regarding(
        "headstart.dev/v1alpha1", "PredictiveAutoscaler", namespace, "llm", world.object().metadata.uid
    )
    for _ in range(3):
        recorder.record(regarding, type="Normal", reason="Scaled", message="replicas 2 -> 4: a peak is near")
    recorder.stop()
    events = [event for event in kube.list(EVENTS, namespace=namespace)[0] if event["reason"] == "Scaled"]
    assert [(event["count"], event["involvedObject"]["name"]) for event in events] == [(3, "llm")]
    assert recorder.dropped == 0


def test_a_watch_goes_on_after_a_list_and_ends_at_once_when_it_is_closed(kube: Kube, namespace: str) -> None:
    items, version = kube.list(PODS, namespace=namespace, page_items=1)
    assert items == []
    watch = kube.watch(PODS, namespace=namespace, resource_version=version)
    World(kube, namespace, mode="Shadow")
    change, pod = next(watch)
    assert (change, pod["metadata"]["labels"]["app"]) == ("ADDED", "llm")
    ended = threading.Event()

    def read() -> None:
        for _ in watch:
            pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    watch.close()
    assert ended.wait(5.0)


def test_a_denied_call_names_the_verb_and_the_resource(cluster: ControlPlane, namespace: str) -> None:
    denied = connect(cluster.service_account_kubeconfig(namespace, "default"))
    with pytest.raises(KubeError, match="grant the service account the verb 'list' on 'pods' in namespace") as attempt:
        denied.list(PODS, namespace=namespace)
    assert attempt.value.kind is KubeFailure.FORBIDDEN
    denied.close()
