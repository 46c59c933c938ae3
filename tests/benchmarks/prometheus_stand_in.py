"""A Prometheus stand-in for the controller's benchmark, in a process of its own: it answers in 20 ms.

It knows the queries of `fleet.autoscaler` alone and as batches by one label. Two weeks of minutes of a batch of 16
objects are 8 MB of JSON, put together from text that is made once. Objects share 16 courses of demand: eight with a
day's peak at eight times of the day, eight that stay level; all with the noise of a Poisson process.

Commands are JSON lines on standard input: `{"service": "m-3", "from_s": 1764031980, "factor": 3}` multiplies the
demand of an object, `{}` asks for the number of queries so far.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

ANSWERS_IN_S = 0.02
COURSES = 16
LEVEL_RPS = 70.0
_MINUTE_S = 60
_BEFORE_S = 15 * 86_400
_AFTER_S = 4 * 3_600
_BY = re.compile(r"by \((\w+)\)")


class Demand:
    """What arrives: per course one value a minute, around now."""

    def __init__(self) -> None:
        self._start_s = int(time.time()) // _MINUTE_S * _MINUTE_S - _BEFORE_S
        minutes = (_BEFORE_S + _AFTER_S) // _MINUTE_S
        rng = np.random.default_rng(0)
        days = (self._start_s + _MINUTE_S * np.arange(minutes)) / 86_400
        times = [f"{self._start_s + _MINUTE_S * minute}" for minute in range(minutes)]
        self._rps = []
        self._points = []
        for course in range(COURSES):
            swing = 0.3 * np.sin(2 * np.pi * (days + course / 8)) if course < COURSES // 2 else 0.0
            mean = LEVEL_RPS * (1 + swing) * np.ones(minutes)
            rps = rng.poisson(_MINUTE_S * mean) / _MINUTE_S
            self._rps.append(rps)
            self._points.append([f'[{at},"{value:.6f}"]' for at, value in zip(times, rps.tolist(), strict=True)])
        self.steps: dict[str, tuple[float, float]] = {}

    def at(self, service: str, at_s: float) -> float:
        from_s, factor = self.steps.get(service, (np.inf, 1.0))
        value = self._rps[_number(service) % COURSES][int(at_s - self._start_s) // _MINUTE_S]
        return value * factor if at_s >= from_s else value

    def history(self, service: str, start_s: float, points: int) -> bytes:
        return self._history(_number(service) % COURSES, int(start_s - self._start_s) // _MINUTE_S, points)

    @lru_cache(maxsize=4 * COURSES)  # noqa: B019 - lives as long as the process
    def _history(self, course: int, first: int, points: int) -> bytes:
        return ",".join(self._points[course][first : first + points]).encode()


def answer(demand: Demand, query: str, start_s: float, stop_s: float, step_s: float) -> bytes:
    by = _BY.search(query)
    if by is None:
        label, services = "", re.findall(r'="(m-\d+)"', query)[:1]
    else:
        label = by[1]
        services = re.search(rf'{label}=~"([^"]+)"', query)[1].split("|")
    points = round((stop_s - start_s) / step_s) + 1
    series = []
    for service in services:
        if points > 1:
            values = demand.history(service, start_s, points)
        else:
            values = f'[{start_s:.3f},"{_value(demand, query, service, start_s):.6f}"]'.encode()
        metric = json.dumps({label: service} if label else {}).encode()
        series.append(b'{"metric":' + metric + b',"values":[' + values + b"]}")
    return b'{"status":"success","data":{"resultType":"matrix","result":[' + b",".join(series) + b"]}}"


def _value(demand: Demand, query: str, service: str, at_s: float) -> float:
    if "http_requests_total" in query or "request_success" in query:
        return demand.at(service, at_s)
    known = {"num_requests_waiting": 0.0, "num_requests_running": 24.0, "cache_usage": 0.4, "GPU_UTIL": 0.6}
    return next(value for name, value in known.items() if name in query)


def _number(service: str) -> int:
    return int(service.removeprefix("m-"))


class _Handler(BaseHTTPRequestHandler):
    demand: Demand
    asked = 0
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        due_s = time.monotonic() + ANSWERS_IN_S
        type(self).asked += 1
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        times = (float(asked[name]) for name in ("start", "end", "step"))
        body = answer(self.demand, asked["query"], *times)
        time.sleep(max(0.0, due_s - time.monotonic()))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    _Handler.demand = Demand()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say({"url": f"http://127.0.0.1:{server.server_address[1]}"})
    for line in sys.stdin:
        step = json.loads(line)
        if step:
            _Handler.demand.steps[step["service"]] = (step["from_s"], step["factor"])
        say({"asked": _Handler.asked})


if __name__ == "__main__":
    main()
