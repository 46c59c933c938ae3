"""The alerts: Prometheus takes them, they begin and stay quiet where they should, and what they ask for is exported."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import binaries
from decision_records import make_outlook, make_record, without_history
from manifest_rights import MANIFESTS, NAMESPACE, documents
from prometheus_client.parser import text_string_to_metric_families

import autoscaler
from autoscaler.core.decision import Reason
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.scaler_figures import ScalerFigures

CASES = yaml.safe_load(Path(__file__).with_name("alerts_test.yaml").read_text())
# What a scrape adds; cluster, where a Prometheus has several.
OF_THE_TARGET = {"cluster", "instance", "job", "namespace"}
# Of a metric: its name and what is asked of its labels.
SELECTOR = re.compile(r"\b(headstart_\w+)(?:\{([^}]*)\})?")


def rule() -> dict[str, Any]:
    (only,) = documents(MANIFESTS / "components" / "alerts" / "prometheus-rule.yaml")
    return only


def alerts() -> list[dict[str, Any]]:
    (group,) = rule()["spec"]["groups"]
    return list(group["rules"])


def name_of(each: dict[str, Any]) -> str:
    return str(each.get("name") or each.get("alert"))


def fired(case: dict[str, Any]) -> set[str]:
    """The alerts that a case expects to fire."""
    of_rules = {each["alertname"] for each in case.get("alert_rule_test", []) if each.get("exp_alerts")}
    of_queries = {
        found
        for each in case.get("promql_expr_test", [])
        for sample in each["exp_samples"]
        for found in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    return of_rules | of_queries


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [binaries.require("promtool")["promtool"], *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The groups as the operator writes them for Prometheus."""
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rule()["spec"]))
    return path


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Labels by name of everything that Headstart exports."""
    metrics = Metrics(version="1.2.3", now_s=lambda: make_record().observation.now_s)
    metrics.decided(make_record(), {"requests": make_record().outlook.needs[0]})
    metrics.late("shop", "chat", 0.004)
    metrics.add_scaler(lambda: ScalerFigures({("GetMetrics", "OK"): 1}, certificate_expires_s=1.8e9))
    families = text_string_to_metric_families(metrics.text().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_prometheus_takes_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", rules)


@pytest.mark.parametrize("case", CASES["tests"], ids=name_of)
def test_an_alert_fires_where_it_should_and_says_of_what(rules: Path, case: dict[str, Any]) -> None:
    path = rules.with_name("case.yaml")
    given = CASES | {"rule_files": [str(rules)], "tests": [case | {"interval": CASES["evaluation_interval"]}]}
    path.write_text(yaml.safe_dump(given))
    promtool("test", "rules", path)


def test_each_alert_has_cases_in_which_it_fires_and_in_which_it_does_not() -> None:
    names = {each["alert"] for each in alerts()}
    assert set().union(*map(fired, CASES["tests"])) == names
    silent = {
        each["alertname"]
        for case in CASES["tests"]
        for each in case.get("alert_rule_test", [])
        if not each.get("exp_alerts")
    }
    assert silent == names


@pytest.mark.parametrize("alert", alerts(), ids=name_of)
def test_what_an_alert_asks_for_is_exported_with_these_labels(alert: dict[str, Any], exported: dict[str, Any]) -> None:
    found = SELECTOR.findall(alert["expr"])
    assert found
    for name, matchers in found:
        assert name in exported
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= exported[name], name
    grouped = {
        label.strip() for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", alert["expr"]) for label in labels.split(",")
    }
    for name, _ in found:
        assert grouped <= exported[name] | OF_THE_TARGET, name


def test_the_reasons_that_alerts_ask_for_are_given() -> None:
    asked = {
        reason
        for alert in alerts()
        for _, words in re.findall(r'\breason(=|!=|=~|!~)"([^"]*)"', alert["expr"])
        for reason in words.split("|")
    }
    (package,) = autoscaler.__path__
    source = "".join(path.read_text() for path in Path(package).rglob("*.py"))
    assert "AtMaxReplicas" in asked
    assert {reason for reason in asked if f'"{reason}"' not in source} == set()


def test_each_decision_counts_once_in_what_shares_are_taken_of() -> None:
    (shares,) = {
        words for alert in alerts() for words in re.findall(r'decisions_total\{reason=~"([^"]*)"', alert["expr"])
    }
    reasons = {Reason(word) for word in shares.split("|")}
    seen = set()
    for record in (
        without_history(make_record()),
        make_record(outlook=make_outlook(missing=True)),
        make_record(outlook=make_outlook(100.0)),
        *(make_record(ready=ready, outlook=make_outlook(peak=peak)) for ready in range(15) for peak in (1.0, 1.5)),
    ):
        (counted,) = reasons & set(record.decision.reasons)
        seen.add(counted)
    assert seen == reasons


@pytest.mark.parametrize("alert", alerts(), ids=name_of)
def test_an_alert_says_how_grave_it_is_since_when_and_what_to_look_at(alert: dict[str, Any]) -> None:
    assert alert.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"].keys() == {"summary", "description"}
    if "namespace, name" in alert["expr"]:
        assert "{{ $labels.namespace }}/{{ $labels.name }}" in alert["annotations"]["summary"]
        assert "$value" in alert["annotations"]["summary"]


def test_it_is_what_the_prometheus_operator_takes() -> None:
    found = rule()
    assert (found["apiVersion"], found["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert found["metadata"]["namespace"] == NAMESPACE
    assert found["spec"].keys() == {"groups"}


def test_the_readme_lists_them_all() -> None:
    text = (MANIFESTS / "README.md").read_text()
    assert re.findall(r"^\| `(Headstart\w+)` \|", text, flags=re.MULTILINE) == [each["alert"] for each in alerts()]
