"""Our source against a real Prometheus: the history that was written is the history that is read."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cluster.faulty_prometheus import FaultyPrometheus
from cluster.prometheus_server import PrometheusServer

from autoscaler.api.v1alpha1 import PredictiveAutoscalerSpec, PresetName
from autoscaler.cli import app as command_line
from autoscaler.sources.batch import plan
from autoscaler.sources.connection import Connection
from autoscaler.sources.presets import PRESETS, resolve
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError
from autoscaler.traces.read import read_trace
from autoscaler.traces.trace import Trace
from autoscaler.traces.write import write_trace

DAY_S = 86_400
HOUR_S = 3_600
# Whole days before now, so that no block is in the future, and aligned to any bin used here.
END_S = int(time.time()) // DAY_S * DAY_S - DAY_S
PODS = ("a", "b.c", "d|e", "f(g)", "none")


def sources(prometheus: PrometheusServer, **options: float) -> PrometheusSource:
    return PrometheusSource(Connection(url=prometheus.url), jitter_s=0.0, **options)


@pytest.fixture
def source(prometheus: PrometheusServer) -> Iterator[PrometheusSource]:
    """Asks `prometheus`, once the test has started it."""
    asking = sources(prometheus)
    yield asking
    asking.close()


def rates(bins: int, seed: int = 0) -> np.ndarray:
    """Demand per second with a day's wave, zeros and gaps, of few decimals; the first bin is known."""
    rng = np.random.default_rng(seed)
    values = np.round(20 + 15 * np.sin(np.arange(bins) / bins * 28 * math.pi) + rng.normal(0, 2, bins), 3)
    values[(rng.random(bins) < 0.01) | (values < 0)] = 0.0
    values[rng.random(bins) < 0.01] = np.nan
    values[0] = 1.0
    return values


def test_the_exported_history_of_a_backfilled_trace_is_the_trace(prometheus: PrometheusServer, tmp_path: Path) -> None:
    bins, bin_s = 14 * 1_440, 60
    counts = np.rint(rates(bins) * bin_s)
    trace = Trace("written", float(END_S - bins * bin_s), float(bin_s), {"requests": counts}, dated=True)
    write_trace(trace, tmp_path / "written.csv")
    # A sample at a bin's end is what a recording rule would have written there.
    series = {'demand:rate1m{app="chat"}': counts / bin_s}
    prometheus.backfill(series, start_s=trace.start_s + bin_s, step_s=bin_s)
    prometheus.start()
    # Without `last_over_time` a gap would hold the value before it for the five minutes that Prometheus looks back.
    query = 'sum(last_over_time(demand:rate1m{app="chat"}[10s]))'
    end = ["--end", str(END_S), "--days", "14"]
    arguments = ["history", "--prometheus", prometheus.url, "--query", query, *end, "-o", str(tmp_path / "read.csv")]
    assert command_line.run(arguments) == 0
    read = read_trace(tmp_path / "read.csv")
    assert (read.start_s, read.bin_s) == (trace.start_s, trace.bin_s)
    np.testing.assert_allclose(read.demand["requests"], counts, rtol=1e-14)


