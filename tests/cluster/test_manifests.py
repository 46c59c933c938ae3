"""The manifests against a real API server, as users apply them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import definitions
from cluster.kubectl import Kubectl
from cluster.waiting import wait_until
from kubernetes import client
from manifest_rights import MANIFESTS, NAMESPACE, OVERLAYS

CRDS = Path(__file__).resolve().parent / "crds"
README = (MANIFESTS / "README.md").read_text()
KUSTOMIZATIONS = sorted(
    str(path.parent.relative_to(MANIFESTS))
    for path in MANIFESTS.rglob("kustomization.yaml")
    if path.parent.parent.name != "components"
)


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Kubectl:
    return Kubectl(kubeconfig)


@pytest.fixture(scope="module")
def kinds(api: client.ApiClient, predictive_autoscalers: None, scaled_objects: None) -> None:
    """All kinds that the manifests have."""
    definitions.install(api, CRDS / "servicemonitors.monitoring.coreos.com.yaml")


@pytest.fixture
def installed(kubectl: Kubectl, kinds: None) -> Iterator[None]:
    """The shadow overlay, applied for real and removed again, apart from the namespace and the CRD."""
    kubectl("apply", "--server-side", "--kustomize", MANIFESTS / "overlays" / "shadow")
    yield
    for kind in ("clusterrolebinding,clusterrole", f"--namespace={NAMESPACE} deployment"):
        kubectl("delete", *kind.split(), "--selector=app.kubernetes.io/name=headstart")


def objects(kubectl: Kubectl, kustomization: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(kubectl("kustomize", MANIFESTS / kustomization)))


def dry_run(kubectl: Kubectl, *arguments: str | Path, stdin: str | None = None) -> list[str]:
    """What would be applied: a line per object."""
    answer = kubectl("apply", "--server-side", "--dry-run=server", *arguments, stdin=stdin)
    lines = answer.splitlines()
    assert all(line.endswith("serverside-applied (server dry run)") for line in lines), answer
    return lines


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_a_kustomization_passes_a_server_side_dry_run(kubectl: Kubectl, kinds: None, kustomization: str) -> None:
    built = objects(kubectl, kustomization)
    for each in built:
        if each["kind"] == "Namespace":
            # A dry run creates none, and everything else needs it.
            kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(each))
    assert len(dry_run(kubectl, "--kustomize", MANIFESTS / kustomization)) == len(built)


@pytest.mark.parametrize(
    "path", [*sorted((MANIFESTS / "examples").glob("*.yaml")), MANIFESTS / "examples" / "vllm-keda" / "hpa.yaml"]
)
def test_an_example_file_passes_a_server_side_dry_run(
    kubectl: Kubectl, kinds: None, namespace: str, path: Path
) -> None:
    (example,) = yaml.safe_load_all(path.read_text())
    example["metadata"]["namespace"] = namespace
    assert len(dry_run(kubectl, "--filename=-", stdin=json.dumps(example))) == 1


def test_the_capacity_buffer_passes_a_server_side_dry_run(
    kubectl: Kubectl, kinds: None, api: client.ApiClient, namespace: str
) -> None:
    definitions.install(api, CRDS / "capacitybuffers.autoscaling.x-k8s.io.yaml")
    path = MANIFESTS / "examples" / "node-head-start" / "capacity-buffer.yaml"
    for example in yaml.safe_load_all(path.read_text()):
        example["metadata"]["namespace"] = namespace
        assert len(dry_run(kubectl, "--filename=-", stdin=json.dumps(example))) == 1


def test_the_readmes_role_for_another_kind_passes_a_server_side_dry_run(kubectl: Kubectl) -> None:
    (block,) = README.split("```yaml\n")[1:]
    assert len(dry_run(kubectl, "--filename=-", stdin=block.partition("```")[0])) == 1


def test_an_installation_of_ones_own_with_the_operators_service_monitor_passes_a_server_side_dry_run(
    kubectl: Kubectl, kinds: None, installed: None, tmp_path: Path
) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    path = tmp_path / "manifests" / "examples" / "cluster" / "kustomization.yaml"
    monitor = "- ../../components/service-monitor"
    path.write_text(path.read_text().replace(f"# {monitor}", monitor))
    assert "servicemonitor.monitoring.coreos.com/headstart" in "".join(dry_run(kubectl, "--kustomize", path.parent))


def test_a_misspelt_field_would_fail_the_dry_run(kubectl: Kubectl, kinds: None, namespace: str) -> None:
    path = MANIFESTS / "components" / "service-monitor" / "service-monitor.yaml"
    text = path.read_text().replace("honorLabels", "honourLabels").replace(NAMESPACE, namespace)
    done = kubectl.run("apply", "--server-side", "--dry-run=server", "--filename=-", stdin=text)
    assert done.returncode != 0
    assert "honourLabels" in done.stderr


def test_each_overlay_differs_from_the_one_before_by_one_role(kubectl: Kubectl) -> None:
    built = [objects(kubectl, f"overlays/{overlay}") for overlay in OVERLAYS]
    names = [{(each["kind"], each["metadata"]["name"]) for each in one} for one in built]
    for before, after, role in zip(names, names[1:], ("headstart-floor", "headstart-scale"), strict=False):
        assert after - before == {("ClusterRole", role), ("ClusterRoleBinding", role)}
        assert before < after


def test_all_but_the_definition_can_be_deleted_as_the_readme_says(installed: None, kubectl: Kubectl) -> None:
    (selector,) = re.findall(r"^kubectl delete -k \S+ --selector '(\S+)'$", README, flags=re.MULTILINE)
    overlay = MANIFESTS / "overlays" / "shadow"
    deleted = kubectl(
        *("delete", "--ignore-not-found", "--dry-run=server", f"--selector={selector}", "--output=name"),
        *("--kustomize", overlay),
    ).splitlines()
    assert len(deleted) == len(objects(kubectl, "overlays/shadow")) - 1
    assert "customresourcedefinition" not in "".join(deleted)


def test_both_replicas_are_admitted_and_run_on_different_nodes(
    installed: None, kubectl: Kubectl, api: client.ApiClient
) -> None:
    core = client.CoreV1Api(api)

    def placed() -> list[client.V1Pod]:
        pods = core.list_namespaced_pod(NAMESPACE, _request_timeout=5).items
        return [each for each in pods if each.spec.node_name and not each.metadata.deletion_timestamp]

    pods = wait_until(lambda: placed() if len(placed()) == 2 else [], timeout_s=90, what="two replicas on nodes")
    assert len({each.spec.node_name for each in pods}) == 2
    # Enforced at admission, which the warnings of a dry run would have foretold.
    labels = core.read_namespace(NAMESPACE, _request_timeout=5).metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_pod_that_asks_for_no_restrictions_is_refused_beside_them(installed: None, kubectl: Kubectl) -> None:
    done = kubectl.run("run", "guest", "--image=registry.invalid/guest:1", "--namespace", NAMESPACE)
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stderr


def test_one_replica_at_a_time_may_be_drained(installed: None, api: client.ApiClient) -> None:
    policies = client.PolicyV1Api(api)

    def counted() -> bool:
        budget = policies.read_namespaced_pod_disruption_budget("headstart", NAMESPACE, _request_timeout=5)
        return bool(budget.status.expected_pods == 2 and budget.status.disruptions_allowed == 1)

    wait_until(counted, timeout_s=60, what="the budget to allow one disruption of two pods")
