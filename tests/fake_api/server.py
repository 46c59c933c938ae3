"""A small API server: objects in memory, with the parts of Kubernetes that concurrency and watches depend on.

True resource versions (one counter for everything), 409 on a stale one, 410 on one that is too old, merge patches,
/scale and /status apart from the body, paging, watches with bookmarks, finalizers, and faults on demand: an answer of
any status, a hang, a cut connection. Requests are recorded.
"""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What is served: `scale` names the path of its replicas' subresource."""

    group: str
    version: str
    plural: str
    kind: str
    scale: bool = False

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


KINDS = (
    Kind("", "v1", "pods", "Pod"),
    Kind("", "v1", "events", "Event"),
    Kind("apps", "v1", "deployments", "Deployment", scale=True),
    Kind("apps", "v1", "statefulsets", "StatefulSet", scale=True),
    Kind("apps", "v1", "daemonsets", "DaemonSet"),
    Kind("apps", "v1", "replicasets", "ReplicaSet", scale=True),
    Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("headstart.dev", "v1alpha1", "predictiveautoscalers", "PredictiveAutoscaler"),
    Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),
    Kind("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet", scale=True),
)


@dataclass
class Fault:
    """What to answer instead: a status with a body, a hang, or a cut connection; `times` times."""

    matches: Callable[[str, str], bool]
    times: int
    status: int = 0
    body: Object | bytes = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    cut: bool = False
    # Carry the request out, and lose the answer only.
    after: bool = False


