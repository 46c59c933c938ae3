"""What can be told of the manifests without a cluster; tests/cluster applies them."""

from __future__ import annotations

import http.client
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from manifest_rights import LEASES, MANIFESTS, NAMESPACE, NEEDED, OVERLAYS, WARM_NODES, built, documents, granted

from autoscaler.api.yaml_file import FileObject, SkippedObject, read_yaml
from autoscaler.cli.app import app
from autoscaler.telemetry.server import Pages, TelemetryServer

KUSTOMIZATIONS = sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))
# Shown beside a kustomization, and not part of it.
APART = {"hpa.yaml", "capacity-buffer.yaml"}


def name_of(path: Path) -> str:
    return str(path.relative_to(MANIFESTS))


def deployment() -> dict[str, Any]:
    (only,) = documents(MANIFESTS / "base" / "deployment.yaml")
    return only


def pod() -> dict[str, Any]:
    return dict(deployment()["spec"]["template"]["spec"])


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    return dict(only)


def run_options() -> dict[str, Any]:
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined] # it has sub-commands
    return {option: param for param in command.params for option in param.opts}


def test_there_are_the_kustomizations_that_the_readme_names() -> None:
    assert [name_of(path) for path in KUSTOMIZATIONS] == [
        "base",
        *("components/alerts", "components/floor", "components/keda", "components/node-head-start"),
        *("components/scale", "components/service-monitor"),
        "crd",
        *("examples/cluster", "examples/keda-serve", "examples/keda-trigger"),
        *("examples/node-head-start", "examples/vllm-keda"),
        *("overlays/floor", "overlays/keda", "overlays/scale", "overlays/shadow"),
    ]


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=name_of)
def test_a_kustomization_names_every_file_beside_it_and_no_file_elsewhere(folder: Path) -> None:
    (about,) = documents(folder / "kustomization.yaml")
    entries = [*about.get("resources", []), *(about.get("components") or [])]
    files = {entry for entry in entries if not (folder / entry).is_dir()}
    assert files == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} - APART
    for entry in set(entries) - files:
        assert (folder / entry / "kustomization.yaml").is_file(), entry


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_gives_the_rights_that_the_code_needs_and_no_other(overlay: str) -> None:
    objects = list(built(MANIFESTS / "overlays" / overlay))
    assert granted(objects, binding="ClusterRoleBinding") == NEEDED[overlay]
    assert granted(objects, binding="RoleBinding") == LEASES
    assert {each["kind"] for each in objects if "rules" in each} == {"ClusterRole", "Role"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_component_for_warm_nodes_gives_what_these_need_and_no_other(overlay: str) -> None:
    objects = [
        *built(MANIFESTS / "overlays" / overlay),
        *built(MANIFESTS / "components" / "node-head-start"),
    ]
    assert granted(objects, binding="ClusterRoleBinding") == NEEDED[overlay] | WARM_NODES
    assert granted(objects, binding="RoleBinding") == LEASES


def test_the_placeholders_are_as_large_as_a_replica_and_on_the_same_nodes() -> None:
    folder = MANIFESTS / "examples" / "node-head-start"
    _, placeholders = documents(folder / "placeholders.yaml")
    template, buffer = documents(folder / "capacity-buffer.yaml")
    replica, *_ = documents(MANIFESTS / "examples" / "vllm-keda" / "vllm.yaml")
    pods = [placeholders["spec"]["template"]["spec"], template["template"]["spec"], replica["spec"]["template"]["spec"]]
    assert len({str(pod["containers"][0]["resources"]) for pod in pods}) == 1
    assert len({str(pod["tolerations"]) for pod in pods}) == 1
    ours = documents(folder / "predictive-autoscaler.yaml")[0]["spec"]
    named = ours["nodeHeadStart"]["placeholders"]
    assert {named["name"]} == {placeholders["metadata"]["name"], buffer["metadata"]["name"]}
    assert ours["scaleTargetRef"]["name"] == replica["metadata"]["name"]


def test_only_the_lease_that_the_deployment_names_may_be_changed() -> None:
    (role,) = [each for each in built(MANIFESTS / "base") if each["kind"] == "Role"]
    named = [rule.get("resourceNames") for rule in role["rules"] if "create" not in rule["verbs"]]
    (lease,) = [arg.partition("=")[2] for arg in container()["args"] if arg.startswith("--lease-name=")]
    assert named == [[lease]]


def test_no_rule_has_a_wildcard() -> None:
    for path in MANIFESTS.rglob("*rbac.yaml"):
        assert "*" not in str([each.get("rules") for each in documents(path)]), path


def test_the_container_is_started_with_options_that_the_command_has() -> None:
    command, *options = container()["args"]
    assert command == "run"
    assert {option.partition("=")[0] for option in options} <= run_options().keys()


def test_the_settings_of_all_installations_are_options_variables() -> None:
    variables = {param.envvar for param in run_options().values()} - {None}
    for folder in ("base", "examples/cluster"):
        (about,) = documents(MANIFESTS / folder / "kustomization.yaml")
        (settings,) = about["configMapGenerator"]
        assert {each.partition("=")[0] for each in settings["literals"]} <= variables
        assert container()["envFrom"] == [{"configMapRef": {"name": settings["name"]}}]


def test_the_probes_ask_for_pages_that_the_server_has() -> None:
    pages = Pages(metrics=lambda: b"", problem=lambda: "", checks={})
    server = TelemetryServer(pages, host="127.0.0.1", port=0)
    server.start()
    try:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container()[probe]["httpGet"]
            assert asked["port"] == "metrics"
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("GET", asked["path"])
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        server.stop()


def test_the_port_is_the_same_everywhere() -> None:
    (listen,) = [arg.rpartition(":")[2] for arg in container()["args"] if arg.startswith("--listen=")]
    (opened,) = container()["ports"]
    (service,) = documents(MANIFESTS / "base" / "service.yaml")
    (policy,) = documents(MANIFESTS / "base" / "network-policy.yaml")
    (let_in,) = policy["spec"]["ingress"]
    assert opened == {"name": "metrics", "containerPort": int(listen)}
    assert service["spec"]["ports"] == [{"name": "metrics", "port": int(listen), "targetPort": "metrics"}]
    assert let_in["ports"] == [{"port": int(listen)}]


def test_selectors_find_the_pods() -> None:
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    by_kind = {each["kind"]: each["spec"] for each in built(MANIFESTS / "base") if "spec" in each}
    assert by_kind["Deployment"]["selector"] == {"matchLabels": labels}
    assert by_kind["Service"]["selector"] == labels
    assert by_kind["PodDisruptionBudget"]["selector"] == {"matchLabels": labels}
    assert by_kind["NetworkPolicy"]["podSelector"] == {"matchLabels": labels}


def test_the_image_has_the_version_of_the_project() -> None:
    version = tomllib.loads((MANIFESTS.parent / "pyproject.toml").read_text())["project"]["version"]
    images = {each["image"] for each in [*pod()["initContainers"], *pod()["containers"]]}
    (about,) = documents(MANIFESTS / "examples" / "cluster" / "kustomization.yaml")
    alone, _ = documents(MANIFESTS / "examples" / "keda-serve" / "headstart.yaml")
    its_pod = alone["spec"]["template"]["spec"]
    images |= {each["image"] for each in [*its_pod["initContainers"], *its_pod["containers"]]}
    assert images == {f"headstart:{version}"}
    assert [image["newTag"] for image in about["images"]] == [version]


def test_a_standby_never_stops_both_replicas() -> None:
    spec = deployment()["spec"]
    (budget,) = documents(MANIFESTS / "base" / "disruption-budget.yaml")
    assert budget["spec"]["minAvailable"] < spec["replicas"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_example_objects_are_valid() -> None:
    found = [each for path in sorted((MANIFESTS / "examples").rglob("*.yaml")) for each in read_yaml(path)]
    assert [each for each in found if not isinstance(each, FileObject | SkippedObject)] == []
    assert len([each for each in found if isinstance(each, FileObject)]) == 5


def test_the_worked_example_scales_one_deployment_everywhere() -> None:
    folder = MANIFESTS / "examples" / "vllm-keda"
    objects = {(each["kind"], path.stem): each for path in folder.glob("*.yaml") for each in documents(path)}
    target = objects["Deployment", "vllm"]["metadata"]["name"]
    scaled_object = objects["ScaledObject", "scaled-object"]["spec"]
    hpa = objects["HorizontalPodAutoscaler", "hpa"]["spec"]
    ours = objects["PredictiveAutoscaler", "predictive-autoscaler"]["spec"]
    assert {each["scaleTargetRef"]["name"] for each in (scaled_object, hpa, ours)} == {target}
    assert {scaled_object["maxReplicaCount"], hpa["maxReplicas"]} == {ours["maxReplicas"]}


def test_the_walk_keeps_what_was_written_into_the_installation_and_begins_without_rights_to_write() -> None:
    walk = MANIFESTS / "examples" / "vllm-keda"
    text = (walk / "README.md").read_text()
    applied = {(walk / name).resolve() for name in re.findall(r"^kubectl apply -k (\S+)", text, flags=re.MULTILINE)}
    installation = MANIFESTS / "examples" / "cluster"
    assert applied == {installation, walk}
    assert granted(list(built(installation)), binding="ClusterRoleBinding") == NEEDED["shadow"]
    # The lines that it says to exchange.
    assert (installation / "kustomization.yaml").read_text().count("- ../../overlays/shadow\n") == 1
    for overlay in ("shadow", "floor"):
        assert f"`- ../../overlays/{overlay}`" in text
        assert (installation / f"../../overlays/{overlay}/kustomization.yaml").is_file()


def test_an_installation_of_ones_own_needs_no_operator_and_names_what_one_adds() -> None:
    installation = MANIFESTS / "examples" / "cluster"
    assert {each["apiVersion"] for each in built(installation) if ".com/" in each["apiVersion"]} == set()
    offered = re.findall(r"^  # - (\S+)$", (installation / "kustomization.yaml").read_text(), flags=re.MULTILINE)
    assert [name_of((installation / each).resolve()) for each in offered] == [
        "components/service-monitor",
        "components/alerts",
    ]


def test_the_readme_names_the_account_and_its_roles() -> None:
    text = (MANIFESTS / "README.md").read_text()
    assert f"system:serviceaccount:{NAMESPACE}:headstart" in text
    names = {
        each["metadata"]["name"] for each in built(MANIFESTS / "overlays" / "scale") if each["kind"] == "ClusterRole"
    }
    assert names == {"headstart", "headstart-floor", "headstart-scale", "headstart-view", "headstart-edit"}
    assert "clusterrolebinding,clusterrole headstart-floor headstart-scale headstart-node-head-start" in text


def test_the_readmes_yaml_parses() -> None:
    for block in (MANIFESTS / "README.md").read_text().split("```yaml\n")[1:]:
        assert list(yaml.safe_load_all(block.partition("```")[0]))
