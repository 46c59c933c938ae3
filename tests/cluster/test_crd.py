"""The CustomResourceDefinition on a real API server: it installs, fills in defaults, and refuses with our messages."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.waiting import wait_until
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from pydantic import ValidationError

from autoscaler.api.problems import problems_of
from autoscaler.api.v1alpha1 import GROUP, PLURAL, VERSION, PredictiveAutoscaler

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
MINIMAL = yaml.safe_load((MANIFESTS / "examples" / "minimal.yaml").read_text())


@pytest.fixture(scope="module")
def custom(api: client.ApiClient) -> client.CustomObjectsApi:
    """The client for custom objects, once the committed CRD is served."""
    extensions = client.ApiextensionsV1Api(api)
    definition = yaml.safe_load((MANIFESTS / "crd" / "predictiveautoscalers.yaml").read_text())
    name = definition["metadata"]["name"]
    try:
        extensions.create_custom_resource_definition(definition, _request_timeout=10)
    except ApiException as error:
        if error.status != 409:  # 409: another module has installed it
            raise

    def established() -> bool:
        status = extensions.read_custom_resource_definition(name, _request_timeout=5).status
        return any(one.type == "Established" and one.status == "True" for one in status.conditions or [])

    wait_until(established, timeout_s=30, what=f"the CRD {name} to be served")
    return client.CustomObjectsApi(api)


def create(custom: client.CustomObjectsApi, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    place = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
    return dict(
        custom.create_namespaced_custom_object(
            GROUP, VERSION, namespace, PLURAL, place, field_validation="Strict", _request_timeout=10
        )
    )


def changed(**spec: Any) -> dict[str, Any]:
    manifest: dict[str, Any] = copy.deepcopy(MINIMAL)
    manifest["spec"] |= spec
    return manifest


def our_answer(manifest: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        PredictiveAutoscaler.from_manifest(manifest)
    return {(str(each).partition(": ")[0], each.message) for each in problems_of(refused.value, PredictiveAutoscaler)}


def its_answer(custom: client.CustomObjectsApi, namespace: str, manifest: dict[str, Any]) -> set[tuple[str, str]]:
    """Field and message of each cause; the message without the 'Invalid value: "2h": ' in front of it."""
    with pytest.raises(ApiException) as refused:
        create(custom, namespace, manifest)
    assert refused.value.status == 422, refused.value.body
    causes = json.loads(refused.value.body)["details"]["causes"]
    return {(cause["field"], re.sub(r'^Invalid value: ("[^"]*": )?', "", cause["message"])) for cause in causes}


def test_the_api_server_reports_no_fault_of_the_schema(custom: client.CustomObjectsApi, api: client.ApiClient) -> None:
    definition = client.ApiextensionsV1Api(api).read_custom_resource_definition(f"{PLURAL}.{GROUP}", _request_timeout=5)
    assert {one.type: one.status for one in definition.status.conditions} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert definition.status.accepted_names.short_names == ["pa"]


def test_the_smallest_object_gets_the_defaults_that_we_believe_in(
    custom: client.CustomObjectsApi, namespace: str
) -> None:
    created = create(custom, namespace, MINIMAL)
    ours = PredictiveAutoscaler.from_manifest(MINIMAL).to_manifest()
    assert created["spec"] == ours["spec"]
    assert PredictiveAutoscaler.from_manifest(created).spec == PredictiveAutoscaler.from_manifest(MINIMAL).spec


def test_the_full_example_is_stored_as_it_is(custom: client.CustomObjectsApi, namespace: str) -> None:
    full = yaml.safe_load((MANIFESTS / "examples" / "full.yaml").read_text())
    created = create(custom, namespace, full)
    full["spec"]["demand"][1] |= {"selector": "", "learnCapacity": True}
    full["spec"]["demand"][0]["selector"] = ""
    assert created["spec"] == full["spec"]


@pytest.mark.parametrize(
    "spec",
    [
        {"minReplicas": 12},
        {"interval": "2h"},
        {"interval": "1.5s"},
        {"interval": "30s", "history": "29s"},
        {"history": "2161h"},
        {"objective": {"lateBudget": "0%"}},
        {"objective": {"lateBudget": "100%"}},
        {"objective": {"lateBudget": "100 %"}},
        {"objective": {"lateBudget": "1"}},
        {"objective": {"maxWait": "25h"}},
        {"loadLatency": {"prior": "25h"}},
        {"scaleTargetRef": {"kind": "HorizontalPodAutoscaler", "name": "chat"}},
        {"scaleTargetRef": {"kind": "ScaledObject", "apiVersion": "keda.sh/v1alpha1", "name": "chat"}},
        {"scaleTargetRef": {"kind": "Pod", "apiVersion": "v1", "name": "chat-0"}},
        {"demand": [{"capacity": 1}]},
        {"demand": [{"capacity": 1, "query": "a", "preset": "vllm"}]},
        {"demand": [{"capacity": 1, "preset": "dcgm"}]},
        {"demand": [{"capacity": 1, "query": "a", "selector": 'job="b"'}]},
        {"demand": [{"capacity": 1e300, "query": "a"}]},
        {"demand": [{"capacity": 1e-300, "query": "a"}]},
        {"engine": {"selector": 'job="b"'}},
        {"prometheus": {"serverAddress": "http://user:word@prometheus:9090"}},
        {"prometheus": {"serverAddress": "prometheus:9090"}},
        {"prometheus": {"serverAddress": "http://prometheus:65536"}},
        {"scaleTargetRef": {"kind": "LeaderWorkerSet", "name": "chat"}},
        {"demand": [{"capacity": 1, "query": " "}]},
        {"engine": {"running": "\n"}},
        {"minReplicas": 12, "interval": "10s", "history": "1s"},
        {"nodeHeadStart": {"placeholders": {"name": "warm", "maxReplicas": 1}}, "gpuBudget": {"name": "h100"}},
        {"nodeHeadStart": {"placeholders": {"name": "chat", "maxReplicas": 1}}},
        {"nodeHeadStart": {"placeholders": {"name": "warm", "maxReplicas": 1}, "provisioning": {"prior": "25h"}}},
        {"schedule": [{"name": "x", "duration": "1h", "expect": "2x"}]},
        {
            "schedule": [
                {"name": "x", "at": "2027-03-02T17:00:00Z", "cron": "0 9 * * *", "duration": "1h", "atLeast": 1}
            ]
        },
        {"schedule": [{"name": "x", "at": "2027-03-02T17:00:00Z", "duration": "1h"}]},
        {"schedule": [{"name": "x", "at": "2027-03-02T17:00:00Z", "timeZone": "UTC", "duration": "1h", "atLeast": 1}]},
        {"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "745h", "atLeast": 1}]},
        {"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "expect": "0.9x"}]},
        {"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "atLeast": 1000}]},
    ],
    ids=json.dumps,
)
def test_it_refuses_with_our_own_words(custom: client.CustomObjectsApi, namespace: str, spec: dict[str, Any]) -> None:
    manifest = changed(**spec)
    assert its_answer(custom, namespace, manifest) == our_answer(manifest)


@pytest.mark.parametrize(
    "spec",
    [
        {"interval": 60},
        {"interval": "1d"},
        {"interval": "1h 30m"},
        {"objective": {"lateBudget": 0.01}},
        {"objective": {"lateBudget": "1e-2"}},
        {"minReplicas": -1},
        {"minReplicas": "1"},
        {"maxReplicas": 0},
        {"maxReplicas": 1_000_000},
        {"mode": "shadow"},
        {"demand": []},
        {"demand": [{"capacity": 1, "query": "a"}, {"capacity": 2, "query": "b"}]},
        {"demand": [{"capacity": 0, "query": "a"}]},
        {"demand": [{"capacity": "3", "query": "a"}]},
        {"demand": [{"query": "a"}]},
        {"demand": [{"capacity": 1, "query": ""}]},
        {"demand": [{"capacity": 1, "query": "a", "unit": "prompt tokens"}]},
        {"demand": [{"capacity": 1, "preset": "ollama"}]},
        {"loadLatency": {"learn": "yes"}},
        {"prometheus": {"headers": {}}},
        {"schedule": [{"name": "x", "cron": "0 9 * *", "duration": "1h", "atLeast": 1}]},
        {"schedule": [{"name": "x", "cron": "@daily", "duration": "1h", "atLeast": 1}]},
        {"schedule": [{"name": "x", "at": "tomorrow", "duration": "1h", "atLeast": 1}]},
        {"schedule": [{"name": "x", "at": "2027-02-30T17:00:00Z", "duration": "1h", "atLeast": 1}]},
        {"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "expect": 3}]},
        {"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "atLeast": 0}]},
        {"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "atLeast": 1}] * 2},
    ],
    ids=json.dumps,
)
def test_it_refuses_what_we_refuse_at_the_same_field(
    custom: client.CustomObjectsApi, namespace: str, spec: dict[str, Any]
) -> None:
    manifest = changed(**spec)
    ours = {field for field, _ in our_answer(manifest)}
    its = {field for field, _ in its_answer(custom, namespace, manifest)}
    assert {field.partition("[")[0] for field in its} >= {field.partition("[")[0] for field in ours}


def test_a_misspelt_field_is_refused_where_validation_is_strict(
    custom: client.CustomObjectsApi, namespace: str
) -> None:
    with pytest.raises(ApiException, match="unknown field .*spec.minReplica\\b"):
        create(custom, namespace, changed(minReplica=1))


def test_the_status_is_written_by_itself_and_shown_in_columns(
    custom: client.CustomObjectsApi, api: client.ApiClient, namespace: str
) -> None:
    create(custom, namespace, MINIMAL)
    status = {
        "desiredReplicas": 5,
        "readyReplicas": 3,
        "loadingReplicas": 2,
        "lateShare": 0.004,
        "latePercent": "0.4%",
        "forecastPeak": {"replicas": 4.6, "time": "2026-01-05T10:00:00Z"},
        "capacity": [{"unit": "requests", "samples": 4, "perSecond": 3.1, "recentPerSecond": [3.1]}],
        "lastDecision": {
            "time": "2026-01-05T09:58:00Z",
            "fromReplicas": 3,
            "toReplicas": 5,
            "reasons": ["OrderedAhead"],
            "message": "two more",
        },
        "conditions": [{"type": "Ready", "status": "True", "reason": "Deciding", "message": ""}],
    }
    place = (GROUP, VERSION, namespace, PLURAL, MINIMAL["metadata"]["name"])
    custom.patch_namespaced_custom_object_status(*place, {"status": status}, _request_timeout=10)
    written = PredictiveAutoscaler.from_manifest(custom.get_namespaced_custom_object(*place, _request_timeout=10))
    assert written.status is not None
    written_status = written.status.to_manifest()
    assert {name: written_status[name] for name in status} == status

    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    api.update_params_for_auth(headers, None, ["BearerToken"], path, "GET", None)
    answer = api.call_api("GET", api.configuration.host + path, headers, _request_timeout=10)
    table = json.loads(answer.read())
    columns = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert columns == ["Name", "Mode", "Desired", "Ready", "Loading", "Peak", "Late", "Reason", "Age"]
    assert table["rows"][0]["cells"][1:8] == ["Shadow", 5, 3, 2, 4.6, "0.4%", "OrderedAhead"]
