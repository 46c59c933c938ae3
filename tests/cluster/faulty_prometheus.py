"""A Prometheus that goes wrong on demand: a proxy that passes requests on, or spoils the answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Fault = Literal["none", "unavailable", "hang", "empty", "nan", "partial", "not_json"]
# Above the longest time-out that a client of ours has; a hanging request ends earlier when the fault is changed.
LONGEST_HANG_S = 120.0


def spoil(answer: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """What the fault makes of a Prometheus answer to /query or /query_range."""
    if fault == "partial":
        return {**answer, "warnings": ["partial response: 1 of 2 stores did not answer"]}
    data = answer.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        return answer
    if fault == "empty":
        return {**answer, "data": {**data, "result": []}}
    if fault != "nan":
        return answer

    def with_nan(series: object) -> object:
        if not isinstance(series, dict):
            return series
        spoilt = dict(series)
        if "value" in spoilt:
            spoilt["value"] = [spoilt["value"][0], "NaN"]
        if "values" in spoilt:
            spoilt["values"] = [[at, "NaN"] for at, _ in spoilt["values"]]
        return spoilt

    return {**answer, "data": {**data, "result": [with_nan(series) for series in data["result"]]}}


class FaultyPrometheus:
    """A proxy on loopback before the Prometheus at `upstream`; it begins with no fault.

    Faults: "none" passes on; "unavailable" is HTTP 503; "hang" never answers (until the fault changes); "empty" has
    no series; "nan" has NaN for each value; "partial" adds the warning of a partial response; "not_json" is a login
    page with HTTP 200, as a proxy in front of Prometheus sends it. `delay_s` is waited before each answer.
    `requests` counts what came in.
    """

    def __init__(self, upstream: str) -> None:
        self.delay_s = 0.0
        self.requests = 0
        self._upstream = urlsplit(upstream)
        self._fault: Fault = "none"
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address to give to a client instead of Prometheus's own."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def set_fault(self, fault: Fault) -> None:
        """Go wrong like this from now on; ends hanging requests by closing their connections."""
        with self._changed:
            self._fault = fault
            self._changed.notify_all()

    def close(self) -> None:
        """Stop: connections are refused from now on."""
        self.set_fault("none")
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _begin(self) -> Fault:
        with self._changed:
            self.requests += 1
            fault = self._fault
            if fault == "hang":
                self._changed.wait_for(lambda: self._fault != "hang", timeout=LONGEST_HANG_S)
        if self.delay_s:
            time.sleep(self.delay_s)
        return fault

    def _pass_on(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(str(self._upstream.hostname), self._upstream.port, timeout=30)
        try:
            connection.request(verb, path, body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", "application/json"), answer.read()
        except OSError:
            return 502, "text/plain", b"upstream refuses"
        finally:
            connection.close()

    def _answer(self, fault: Fault, pass_on: Callable[[], tuple[int, str, bytes]]) -> tuple[int, str, bytes]:
        if fault == "unavailable":
            return 503, "text/plain", b"Service Unavailable"
        if fault == "not_json":
            return 200, "text/html", b"<html><body>Please log in</body></html>"
        status, content_type, body = pass_on()
        if fault != "none" and status == 200:
            body = json.dumps(spoil(json.loads(body), fault)).encode()
        return status, content_type, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # An idle kept-alive connection must not hold a thread for ever.
            timeout = LONGEST_HANG_S

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                sent = self.rfile.read(length) if length else b""
                fault = proxy._begin()
                if fault == "hang":
                    self.close_connection = True
                    return
                kept = {"Content-Type": self.headers["Content-Type"]} if "Content-Type" in self.headers else {}
                status, content_type, body = proxy._answer(
                    fault, lambda: proxy._pass_on(self.command, self.path, sent, kept)
                )
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that http.server asks for

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
