"""Queries for known engines, and an object's queries with presets filled in.

Metric names are those that the engines' documentation and source give: vLLM (docs/usage/metrics), SGLang
(production_metrics), TGI (reference/metrics), Triton (user_guide/metrics) and dcgm-exporter (default-counters.csv).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.api.v1alpha1 import Demand, Engine, PredictiveAutoscalerSpec, PresetName
from autoscaler.errors import UsageError
from autoscaler.sources.connection import Headers
from autoscaler.sources.promql_reader import read_matchers
from autoscaler.sources.ranges import RangeRequest

# A rate needs two samples in its window, also where one scrape is late or lost: four scrape intervals of 15 s.
RATE_WINDOW_S_MIN = 60.0


@dataclass(frozen=True, slots=True)
class Preset:
    """Queries with {S} for the label matchers and {W} for the rate window; None where the engine doesn't tell.

    Attributes:
        demand: unit -> work per second that arrives; of tokens most engines only tell what they served.
    """

    demand: Mapping[str, str] = field(default_factory=dict)
    queue_length: str | None = None
    running: str | None = None
    kv_cache_usage: str | None = None
    completions: str | None = None
    gpu_utilization: str | None = None


def _arrivals(completions: str, inside: str) -> str:
    """What arrived is what was completed and what the requests inside the engine grew by.

    Where either is missing so is the sum: completions alone would be too low just when the queue grows.
    """
    return f"clamp_min(sum(rate({completions}{{S}}[{{W}}])) + sum(deriv({inside}[{{W}}:15s])), 0)"


PRESETS: Mapping[PresetName, Preset] = {
    PresetName.VLLM: Preset(
        demand={
            "requests": _arrivals(
                "vllm:request_success_total", "(vllm:num_requests_waiting{S} + vllm:num_requests_running{S})"
            ),
            "prompt_tokens": "sum(rate(vllm:prompt_tokens_total{S}[{W}]))",
            "output_tokens": "sum(rate(vllm:generation_tokens_total{S}[{W}]))",
        },
        queue_length="sum(vllm:num_requests_waiting{S})",
        running="sum(vllm:num_requests_running{S})",
        # Renamed in 2025. The fullest replica: a mean would count those that are still loading as empty.
        kv_cache_usage="max(vllm:kv_cache_usage_perc{S} or vllm:gpu_cache_usage_perc{S})",
        completions="sum(rate(vllm:request_success_total{S}[{W}]))",
    ),
    PresetName.SGLANG: Preset(
        demand={
            "requests": _arrivals(
                "sglang:num_requests_total", "(sglang:num_queue_reqs{S} + sglang:num_running_reqs{S})"
            ),
            "prompt_tokens": "sum(rate(sglang:prompt_tokens_total{S}[{W}]))",
            "output_tokens": "sum(rate(sglang:generation_tokens_total{S}[{W}]))",
        },
        queue_length="sum(sglang:num_queue_reqs{S})",
        running="sum(sglang:num_running_reqs{S})",
        kv_cache_usage="max(sglang:token_usage{S})",
        completions="sum(rate(sglang:num_requests_total{S}[{W}]))",
    ),
    PresetName.TGI: Preset(
        demand={
            "requests": "sum(rate(tgi_request_count{S}[{W}]))",
            "prompt_tokens": "sum(rate(tgi_request_input_length_sum{S}[{W}]))",
            "output_tokens": "sum(rate(tgi_request_generated_tokens_sum{S}[{W}]))",
        },
        queue_length="sum(tgi_queue_size{S})",
        running="sum(tgi_batch_current_size{S})",
        completions="sum(rate(tgi_request_success{S}[{W}]))",
    ),
    PresetName.TRITON: Preset(
        # Requests that fail arrived too. Releases without the pending gauge give no demand at all, which is told.
        demand={
            "requests": "clamp_min(sum(rate(nv_inference_request_success{S}[{W}]))"
            " + sum(rate(nv_inference_request_failure{S}[{W}]))"
            " + sum(deriv(nv_inference_pending_request_count{S}[{W}])), 0)"
        },
        queue_length="sum(nv_inference_pending_request_count{S})",
        completions="sum(rate(nv_inference_request_success{S}[{W}]))",
        gpu_utilization="avg(nv_gpu_utilization{S})",
    ),
    # The exporter's 0..100 gauge is absent on MIG slices, where the profiling ratio is there.
    PresetName.DCGM: Preset(gpu_utilization="avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE{S} or DCGM_FI_DEV_GPU_UTIL{S} / 100)"),
}

_SERVED = re.compile(
    r"\b(vllm:request_success(?:_total)?|(?:vllm|sglang):(?:prompt|generation)_tokens_total"
    r"|vllm:request_(?:prompt|generation)_tokens_(?:sum|count)|sglang:num_requests_total|tgi_request_success"
    r"|tgi_request_generated_tokens_(?:sum|count)|tgi_request_duration_count"
    r"|(?:vllm|sglang):(?:e2e_request_latency|time_to_first_token)_seconds_count"
    r"|nv_inference_(?:request_success|count|exec_count))(?![\w:])"
)
_INSIDE = re.compile(r"(?:vllm:num_requests_waiting|sglang:num_queue_reqs|nv_inference_pending_request_count)(?![\w:])")
_OF_ENGINES = re.compile(r"\b(?:vllm:|sglang:|tgi_|nv_inference_)\w")


@dataclass(frozen=True, slots=True)
class ResolvedQueries:
    """An object's queries as they are sent.

    Attributes:
        demand: unit -> work per second that arrives.
        queue_length, running: requests.
        kv_cache_usage, gpu_utilization: shares of 1.
        completions: per second.
        warnings: one line each, for the user.
        endpoint, headers: of the object's own server; '' and () for the controller's.
    """

    demand: Mapping[str, str]
    queue_length: str | None = None
    running: str | None = None
    kv_cache_usage: str | None = None
    completions: str | None = None
    gpu_utilization: str | None = None
    warnings: tuple[str, ...] = ()
    endpoint: str = ""
    headers: Headers = ()

    def request(self, query: str, *, start_s: float, stop_s: float, step_s: float) -> RangeRequest:
        """The request for one of these queries."""
        return RangeRequest(query, start_s, stop_s, step_s, self.endpoint, self.headers)


def rate_window_s(interval_s: float) -> float:
    """The window that a preset's rates take for bins of `interval_s`: the whole bin, and enough scrapes."""
    return max(interval_s, RATE_WINDOW_S_MIN)


