"""The CustomResourceDefinition, made from the pydantic model.

The API server wants a structural schema: no references, no alternatives, no titles. Rules between fields become CEL
with the same messages as ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from autoscaler.api.model import Model
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import GROUP, KIND, PLURAL, VERSION, PredictiveAutoscaler, PredictiveAutoscalerSpec

_DEFS = "#/$defs/"
_VALIDATIONS = "x-kubernetes-validations"
# name, type, path in the object, whether only `kubectl get -o wide` shows it
_COLUMNS = (
    ("Mode", "string", ".spec.mode", False),
    ("Desired", "integer", ".status.desiredReplicas", False),
    ("Ready", "integer", ".status.readyReplicas", False),
    ("Loading", "integer", ".status.loadingReplicas", False),
    ("Peak", "number", ".status.forecastPeak.replicas", False),
    ("Late", "string", ".status.latePercent", False),
    ("Reason", "string", ".status.lastDecision.reasons[0]", False),
    ("Age", "date", ".metadata.creationTimestamp", False),
    ("Target", "string", ".spec.scaleTargetRef.name", True),
    ("Min", "integer", ".spec.minReplicas", True),
    ("Max", "integer", ".spec.maxReplicas", True),
    ("Load", "number", ".status.loadLatency.p90Seconds", True),
    ("Placeholders", "integer", ".status.placeholderReplicas", True),
    ("Message", "string", ".status.lastDecision.message", True),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition of apiextensions.k8s.io/v1."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "labels": {"app.kubernetes.io/name": "headstart"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["pa"],
                "categories": ["autoscaling"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _object_schema()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path} | ({"priority": 1} if wide else {})
                        for name, kind, path, wide in _COLUMNS
                    ],
                }
            ],
        },
    }


def definition_yaml() -> str:
    """The CustomResourceDefinition as a YAML document."""
    # Without aliases, which hide from a reader what they stand for: JSON's copies share nothing.
    definition = json.loads(json.dumps(custom_resource_definition()))
    head = "# Made by `headstart crd` from autoscaler/api/v1alpha1.py.\n"
    return head + str(yaml.safe_dump(definition, sort_keys=False, width=120, allow_unicode=True))


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The structural OpenAPI v3 schema of a model, its fields in the model's order."""
    # In this mode pydantic passes defaults through the serializers: 336h instead of 1209600.
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    models = {f"{_DEFS}{kind.__name__}": kind for kind in _models_below(model)}
    definitions = {f"{_DEFS}{name}": definition for name, definition in schema.pop("$defs", {}).items()}
    made = _structural(schema, definitions, models)
    return _with_rules(made, model)


def _object_schema() -> dict[str, Any]:
    return {
        "description": (PredictiveAutoscaler.__doc__ or "").strip()
        + " It forecasts demand one model load ahead, so that replicas are ready when requests arrive.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(PredictiveAutoscalerSpec),
            # Whoever writes the status writes all of it: defaults there would only be noise.
            "status": _without_defaults(structural_schema(PredictiveAutoscalerStatus)),
        },
    }


def _structural(
    given: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]], models: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """One node of pydantic's JSON schema, made structural."""
    node = dict(given)
    if "anyOf" in node:
        (alternative,) = [each for each in node.pop("anyOf") if each != {"type": "null"}]
        node = {**alternative, **node}
        node.pop("default", None)  # null, which says no more than absence
    if "$ref" in node:
        name = node.pop("$ref")
        made = _structural(definitions[name], definitions, models) | node
        return _with_rules(made, models[name]) if name in models else made
    made = {key: node[key] for key in ("description", "type", "default", "required") if key in node}
    for key in ("properties", "items", "additionalProperties"):
        if key == "properties" and key in node:
            made[key] = {name: _structural(each, definitions, models) for name, each in node[key].items()}
        elif isinstance(node.get(key), dict):
            made[key] = _structural(node[key], definitions, models)
    if "exclusiveMinimum" in node:  # OpenAPI 3.0 has it as a flag of the minimum
        made |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    kept = ("enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
    made |= {key: node[key] for key in (*kept, "maxProperties") if key in node and key not in made}
    made |= {key: node[key] for key in node if key.startswith("x-kubernetes-")}
    return made


def _without_defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in made:
        made["properties"] = {name: _without_defaults(each) for name, each in made["properties"].items()}
    if "items" in made:
        made["items"] = _without_defaults(made["items"])
    return made


def _with_rules(schema: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    rules = [rule.to_cel() for rule in model.rules if rule.cel] if issubclass(model, Model) else []
    return schema | ({_VALIDATIONS: rules} if rules else {})


def _models_below(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The models that this one's fields are made of, at any depth."""
    found: set[type[BaseModel]] = set()
    waiting: list[object] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
            found.add(kind)
            waiting += [field.annotation for field in kind.model_fields.values()]
        waiting += getattr(kind, "__args__", ())
    return found
