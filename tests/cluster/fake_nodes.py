"""Nodes without machines: kwok plays their kubelets, and delays a pod's readiness as a model load does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cluster.processes import Process
from kubernetes import client

STAGES = Path(__file__).resolve().parent / "kwok.yaml"
GPUS_PER_NODE = 8


def fake_node(name: str) -> dict[str, Any]:
    """A node with 8 GPUs and room for 1,000 pods; kwok makes it ready."""
    capacity = {"cpu": "1000", "memory": "10Ti", "pods": "1000", "nvidia.com/gpu": str(GPUS_PER_NODE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


class Kwok:
    """The process that moves pods of all nodes through the stages of kwok.yaml."""

    def __init__(self, binary: Path, kubeconfig: Path, folder: Path) -> None:
        command = [binary, f"--kubeconfig={kubeconfig}", f"--config={STAGES}"]
        # No leases: one process has all nodes.
        options = ["--manage-all-nodes", "--node-lease-duration-seconds=0", "--node-port=0", "--cidr=10.0.0.1/16"]
        self.process = Process("kwok", [*command, *options], log=folder / "kwok.log")

    def start(self, api_client: client.ApiClient, *, nodes: int) -> None:
        """Create the nodes `fake-0`, `fake-1`, ..., start to play their kubelets, and return once all are ready."""
        core = client.CoreV1Api(api_client)
        for number in range(nodes):
            core.create_node(fake_node(f"fake-{number}"), _request_timeout=10)
        self.process.start()

        def all_ready() -> bool:
            conditions = [
                one for node in core.list_node(_request_timeout=5).items for one in node.status.conditions or []
            ]
            return sum(one.type == "Ready" and one.status == "True" for one in conditions) == nodes

        self.process.wait_until_ready(all_ready, timeout_s=90)

    def stop(self) -> None:
        """Stop; pods stay as they are."""
        self.process.stop(timeout_s=2)
