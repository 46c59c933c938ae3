"""The user's object: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from autoscaler.api.problems import problems_of
from autoscaler.api.status import Condition, ConditionType, PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import (
    Demand,
    Mode,
    PredictiveAutoscaler,
    PredictiveAutoscalerSpec,
    Prometheus,
    ScaleTargetRef,
)

QUERY = "sum(rate(gateway_requests_total[1m]))"
MINIMAL: dict[str, Any] = {
    "apiVersion": "headstart.dev/v1alpha1",
    "kind": "PredictiveAutoscaler",
    "metadata": {"name": "chat"},
    "spec": {
        "scaleTargetRef": {"name": "chat"},
        "maxReplicas": 10,
        "demand": [{"query": QUERY, "capacity": 3.2}],
    },
}


def changed(**spec: object) -> dict[str, Any]:
    manifest = copy.deepcopy(MINIMAL)
    manifest["spec"] |= spec
    return manifest


def refusal(manifest: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        PredictiveAutoscaler.from_manifest(manifest)
    return "\n".join(map(str, problems_of(refused.value, PredictiveAutoscaler)))


def test_the_smallest_object_is_in_shadow_mode_and_has_the_defaults_of_its_sentence() -> None:
    spec = PredictiveAutoscaler.from_manifest(MINIMAL).spec
    assert (spec.mode, spec.min_replicas, spec.interval, spec.history) == (Mode.SHADOW, 1, 60.0, 14 * 86_400.0)
    assert (spec.objective.max_wait, spec.objective.late_budget) == (10.0, 0.01)
    assert (spec.load_latency.prior, spec.load_latency.learn, spec.engine, spec.prometheus) == (120.0, True, None, None)
    assert (spec.scale_target_ref.api_version, spec.scale_target_ref.kind) == ("apps/v1", "Deployment")
    assert spec.demand[0].unit == "requests"


def test_a_manifest_that_is_written_reads_as_the_same_object() -> None:
    manifest = changed(
        mode="Floor",
        interval="15s",
        history="100h",
        objective={"maxWait": "1.5s", "lateBudget": "0.5%"},
        engine={"preset": "vllm", "selector": 'namespace="chat"'},
        prometheus={"serverAddress": "https://mimir/prometheus", "headers": {"X-Scope-OrgID": "a"}},
    )
    read = PredictiveAutoscaler.from_manifest(manifest)
    written = read.to_manifest()
    assert (written["spec"]["objective"], written["spec"]["history"]) == (
        {"maxWait": "1s500ms", "lateBudget": "0.5%"},
        "100h",
    )
    assert PredictiveAutoscaler.from_manifest(written) == read


def test_an_object_made_in_python_takes_numbers_and_yaml_does_not() -> None:
    spec = PredictiveAutoscalerSpec(
        scale_target_ref=ScaleTargetRef(name="chat"),
        max_replicas=10,
        interval=15.0,
        demand=(Demand(query=QUERY, capacity=1.0),),
    )
    assert spec.interval == 15.0
    assert refusal(changed(interval=15)) == (
        "spec.interval: must be a duration such as 90s, 1h30m or 336h, got the number 15"
    )
    assert refusal(changed(objective={"lateBudget": 0.01})) == (
        "spec.objective.lateBudget: must be a share in text, such as 1% or '0.01', got the number 0.01"
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"minReplicas": 12},
            "spec.minReplicas: must be at most maxReplicas (10), got 12; lower it or raise maxReplicas",
        ),
        ({"minReplicas": -1}, "spec.minReplicas: must be at least 0, got -1"),
        ({"minReplicas": "1"}, "spec.minReplicas: must be a whole number, got '1'"),
        ({"minReplicas": 1.5}, "spec.minReplicas: must be a whole number, got 1.5"),
        ({"minReplicas": True}, "spec.minReplicas: must be a whole number, got true"),
        ({"maxReplicas": 0}, "spec.maxReplicas: must be at least 1, got 0"),
        ({"mode": "shadow"}, "spec.mode: must be one of Shadow, Floor, Scale, got 'shadow'; did you mean Shadow?"),
        ({"interval": "500ms"}, "spec.interval: must be between 1s and 1h, got 500ms"),
        ({"interval": "61m"}, "spec.interval: must be between 1s and 1h, got 61m"),
        ({"interval": "1.5s"}, "spec.interval: must be in whole hours, minutes and seconds, got 1.5s"),
        ({"interval": "1m", "history": "59s"}, "spec.history: must be at least one interval (1m), got 59s"),
        ({"history": "2161h"}, "spec.history: must be between 1s and 2160h, got 2161h"),
        (
            {"objective": {"lateBudget": "0%"}},
            "spec.objective.lateBudget: must be above 0% and below 100%, got 0%",
        ),
        ({"objective": {"lateBudget": "1"}}, "spec.objective.lateBudget: must be above 0% and below 100%, got 1"),
        (
            {"objective": {"maxWait": "-1s"}},
            "spec.objective.maxWait: must be a duration such as 90s, 1h30m or 336h, got '-1s'",
        ),
        ({"demand": []}, "spec.demand: must be a list of at least 1 entry, got []"),
        ({"demand": [{"query": QUERY}]}, "spec.demand[0].capacity: is missing; it must be given"),
        ({"demand": [{"query": QUERY, "capacity": 0}]}, "spec.demand[0].capacity: must be above 0, got 0"),
        (
            {"demand": [{"query": QUERY, "capacity": float("inf")}]},
            "spec.demand[0].capacity: must be a finite number, got Infinity",
        ),
        (
            {"demand": [{"query": QUERY, "capacity": 1e300}]},
            "spec.demand[0].capacity: is out of range; it must be 1e-15 to 1e+15",
        ),
        (
            {"demand": [{"query": QUERY, "capacity": 1e-300}]},
            "spec.demand[0].capacity: is out of range; it must be 1e-15 to 1e+15",
        ),
        (
            {"demand": [{"query": QUERY, "capacity": "3"}]},
            "spec.demand[0].capacity: must be a number, got '3'",
        ),
        (
            {"demand": [{"query": 'sum(rate(a{b="c}[1m]))', "capacity": 1}]},
            'spec.demand[0].query: has a quote " at character 14 that nothing closes',
        ),
        (
            {"engine": {"queueLength": "sum(a"}},
            "spec.engine.queueLength: has a ( at character 4 that nothing closes",
        ),
        (
            {"scaleTargetRef": {"name": "chat-0", "kind": "Pod", "apiVersion": "v1"}},
            "spec.scaleTargetRef.kind: must have a scale subresource, as Deployment, StatefulSet and LeaderWorkerSet"
            " have, got Pod; name what runs the pods",
        ),
        (
            {"scaleTargetRef": {"name": "chat", "kind": "LeaderWorkerSet"}},
            "spec.scaleTargetRef.apiVersion: must be the one of its kind, such as leaderworkerset.x-k8s.io/v1 for"
            " LeaderWorkerSet; apps/v1 has Deployment, StatefulSet, ReplicaSet, got LeaderWorkerSet",
        ),
        ({"engine": {"running": " \n"}}, "spec.engine.running: is blank; it must hold PromQL"),
        (
            {"prometheus": {"serverAddress": "http://p:65536"}},
            "spec.prometheus.serverAddress: must be a URL such as http://prometheus.monitoring:9090, without"
            " credentials or query, got http://p:65536",
        ),
        ({"events": []}, "spec.events: is no field of spec; did you mean schedule?"),
        ({"demand": {"query": QUERY}}, f'spec.demand: must be a list, got {{"query": "{QUERY}"}}'),
        (
            {"demand": [{"preset": "vlm", "capacity": 1}]},
            "spec.demand[0].preset: must be one of vllm, sglang, tgi, triton, dcgm, got 'vlm'; did you mean vllm?",
        ),
        (
            {"demand": [{"preset": "dcgm", "capacity": 1}]},
            "spec.demand[0].preset: must be vllm, sglang, tgi or triton, got dcgm, which measures GPUs and not what"
            " arrives; it goes under engine",
        ),
        (
            {"engine": {"selector": 'job="a"'}},
            "spec.engine.selector: narrows a preset's queries, and there is no preset; remove it, or put the labels"
            " into the query",
        ),
        (
            {"prometheus": {"serverAddress": "prometheus:9090"}},
            "spec.prometheus.serverAddress: must be a URL such as http://prometheus.monitoring:9090, without"
            " credentials or query, got prometheus:9090",
        ),
        ({"minReplica": 1}, "spec.minReplica: is no field of spec; did you mean minReplicas?"),
        ({"min_replicas": 1}, "spec.min_replicas: is no field of spec; did you mean minReplicas?"),
        (
            {"objective": {"p99": "2s"}},
            "spec.objective.p99: is no field of spec.objective; it has maxWait, lateBudget",
        ),
    ],
)
def test_a_mistake_is_answered_with_its_field_its_value_and_what_is_allowed(
    spec: dict[str, object], message: str
) -> None:
    assert refusal(changed(**spec)) == message


@pytest.mark.parametrize("demand", [{"capacity": 1}, {"capacity": 1, "query": QUERY, "preset": "vllm"}])
def test_a_demand_has_one_source(demand: dict[str, object]) -> None:
    assert refusal(changed(demand=[demand])) == (
        "spec.demand[0]: must have exactly one of query and preset; a query of arrivals ahead of the engine is the"
        " better"
    )


def test_a_unit_has_one_demand() -> None:
    demand = {"query": QUERY, "capacity": 1}
    assert refusal(changed(demand=[demand, demand])).startswith("spec.demand: must have each unit once")
    other = PredictiveAutoscaler.from_manifest(changed(demand=[demand, {**demand, "unit": "prompt_tokens"}]))
    assert [each.unit for each in other.spec.demand] == ["requests", "prompt_tokens"]


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_an_autoscaler_is_no_target(kind: str) -> None:
    assert refusal(changed(scaleTargetRef={"kind": kind, "name": "chat"})) == (
        f"spec.scaleTargetRef.kind: must be a workload, got {kind}; name what it scales (its own scaleTargetRef): mode"
        " Floor finds the autoscaler by itself"
    )


def test_all_mistakes_are_told_at_once_and_a_bad_entry_is_not_a_short_list() -> None:
    told = refusal(changed(mode="On", interval="1d", demand=[{"query": QUERY, "capacity": -1}]))
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "spec.mode",
        "spec.interval",
        "spec.demand[0].capacity",
    ]


def test_a_rule_holds_for_an_object_made_in_python_too() -> None:
    with pytest.raises(ValidationError, match="must be at most maxReplicas \\(2\\), got 3"):
        PredictiveAutoscalerSpec(
            scale_target_ref=ScaleTargetRef(name="chat"),
            min_replicas=3,
            max_replicas=2,
            demand=(Demand(query=QUERY, capacity=1.0),),
        )


def test_metadata_may_hold_anything_that_kubernetes_puts_there() -> None:
    metadata = {
        "name": "chat",
        "creationTimestamp": None,
        "annotations": None,
        "managedFields": [{"manager": "kubectl"}],
    }
    read = PredictiveAutoscaler.from_manifest({**MINIMAL, "metadata": metadata})
    assert (read.metadata.name, read.metadata.namespace, read.metadata.annotations) == ("chat", "default", {})


def test_a_status_of_another_version_reads_as_far_as_it_goes_or_as_none() -> None:
    newer = {
        "desiredReplicas": 4,
        "mood": "good",
        "conditions": [{"type": "New", "status": "True", "reason": "A", "x": 1}],
    }
    read = PredictiveAutoscaler.from_manifest({**MINIMAL, "status": newer}).status
    assert read is not None
    assert (read.desired_replicas, read.conditions[0].type) == (4, "New")
    assert PredictiveAutoscaler.from_manifest({**MINIMAL, "status": {"desiredReplicas": "four"}}).status is None


def test_a_status_is_written_in_camel_case_and_without_what_is_unknown() -> None:
    condition = Condition(type=ConditionType.READY, status="True", reason="Deciding")
    status = PredictiveAutoscalerStatus(desired_replicas=3, conditions=(condition,))
    assert status.to_manifest() == {
        "desiredReplicas": 3,
        "capacity": [],
        "conditions": [{"type": "Ready", "status": "True", "reason": "Deciding", "message": ""}],
    }


WARM = {"placeholders": {"name": "warm", "maxReplicas": 2}}


def test_placeholders_are_a_deployment_and_a_node_takes_four_minutes_unless_stated() -> None:
    head_start = PredictiveAutoscaler.from_manifest(changed(nodeHeadStart=WARM)).spec.node_head_start
    assert head_start is not None
    assert (head_start.placeholders.kind, head_start.placeholders.max_replicas) == ("Deployment", 2)
    assert (head_start.provisioning.prior, head_start.provisioning.learn) == (240.0, True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"nodeHeadStart": WARM, "gpuBudget": {"name": "h100"}},
            "spec.nodeHeadStart: can't stand beside gpuBudget, which doesn't count the GPUs that placeholders hold;"
            " remove one of the two",
        ),
        (
            {"nodeHeadStart": {"placeholders": {"name": "chat", "maxReplicas": 2}}},
            "spec.nodeHeadStart: must have placeholders other than the workload to scale; name a Deployment of pause"
            " pods, or a CapacityBuffer",
        ),
        (
            {"nodeHeadStart": {"placeholders": {"name": "warm", "maxReplicas": 0}}},
            "spec.nodeHeadStart.placeholders.maxReplicas: must be at least 1, got 0",
        ),
        (
            {"nodeHeadStart": {"placeholders": {"name": "warm"}}},
            "spec.nodeHeadStart.placeholders.maxReplicas: is missing",
        ),
        (
            {"nodeHeadStart": {"placeholders": {"kind": "Pod", "name": "warm", "maxReplicas": 2}}},
            "spec.nodeHeadStart.placeholders.kind: must be one of Deployment, CapacityBuffer, got 'Pod'",
        ),
        (
            {"nodeHeadStart": WARM | {"provisioning": {"prior": "48h"}}},
            "spec.nodeHeadStart.provisioning.prior: must be between 0s and 24h, got 48h",
        ),
    ],
)
def test_placeholders_that_cannot_be_are_refused(spec: dict[str, Any], message: str) -> None:
    assert message in refusal(changed(**spec))


def test_a_capacity_buffer_may_have_the_workloads_name() -> None:
    buffer = {"placeholders": {"kind": "CapacityBuffer", "name": "chat", "maxReplicas": 2}}
    assert PredictiveAutoscaler.from_manifest(changed(nodeHeadStart=buffer)).spec.node_head_start is not None


@pytest.mark.parametrize("address", ["http://p:65535/x:1", "https://[::1]:9090", "http://p", "http://p:1"])
def test_addresses_of_servers(address: str) -> None:
    assert Prometheus(server_address=address).server_address == address
