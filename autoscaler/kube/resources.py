"""What the API serves: a kind's group, version and plural, and the paths made of them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import OwnerKind


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API serves it: Resource('apps', 'v1', 'deployments', 'Deployment'). Group '' is core."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """'apps/v1', or 'v1' for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def rbac_name(self) -> str:
        """'deployments.apps', or 'pods' for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The path of the collection, of one object or of its subresource. Raises `KubeError` on an impossible name."""
        parts = ["/api" if not self.group else f"/apis/{self.group}", self.version]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
HPAS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
PREDICTIVE_AUTOSCALERS = Resource("headstart.dev", "v1alpha1", "predictiveautoscalers", "PredictiveAutoscaler")
CAPACITY_BUFFERS = Resource("autoscaling.x-k8s.io", "v1beta1", "capacitybuffers", "CapacityBuffer")
# The newest first: Cluster Autoscaler serves both, Karpenter the older one.
CAPACITY_BUFFER_VERSIONS = ("v1beta1", "v1alpha1")

# Where each kind of owner is, and its field of the lower bound.
OWNER_RESOURCES = {OwnerKind.HPA: HPAS, OwnerKind.SCALED_OBJECT: SCALED_OBJECTS}
MIN_FIELDS = {OwnerKind.HPA: "minReplicas", OwnerKind.SCALED_OBJECT: "minReplicaCount"}


def _segment(name: str) -> str:
    """A name as one segment of a path. A user states names: one with '/' or '..' must not reach another object."""
    if name in ("", ".", "..") or "/" in name or "%" in name:
        raise KubeError(f"{name!r} is not a name of a Kubernetes object; correct it", kind=KubeFailure.INVALID)
    return quote(name, safe="")
