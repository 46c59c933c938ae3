"""A small exporter: an HTTP server in the test's process whose values the test sets, for Prometheus to scrape."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Exporter:
    """Serves `/metrics` on loopback; series are named as PromQL writes them: `queue_length{pod="a"}`."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    def set(self, series: str, value: float) -> None:
        """From the next scrape on, `series` has this value."""
        with self._lock:
            self._values[series] = value

    def add(self, series: str, increase: float) -> None:
        """Let a counter go up; one that is new starts from 0."""
        with self._lock:
            self._values[series] = self._values.get(series, 0.0) + increase

    def remove(self, series: str) -> None:
        """Serve `series` no more: Prometheus marks it stale at the next scrape."""
        with self._lock:
            self._values.pop(series, None)

    def close(self) -> None:
        """Stop serving: scrapes are refused, and all series become stale."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _text(self) -> bytes:
        with self._lock:
            return "".join(f"{series} {value!r}\n" for series, value in sorted(self._values.items())).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter._text()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
