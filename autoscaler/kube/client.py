"""The Kubernetes API as Headstart uses it: objects are JSON dicts, calls have timeouts, failures are `KubeError`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autoscaler.kube.discovery import Discovery, Served
from autoscaler.kube.errors import Call, KubeError, KubeFailure, error_of_status
from autoscaler.kube.facts import Owner, OwnerKind, TargetKey
from autoscaler.kube.resources import MIN_FIELDS, OWNER_RESOURCES, PREDICTIVE_AUTOSCALERS, Resource
from autoscaler.kube.scale import Scale, parse_scale
from autoscaler.kube.transport import JSON, MERGE_PATCH, LineStream, Transport

FIELD_MANAGER = "headstart"

# A page of 500 pods is about 3 MB of JSON: large enough to be quick, small enough to be slimmed before the next.
PAGE_ITEMS = 500
# The server ends a watch after this long; the client waits a little longer before it gives up on a silent connection.
WATCH_TIMEOUT_S = 290.0
_WATCH_GRACE_S = 10.0


class Kube:
    """Calls to one API server. Safe to share among threads; made by `autoscaler.kube.connect.connect`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._discovery = Discovery(transport)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def list_pages(
        self, resource: Resource, *, namespace: str | None, label_selector: str = "", page_items: int = PAGE_ITEMS
    ) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Pages of (items, resource version of the whole list), consistent with each other.

        Args:
            resource: which kind.
            namespace: None for all of them.
            label_selector: as of kubectl.
            page_items: the most objects of a page.

        Raises:
            KubeError: `GONE` when the pages took too long to read: begin again.
        """
        call = Call("list", resource.rbac_name, namespace or "")
        path = resource.path(namespace)
        query = [("limit", str(page_items))]
        if label_selector:
            query.append(("labelSelector", label_selector))
        token = ""
        while True:
            page = self._transport.request(call, "GET", path, query=[*query, ("continue", token)] if token else query)
            about = page.get("metadata") or {}
            yield page.get("items") or [], str(about.get("resourceVersion", ""))
            token = about.get("continue") or ""
            if not token:
                return

    def list(
        self, resource: Resource, *, namespace: str | None, label_selector: str = "", page_items: int = PAGE_ITEMS
    ) -> tuple[list[dict[str, Any]], str]:
        """All items and the resource version to watch from; see `list_pages`, which needs less memory."""
        items: list[dict[str, Any]] = []
        version = ""
        for page, version in self.list_pages(  # noqa: B007 - the last one's is used
            resource, namespace=namespace, label_selector=label_selector, page_items=page_items
        ):
            items += page
        return items, version

    def watch(
        self,
        resource: Resource,
        *,
        namespace: str | None,
        resource_version: str,
        timeout_s: float = WATCH_TIMEOUT_S,
        label_selector: str = "",
    ) -> WatchStream:
        """Changes after `resource_version`: iterate over (type, object), `close()` it from anywhere.

        Types are ADDED, MODIFIED, DELETED and BOOKMARK. It ends by itself after `timeout_s` at the latest.

        Raises:
            KubeError: `GONE` when the version is too old: list again. Also while iterating.
        """
        call = Call("watch", resource.rbac_name, namespace or "")
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(max(1, round(timeout_s)))),
        ]
        if label_selector:
            query.append(("labelSelector", label_selector))
        lines = self._transport.stream(
            call, resource.path(namespace), query=query, read_timeout_s=timeout_s + _WATCH_GRACE_S
        )
        return WatchStream(call, lines)

    def get(
        self,
        resource: Resource,
        *,
        namespace: str | None,
        name: str,
        subresource: str = "",
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """One object."""
        return self._transport.request(
            _call("get", resource, namespace, name, subresource),
            "GET",
            resource.path(namespace, name, subresource),
            timeout_s=timeout_s,
        )

    def create(
        self, resource: Resource, body: dict[str, Any], *, namespace: str | None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Create an object; `CONFLICT` where it exists."""
        return self._transport.request(
            _call("create", resource, namespace, "", ""),
            "POST",
            resource.path(namespace),
            query=_MANAGER,
            body=body,
            content_type=JSON,
            timeout_s=timeout_s,
        )

    def replace(
        self,
        resource: Resource,
        body: dict[str, Any],
        *,
        namespace: str | None,
        name: str,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """Replace an object; `CONFLICT` unless its metadata.resourceVersion is the newest."""
        return self._transport.request(
            _call("update", resource, namespace, name, ""),
            "PUT",
            resource.path(namespace, name),
            query=_MANAGER,
            body=body,
            content_type=JSON,
            timeout_s=timeout_s,
        )

    def patch(
        self,
        resource: Resource,
        body: dict[str, Any],
        *,
        namespace: str | None,
        name: str,
        subresource: str = "",
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """Merge `body` into an object (RFC 7386): null removes, a metadata.resourceVersion in it must be the newest."""
        return self._transport.request(
            _call("patch", resource, namespace, name, subresource),
            "PATCH",
            resource.path(namespace, name, subresource),
            query=_MANAGER,
            body=body,
            content_type=MERGE_PATCH,
            timeout_s=timeout_s,
        )

    def resource_of(self, api_version: str, kind: str) -> Served:
        """Which resource a kind is and whether it has a scale subresource; `NOT_FOUND` where there is none."""
        return self._discovery.resource_of(api_version, kind)

    def forget_resources(self, api_version: str) -> None:
        """Look `resource_of` up again: a CustomResourceDefinition has come, changed or gone."""
        self._discovery.forget(api_version)

    def read_scale(self, key: TargetKey) -> Scale:
        """The scale subresource of a workload; `NOT_FOUND` where the workload or the subresource is missing."""
        return parse_scale(self.get(self._scalable(key), namespace=key.namespace, name=key.name, subresource="scale"))

    def patch_scale(self, key: TargetKey, *, replicas: int, resource_version: str) -> Scale:
        """Order `replicas`; `CONFLICT` unless `resource_version` is the newest. Returns the scale as it is now."""
        return parse_scale(
            self.patch(
                self._scalable(key),
                {"metadata": {"resourceVersion": resource_version}, "spec": {"replicas": replicas}},
                namespace=key.namespace,
                name=key.name,
                subresource="scale",
            )
        )

    def read_owner(self, kind: OwnerKind, *, namespace: str, name: str) -> dict[str, Any]:
        """A HorizontalPodAutoscaler or ScaledObject as it is now."""
        return self.get(OWNER_RESOURCES[kind], namespace=namespace, name=name)

    def patch_bounds(
        self,
        owner: Owner,
        *,
        replicas_min: int | None,
        annotations: Mapping[str, str | None],
        resource_version: str,
    ) -> str:
        """Set or remove (None) an owner's lower bound, and annotations, in one request. Returns its new version.

        Raises:
            KubeError: `CONFLICT` unless `resource_version` is the newest; `INVALID` when an admission webhook refuses.
        """
        answer = self.patch(
            OWNER_RESOURCES[owner.kind],
            {
                "metadata": {"resourceVersion": resource_version, "annotations": dict(annotations)},
                "spec": {MIN_FIELDS[owner.kind]: replicas_min},
            },
            namespace=owner.namespace,
            name=owner.name,
        )
        return str(answer["metadata"]["resourceVersion"])

    def patch_status(self, namespace: str, name: str, status: Mapping[str, Any], resource_version: str = "") -> str:
        """Merge into a PredictiveAutoscaler's status. With a version, `CONFLICT` unless it's the newest. Returns it."""
        about = {"metadata": {"resourceVersion": resource_version}} if resource_version else {}
        answer = self.patch(
            PREDICTIVE_AUTOSCALERS,
            {**about, "status": dict(status)},
            namespace=namespace,
            name=name,
            subresource="status",
        )
        return str(answer["metadata"]["resourceVersion"])

    def set_finalizers(self, namespace: str, name: str, finalizers: Sequence[str], resource_version: str) -> str:
        """Replace a PredictiveAutoscaler's finalizers; `CONFLICT` unless the version is the newest. Returns the new."""
        answer = self.patch(
            PREDICTIVE_AUTOSCALERS,
            {"metadata": {"resourceVersion": resource_version, "finalizers": list(finalizers)}},
            namespace=namespace,
            name=name,
        )
        return str(answer["metadata"]["resourceVersion"])

    def _scalable(self, key: TargetKey) -> Resource:
        served = self.resource_of(key.api_version, key.kind)
        if not served.has_scale:
            raise KubeError(
                f"{key}: {key.api_version} {key.kind} has no scale subresource; target a kind that has one",
                kind=KubeFailure.NOT_FOUND,
            )
        return served.resource


class WatchStream(Iterator[tuple[str, dict[str, Any]]]):
    """Events of a watch. `close` from another thread ends it at once, without an error."""

    def __init__(self, call: Call, lines: LineStream) -> None:
        self._call = call
        self._lines = lines

    def __next__(self) -> tuple[str, dict[str, Any]]:
        line = next(self._lines)
        try:
            event = json.loads(line)
            kind, changed = event["type"], event["object"]
        except (ValueError, TypeError, KeyError) as problem:
            raise KubeError(
                f"{self._call}: an event is not JSON; it is opened again", kind=KubeFailure.SERVER_ERROR
            ) from problem
        if kind == "ERROR":
            status = changed.get("code") or 500
            raise error_of_status(self._call, status=int(status), body=json.dumps(changed).encode(), headers={})
        return kind, changed

    def close(self) -> None:
        """End the stream; a thread that waits for an event gets StopIteration."""
        self._lines.close()


_MANAGER = (("fieldManager", FIELD_MANAGER),)


def _call(verb: str, resource: Resource, namespace: str | None, name: str, subresource: str) -> Call:
    served = f"{resource.rbac_name}/{subresource}" if subresource else resource.rbac_name
    return Call(verb, served, (namespace or "") if resource.namespaced else "", name)
