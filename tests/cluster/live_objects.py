"""What a namespace holds, as a user with kubectl would create, look at and edit it."""

from __future__ import annotations

import json
from typing import Any

from cluster.workloads import deployment, pod_annotations
from kubernetes import client

_TIMEOUT_S = 10
_MERGE_PATCH = "application/merge-patch+json"
_AUTOSCALERS = ("headstart.dev", "v1alpha1")
_SCALED_OBJECTS = ("keda.sh", "v1alpha1")


class LiveObjects:
    """Deployments, autoscalers and what became of them, all in one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._api = api
        self._apps = client.AppsV1Api(api)
        self._autoscaling = client.AutoscalingV2Api(api)
        self._custom = client.CustomObjectsApi(api)

    def create_deployment(self, name: str, *, replicas: int, load: str = "2s") -> None:
        """A Deployment whose pods take `load` to become ready."""
        body = deployment(name, replicas=replicas, annotations=pod_annotations(load=load))
        self._apps.create_namespaced_deployment(self.namespace, body, _request_timeout=_TIMEOUT_S)

    def deployment(self, name: str) -> client.V1Deployment:
        """The Deployment as it is now."""
        return self._apps.read_namespaced_deployment(name, self.namespace, _request_timeout=_TIMEOUT_S)

    def replicas(self, name: str) -> int:
        """Replicas that the Deployment has ordered."""
        return int(self.deployment(name).spec.replicas)

    def ready(self, name: str) -> int:
        """Replicas of the Deployment that serve."""
        return int(self.deployment(name).status.ready_replicas or 0)

    def create_autoscaler(self, manifest: dict[str, Any]) -> None:
        """A PredictiveAutoscaler."""
        self._custom.create_namespaced_custom_object(
            *_AUTOSCALERS, self.namespace, "predictiveautoscalers", manifest, _request_timeout=_TIMEOUT_S
        )

    def autoscaler(self, name: str) -> dict[str, Any]:
        """The PredictiveAutoscaler as it is now."""
        found: dict[str, Any] = self._custom.get_namespaced_custom_object(
            *_AUTOSCALERS, self.namespace, "predictiveautoscalers", name, _request_timeout=_TIMEOUT_S
        )
        return found

    def delete_autoscaler(self, name: str) -> None:
        """Ask for its deletion, which a finalizer may hold up."""
        self._custom.delete_namespaced_custom_object(
            *_AUTOSCALERS, self.namespace, "predictiveautoscalers", name, _request_timeout=_TIMEOUT_S
        )

    def status(self, name: str) -> dict[str, Any]:
        """The PredictiveAutoscaler's status; empty before the first one is stored."""
        status: dict[str, Any] = self.autoscaler(name).get("status") or {}
        return status

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason of one of its conditions; both '' where it has none."""
        for condition in self.status(name).get("conditions", ()):
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def columns(self, name: str) -> dict[str, Any]:
        """What `kubectl get pa` prints of it."""
        path = f"/apis/{'/'.join(_AUTOSCALERS)}/namespaces/{self.namespace}/predictiveautoscalers/{name}"
        headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        self._api.update_params_for_auth(headers, None, ["BearerToken"], path, "GET", None)
        url = self._api.configuration.host + path
        table = json.loads(self._api.call_api("GET", url, headers, _request_timeout=_TIMEOUT_S).read())
        names = [column["name"] for column in table["columnDefinitions"]]
        return dict(zip(names, table["rows"][0]["cells"], strict=True))

    def events(self, name: str, reason: str) -> list[client.CoreV1Event]:
        """Events on the PredictiveAutoscaler."""
        events = client.CoreV1Api(self._api).list_namespaced_event(self.namespace, _request_timeout=_TIMEOUT_S).items
        about = [each for each in events if each.involved_object.kind == "PredictiveAutoscaler"]
        return [each for each in about if each.involved_object.name == name and each.reason == reason]

    def create_hpa(self, manifest: dict[str, Any]) -> None:
        """A HorizontalPodAutoscaler."""
        self._autoscaling.create_namespaced_horizontal_pod_autoscaler(
            self.namespace, manifest, _request_timeout=_TIMEOUT_S
        )

    def hpa(self, name: str) -> tuple[int, dict[str, str]]:
        """Its minReplicas and annotations."""
        found = self._autoscaling.read_namespaced_horizontal_pod_autoscaler(
            name, self.namespace, _request_timeout=_TIMEOUT_S
        )
        return found.spec.min_replicas, found.metadata.annotations or {}

    def edit_hpa(self, name: str, *, minimum: int) -> None:
        """Change its minReplicas."""
        self._autoscaling.patch_namespaced_horizontal_pod_autoscaler(
            name,
            self.namespace,
            {"spec": {"minReplicas": minimum}},
            _content_type=_MERGE_PATCH,
            _request_timeout=_TIMEOUT_S,
        )

    def create_scaled_object(self, manifest: dict[str, Any]) -> None:
        """A ScaledObject."""
        self._custom.create_namespaced_custom_object(
            *_SCALED_OBJECTS, self.namespace, "scaledobjects", manifest, _request_timeout=_TIMEOUT_S
        )

    def scaled_object(self, name: str) -> tuple[int | None, dict[str, str]]:
        """Its minReplicaCount, None where it is unset, and its annotations."""
        found = self._custom.get_namespaced_custom_object(
            *_SCALED_OBJECTS, self.namespace, "scaledobjects", name, _request_timeout=_TIMEOUT_S
        )
        return found["spec"].get("minReplicaCount"), found["metadata"].get("annotations") or {}

    def edit_scaled_object(self, name: str, *, minimum: int) -> None:
        """Change its minReplicaCount."""
        self._custom.patch_namespaced_custom_object(
            *_SCALED_OBJECTS,
            self.namespace,
            "scaledobjects",
            name,
            {"spec": {"minReplicaCount": minimum}},
            _content_type=_MERGE_PATCH,
            _request_timeout=_TIMEOUT_S,
        )

    def lease_holder(self, name: str = "headstart") -> str:
        """Who holds the Lease; '' where nobody does."""
        lease = client.CoordinationV1Api(self._api).read_namespaced_lease(
            name, self.namespace, _request_timeout=_TIMEOUT_S
        )
        return lease.spec.holder_identity or ""
