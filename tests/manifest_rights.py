"""The rights that the manifests give, beside those that the code needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
NAMESPACE = "headstart-system"
ACCOUNT = "headstart"
OVERLAYS = ("shadow", "floor", "scale")


class Right(NamedTuple):
    """A verb on a resource; 'deployments.apps', 'deployments.apps/scale', or 'pods' for the core group."""

    verb: str
    resource: str


def _rights(verbs: str, *resources: str) -> set[Right]:
    return {Right(verb, resource) for verb in verbs.split() for resource in resources}


_AUTOSCALERS = "predictiveautoscalers.headstart.dev"
_HPAS = "horizontalpodautoscalers.autoscaling"
_SCALED_OBJECTS = "scaledobjects.keda.sh"
_APPS = ("deployments.apps", "statefulsets.apps")
_WORKER_SETS = "leaderworkersets.leaderworkerset.x-k8s.io"

# By the module that makes the call.
_READ = (
    _rights("list watch", _AUTOSCALERS, "pods", _HPAS, _SCALED_OBJECTS, *_APPS, _WORKER_SETS)  # kube.store
    | _rights("get", f"{_WORKER_SETS}/scale")  # kube.cluster, for kinds that don't show replicas and selector
    | _rights("patch", f"{_AUTOSCALERS}/status")  # controller.kube_actuator
    | _rights("create patch", "events")  # kube.events
)
_FLOOR = (
    _rights("get patch", _HPAS, _SCALED_OBJECTS)  # actuators.floor, actuators.restore
    | _rights("get patch", _AUTOSCALERS)  # actuators.finalizer
)
_SCALE = _rights("get patch", *(f"{kind}/scale" for kind in _APPS)) | _rights(
    "patch", f"{_WORKER_SETS}/scale"
)  # actuators.scale
# By components/node-head-start, beside any overlay: actuators.placeholders.
WARM_NODES = _rights("get patch", "deployments.apps/scale", "capacitybuffers.autoscaling.x-k8s.io")
# In its own namespace only: kube.lease_lock.
LEASES = _rights("get create update", "leases.coordination.k8s.io")
NEEDED = {"shadow": _READ, "floor": _READ | _FLOOR, "scale": _READ | _FLOOR | _SCALE}


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def built(kustomization: Path) -> Iterator[dict[str, Any]]:
    """The objects that a kustomization's folder names, and those that these name; without its transformations."""
    (about,) = documents(kustomization / "kustomization.yaml")
    for entry in [*about.get("resources", []), *(about.get("components") or [])]:
        path = (kustomization / entry).resolve()
        yield from built(path) if path.is_dir() else documents(path)


def granted(objects: list[dict[str, Any]], *, binding: str) -> set[Right]:
    """What the account may by bindings of one kind, 'ClusterRoleBinding' or 'RoleBinding'."""
    roles = {(each["kind"], each["metadata"]["name"]): each for each in objects if "rules" in each}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    rights: set[Right] = set()
    for bound in objects:
        if bound["kind"] == binding and subject in bound["subjects"]:
            reference = bound["roleRef"]
            for rule in roles[reference["kind"], reference["name"]]["rules"]:
                rights |= _of_rule(rule)
    return rights


def _of_rule(rule: dict[str, Any]) -> set[Right]:
    (group,) = rule["apiGroups"]
    names = []
    for resource in rule["resources"]:
        plural, slash, subresource = resource.partition("/")
        names.append(f"{plural}.{group}{slash}{subresource}" if group else resource)
    return _rights(" ".join(rule["verbs"]), *names)