def test_fourteen_days_at_fifteen_seconds_come_in_chunks(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    points, step_s = 14 * DAY_S // 15 + 1, 15
    assert points == 80_641
    values = rates(points)
    start_s = END_S - (points - 1) * step_s
    prometheus.backfill({"demand": values}, start_s=start_s, step_s=step_s)
    prometheus.start()
    asked = RangeRequest("sum(last_over_time(demand[10s]))", start_s, END_S, step_s)
    answer = source.fetch([asked])[asked]
    assert isinstance(answer, RangeAnswer)
    np.testing.assert_array_equal(answer.values, values)


def engine_series() -> dict[str, list[float]]:
    """An hour of every engine's metrics each 15 s, in two replicas of four models."""
    rng = np.random.default_rng(1)
    points = HOUR_S // 15 + 1
    counters = [
        "vllm:request_success_total", "vllm:prompt_tokens_total", "vllm:generation_tokens_total",
        "sglang:num_requests_total", "sglang:prompt_tokens_total", "sglang:generation_tokens_total",
        "tgi_request_count", "tgi_request_success", "tgi_request_input_length_sum", "tgi_request_generated_tokens_sum",
        "nv_inference_request_success", "nv_inference_request_failure",
    ]  # fmt: skip
    gauges = [
        "vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:gpu_cache_usage_perc",
        "sglang:num_queue_reqs", "sglang:num_running_reqs", "sglang:token_usage", "tgi_queue_size",
        "tgi_batch_current_size", "nv_inference_pending_request_count", "nv_gpu_utilization",
        "DCGM_FI_DEV_GPU_UTIL",
    ]  # fmt: skip
    found: dict[str, list[float]] = {}
    for model in PODS[:-1]:
        for replica in "01":
            labels = f'{{model="{model}",pod="{model}-{replica}"}}'
            for name in counters:
                found[name + labels] = np.cumsum(rng.poisson(30, points)).astype(float).tolist()
            for name in gauges:
                found[name + labels] = rng.integers(0, 9, points).astype(float).tolist()
    # One model's engine is new enough to have the new name.
    found['vllm:kv_cache_usage_perc{model="a",pod="a-0"}'] = (rng.integers(0, 9, points) / 10).tolist()
    return found


def preset_requests(selector: str) -> list[RangeRequest]:
    requests = []
    for name in PresetName:
        demand = [{"preset": name, "unit": unit, "capacity": 1, "selector": selector} for unit in PRESETS[name].demand]
        spec = {
            "scaleTargetRef": {"name": "x"},
            "maxReplicas": 1,
            "demand": demand or [{"query": "sum(up)", "capacity": 1}],
            "engine": {"preset": name, "selector": selector},
        }
        found = resolve(PredictiveAutoscalerSpec.model_validate(spec))
        of_engine = (found.queue_length, found.running, found.kv_cache_usage, found.completions, found.gpu_utilization)
        queries = [*(found.demand.values() if demand else ()), *(query for query in of_engine if query is not None)]
        requests += [
            found.request(query, start_s=END_S - HOUR_S + 300, stop_s=END_S - 1, step_s=15.0) for query in queries
        ]
    return requests


def test_every_preset_is_valid_and_one_batch_says_what_single_queries_say(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    prometheus.backfill(engine_series(), start_s=END_S - HOUR_S, step_s=15)
    prometheus.start()
    requests = [request for model in PODS for request in preset_requests(f'model="{model}"')]
    jobs = plan(requests, lambda _: 100)
    assert len(jobs) == len(requests) / len(PODS)
    together = source.fetch(requests)
    for request in requests:
        batched, alone = together[request], source.fetch([request])[request]
        assert isinstance(alone, RangeAnswer), alone
        assert isinstance(batched, RangeAnswer), batched
        np.testing.assert_allclose(batched.values, alone.values, rtol=1e-12)
        missing = np.isnan(alone.values)
        assert missing.all() if '"none"' in request.query else not missing.any(), request.query


def test_arrivals_are_found_again_from_completions_and_a_growing_queue(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    """Of 5 requests a second 3 are completed, and 2 join the queue: completions alone would ask for 3/5 of the need."""
    at = np.arange(0.0, HOUR_S + 1, 15)
    series = {
        "vllm:request_success_total": 3 * at,
        "vllm:num_requests_waiting": 2 * at,
        "vllm:num_requests_running": np.full(len(at), 8.0),
    }
    prometheus.backfill(series, start_s=END_S - HOUR_S, step_s=15)
    prometheus.start()
    arrivals = preset_requests("")[0]
    answer = source.fetch([arrivals])[arrivals]
    assert isinstance(answer, RangeAnswer)
    np.testing.assert_allclose(answer.values, 5.0, rtol=1e-6)


def test_no_fault_is_ever_a_number_and_it_recovers_by_itself(
    prometheus: PrometheusServer, faulty_prometheus: FaultyPrometheus
) -> None:
    prometheus.backfill({"demand": [7.0] * 61}, start_s=END_S - HOUR_S, step_s=60)
    prometheus.start()
    # Enough for a healthy answer on a busy machine; only the fault "hang" takes as long.
    source = PrometheusSource(Connection(url=faulty_prometheus.url, timeout_s=5.0), jitter_s=0.0)
    asked = RangeRequest("sum(demand)", END_S - 600, END_S, 60)

    def answer() -> RangeAnswer | SourceError:
        return source.fetch([asked])[asked]

    def is_healthy() -> bool:
        found = answer()
        return isinstance(found, RangeAnswer) and found.values.tolist() == [7.0] * 11

    assert is_healthy()
    failures = {"unavailable": Failure.SERVER_ERROR, "hang": Failure.TIMEOUT, "not_json": Failure.BAD_ANSWER}
    for fault, failure in failures.items():
        faulty_prometheus.set_fault(fault)
        found = answer()
        assert isinstance(found, SourceError)
        assert found.failure is failure
        faulty_prometheus.set_fault("none")
        assert is_healthy()
    for fault in ("empty", "nan", "partial"):
        faulty_prometheus.set_fault(fault)
        found = answer()
        assert isinstance(found, RangeAnswer)
        assert np.isnan(found.values).all()
        assert (len(found.warnings) > 0) == (fault == "partial")
    faulty_prometheus.set_fault("none")
    prometheus.stop()
    assert isinstance(answer(), SourceError)
    prometheus.start()
    assert is_healthy()
    source.close()


def test_what_prometheus_refuses_is_told_in_its_words(prometheus: PrometheusServer, source: PrometheusSource) -> None:
    prometheus.start()
    asked = {query: RangeRequest(query, END_S, END_S, 15) for query in ("sum(", "rate(up)")}
    found = source.fetch(list(asked.values()))
    assert [answer.failure for answer in found.values()] == [Failure.BAD_QUERY] * 2
    assert "unclosed left parenthesis" in str(found[asked["sum("]])
    assert "expected type range vector" in str(found[asked["rate(up)"]])