class AnswerError(Exception):
    """Ends a request with a Status."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class FakeApi:
    """The objects, and the server at `url`. Use as a context manager."""

    def __init__(self, *, bookmark_s: float = 0.2) -> None:
        self.kinds = list(KINDS)
        self.requests: list[tuple[str, str, Object | None]] = []
        self.tokens: list[str] = []
        self.faults: list[Fault] = []
        self.invalid: list[Callable[[Object], str]] = []
        self.bookmark_s = bookmark_s
        self.watchers = 0
        self._objects: dict[tuple[str, str, str], Object] = {}
        # (version, type, plural, namespace, object); versions at or below `_forgotten` can't be watched from.
        self._history: list[tuple[int, str, str, str, Object]] = []
        self._version = 100
        self._forgotten = 0
        self._changed = threading.Condition()
        self._cuts = 0
        self._down = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def __enter__(self) -> FakeApi:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve; after `stop` again on the same port, with the same objects."""
        self._down.clear()
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._down.set()
        self.cut_watches()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self) -> str:
        """A kubeconfig's YAML."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                "users": [{"name": "fake", "user": {"token": "t0"}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            }
        )

    # What a user or another controller does.

    def put(self, plural: str, body: Object, *, namespace: str = "team") -> Object:
        """Create or replace an object, whatever its version."""
        with self._changed:
            name = body["metadata"]["name"]
            old = self._objects.get((plural, namespace, name))
            return self._store(plural, namespace, deepcopy(body), old)

    def edit(self, plural: str, name: str, change: Callable[[Object], object], *, namespace: str = "team") -> Object:
        """Change an object in place, as somebody else would."""
        with self._changed:
            old = self._objects[plural, namespace, name]
            body = deepcopy(old)
            change(body)
            return self._store(plural, namespace, body, old)

    def remove(self, plural: str, name: str, *, namespace: str = "team") -> None:
        """Delete an object at once, finalizers or not."""
        with self._changed:
            self._drop(plural, namespace, name)

    def delete(self, plural: str, name: str, *, namespace: str = "team") -> None:
        """Delete an object as a user does: one with finalizers is marked, and goes with the last of them."""
        kind = next(kind for kind in self.kinds if kind.plural == plural)
        self.serve("DELETE", kind, namespace, name, "", None)

    def read(self, plural: str, name: str, *, namespace: str = "team") -> Object:
        with self._changed:
            return deepcopy(self._objects[plural, namespace, name])

    def items(self, plural: str) -> list[Object]:
        with self._changed:
            return [deepcopy(body) for (kind, _, _), body in sorted(self._objects.items()) if kind == plural]

    def forget_history(self) -> None:
        """Compaction: watching from any version so far answers 410, and watches under way get it as an event."""
        with self._changed:
            self._forgotten = self._version
            self._history.clear()
            self._changed.notify_all()

    def cut_watches(self) -> None:
        """Close the connections of all watches."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    @contextmanager
    def fault(self, verb: str = "", path: str = "", *, times: int = 1_000_000, **what: Any) -> Iterator[Fault]:
        """AnswerError requests of `verb` whose path contains `path` by a fault, while inside."""
        fault = Fault(lambda asked, where: verb in ("", asked) and path in where, times, **what)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    def writes(self) -> list[tuple[str, str, Object | None]]:
        return [request for request in self.requests if request[0] != "GET"]

    # What the server does.

    def serve(self, verb: str, kind: Kind, namespace: str, name: str, sub: str, body: Object | None) -> Object:
        with self._changed:
            if verb == "POST":
                assert body is not None
                made = body["metadata"].setdefault("name", "")
                if (kind.plural, namespace, made) in self._objects:
                    raise AnswerError(409, "AlreadyExists", f'{kind.plural} "{made}" already exists')
                return self._store(kind.plural, namespace, deepcopy(body), None)
            old = self._objects.get((kind.plural, namespace, name))
            if old is None:
                raise AnswerError(404, "NotFound", f'{kind.plural} "{name}" not found')
            if sub == "scale":
                if not kind.scale:
                    raise AnswerError(404, "NotFound", "the server could not find the requested resource")
                return self._scale(kind, namespace, old, body)
            if verb == "GET":
                return deepcopy(old)
            if verb == "DELETE":
                return self._delete(kind, namespace, name, old)
            assert body is not None
            new = deepcopy(body) if verb == "PUT" else merged(old, body)
            self._check_version(old, body)
            if sub == "status":
                new = {**deepcopy(old), "status": new.get("status", {})}
            elif "status" in old:
                new["status"] = deepcopy(old["status"])
            return self._store(kind.plural, namespace, new, old)

    def _scale(self, kind: Kind, namespace: str, old: Object, body: Object | None) -> Object:
        if body is not None:
            self._check_version(old, body)
            replicas = body.get("spec", {}).get("replicas")
            if not isinstance(replicas, int) or replicas < 0:
                raise AnswerError(422, "Invalid", f"spec.replicas: Invalid value: {replicas}")
            old = self._store(kind.plural, namespace, merged(old, {"spec": {"replicas": replicas}}), old)
        labels = old["spec"].get("selector", {}).get("matchLabels", {})
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {k: old["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")},
            "spec": {"replicas": old["spec"].get("replicas", 1)},
            "status": {
                "replicas": old.get("status", {}).get("replicas", 0),
                "selector": ",".join(f"{k}={v}" for k, v in sorted(labels.items())),
            },
        }

    def _check_version(self, old: Object, body: Object) -> None:
        asked = (body.get("metadata") or {}).get("resourceVersion")
        if asked and asked != old["metadata"]["resourceVersion"]:
            raise AnswerError(
                409, "Conflict", "the object has been modified; please apply your changes to the latest version"
            )

    def _delete(self, kind: Kind, namespace: str, name: str, old: Object) -> Object:
        if not old["metadata"].get("finalizers"):
            return self._drop(kind.plural, namespace, name)
        marked = deepcopy(old)
        marked["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
        return self._store(kind.plural, namespace, marked, old)

    def _drop(self, plural: str, namespace: str, name: str) -> Object:
        self._version += 1
        gone = deepcopy(self._objects.pop((plural, namespace, name)))
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._record("DELETED", plural, namespace, gone)
        return gone

    def _store(self, plural: str, namespace: str, body: Object, old: Object | None) -> Object:
        for check in self.invalid:
            if message := check(body):
                raise AnswerError(422, "Invalid", message)
        about = body["metadata"]
        about["namespace"] = namespace
        kept = old["metadata"] if old else {}
        about["uid"] = kept.get("uid") or about.get("uid") or f"uid-{self._version}"
        about["resourceVersion"] = kept.get("resourceVersion", "")
        about["generation"] = kept.get("generation", 0)
        if old == body:
            return deepcopy(body)
        self._version += 1
        about["resourceVersion"] = str(self._version)
        changed_spec = old is None or old.get("spec") != body.get("spec")
        about["generation"] += int(changed_spec)
        name = about["name"]
        if about.get("deletionTimestamp") and not about.get("finalizers"):
            self._objects[plural, namespace, name] = body
            return self._drop(plural, namespace, name)
        self._objects[plural, namespace, name] = body
        self._record("ADDED" if old is None else "MODIFIED", plural, namespace, deepcopy(body))
        return deepcopy(body)

    def _record(self, change: str, plural: str, namespace: str, body: Object) -> None:
        self._history.append((self._version, change, plural, namespace, body))
        self._changed.notify_all()

    def page(self, kind: Kind, namespace: str, query: dict[str, str]) -> Object:
        with self._changed:
            found = [
                body
                for (plural, where, _), body in sorted(self._objects.items())
                if plural == kind.plural and namespace in ("", where) and selected(body, query.get("labelSelector", ""))
            ]
            version = str(self._version)
        begin = 0
        if token := query.get("continue"):
            version, _, at = token.partition(":")
            begin = int(at)
            if int(version) <= self._forgotten:
                raise AnswerError(410, "Expired", "The provided continue parameter is too old")
        limit = int(query.get("limit") or len(found) or 1)
        about = {"resourceVersion": version}
        if begin + limit < len(found):
            about["continue"] = f"{version}:{begin + limit}"
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": f"{kind.group}/{kind.version}".lstrip("/"),
            "metadata": about,
            # Stored objects are replaced whole, never changed in place.
            "items": deepcopy(found[begin : begin + limit]),
        }

    def events(self, kind: Kind, namespace: str, query: dict[str, str]) -> Iterator[Object]:
        """Events from a version on, bookmarks in between; ends after timeoutSeconds or when it is cut."""
        seen = int(query.get("resourceVersion") or 0)
        selector = query.get("labelSelector", "")
        with self._changed:
            if seen < self._forgotten:
                raise AnswerError(410, "Expired", f"too old resource version: {seen}")
            cuts = self._cuts
            self.watchers += 1
        end_s = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        try:
            while time.monotonic() < end_s:
                with self._changed:
                    if not (self._history and self._history[-1][0] > seen):
                        self._changed.wait(self.bookmark_s)
                    if self._cuts != cuts:
                        return
                    expired = seen < self._forgotten
                    news = self._history[bisect_right(self._history, seen, key=itemgetter(0)) :]
                    now = self._version
                if expired:
                    yield {"type": "ERROR", "object": status(410, "Expired", f"too old resource version: {seen}")}
                    return
                for _, change, plural, where, body in news:
                    if plural == kind.plural and namespace in ("", where) and selected(body, selector):
                        yield {"type": change, "object": body}
                seen = max(seen, now)
                if not news and query.get("allowWatchBookmarks") == "true":
                    about = {"metadata": {"resourceVersion": str(seen)}, "kind": kind.kind}
                    yield {"type": "BOOKMARK", "object": about}
        finally:
            with self._changed:
                self.watchers -= 1

    def discovery(self, path: str) -> Object | None:
        kinds = [kind for kind in self.kinds if kind.root == path]
        if not kinds:
            return None
        listed = []
        for kind in kinds:
            listed.append(
                {"name": kind.plural, "kind": kind.kind, "namespaced": True, "verbs": ["get", "list", "watch"]}
            )
            listed.append({"name": f"{kind.plural}/status", "kind": kind.kind, "namespaced": True, "verbs": ["get"]})
            if kind.scale:
                listed.append({"name": f"{kind.plural}/scale", "kind": "Scale", "namespaced": True, "verbs": ["get"]})
        return {"kind": "APIResourceList", "groupVersion": path.split("/", 2)[2], "resources": listed}


