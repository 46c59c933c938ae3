"""The finalizer that keeps an object until its floor is put back."""

from __future__ import annotations

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.resources import PREDICTIVE_AUTOSCALERS

FINALIZER = "headstart.dev/restore-bounds"


def ensure_finalizer(kube: Kube, autoscaler: PredictiveAutoscaler) -> None:
    """Set it before a floor is written. An object from a file has none. Raises `KubeError`."""
    about = autoscaler.metadata
    if not about.uid or FINALIZER in about.finalizers:
        return
    # Read, not taken from the snapshot, whose version is stale from every write of a status.
    finalizers, version = _read(kube, autoscaler)
    if FINALIZER not in finalizers:
        kube.set_finalizers(about.namespace, about.name, [*finalizers, FINALIZER], version)


def remove_finalizer(kube: Kube, autoscaler: PredictiveAutoscaler) -> bool:
    """Let the object go; whether there was anything to remove. Raises `KubeError`."""
    about = autoscaler.metadata
    if not about.uid:
        return False
    try:
        finalizers, version = _read(kube, autoscaler)
        if FINALIZER not in finalizers:
            return False
        kube.set_finalizers(about.namespace, about.name, [each for each in finalizers if each != FINALIZER], version)
    except KubeError as problem:
        if problem.kind is KubeFailure.NOT_FOUND:
            return False
        raise
    return True


def _read(kube: Kube, autoscaler: PredictiveAutoscaler) -> tuple[list[str], str]:
    """The object's finalizers and version; those of another object of the same name are not touched."""
    about = autoscaler.metadata
    raw = kube.get(PREDICTIVE_AUTOSCALERS, namespace=about.namespace, name=about.name)
    if raw["metadata"].get("uid") != about.uid:
        raise KubeError(
            f"PredictiveAutoscaler {about.namespace}/{about.name} was made anew; it is read again",
            kind=KubeFailure.NOT_FOUND,
        )
    return list(raw["metadata"].get("finalizers") or ()), str(raw["metadata"]["resourceVersion"])
