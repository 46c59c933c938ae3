"""Placeholders that keep nodes warm ahead of loads, as an object states them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from autoscaler.api.model import Model
from autoscaler.api.scalars import DurationBetween

PlaceholderName = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class PlaceholderKind(StrEnum):
    """What keeps nodes warm."""

    DEPLOYMENT = "Deployment"
    CAPACITY_BUFFER = "CapacityBuffer"


class PlaceholdersRef(Model):
    """The placeholders, in the object's namespace. Each is room for one replica."""

    kind: PlaceholderKind = Field(
        default=PlaceholderKind.DEPLOYMENT,
        description="Deployment: of pause pods with a PriorityClass below that of the replicas, which make room for"
        " them. CapacityBuffer: of autoscaling.x-k8s.io, where the cluster's node autoscaler has it.",
    )
    name: PlaceholderName = Field(
        description="Its name. Its pods have the node selector, tolerations and resource requests of one replica."
        " Headstart writes its spec.replicas and nothing else, in the modes Floor and Scale: 0 once they aren't asked"
        " for any more."
    )
    max_replicas: int = Field(ge=1, le=100_000, description="Most placeholders: what they hold is paid for.")


class NodeProvisioning(Model):
    """Time from a pod that finds no room to the node that it is scheduled to."""

    prior: Annotated[float, DurationBetween("0s", "24h")] = Field(
        default=240.0,
        description="What a node is believed to take until enough were seen. Longer keeps more placeholders; the"
        " default is a virtual machine with its GPU driver.",
    )
    learn: bool = Field(
        default=True,
        description="Whether the waits of the target's own pods for a node replace the prior. False keeps it.",
    )


class NodeHeadStart(Model):
    """Nodes are provisioned one node's time before a replica is ordered, by placeholders that it takes the place of."""

    placeholders: PlaceholdersRef = Field(
        description="The placeholders, in the object's namespace. Each is room for one replica."
    )
    provisioning: NodeProvisioning = Field(
        default=NodeProvisioning(),
        description="Time from a pod that finds no room to the node that it is scheduled to.",
    )