def merged(old: Object, patch: Object) -> Object:
    """RFC 7386."""
    new = deepcopy(old)
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        elif isinstance(value, dict):
            inside = new.get(key)
            new[key] = merged(inside if isinstance(inside, dict) else {}, value)
        else:
            new[key] = deepcopy(value)
    return new


def selected(body: Object, selector: str) -> bool:
    """Whether labels fit 'a=b,c=d'."""
    labels = body["metadata"].get("labels") or {}
    wanted = [part.partition("=") for part in selector.split(",") if part]
    return all(labels.get(key) == value.lstrip("=") for key, _, value in wanted)


def status(code: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi
    protocol_version = "HTTP/1.1"
    # Headers and body are sent apart: without this the client's delayed acknowledgement costs 40 ms a request.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        if self.api._down.is_set():
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        address = urlsplit(self.path)
        self.api.requests.append((self.command, self.path, body))
        self.api.tokens.append(self.headers.get("Authorization") or "")
        fault = self._fault(address.path)
        try:
            if fault is not None and self._fail(fault, address.path, address.query, body):
                return
            self._answer(address.path, address.query, body)
        except AnswerError as answer:
            self._send(answer.status, status(answer.status, answer.reason, answer.message))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _fault(self, path: str) -> Fault | None:
        for fault in self.api.faults:
            if fault.times > 0 and fault.matches(self.command, path):
                fault.times -= 1
                return fault
        return None

    def _fail(self, fault: Fault, path: str, query: str, body: Object | None) -> bool:
        if fault.after:
            self._result(path, dict_of(query), body)
        if fault.hang_s:
            self.api._down.wait(fault.hang_s)
        if fault.cut or fault.hang_s:
            self.close_connection = True
            return True
        said = fault.body or status(fault.status, "Injected", "injected")
        self._send(fault.status, said, fault.headers)
        return True

    def _answer(self, path: str, query: str, body: Object | None) -> None:
        asked = dict_of(query)
        if asked.get("watch") == "true":
            kind, namespace, _, _ = self._route(path)
            self._stream(self.api.events(kind, namespace, asked))
            return
        self._send(201 if self.command == "POST" else 200, self._result(path, asked, body))

    def _result(self, path: str, asked: dict[str, str], body: Object | None) -> Object:
        if self.command == "GET" and (listed := self.api.discovery(path)) is not None:
            return listed
        kind, namespace, name, sub = self._route(path)
        if self.command == "GET" and not name:
            return self.api.page(kind, namespace, asked)
        if self.command == "PATCH" and "merge-patch" not in self.headers["Content-Type"]:
            raise AnswerError(415, "UnsupportedMediaType", self.headers["Content-Type"])
        return self.api.serve(self.command, kind, namespace, name, sub, body)

    def _route(self, path: str) -> tuple[Kind, str, str, str]:
        for kind in self.api.kinds:
            if path.startswith(kind.root + "/"):
                parts = [unquote(part) for part in path[len(kind.root) + 1 :].split("/")]
                namespace = ""
                if parts[0] == "namespaces" and len(parts) > 2:
                    namespace, parts = parts[1], parts[2:]
                if parts[0] == kind.plural:
                    name, sub = [*parts[1:], "", ""][:2]
                    return kind, namespace, name, sub
        raise AnswerError(404, "NotFound", "the server could not find the requested resource")

    def _send(self, code: int, body: Object | bytes, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[Object]) -> None:
        first = next(events, None)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while first is not None:
            data = json.dumps(first).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            first = next(events, None)
        self.wfile.write(b"0\r\n\r\n")


def dict_of(query: str) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(query).items()}
