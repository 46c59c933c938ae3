"""The CustomResourceDefinition: structural, bounded, and what is committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from autoscaler.api.reference import reference_page
from autoscaler.api.schema import custom_resource_definition, definition_yaml
from autoscaler.api.v1alpha1 import PredictiveAutoscaler

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"
ALLOWED = {
    *("type", "description", "default", "required", "properties", "items", "additionalProperties", "enum", "format"),
    *("pattern", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems"),
    *("maxProperties", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}


def version() -> dict[str, Any]:
    (only,) = custom_resource_definition()["spec"]["versions"]
    return dict(only)


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def spec() -> dict[str, Any]:
    return dict(version()["schema"]["openAPIV3Schema"]["properties"]["spec"])


def test_the_committed_manifest_is_what_the_command_prints() -> None:
    assert (MANIFESTS / "crd" / "predictiveautoscalers.yaml").read_text() == definition_yaml(), (
        "run: headstart crd > manifests/crd/predictiveautoscalers.yaml"
    )


def test_the_committed_reference_is_what_the_command_prints() -> None:
    assert (MANIFESTS / "REFERENCE.md").read_text() == reference_page(), (
        "run: headstart crd --reference > manifests/REFERENCE.md"
    )


def test_the_schema_is_structural() -> None:
    for path, node in nodes(version()["schema"]["openAPIV3Schema"]):
        assert node.keys() <= ALLOWED, path
        assert isinstance(node["type"], str), path


def test_every_field_is_described() -> None:
    for name in ("spec", "status"):
        for path, node in nodes(version()["schema"]["openAPIV3Schema"]["properties"][name], name):
            assert node.get("description", "").endswith(".") or path.endswith("[]"), path


def test_every_text_and_list_of_the_spec_has_a_bound_which_the_cost_of_rules_needs() -> None:
    bounds = {"string": {"maxLength", "enum"}, "array": {"maxItems"}}
    for path, node in nodes(spec(), "spec"):
        assert node["type"] not in bounds or bounds[node["type"]] & node.keys(), path


def test_defaults_are_shown_as_users_write_them() -> None:
    properties = spec()["properties"]
    assert (properties["interval"]["default"], properties["history"]["default"]) == ("1m", "336h")
    assert properties["objective"]["default"] == {"maxWait": "10s", "lateBudget": "1%"}
    assert properties["loadLatency"]["default"] == {"prior": "2m", "learn": True}
    assert (properties["mode"]["default"], properties["minReplicas"]["default"]) == ("Shadow", 1)
    assert "default" not in properties["engine"]


def test_the_status_has_no_defaults_since_whoever_writes_it_writes_all_of_it() -> None:
    status = version()["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert [path for path, node in nodes(status) if "default" in node] == []


def test_lists_merge_by_their_key() -> None:
    status = version()["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    keys = [node["x-kubernetes-list-map-keys"] for node in (spec()["properties"]["demand"], status["conditions"])]
    assert keys == [["unit"], ["type"]]


def test_rules_between_fields_say_the_same_as_ours() -> None:
    rule = next(each for each in spec()["x-kubernetes-validations"] if each["fieldPath"] == ".minReplicas")
    assert rule == {
        "rule": "self.minReplicas <= self.maxReplicas",
        "message": "must be at most maxReplicas; lower it or raise maxReplicas",
        "messageExpression": "'must be at most maxReplicas (%s), got %s; lower it or raise maxReplicas'"
        ".format([self.maxReplicas, self.minReplicas])",
        "fieldPath": ".minReplicas",
    }


def test_kubectl_get_shows_what_matters() -> None:
    columns = [column["name"] for column in version()["additionalPrinterColumns"] if "priority" not in column]
    assert columns == ["Mode", "Desired", "Ready", "Loading", "Peak", "Late", "Reason", "Age"]
    assert version()["subresources"] == {"status": {}}
    assert custom_resource_definition()["spec"]["names"]["shortNames"] == ["pa"]


def test_the_full_example_states_every_field_of_the_spec() -> None:
    stated = yaml.safe_load((MANIFESTS / "examples" / "full.yaml").read_text())["spec"]
    PredictiveAutoscaler.from_manifest(yaml.safe_load((MANIFESTS / "examples" / "full.yaml").read_text()))
    # A demand has a query or a preset, and a selector with the preset only; an event is once or again and again.
    missing = {path for path, _ in nodes(spec(), "spec") if not _states({"spec": stated}, path)}
    either = {"spec.demand[].preset", "spec.demand[].selector", "spec.schedule[].at", "spec.schedule[].expect"}
    # Not beside a GPU budget: it has an example of its own.
    nodes_ahead = {path for path, _ in nodes(spec(), "spec") if path.startswith("spec.nodeHeadStart")}
    assert missing == either | nodes_ahead
    apart = yaml.safe_load((MANIFESTS / "examples" / "node-head-start" / "predictive-autoscaler.yaml").read_text())
    assert {path for path in nodes_ahead if not _states(apart, path)} == set()


def _states(manifest: Any, path: str) -> bool:
    """Whether a manifest has the field; the entries of a list or mapping count by their first."""
    for part in path.replace("[]", ".[]").split("."):
        if part == "[]":
            manifest = next(iter(manifest if isinstance(manifest, list) else manifest.values()))
        elif part in manifest:
            manifest = manifest[part]
        else:
            return False
    return True
