"""What can be told of the manifests for KEDA without it; tests/cluster runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from manifest_rights import MANIFESTS, NEEDED, built, documents, granted
from typer.testing import CliRunner

from autoscaler.api.scalars import parse_duration_s
from autoscaler.cli.app import app
from autoscaler.keda.board import Board, Posted
from autoscaler.keda.desk import _ANSWER_TIMEOUT_S, _EXCHANGE_S, _RESTART_S, UNANSWERED_S
from autoscaler.keda.guests import Guests
from autoscaler.keda.metadata import Inline, Named, read_metadata
from autoscaler.keda.scaled_object_file import read_scaled_objects
from autoscaler.keda.server import GrpcServer
from autoscaler.keda.service import ExternalScalerService

COMPONENT = MANIFESTS / "components" / "keda"
# The limit of the API server for the HPA's request, which waits for a scaler that hangs.
KEDA_GIVES_UP_S = 60.0
SCALED_OBJECTS = sorted((MANIFESTS / "examples").rglob("scaled-object.yaml"))
EXAMPLES = sorted((MANIFESTS / "examples").glob("keda-*/scaled-object.yaml"))


def name_of(path: Path) -> str:
    return path.parent.name


def patches() -> dict[str, Any]:
    """What the component changes in the Deployment: path -> value."""
    (about,) = documents(COMPONENT / "kustomization.yaml")
    (patch,) = about["patches"]
    return {each["path"]: each["value"] for each in yaml.safe_load(patch["patch"])}


def base_container() -> dict[str, Any]:
    (base,) = documents(MANIFESTS / "base" / "deployment.yaml")
    (container,) = base["spec"]["template"]["spec"]["containers"]
    return dict(container)


def patched_liveness() -> dict[str, Any]:
    """The base's probe, as the component changes it."""
    prefix = "/spec/template/spec/containers/0/livenessProbe/"
    changed = {path.removeprefix(prefix): value for path, value in patches().items() if path.startswith(prefix)}
    return base_container()["livenessProbe"] | changed


def standalone() -> dict[str, Any]:
    alone, _ = documents(MANIFESTS / "examples" / "keda-serve" / "headstart.yaml")
    return dict(alone["spec"])


def standalone_container() -> dict[str, Any]:
    (container,) = standalone()["template"]["spec"]["containers"]
    return dict(container)


def ends_within_s(probe: dict[str, Any]) -> float:
    """From when a probe's page fails, or hangs, until the kubelet has killed the container, at most."""
    failing_s = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    return float(failing_s + probe["terminationGracePeriodSeconds"])


def options_of(*names: str) -> set[str]:
    command: Any = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]
    return {option for param in command.params for option in param.opts}


def test_the_overlay_only_adds_who_may_ask() -> None:
    objects = list(built(MANIFESTS / "overlays" / "keda"))
    assert granted(objects, binding="ClusterRoleBinding") == NEEDED["shadow"]


def test_what_the_component_adds_is_an_option_and_a_port_that_the_service_and_the_policy_name() -> None:
    added = patches()
    option, _, address = added["/spec/template/spec/containers/0/args/-"].partition("=")
    port = added["/spec/template/spec/containers/0/ports/-"]
    (service,) = documents(COMPONENT / "service.yaml")
    (policy,) = documents(COMPONENT / "network-policy.yaml")
    assert option in options_of("run")
    assert address == f"0.0.0.0:{port['containerPort']}"
    assert service["spec"]["clusterIP"] == "None"
    (served,) = service["spec"]["ports"]
    assert (served["targetPort"], served["port"]) == (port["name"], port["containerPort"])
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": port["containerPort"]}]


