"""The scale subresource: what every workload that can be scaled has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scale:
    """A workload's scale.

    Attributes:
        replicas: ordered, spec.replicas.
        selector: of its pods, as a label selector; '' where the workload gives none.
        resource_version: for optimistic concurrency.
        status_replicas: that exist, status.replicas.
    """

    replicas: int
    selector: str
    resource_version: str
    status_replicas: int


def parse_scale(scale: dict[str, Any]) -> Scale:
    """Read autoscaling/v1 Scale. The API omits a replicas of 0, for the field is `omitempty`."""
    spec, status = scale.get("spec") or {}, scale.get("status") or {}
    return Scale(
        replicas=int(spec.get("replicas") or 0),
        selector=str(status.get("selector") or ""),
        resource_version=str(scale["metadata"]["resourceVersion"]),
        status_replicas=int(status.get("replicas") or 0),
    )
