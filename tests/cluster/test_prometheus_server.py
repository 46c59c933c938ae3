"""The Prometheus that other tests build on: history, live values, restarts and faults."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlencode, urlsplit

import pytest
from cluster.exporter import Exporter
from cluster.faulty_prometheus import FaultyPrometheus
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until

STEP_S = 60


def value_of(prometheus: PrometheusServer, promql: str) -> float | None:
    result = prometheus.query(promql)
    return float(result[0]["value"][1]) if result else None


def ask(url: str, promql: str, *, timeout_s: float = 10) -> tuple[int, bytes]:
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=timeout_s)
    try:
        connection.request("GET", "/api/v1/query?" + urlencode({"query": promql}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_scraped_series_continues_its_backfilled_history(prometheus: PrometheusServer, exporter: Exporter) -> None:
    series = 'demand{app="chat"}'
    days = 20
    bins = days * 24 * 60
    start_s = int(time.time()) - bins * STEP_S
    values = [float(index) for index in range(bins)]
    values[100] = float("nan")
    prometheus.backfill({series: values, 'demand{app="code"}': [1.0] * bins}, start_s=start_s, step_s=STEP_S)
    exporter.set(series, -7)
    prometheus.start()

    assert value_of(prometheus, f"count_over_time({series}[{days + 1}d])") >= bins - 1
    assert value_of(prometheus, f"{series} @ {start_s + 50 * STEP_S}") == 50
    assert value_of(prometheus, f"count_over_time({series}[30s] @ {start_s + 100 * STEP_S})") is None
    wait_until(lambda: value_of(prometheus, series) == -7, timeout_s=15, what="the live value")
    assert len(prometheus.query("demand")) == 2


def test_a_stopped_prometheus_keeps_its_samples_and_address(prometheus: PrometheusServer, exporter: Exporter) -> None:
    exporter.set("queue_length", 3)
    prometheus.start()
    wait_until(lambda: value_of(prometheus, "queue_length") == 3, timeout_s=15, what="a scrape")
    scraped_at = time.time()
    prometheus.stop()
    with pytest.raises(ConnectionRefusedError):
        prometheus.query("queue_length")
    prometheus.start()
    assert value_of(prometheus, f"queue_length @ {scraped_at}") == 3


def test_a_removed_series_is_stale_at_the_next_scrape(prometheus: PrometheusServer, exporter: Exporter) -> None:
    exporter.set("gone", 1)
    prometheus.start()
    wait_until(lambda: value_of(prometheus, "gone") == 1, timeout_s=15, what="a scrape")
    exporter.remove("gone")
    wait_until(lambda: value_of(prometheus, "gone") is None, timeout_s=15, what="the series to be stale")


def test_faults_spoil_answers_and_go_away_again(
    prometheus: PrometheusServer, exporter: Exporter, faulty_prometheus: FaultyPrometheus
) -> None:
    prometheus.start()
    proxy = faulty_prometheus
    healthy = ask(proxy.url, "vector(1)")
    assert healthy[0] == 200
    assert json.loads(healthy[1])["data"]["result"][0]["value"][1] == "1"

    proxy.set_fault("unavailable")
    assert ask(proxy.url, "vector(1)")[0] == 503
    proxy.set_fault("empty")
    assert json.loads(ask(proxy.url, "vector(1)")[1])["data"] == {"resultType": "vector", "result": []}
    proxy.set_fault("nan")
    assert json.loads(ask(proxy.url, "vector(1)")[1])["data"]["result"][0]["value"][1] == "NaN"
    proxy.set_fault("partial")
    assert "warnings" in json.loads(ask(proxy.url, "vector(1)")[1])
    proxy.set_fault("not_json")
    assert ask(proxy.url, "vector(1)")[1].startswith(b"<html>")
    proxy.set_fault("hang")
    with pytest.raises(TimeoutError):
        ask(proxy.url, "vector(1)", timeout_s=0.3)

    proxy.set_fault("none")
    assert ask(proxy.url, "vector(1)")[0] == 200
    prometheus.stop()
    assert ask(proxy.url, "vector(1)")[0] == 502
