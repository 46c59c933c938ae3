"""Queries of presets, and what is said where a query counts what was served."""

from __future__ import annotations

import pytest

from autoscaler.api.v1alpha1 import PredictiveAutoscalerSpec, PresetName
from autoscaler.errors import UsageError
from autoscaler.sources.batch import plan
from autoscaler.sources.presets import PRESETS, rate_window_s, resolve, served_metric
from autoscaler.sources.promql_reader import read_expression
from autoscaler.sources.ranges import RangeRequest

ENGINE_QUERIES = ("queue_length", "running", "kv_cache_usage", "completions", "gpu_utilization")


def spec(demand: dict[str, object] | list[dict[str, object]], **more: object) -> PredictiveAutoscalerSpec:
    stated = demand if isinstance(demand, list) else [demand]
    whole = {"scaleTargetRef": {"name": "chat"}, "maxReplicas": 4} | more
    return PredictiveAutoscalerSpec.model_validate(whole | {"demand": [{"capacity": 1.0} | one for one in stated]})


def test_arrivals_at_vllm_are_completions_and_what_its_queues_grew_by() -> None:
    found = resolve(spec({"preset": "vllm", "selector": 'namespace = "a" , model_name=~"m.*"'}, interval="90s"))
    inside = "(vllm:num_requests_waiting{S} + vllm:num_requests_running{S})[90s:15s]"
    expected = f"clamp_min(sum(rate(vllm:request_success_total{{S}}[90s])) + sum(deriv({inside})), 0)"
    assert found.demand == {"requests": expected.replace("{S}", '{namespace="a",model_name=~"m.*"}')}
    assert found.warnings == ()
    assert found.queue_length is None


def test_the_rate_window_is_the_bin_but_at_least_four_scrapes() -> None:
    assert [rate_window_s(interval_s) for interval_s in (15.0, 60.0, 300.0)] == [60.0, 60.0, 300.0]
    assert "[120s]" in resolve(spec({"preset": "tgi"}), window_s=120.0).demand["requests"]


def test_a_users_queries_are_sent_as_they_are_and_stand_before_the_presets() -> None:
    engine = {"preset": "vllm", "selector": 'pod="x"', "queueLength": "sum(my_queue)"}
    found = resolve(spec({"query": " sum(rate(gateway_requests_total[1m])) "}, engine=engine))
    assert found.demand == {"requests": " sum(rate(gateway_requests_total[1m])) "}
    assert found.queue_length == "sum(my_queue)"
    assert found.running == 'sum(vllm:num_requests_running{pod="x"})'
    assert found.kv_cache_usage == 'max(vllm:kv_cache_usage_perc{pod="x"} or vllm:gpu_cache_usage_perc{pod="x"})'
    assert found.gpu_utilization is None


def test_an_objects_own_server_goes_into_its_requests() -> None:
    prometheus = {"serverAddress": "http://mimir/prom", "headers": {"X-Scope-OrgID": "a"}}
    found = resolve(spec({"query": "sum(up)"}, prometheus=prometheus))
    assert found.request("sum(up)", start_s=0, stop_s=60, step_s=60) == RangeRequest(
        "sum(up)", 0, 60, 60, "http://mimir/prom", (("X-Scope-OrgID", "a"),)
    )


@pytest.mark.parametrize("name", list(PresetName))
def test_every_preset_query_can_be_asked_for_many_objects_at_once(name: PresetName) -> None:
    requests = []
    for pod in "ab":
        stated = [{"preset": name, "unit": unit, "selector": f'pod="{pod}"'} for unit in PRESETS[name].demand]
        found = resolve(spec(stated or {"query": "sum(up)"}, engine={"preset": name, "selector": f'pod="{pod}"'}))
        queries = [*(found.demand.values() if stated else ()), *(getattr(found, field) for field in ENGINE_QUERIES)]
        requests += [RangeRequest(query, 0, 60, 60) for query in queries if query is not None]
    assert requests
    assert all(read_expression(one.query) for one in requests)
    jobs = plan(requests, lambda _: 100)
    assert all(job.labels == ("pod",) for job in jobs)
    assert len(jobs) == len({one.query for one in requests}) / 2


def test_a_unit_that_a_preset_does_not_know_is_one_line() -> None:
    with pytest.raises(UsageError) as raised:
        resolve(spec([{"query": "sum(up)"}, {"preset": "triton", "unit": "tokens"}]))
    assert str(raised.value) == (
        "spec.demand[1].unit: preset triton has no query for tokens, but for requests; give a query"
    )


@pytest.mark.parametrize("selector", ['{a="b"}', "chat", 'a="b"}) or vector(9999) + sum(x{', 'a="b" or b="c"'])
def test_a_selector_can_not_be_more_than_matchers(selector: str) -> None:
    with pytest.raises(UsageError, match=r"spec\.demand\[0\]\.selector: .*holds no label matchers"):
        resolve(spec({"preset": "vllm", "selector": selector}))
    with pytest.raises(UsageError, match=r"spec\.engine\.selector: "):
        resolve(spec({"query": "sum(up)"}, engine={"preset": "dcgm", "selector": selector}))


@pytest.mark.parametrize(
    ("query", "metric"),
    [
        ("sum(rate(vllm:request_success_total[1m]))", "vllm:request_success_total"),
        ('sum(increase(vllm:request_success{a="b"}[1m]))', "vllm:request_success"),
        ("sum(rate(vllm:e2e_request_latency_seconds_count[1m]))", "vllm:e2e_request_latency_seconds_count"),
        ("sum(rate(vllm:generation_tokens_total[1m]))", "vllm:generation_tokens_total"),
        ("sum(rate(sglang:num_requests_total[1m]))", "sglang:num_requests_total"),
        ("sum(rate(tgi_request_success[1m]))", "tgi_request_success"),
        ("sum(rate(nv_inference_request_success[1m]))", "nv_inference_request_success"),
        ("sum(rate(nv_inference_count[1m]))", "nv_inference_count"),
        ("sum(rate(tgi_request_count[1m]))", None),
        ("sum(rate(gateway_requests_total[1m]))", None),
        ("sum(rate(my_vllm:request_success_total_seen[1m]))", None),
        ("sum(rate(vllm:request_success_total[1m])) + sum(deriv(vllm:num_requests_waiting[1m]))", None),
    ],
)
def test_counting_what_was_served_is_noticed(query: str, metric: str | None) -> None:
    assert served_metric(query) == metric
    warnings = resolve(spec({"query": query})).warnings
    assert [warning.startswith(f"spec.demand[0]: {metric} counts what the engine served") for warning in warnings] == [
        True
    ] * (metric is not None)


def test_tokens_of_an_engine_are_what_it_served() -> None:
    (warning,) = resolve(spec({"preset": "sglang", "unit": "output_tokens"})).warnings
    assert "sglang:generation_tokens_total counts what the engine served" in warning
    assert resolve(spec({"preset": "tgi", "unit": "prompt_tokens"})).warnings == ()
