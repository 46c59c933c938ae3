"""The server against real clients on loopback: probes, scrapes, slow ones and wrong ones."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from autoscaler.errors import UsageError
from autoscaler.telemetry.server import Heartbeat, Pages, TelemetryServer


@contextmanager
def serving(
    *,
    metrics: Callable[[], bytes] = lambda: b"up 1\n",
    problem: Callable[[], str] = lambda: "",
    checks: dict[str, Callable[[], bool]] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[TelemetryServer]:
    server = TelemetryServer(Pages(metrics, problem, checks or {}), host=host, port=0)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def ask(server: TelemetryServer, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def test_metrics_are_sent_as_prometheus_text() -> None:
    with serving() as server:
        status, body, headers = ask(server, "/metrics?name[]=up")
    assert (status, body) == (200, "up 1\n")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["Content-Length"] == "5"


def test_head_has_the_headers_and_no_body() -> None:
    with serving() as server:
        assert ask(server, "/metrics", "HEAD")[1:2] == ("",)
        assert ask(server, "/metrics", "HEAD")[2]["Content-Length"] == "5"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(method: str) -> None:
    with serving() as server:
        status, _, headers = ask(server, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_unknown_pages_name_those_that_exist() -> None:
    with serving() as server:
        assert ask(server, "/")[:2] == (404, "there are /metrics, /healthz and /readyz\n")
        assert ask(server, "/metrics/")[0] == 404


def test_health_follows_the_heartbeat_and_says_what_is_wrong() -> None:
    now_s = [1_000.0]
    heart = Heartbeat(limit_s=45.0, start_limit_s=300.0, monotonic_s=lambda: now_s[0])
    with serving(problem=heart.problem) as server:
        now_s[0] += 299.0
        assert ask(server, "/healthz")[:2] == (200, "ok\n")
        now_s[0] += 2.0
        assert ask(server, "/healthz")[0] == 503
        heart.beat()
        now_s[0] += 45.0
        assert ask(server, "/healthz")[:2] == (200, "ok\n")
        now_s[0] += 1.0
        assert ask(server, "/healthz")[:2] == (
            503,
            "the loop has not ticked for 46 s; at most 45 s are allowed\n",
        )


def test_ready_only_when_every_check_passes_and_each_is_listed() -> None:
    passed = {"kernels": True, "caches": False}
    checks = {name: lambda name=name: passed[name] for name in passed}
    with serving(checks=checks) as server:
        assert ask(server, "/readyz")[:2] == (503, "kernels: ok\ncaches: waiting\n")
        passed["caches"] = True
        assert ask(server, "/readyz")[:2] == (200, "kernels: ok\ncaches: ok\n")
        del passed["kernels"]
        assert ask(server, "/readyz")[:2] == (503, "kernels: failed (KeyError: 'kernels')\ncaches: ok\n")


def test_a_scrape_that_fails_says_why_and_the_next_one_works() -> None:
    answers = [b"up 1\n"]
    with serving(metrics=answers.pop) as server:
        assert ask(server, "/metrics")[0] == 200
        assert ask(server, "/metrics")[:2] == (500, "IndexError: pop from empty list\n")
        assert ask(server, "/healthz")[0] == 200


def test_slow_clients_do_not_starve_a_probe() -> None:
    with serving() as server:
        slow = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(40)]
        try:
            for client in slow:
                client.sendall(b"GET /healthz HT")
            assert ask(server, "/healthz")[0] == 200
        finally:
            for client in slow:
                client.close()


def test_a_client_that_goes_away_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(metrics=lambda: b"x" * 10_000_000) as server:
        for _ in range(3):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert client.recv(10)
            client.close()
        assert ask(server, "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_stopping_does_not_wait_for_a_request_and_frees_the_port() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow() -> bytes:
        entered.set()
        leave.wait(60)
        return b""

    server = TelemetryServer(Pages(slow, lambda: "", {}), host="127.0.0.1", port=0)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert entered.wait(10)
        server.stop()
        assert client.recv(10) == b""
    leave.set()
    again = TelemetryServer(Pages(slow, lambda: "", {}), host="127.0.0.1", port=server.port)
    again.stop()


def test_a_port_that_is_taken_is_the_users_to_change() -> None:
    with serving() as server:
        with pytest.raises(UsageError, match=f"127.0.0.1:{server.port}: can't listen there \\(Address already in use"):
            TelemetryServer(Pages(bytes, str, {}), host="127.0.0.1", port=server.port)
        with pytest.raises(UsageError, match="can't listen there"):
            TelemetryServer(Pages(bytes, str, {}), host="127.0.0.1", port=70_000)


def test_it_listens_on_ipv6_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = TelemetryServer(Pages(bytes, str, {}), host="::1", port=0)
    except UsageError:
        pytest.skip("no IPv6 loopback here")
    server.start()
    with socket.create_connection(("::1", server.port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")
    server.stop()
