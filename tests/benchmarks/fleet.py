"""What the controller's benchmark looks after: objects with a Deployment of ten pods each, as the API gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

NAMESPACE = "team"
PODS = 10
LOAD_S = 60
CAPACITY_RPS = 10


def name_of(number: int) -> str:
    return f"m-{number}"


def autoscaler(number: int) -> Object:
    """Six queries: demand ahead of the engine, four of vLLM's own and one of the GPUs."""
    name = name_of(number)
    return {
        "apiVersion": "headstart.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": name},
            "mode": "Scale",
            "maxReplicas": 100,
            "interval": "1m",
            "demand": [
                {"query": f'sum(rate(http_requests_total{{service="{name}"}}[1m]))', "capacity": CAPACITY_RPS},
            ],
            "engine": {
                "preset": "vllm",
                "selector": f'model_name="{name}"',
                "gpuUtilization": f'avg(DCGM_FI_DEV_GPU_UTIL{{app="{name}"}} / 100)',
            },
            "loadLatency": {"prior": "2m"},
        },
    }


def deployment(number: int) -> Object:
    name = name_of(number)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": PODS, "selector": {"matchLabels": {"app": name}}, "template": {}},
        "status": {"observedGeneration": 1, "replicas": PODS, "updatedReplicas": PODS},
    }


def pod(number: int, index: int, *, created_s: float, ready_s: float | None) -> Object:
    """A pod with as much in it as one of an engine has: 6 kB of JSON."""
    name = f"{name_of(number)}-7d9c6b5f44-{index:05}"
    about = {
        "name": name,
        "labels": {"app": name_of(number), "pod-template-hash": "7d9c6b5f44", "team": NAMESPACE},
        "creationTimestamp": _time(created_s),
        "annotations": {"prometheus.io/scrape": "true", "note": "x" * 1_000},
    }
    container = {
        "name": "engine",
        "image": "vllm/vllm-openai:v0.11.0",
        "args": ["--model", "m", "--max-model-len", "32768"],
        "env": [{"name": f"VARIABLE_{k}", "value": "x" * 60} for k in range(30)],
        "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "64Gi"}},
    }
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": _time(created_s)},
        {
            "type": "Ready",
            "status": "False" if ready_s is None else "True",
            "lastTransitionTime": _time(created_s if ready_s is None else ready_s),
        },
    ]
    state = {"name": "engine", "restartCount": 0, "state": {"running": {"startedAt": _time(created_s)}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": about,
        "spec": {"nodeName": f"node-{index % 50}", "containers": [container]},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [state]},
    }


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
