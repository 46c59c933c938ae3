"""Calls of a client, recorded as RBAC sees them: a verb on a resource, taken from what is sent."""

from __future__ import annotations

from typing import Any

from kubernetes import client
from manifest_rights import Right

from autoscaler.kube.errors import Call
from autoscaler.kube.transport import LineStream, Query, Transport

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class RecordingTransport(Transport):
    """A transport that keeps which rights its calls needed; those of discovery need none of ours."""

    def __init__(self, api: client.ApiClient) -> None:
        super().__init__(api)
        self.used: set[Right] = set()

    def request(self, call: Call, method: str, path: str, **rest: Any) -> dict[str, Any]:
        self._record(method, path)
        return super().request(call, method, path, **rest)

    def stream(self, call: Call, path: str, *, query: Query, read_timeout_s: float) -> LineStream:
        assert ("watch", "true") in query
        self._record("WATCH", path)
        return super().stream(call, path, query=query, read_timeout_s=read_timeout_s)

    def _record(self, method: str, path: str) -> None:
        parts = path.strip("/").split("/")
        # /api/v1/... or /apis/GROUP/VERSION/...
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        if rest[:1] == ["namespaces"]:
            rest = rest[2:]
        if not rest:
            return
        plural, name, subresource = [*rest, "", ""][:3]
        resource = (f"{plural}.{group}" if group else plural) + (f"/{subresource}" if subresource else "")
        verb = "watch" if method == "WATCH" else _VERBS.get(method) or ("get" if name else "list")
        self.used.add(Right(verb, resource))