def test_the_component_patches_the_one_container_that_there_is() -> None:
    (deployment,) = documents(MANIFESTS / "base" / "deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"args", "ports", "volumeMounts"} <= container.keys()
    mount = patches()["/spec/template/spec/containers/0/volumeMounts/-"]
    assert mount["name"] == patches()["/spec/template/spec/volumes/-"]["name"]
    assert mount["mountPath"] in (MANIFESTS / "README.md").read_text()


def test_the_standalone_deployment_differs_from_base_in_what_it_runs() -> None:
    (base,) = documents(MANIFESTS / "base" / "deployment.yaml")
    alone, service = documents(MANIFESTS / "examples" / "keda-serve" / "headstart.yaml")
    (ours,), (theirs,) = (each["spec"]["template"]["spec"]["containers"] for each in (alone, base))
    assert alone["spec"]["template"]["spec"]["initContainers"] == base["spec"]["template"]["spec"]["initContainers"]
    for part in ("securityContext", "resources", "startupProbe", "readinessProbe"):
        assert ours[part] == theirs[part]
    assert ours["livenessProbe"] == patched_liveness()
    assert ours["args"][:2] == ["keda", "serve"]
    assert {each.partition("=")[0] for each in ours["args"][2:]} <= options_of("keda", "serve")
    assert service["spec"]["selector"] == alone["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["clusterIP"] == "None"


def test_the_standalone_replicas_are_drained_one_by_one_and_reached_by_keda_and_prometheus_alone() -> None:
    folder = MANIFESTS / "examples" / "keda-serve"
    alone, service = documents(folder / "headstart.yaml")
    (budget,) = documents(folder / "disruption-budget.yaml")
    (policy,) = documents(folder / "network-policy.yaml")
    (asked,) = documents(COMPONENT / "network-policy.yaml")
    (base,) = documents(MANIFESTS / "base" / "network-policy.yaml")
    labels = alone["spec"]["template"]["metadata"]["labels"]
    (apart,) = alone["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"].popitem()[1]
    for selector in (
        budget["spec"]["selector"],
        policy["spec"]["podSelector"],
        apart["podAffinityTerm"]["labelSelector"],
    ):
        assert selector == {"matchLabels": labels}
    assert budget["spec"]["minAvailable"] < alone["spec"]["replicas"]
    assert policy["spec"]["ingress"] == [*asked["spec"]["ingress"], *base["spec"]["ingress"]]
    assert all(rule in base["spec"]["egress"] for rule in policy["spec"]["egress"])
    opened = {each["name"]: each["containerPort"] for each in standalone_container()["ports"]}
    assert {each["targetPort"]: each["port"] for each in service["spec"]["ports"]} == opened


def test_calls_that_hang_are_ended_well_before_keda_takes_a_workload_to_zero() -> None:
    # By the desk, which starts another process; the exchange before may have been a second ago.
    assert _EXCHANGE_S + _ANSWER_TIMEOUT_S <= KEDA_GIVES_UP_S / 4
    for probe in (patched_liveness(), standalone_container()["livenessProbe"]):
        # By the kubelet, where the desk hangs as well.
        assert UNANSWERED_S + ends_within_s(probe) <= KEDA_GIVES_UP_S - 10
        # A start anew is no reason for that, however slow; nor is a tick that holds the interpreter for some seconds.
        assert _ANSWER_TIMEOUT_S + _RESTART_S + 5 <= UNANSWERED_S
        assert probe["timeoutSeconds"] >= 5
        assert probe["failureThreshold"] >= 3


def test_without_a_kubelet_that_waits_for_the_floors_to_be_put_back() -> None:
    (base,) = documents(MANIFESTS / "base" / "deployment.yaml")
    pod = base["spec"]["template"]["spec"]
    assert patched_liveness()["terminationGracePeriodSeconds"] < pod["terminationGracePeriodSeconds"]
    assert base["spec"]["replicas"] > 1, "the other one goes on with the floors"


def test_replicas_that_read_their_histories_are_asked_and_a_rollout_waits_for_them() -> None:
    (ours,) = documents(COMPONENT / "service.yaml")
    (base,) = documents(MANIFESTS / "base" / "deployment.yaml")
    _, alone = documents(MANIFESTS / "examples" / "keda-serve" / "headstart.yaml")
    for service in (ours, alone):
        assert service["spec"]["publishNotReadyAddresses"] is True
    for spec in (base["spec"], standalone()):
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert standalone()["minReadySeconds"] >= 60


@pytest.mark.parametrize("path", SCALED_OBJECTS, ids=name_of)
def test_an_example_has_a_fallback_that_takes_nothing_away(path: Path) -> None:
    (manifest,) = documents(path)
    spec = manifest["spec"]
    assert spec["fallback"]["replicas"] >= 1
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    if spec["minReplicaCount"] == 0:
        (trigger,) = spec["triggers"]
        assert trigger["metadata"]["onMissing"] == "hold"
        # Longer than held decisions last and than 1,000 histories are read for.
        assert spec["cooldownPeriod"] > parse_duration_s(trigger["metadata"]["maxAge"]) + 271
        assert spec["initialCooldownPeriod"] > 271


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_names_a_service_that_the_manifests_have(path: Path) -> None:
    folder = path.parent if path.parent.name == "keda-serve" else COMPONENT
    services = [each for file in folder.glob("*.yaml") for each in documents(file) if each["kind"] == "Service"]
    (service,) = services
    (port,) = [each for each in service["spec"]["ports"] if each["name"] == "keda"]
    (scaled,) = read_scaled_objects(path)
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}:{port['port']}"
    assert {trigger.metadata["scalerAddress"] for trigger in scaled.triggers} == {address}


def test_what_an_example_asks_for_by_name_is_beside_it() -> None:
    folder = MANIFESTS / "examples" / "keda-trigger"
    (ours,) = documents(folder / "predictive-autoscaler.yaml")
    (manifest,) = documents(folder / "scaled-object.yaml")
    (scaled,) = read_scaled_objects(folder / "scaled-object.yaml")
    asked = read_metadata(scaled.namespace, scaled.name, scaled.triggers[0].metadata)
    assert isinstance(asked, Named)
    assert asked.key == (ours["metadata"]["namespace"], ours["metadata"]["name"])
    assert ours["spec"]["mode"] == "Shadow"
    assert ours["spec"]["maxReplicas"] == manifest["spec"]["maxReplicaCount"]


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_keda_check_is_content_with_an_example_and_warns_of_nothing(path: Path, address: str) -> None:
    result = CliRunner().invoke(app, ["keda", "check", str(path), "--address", address, "--replicas", "2"])
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output
    assert "3 replicas" in result.output or " 3" in result.output


@pytest.fixture
def address() -> Iterator[str]:
    """A server that decided on 3 replicas for what the examples ask for."""
    board = Board()
    for path in EXAMPLES:
        for scaled in read_scaled_objects(path):
            for trigger in scaled.triggers:
                asked: Named | Inline = read_metadata(scaled.namespace, scaled.name, trigger.metadata)
                board.post(asked.key, Posted(3, 60.0, usable=True, reason="", replicas=None))
    server = GrpcServer(ExternalScalerService(board, Guests()), "127.0.0.1:0")
    with ExitStack() as stack:
        server.start()
        stack.callback(server.stop, 0.0)
        yield f"127.0.0.1:{server.port}"
