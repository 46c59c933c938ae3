"""A Prometheus for tests: range queries over series made up on the spot, and whatever a server can do wrong."""

from __future__ import annotations

import json
import math
import re
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

POINTS_MAX = 11_000
_QUERY = re.compile(r"(sum|max|min|avg|count)\s*(?:by \(([\w,]+)\))?\s*\((.*)\)", re.DOTALL)
_RATE = re.compile(r"rate\((.*)\[\d+[sm]\]\)", re.DOTALL)
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
_AGGREGATE = {"sum": np.sum, "max": np.max, "min": np.min, "avg": np.mean, "count": len}

Answer = tuple[int, bytes]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def times(self) -> list[float]:
        start, end, step = (float(self.params[name]) for name in ("start", "end", "step"))
        return [start + k * step for k in range(math.floor((end - start) / step + 1e-9) + 1)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up, as ours does at a deadline, is nothing to report."""


class FakePrometheus:
    """Listens on loopback. `series` are labels and a function from time to value, None where there is no sample.

    `answer` replaces what it does: a function from the request to status and body. `hang` is waited for before each
    answer; `drops` so many requests are answered by closing the connection. Its clock is `ahead_s` ahead of the
    machine's, and a cache on the way keeps answers for `age_s`. It states a `content_type` where there is one.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.series: list[tuple[dict[str, str], Callable[[float], float | None]]] = []
        self.answer: Callable[[Asked], Answer] = self.evaluate
        self.hang = threading.Event()
        self.hang.set()
        self.drops = 0
        self.ahead_s = self.age_s = 0.0
        self.content_type = ""
        self.asked: list[Asked] = []
        self.connections = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def evaluate(self, asked: Asked) -> Answer:
        """Answer `AGG [by (labels)] (metric{matchers})`, also with `rate(...[1m])`, which halves the values here."""
        times = asked.times
        if len(times) > POINTS_MAX:
            return error("bad_data", "exceeded maximum resolution of 11,000 points per timeseries.", 400)
        match = _QUERY.fullmatch(asked.params["query"].strip())
        if match is None:
            return error("bad_data", 'invalid parameter "query": 1:1: parse error: unexpected end of input', 400)
        aggregation, by, inner = match.groups()
        rate = _RATE.fullmatch(inner)
        names = by.split(",") if by else []
        groups: dict[tuple[str, ...], list[Callable[[float], float | None]]] = defaultdict(list)
        for labels, value in self.series:
            if _selects(rate[1] if rate else inner, labels):
                groups[tuple(labels.get(name, "") for name in names)].append(value)
        result = []
        for found_labels, members in groups.items():
            values = []
            for at in times:
                there = [found for found in (value(at) for value in members) if found is not None]
                if there:
                    number = float(_AGGREGATE[aggregation](there)) * (0.5 if rate and aggregation != "count" else 1)
                    values.append([at, text_of(number)])
            if values:
                result.append({"metric": dict(zip(names, found_labels, strict=True)), "values": values})
        return matrix(result)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                fake.connections += 1
                super().setup()

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers))
                fake.asked.append(asked)
                fake.hang.wait(10)
                if fake.drops > 0:
                    fake.drops -= 1
                    self.close_connection = True
                    return
                status, body = fake.answer(asked)
                self.send_response(status)
                if fake.age_s:
                    self.send_header("Age", f"{fake.age_s:.0f}")
                if status in {301, 302}:
                    self.send_header("Location", body.decode())
                if fake.content_type:
                    self.send_header("Content-Type", fake.content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + fake.ahead_s - fake.age_s)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def matrix(result: list[dict[str, Any]], **more: Any) -> Answer:
    """A successful answer with these series; `more` are members beside `data`."""
    data = {"resultType": "matrix", "result": result}
    return 200, json.dumps({"status": "success", "data": data, **more}).encode()


def error(kind: str, text: str, status: int) -> Answer:
    """An answer that says what went wrong."""
    return status, json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


def constant(value: float) -> Callable[[float], float | None]:
    """A series that is always there."""
    return lambda _: value


def text_of(number: float) -> str:
    """A value as Prometheus writes it."""
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return "NaN" if math.isnan(number) else repr(number)


def _selects(selector: str, labels: Mapping[str, str]) -> bool:
    metric, _, matchers = selector.strip().partition("{")
    if labels["__name__"] != metric:
        return False
    for label, op, quoted in _MATCHER.findall(matchers):
        wanted, found = re.sub(r"\\(.)", r"\1", quoted), labels.get(label, "")
        holds = found == wanted if "~" not in op else re.fullmatch(wanted, found) is not None
        if holds == op.startswith("!"):
            return False
    return True
