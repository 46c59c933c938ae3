"""What a user of KEDA creates in a namespace, and what KEDA makes of it."""

from __future__ import annotations

import json
from typing import Any

from kubernetes import client

_TIMEOUT_S = 10
_SCALED_OBJECTS = ("keda.sh", "v1alpha1")


def external_trigger(address: str, *, kind: str = "external", **metadata: str) -> dict[str, Any]:
    """A trigger that asks the external scaler at `address`, a "host:port"."""
    return {"type": kind, "metadata": {"scalerAddress": address, **metadata}}


def scaled_by(*triggers: dict[str, Any], name: str, minimum: int, maximum: int = 20, **spec: Any) -> dict[str, Any]:
    """A ScaledObject for the Deployment of the same name, polled each second and cooled down after 3 s.

    Its HPA goes to the wanted number at once: by default it doubles at most every 15 s, and waits for 5 minutes before
    it takes replicas away. `spec` takes the place of fields of its spec.
    """
    behavior = {
        "scaleUp": {"policies": [{"type": "Pods", "value": 100, "periodSeconds": 15}]},
        "scaleDown": {"stabilizationWindowSeconds": 0},
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"name": name},
            "minReplicaCount": minimum,
            "maxReplicaCount": maximum,
            "pollingInterval": 1,
            "cooldownPeriod": 3,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
            "triggers": list(triggers),
            **spec,
        },
    }


class KedaObjects:
    """ScaledObjects, their HPAs and their metrics, all in one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._api = api
        self._custom = client.CustomObjectsApi(api)

    def create(self, kind: str, manifest: dict[str, Any]) -> None:
        """Create one of KEDA's objects; `kind` is its plural in lower case."""
        self._custom.create_namespaced_custom_object(
            *_SCALED_OBJECTS, self.namespace, kind, manifest, _request_timeout=_TIMEOUT_S
        )

    def create_secret(self, name: str, values: dict[str, str]) -> None:
        """A Secret with these values."""
        body = {"metadata": {"name": name}, "stringData": values}
        client.CoreV1Api(self._api).create_namespaced_secret(self.namespace, body, _request_timeout=_TIMEOUT_S)

    def replace_secret(self, name: str, values: dict[str, str]) -> None:
        """Let the Secret hold these values."""
        body = {"metadata": {"name": name}, "stringData": values}
        client.CoreV1Api(self._api).replace_namespaced_secret(name, self.namespace, body, _request_timeout=_TIMEOUT_S)

    def scaled_object(self, name: str) -> dict[str, Any]:
        """The ScaledObject as it is now."""
        found: dict[str, Any] = self._custom.get_namespaced_custom_object(
            *_SCALED_OBJECTS, self.namespace, "scaledobjects", name, _request_timeout=_TIMEOUT_S
        )
        return found

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason of one of the ScaledObject's conditions; both '' where it has none."""
        for condition in self.scaled_object(name).get("status", {}).get("conditions", ()):
            if condition["type"] == kind:
                return condition["status"], condition.get("reason", "")
        return "", ""

    def metric_names(self, name: str) -> list[str]:
        """The external metrics that KEDA knows of the ScaledObject."""
        return list(self.scaled_object(name).get("status", {}).get("externalMetricNames", ()))

    def hpa(self, name: str) -> client.V2HorizontalPodAutoscaler:
        """The HPA that KEDA has made for the ScaledObject."""
        return client.AutoscalingV2Api(self._api).read_namespaced_horizontal_pod_autoscaler(
            f"keda-hpa-{name}", self.namespace, _request_timeout=_TIMEOUT_S
        )

    def hpa_condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason of one of the HPA's conditions; both '' where it has none."""
        for condition in self.hpa(name).status.conditions or ():
            if condition.type == kind:
                return condition.status, condition.reason
        return "", ""

    def rescales(self, name: str) -> int:
        """How often the HPA has told that it changed the replicas."""
        events = client.CoreV1Api(self._api).list_namespaced_event(self.namespace, _request_timeout=_TIMEOUT_S).items
        told = [each for each in events if each.involved_object.name == f"keda-hpa-{name}"]
        return sum(each.count or 1 for each in told if each.reason == "SuccessfulRescale")

    def external_metric(self, name: str, metric: str) -> str:
        """What the API server says of the metric when the ScaledObject's HPA asks for it, a quantity such as "3"."""
        path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{self.namespace}/{metric}"
        headers = {"Accept": "application/json"}
        self._api.update_params_for_auth(headers, None, ["BearerToken"], path, "GET", None)
        url = f"{self._api.configuration.host}{path}?labelSelector=scaledobject.keda.sh%2Fname%3D{name}"
        answer = json.loads(self._api.call_api("GET", url, headers, _request_timeout=_TIMEOUT_S).read())
        return "".join(each["value"] for each in answer["items"])
