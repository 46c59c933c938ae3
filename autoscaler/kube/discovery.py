"""Which resource a kind is: 'apps/v1', 'Deployment' -> deployments, namespaced, with a scale subresource."""

from __future__ import annotations

import math
import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from autoscaler.kube.errors import Call, KubeError, KubeFailure
from autoscaler.kube.resources import Resource
from autoscaler.kube.transport import Transport

# A group that is installed later, or gains a subresource, is found after this long at the latest.
_MISSING_FOR_S = 30.0
_KNOWN_FOR_S = 600.0
# Users state versions, right or wrong; a cluster has about 60 of them.
_VERSIONS_MAX = 256
# A user states the group; it becomes a part of a path.
_API_VERSION = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?v[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Served:
    """A resource that the API server has, and whether it has a scale subresource."""

    resource: Resource
    has_scale: bool


class Discovery:
    """Asks the API server once per group and version, and remembers. Safe to share among threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        # By api version: when it was asked for (monotonic), and its kinds; none where the server hasn't got it.
        self._known: dict[str, tuple[float, dict[str, Served]]] = {}

    def resource_of(self, api_version: str, kind: str) -> Served:
        """The resource of a kind, from memory where it was asked for within 10 min.

        Raises:
            KubeError: `NOT_FOUND` where the server has no such group, version or kind; or the call failed.
        """
        if not _API_VERSION.fullmatch(api_version):
            raise KubeError(
                f"{api_version!r} is not an apiVersion; write it as in the workload's own YAML, such as apps/v1",
                kind=KubeFailure.INVALID,
            )
        with self._lock:
            asked_s, kinds = self._known.get(api_version, (-math.inf, {}))
        if time.monotonic() - asked_s > (_KNOWN_FOR_S if kind in kinds else _MISSING_FOR_S):
            kinds = self._ask(api_version)
            with self._lock:
                if len(self._known) >= _VERSIONS_MAX:
                    self._known.clear()
                self._known[api_version] = (time.monotonic(), kinds)
        if kind not in kinds:
            raise KubeError(
                f"the API server has no kind {kind!r} in {api_version}; check apiVersion and kind",
                kind=KubeFailure.NOT_FOUND,
            )
        return kinds[kind]

    def forget(self, api_version: str) -> None:
        """Ask again at the next use: a CustomResourceDefinition has come, changed or gone."""
        with self._lock:
            self._known.pop(api_version, None)

    def _ask(self, api_version: str) -> dict[str, Served]:
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            answer = self._transport.request(Call("get", f"the resources of {api_version}"), "GET", path)
        except KubeError as problem:
            if problem.kind is KubeFailure.NOT_FOUND:
                return {}
            raise
        listed: list[dict[str, Any]] = answer.get("resources") or []
        scaled = {entry["name"].removesuffix("/scale") for entry in listed if entry["name"].endswith("/scale")}
        return {
            entry["kind"]: Served(
                Resource(group, version, entry["name"], entry["kind"], bool(entry.get("namespaced"))),
                entry["name"] in scaled,
            )
            for entry in listed
            if "/" not in entry["name"]
        }
