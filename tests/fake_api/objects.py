"""Objects as the API server gives them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Object = dict[str, Any]

T0 = "2026-01-31T12:00:00Z"
T0_S = 1769860800.0


def at(seconds: int) -> str:
    """A time some seconds (below an hour) after noon."""
    return f"2026-01-31T12:{seconds // 60:02}:{seconds % 60:02}Z"


def pod(name: str = "llm-0", *, labels: dict[str, str] | None = None, ready_at: int | None = 60, **more: Any) -> Object:
    """A pod created at noon: scheduled after 1 s, started after 5 s, Ready after `ready_at` s."""
    ready = (
        {"type": "Ready", "status": "True", "lastTransitionTime": at(ready_at)}
        if ready_at is not None
        else {
            "type": "Ready",
            "status": "False",
            "lastTransitionTime": at(1),
        }
    )
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": T0,
            "labels": labels or {"app": "llm", "pod-template-hash": "6b7f"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "engine"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(1)}, ready],
            "containerStatuses": [
                {
                    "name": "engine",
                    "restartCount": 0,
                    "ready": ready_at is not None,
                    "state": {"running": {"startedAt": at(5)}},
                }
            ],
        },
    }
    body["status"].update(more)
    return body


def deployment(name: str = "llm", *, replicas: int = 2, **status: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "team", "resourceVersion": "1", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {}},
        "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, **status},
    }


def stateful_set(name: str = "llm", *, replicas: int = 2, **status: Any) -> Object:
    body = deployment(name, replicas=replicas, **{"currentRevision": "a", "updateRevision": "a", **status})
    return {**body, "kind": "StatefulSet"}


def worker_set(name: str = "llm", *, replicas: int = 2) -> Object:
    """Of a kind that isn't known here, but has a scale subresource."""
    body = deployment(name, replicas=replicas)
    return {**body, "apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet"}


def hpa(name: str = "llm", *, target: str = "llm", made_by: str = "", **spec: Any) -> Object:
    about: Object = {"name": name, "namespace": "team", "resourceVersion": "7"}
    if made_by:
        about["ownerReferences"] = [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": made_by}]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": about,
        "spec": {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 8, **spec},
    }


def scaled_object(
    name: str = "llm", *, target: str = "llm", annotations: dict[str, str] | None = None, **spec: Any
) -> Object:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": "team", "resourceVersion": "9", "annotations": annotations or {}},
        "spec": {"scaleTargetRef": {"name": target}, "maxReplicaCount": 8, **spec},
    }


def autoscaler(name: str = "llm", *, kind: str = "Deployment", api_version: str = "apps/v1", **spec: Any) -> Object:
    return {
        "apiVersion": "headstart.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": name},
            "maxReplicas": 8,
            "demand": [{"query": "sum(rate(requests_total[1m]))", "capacity": 10}],
            **spec,
        },
    }


def changed(body: Object, **fields: Any) -> Object:
    """A copy with `metadata__labels={...}` set inside."""
    new = deepcopy(body)
    for path, value in fields.items():
        *parents, last = path.split("__")
        inside = new
        for parent in parents:
            inside = inside[parent]
        inside[last] = value
    return new
