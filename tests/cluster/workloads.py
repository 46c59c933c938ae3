"""Objects that tests create in the cluster."""

from __future__ import annotations

from typing import Any


def pod_annotations(
    *, start: str = "0s", load: str = "0s", crash: str | None = None, drain: str = "0s"
) -> dict[str, str]:
    """How long kwok lets a pod take, as Go durations ("1.5s"): see kwok.yaml. Without `crash` it never crashes."""
    annotations = {
        "headstart.dev/test-start": start,
        "headstart.dev/test-load": load,
        "headstart.dev/test-drain": drain,
    }
    return annotations if crash is None else {**annotations, "headstart.dev/test-crash": crash}


def deployment(
    name: str,
    *,
    replicas: int,
    annotations: dict[str, str] | None = None,
    gpus: int = 0,
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A Deployment `name` whose pods have the label app=`name`, these annotations, and ask for `gpus` GPUs each.

    There are 8 GPUs on a node; pods that find none stay Pending. `spec` is merged into the Deployment's spec.
    """
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": annotations or {}},
                "spec": {
                    "containers": [{"name": "engine", "image": "registry.invalid/engine:1", "resources": resources}]
                },
            },
            **(spec or {}),
        },
    }


def scaled_object(name: str, *, target: str, minimum: int | None, maximum: int) -> dict[str, Any]:
    """A KEDA ScaledObject for the Deployment `target`; `minimum` None leaves minReplicaCount out, which means 0."""
    trigger = {"type": "prometheus", "metadata": {"serverAddress": "http://localhost", "query": "up", "threshold": "1"}}
    spec: dict[str, Any] = {"scaleTargetRef": {"name": target}, "maxReplicaCount": maximum, "triggers": [trigger]}
    if minimum is not None:
        spec["minReplicaCount"] = minimum
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}


def horizontal_pod_autoscaler(name: str, *, target: str, minimum: int | None, maximum: int) -> dict[str, Any]:
    """An autoscaling/v2 HPA for the Deployment `target`.

    The cluster has no metrics API, so all that it does is to keep the replicas between its bounds; `minimum` None
    leaves minReplicas to its default of 1.
    """
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    spec: dict[str, Any] = {"scaleTargetRef": reference, "maxReplicas": maximum, "metrics": [metric]}
    if minimum is not None:
        spec["minReplicas"] = minimum
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec,
    }


def predictive_autoscaler(name: str, *, target: str, query: str, mode: str = "Scale", **spec: Any) -> dict[str, Any]:
    """A PredictiveAutoscaler for the Deployment `target`: bins of 2 s, one request a second per replica, a lead of 4 s.

    `spec` takes the place of fields of its spec.
    """
    return {
        "apiVersion": "headstart.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"name": target},
            "mode": mode,
            "maxReplicas": 20,
            "interval": "2s",
            "history": "10m",
            "demand": [{"query": query, "capacity": 1}],
            "loadLatency": {"prior": "4s"},
            **spec,
        },
    }