def resolve(spec: PredictiveAutoscalerSpec, window_s: float | None = None) -> ResolvedQueries:
    """The queries of `spec`, with rates over `window_s`; by default `rate_window_s` of its interval.

    Raises:
        UsageError: a preset has no query for a unit, or a selector holds no label matchers.
    """
    window = f"{math.ceil(rate_window_s(spec.interval) if window_s is None else window_s)}s"
    demand: dict[str, str] = {}
    warnings: list[str] = []
    for index, stated in enumerate(spec.demand):
        place = f"spec.demand[{index}]"
        demand[stated.unit] = _demand_query(stated, place, window)
        warnings += _demand_warnings(demand[stated.unit], place, spec.min_replicas)
    return ResolvedQueries(
        demand=demand,
        warnings=tuple(warnings),
        endpoint=spec.prometheus.server_address if spec.prometheus else "",
        headers=tuple(spec.prometheus.headers.items()) if spec.prometheus else (),
        **_engine_queries(spec.engine or Engine(), window),
    )


def served_metric(query: str) -> str | None:
    """The metric by which `query` counts what an engine served instead of what arrived; None where it doesn't.

    A query that adds the change of the engine's queue counts arrivals.
    """
    found = _SERVED.search(query)
    return found[1] if found and not _INSIDE.search(query) else None


def served_warning(metric: str) -> str:
    """What is wrong with counting by `metric`."""
    return (
        f"{metric} counts what the engine served, not what arrived: it can't exceed the engine's capacity, and hides"
        " what waits; count requests at the gateway or router, or take the engine's preset"
    )


def _demand_query(stated: Demand, place: str, window: str) -> str:
    if stated.preset is None:
        assert stated.query is not None, "the object's own rule: exactly one of query and preset"
        return stated.query
    templates = PRESETS[stated.preset].demand
    if stated.unit not in templates:
        known = ", ".join(templates) or "none"
        raise UsageError(
            f"{place}.unit: preset {stated.preset} has no query for {stated.unit}, but for {known}; give a query"
        )
    return _filled(templates[stated.unit], _matchers(stated.selector, f"{place}.selector"), window)


def _demand_warnings(query: str, place: str, replicas_min: int) -> list[str]:
    warnings = []
    metric = served_metric(query)
    if metric is not None:
        warnings.append(f"{place}: {served_warning(metric)}")
    if replicas_min == 0 and _OF_ENGINES.search(query):
        warnings.append(
            f"{place}: an engine's metrics vanish with its last replica, and demand is unknown then; with minReplicas 0"
            " give a query ahead of the engine"
        )
    return warnings


def _engine_queries(engine: Engine, window: str) -> dict[str, str | None]:
    preset = Preset() if engine.preset is None else PRESETS[engine.preset]
    matchers = _matchers(engine.selector, "spec.engine.selector")
    queries: dict[str, str | None] = {}
    for name in ("queue_length", "running", "kv_cache_usage", "completions", "gpu_utilization"):
        template = getattr(preset, name)
        queries[name] = getattr(engine, name) or (None if template is None else _filled(template, matchers, window))
    return queries


def _matchers(selector: str, place: str) -> str:
    matchers = read_matchers(selector)
    if matchers is None:
        raise UsageError(
            f"{place}: {selector!r} holds no label matchers; write them without braces, as in"
            ' namespace="chat",pod=~"m-.*"'
        )
    return ",".join(map(str, matchers))


def _filled(template: str, matchers: str, window: str) -> str:
    return template.replace("{S}", f"{{{matchers}}}").replace("{W}", window)
