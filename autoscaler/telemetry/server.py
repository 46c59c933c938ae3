"""Plain HTTP for Prometheus and the kubelet: /metrics, /healthz and /readyz, one thread per request."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from autoscaler.errors import UsageError
from autoscaler.telemetry.metrics import CONTENT_TYPE

Check = Callable[[], bool]

# A probe or a scrape sends its request at once; whoever takes longer to send or to read a part is gone.
_PART_TIMEOUT_S = 5.0
# More connections than this and the one that is open longest is closed: slow ones must not starve the kubelet's probe.
_CONNECTIONS_MAX = 16
_STOP_POLL_S = 0.05


class Heartbeat:
    """Whether the tick loop still ticks. Thread-safe."""

    def __init__(
        self, *, limit_s: float, start_limit_s: float, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin to wait for the first beat.

        Args:
            limit_s: longest time from one beat to the next, several intervals of the loop.
            start_limit_s: longest time to the first one: histories are read and kernels compiled before it.
            monotonic_s: a clock that is never set.
        """
        self._monotonic_s = monotonic_s
        self._limit_s = start_limit_s
        self._next_limit_s = limit_s
        self._last_s = monotonic_s()

    def beat(self) -> None:
        """The loop has ticked."""
        self._last_s = self._monotonic_s()
        self._limit_s = self._next_limit_s

    def problem(self) -> str:
        """'' while it beats, else one line."""
        silent_s = self._monotonic_s() - self._last_s
        if silent_s <= self._limit_s:
            return ""
        return f"the loop has not ticked for {silent_s:.0f} s; at most {self._limit_s:.0f} s are allowed"


@dataclass(frozen=True, slots=True)
class Pages:
    """What the server answers with.

    Attributes:
        metrics: the text of /metrics.
        problem: for /healthz: '' while all is well, else one line.
        checks: for /readyz: name -> whether it passes; asked for each request, so they must be quick.
    """

    metrics: Callable[[], bytes]
    problem: Callable[[], str]
    checks: Mapping[str, Check]


class TelemetryServer:
    """The server; it answers from `start` to `stop`."""

    def __init__(self, pages: Pages, *, host: str, port: int) -> None:
        """Bind, to a free port where `port` is 0. UsageError where that is refused."""
        try:
            self._server = _Server(host, port, pages)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{host}:{port}: can't listen there ({reason}): choose another address") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL_S,), name="telemetry-server", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections, and the port; requests that are being answered are cut off."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 4 * _CONNECTIONS_MAX

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self.pages = pages
        self._connections: dict[socket.socket, None] = {}  # the one that is open longest comes first
        self._connections_lock = threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which may hang for as long as DNS does."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, at the cost of the oldest connection where there are too many."""
        with self._connections_lock:
            self._connections[request] = None
            oldest = next(iter(self._connections)) if len(self._connections) > _CONNECTIONS_MAX else None
            if oldest is not None:
                del self._connections[oldest]
        if oldest is not None:
            _cut(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection with its end."""
        with self._connections_lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the port and cut the connections."""
        super().server_close()
        with self._connections_lock:
            connections, self._connections = self._connections, {}
        for connection in connections:
            _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        """A client that went away is none of our business; anything else is one line on standard error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            sys.stderr.write(f"headstart: telemetry server: {type(error).__name__}: {error}\n")


class _Handler(BaseHTTPRequestHandler):
    timeout = _PART_TIMEOUT_S
    server_version = "headstart"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        """Answer one of the three pages."""
        path = urlsplit(self.path).path
        pages = self.server.pages
        if path == "/metrics":
            self._answer_metrics(pages)
        elif path == "/healthz":
            problem = pages.problem()
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK, problem or "ok")
        elif path == "/readyz":
            states = {name: _state(check) for name, check in pages.checks.items()}
            ready = all(state == "ok" for state in states.values())
            text = "\n".join(f"{name}: {state}" for name, state in states.items())
            self._answer(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, text or "ok")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "there are /metrics, /healthz and /readyz")

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def _answer_metrics(self, pages: Pages) -> None:
        try:
            body = pages.metrics()
        except Exception as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
            return
        self._send(HTTPStatus.OK, body, CONTENT_TYPE)

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"GET and HEAD only\n", "text/plain", {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

    def _answer(self, status: HTTPStatus, text: str) -> None:
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def _send(
        self, status: HTTPStatus, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: none is logged."""


def _state(check: Check) -> str:
    try:
        return "ok" if check() else "waiting"
    except Exception as error:
        return f"failed ({type(error).__name__}: {error})"


def _cut(connection: socket.socket) -> None:
    """End a connection under the thread that serves it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has just ended by itself
