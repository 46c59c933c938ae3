from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from keda_client import INLINE, Serve, Served, posted, unusable

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fake_api.fixtures import api, kube, kubeconfig
from fake_api.objects import deployment
from fake_api.server import FakeApi

from autoscaler.cli.app import run
from autoscaler.keda.tls import TlsFiles

__all__ = ["api", "kube", "kubeconfig"]

CHAT = ("prod", "chat")


def manifest(served: Served | None, *, trigger: str = "", spec: str = "", **metadata: str) -> str:
    """A ScaledObject beside another object; more lines of the trigger and of the spec are given as they are."""
    address = f"127.0.0.1:{served.server.port}" if served else "127.0.0.1:1"
    lines = "".join(f"        {key}: {value!r}\n" for key, value in {"scalerAddress": address, **metadata}.items())
    return (
        "apiVersion: v1\nkind: Service\nmetadata: {name: chat}\n---\n"
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: chat, namespace: prod}\n"
        f"spec:\n  scaleTargetRef: {{name: chat}}\n  maxReplicaCount: 40\n{spec}"
        "  triggers:\n    - type: cron\n      metadata: {}\n"
        f"    - type: external-push\n{trigger}      metadata:\n{lines}"
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chat.yaml"


def shown(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_it_says_what_the_hpa_makes_of_the_answer(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.board.post(CHAT, posted(21, replicas=20))
    file.write_text(manifest(served, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file), "--replicas", "20"]) == 0
    out, err = shown(capsys)
    assert out[0] == f"prod/chat: trigger 1 (external-push) at 127.0.0.1:{served.server.port}"
    assert out[1:4] == [
        "  metric s1-headstart-replicas: 23, AverageValue target 1",
        "  active: KEDA keeps at least one replica",
        "  at 20 replicas the HPA wants 23 of 1 to 40 for it",
    ]
    assert "ms of the 3,000 ms" in out[4]
    assert err == (
        f"{file}:14: spec.triggers[1]: warning: minReplicaCount 0 without a fallback of 1 replica or more: failed calls"
        " can take the workload to zero after cooldownPeriod\n"
    )


@pytest.mark.parametrize(
    ("spec", "desired", "said"),
    [
        ("", 20, "the HPA wants 20 of 1 to 40 for it, and keeps 19 to 22 where it has them"),
        ("  minReplicaCount: 3\n", 1, "the HPA wants 3 of 3 to 40 for it ("),
        ("", 90, "the HPA wants 40 of 1 to 40 for it"),
        ("", 0, "the HPA wants 1 of 1 to 40 for it ("),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {tolerance: '0'}, scaleDown: {tolerance:"
            " 200m}}}}\n",
            20,
            "and keeps 20 to 25 where it has them",
        ),
    ],
)
def test_without_a_number_of_replicas_it_says_which_ones_the_hpa_keeps(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str], spec: str, desired: int, said: str
) -> None:
    served.board.post(CHAT, posted(desired))
    file.write_text(manifest(served, spec=spec, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file)]) == 0
    assert said in shown(capsys)[0][3]


def test_no_answer_says_why_what_keda_does_and_exits_with_1(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.board.post(CHAT, unusable(1))
    fallback = "  fallback: {failureThreshold: 3, replicas: 6, behavior: currentReplicasIfHigher}\n"
    file.write_text(manifest(served, spec=fallback, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file)]) == 1
    out, err = shown(capsys)
    assert out[1:] == [
        "  no answer: UNAVAILABLE: prod/chat: Prometheus can't be reached",
        "  the HPA keeps the replicas that there are; after more than 3 failures in a row of GetMetrics KEDA's fallback"
        " wants 6",
    ]
    assert err == ""


def test_nobody_at_the_address_is_no_failure_that_a_fallback_counts(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(manifest(None, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file)]) == 1
    out, _ = shown(capsys)
    assert out[1].startswith("  no answer: UNAVAILABLE: ")
    assert out[2].startswith("  without a specification KEDA has no metric whose failures could count")


def test_another_address_can_be_called_instead(served: Served, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.board.post(CHAT, posted(2))
    file.write_text(manifest(None, predictiveAutoscaler="chat"))
    address = f"127.0.0.1:{served.server.port}"
    assert run(["keda", "check", str(file), "--address", address]) == 0
    assert shown(capsys)[0][0].endswith(f" at {address}")


def test_bad_metadata_is_what_the_scaler_says(served: Served, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(manifest(served, **{**INLINE, "maxWait": "soon"}))
    assert run(["keda", "check", str(file)]) == 1
    assert "INVALID_ARGUMENT: trigger metadata maxWait: must be a duration" in shown(capsys)[0][1]


def test_what_may_not_be_meant_is_warned_of(served: Served, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.board.post(CHAT, posted(2))
    spec = "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {tolerance: '0.05'}}}}\n"
    text = manifest(
        served,
        spec=spec,
        trigger="      metricType: Value\n      useCachedMetrics: true\n",
        predictiveAutoscaler="chat",
        maxAgeFromEnv="MAX_AGE",
    )
    file.write_text(text.replace("external-push", "external"))
    assert run(["keda", "check", str(file)]) == 0
    _, err = shown(capsys)
    for said in (
        "maxAgeFromEnv: its value is in the workload's environment",
        "metricType Value: the HPA multiplies by ready replicas",
        "from zero a request waits for the next poll, 30 s; use external-push",
        "useCachedMetrics: the HPA sees a new value after 30 s",
        "hpaTolerance is 10%, and behavior.scaleUp.tolerance 5%; make them the same",
    ):
        assert said in err


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "minReplicaCount 0 without a fallback of 1 replica or more: failed calls can take the workload to zero"),
        ("  fallback: {failureThreshold: 3, replicas: 0, behavior: currentReplicas}\n", "minReplicaCount 0 without a"),
        ("  minReplicaCount: 1\n", "no fallback: while there is no answer the HPA keeps the replicas that there are"),
        (
            "  fallback: {failureThreshold: 3, replicas: 2}\n",
            "fallback.behavior static: while there is no answer it can take away replicas that there are; use",
        ),
        (
            "  fallback: {failureThreshold: 3, replicas: 2, behavior: currentReplicasIfLower}\n",
            "currentReplicasIfLower: ",
        ),
        ("  fallback: {failureThreshold: 3, replicas: 2, behavior: currentReplicasIfHigher}\n", ""),
        ("  fallback: {failureThreshold: 3, replicas: 2, behavior: currentReplicas}\n", ""),
    ],
)
def test_a_fallback_that_is_no_help_is_warned_of(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str], spec: str, said: str
) -> None:
    served.board.post(CHAT, posted(2))
    file.write_text(manifest(served, spec=spec, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file)]) == 0
    _, err = shown(capsys)
    assert said in err
    assert err.count("\n") == (1 if said else 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "chat.yaml:1: column 5: not YAML"),
        ("kind: Service\n", "chat.yaml: holds no ScaledObject with a trigger of type external or external-push"),
        (manifest(None).replace("'127.0.0.1:1'", "90"), "chat.yaml:16: spec.triggers[1].metadata.scalerAddress: must be"
         " text; put it in quotes, got 90"),
        (manifest(None).replace("        scalerAddress: '127.0.0.1:1'", "        query: 'x'"), "chat.yaml:15: spec"
         ".triggers[1].metadata.scalerAddress: must be text"),
        (manifest(None, trigger="      metricType: Utilization\n"), "spec.triggers[1].metricType: must be AverageValue"
         " or Value in an external trigger, got 'Utilization'"),
        (manifest(None, spec="  minReplicaCount: 41\n"), "chat.yaml:11: spec.minReplicaCount: must be at most"
         " maxReplicaCount (40), got 41"),
        (manifest(None, spec="  minReplicaCount: 2\n  idleReplicaCount: 2\n"), "chat.yaml:12: spec.idleReplicaCount:"
         " must be below minReplicaCount (2), got 2"),
        (manifest(None, unsafeSsl="yes"), "metadata.unsafeSsl: must be 'true' or 'false', got 'yes'"),
        (manifest(None, spec="  fallback: {replicas: 2}\n"), "spec.fallback.failureThreshold: must be a whole number"),
        (manifest(None, enableTLS="yes"), "metadata.enableTLS: must be 'true' or 'false', got 'yes'"),
        (manifest(None, spec="  fallback: {replicas: 2, replicas: 3}\n"), "'replicas' is given twice"),
        ("kind: ScaledObject\nspec: {triggers: 3, scaleTargetRef: {name: x}}\n", "chat.yaml:1: metadata.name: must be"),
        ("kind: ScaledObject\nmetadata: {name: x}\nspec: {triggers: [3], scaleTargetRef: {name: x}}\n",
         "spec.triggers[0].type: must be text"),
    ],
)  # fmt: skip
def test_a_scaled_object_that_keda_would_refuse_is_one_line_with_its_place(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file.write_text(text)
    assert run(["keda", "check", str(file)]) == 2
    out, err = shown(capsys)
    assert out == []
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either a FILE or --scaledobject NAMESPACE/NAME"),
        (["x.yaml", "--scaledobject", "a/b"], "give either a FILE or --scaledobject NAMESPACE/NAME"),
        (["--scaledobject", "a/b", "--namespace", "a"], "--namespace: belongs to FILE; --scaledobject names its own"),
        (["--scaledobject", "chat"], "--scaledobject: 'chat' must be NAMESPACE/NAME"),
        (["/nonexistent.yaml"], "/nonexistent.yaml: can't be read: No such file or directory"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["keda", "check", *arguments]) == 2
    assert shown(capsys)[1] == f"headstart: {said}\n"


def test_certificates_that_cannot_be_read_are_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(manifest(None, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file), "--ca-cert", str(file.parent / "ca.pem")]) == 2
    assert "ca.pem: can't be read: No such file or directory" in shown(capsys)[1]


def test_it_speaks_mutual_tls_with_what_the_trigger_authentication_holds(
    serve: Serve, made: Path, files: TlsFiles, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = serve(tls=TlsFiles(files.cert, files.key, client_ca=made / "ca.pem"))
    served.board.post(CHAT, posted(2))
    file.write_text(manifest(served, predictiveAutoscaler="chat", enableTLS="true"))
    authority = ["--ca-cert", str(made / "ca.pem")]
    ours = ["--client-cert", str(made / "client.pem"), "--client-key", str(made / "client.key")]
    assert run(["keda", "check", str(file), *authority, *ours]) == 0
    assert run(["keda", "check", str(file), *authority]) == 1
    assert run(["keda", "check", str(file)]) == 1


def test_one_of_the_cluster_is_read_with_the_replicas_of_its_workload(
    served: Served, api: FakeApi, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.board.post(("team", "chat"), posted(7, replicas=3))
    api.put("deployments", deployment("llm", replicas=3))
    metadata = {"predictiveAutoscaler": "chat", "scalerAddress": f"127.0.0.1:{served.server.port}"}
    body = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"name": "llm"},
            "triggers": [{"type": "external-push", "metadata": metadata}],
        },
    }
    api.put("scaledobjects", body)
    assert run(["keda", "check", "--scaledobject", "team/chat", "--kubeconfig", str(kubeconfig)]) == 0
    out, err = shown(capsys)
    assert out[3] == "  at 3 replicas the HPA wants 7 of 1 to 100 for it"
    assert err.startswith("ScaledObject team/chat: spec.triggers[0]: warning: minReplicaCount 0 without a fallback")
    assert run(["keda", "check", "--scaledobject", "team/code", "--kubeconfig", str(kubeconfig)]) == 1


def test_idle_replicas_go_before_the_minimum(served: Served, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.board.post(CHAT, posted(0))
    file.write_text(manifest(served, spec="  minReplicaCount: 2\n  idleReplicaCount: 0\n", predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file)]) == 0
    out, err = shown(capsys)
    idle = "without another active trigger KEDA goes to 0 (idleReplicaCount) after cooldownPeriod"
    assert out[2:4] == [
        f"  not active: {idle}",
        "  the HPA wants 2 of 2 to 40 for it (say how many there are with --replicas)",
    ]
    assert "warning: idleReplicaCount 0 without a fallback of 1 replica or more" in err


def test_where_a_formula_decides_no_number_is_given(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.board.post(CHAT, posted(7))
    spec = "  advanced: {scalingModifiers: {formula: max(a, b), target: '1'}}\n"
    file.write_text(manifest(served, spec=spec, predictiveAutoscaler="chat"))
    assert run(["keda", "check", str(file), "--replicas", "3"]) == 0
    out, _ = shown(capsys)
    assert out[2] == (
        "  active by itself: the formula of advanced.scalingModifiers decides over all triggers whether it is, and what"
        " the HPA wants"
    )
    assert out[3].startswith("  answered in ")


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ("paused: 'true'", "paused: KEDA keeps the replicas that there are, and there is no HPA"),
        ("paused: 'true', autoscaling.keda.sh/paused-replicas: '4'", "paused-replicas: KEDA keeps 4 replicas, and"),
        ("paused: 'false'", ""),
    ],
)
def test_while_it_is_paused_the_hpa_wants_nothing(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str], annotations: str, said: str
) -> None:
    served.board.post(CHAT, posted(7))
    text = manifest(served, predictiveAutoscaler="chat")
    annotated = f"namespace: prod, annotations: {{autoscaling.keda.sh/{annotations}}}"
    file.write_text(text.replace("namespace: prod", annotated))
    assert run(["keda", "check", str(file)]) == 0
    out, _ = shown(capsys)
    assert any("the HPA wants 7" in line for line in out) is not bool(said)
    assert any(line.startswith(f"  paused by annotation autoscaling.keda.sh/{said}") for line in out) is bool(said)


def test_a_pause_of_one_way_and_an_unverified_certificate_are_warned_of(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.board.post(CHAT, posted(7))
    text = manifest(served, predictiveAutoscaler="chat", unsafeSsl="true")
    annotated = "namespace: prod, annotations: {autoscaling.keda.sh/paused-scale-in: 'true'}"
    file.write_text(text.replace("namespace: prod", annotated))
    assert run(["keda", "check", str(file)]) == 0
    _, err = shown(capsys)
    assert "annotation autoscaling.keda.sh/paused-scale-in: the HPA takes no replica away, whatever it wants" in err
    assert "unsafeSsl: KEDA takes any certificate from 2.21 on; here it is verified" in err


def test_through_a_forwarded_port_the_certificate_must_be_for_the_scaler_address(
    serve: Serve, made: Path, files: TlsFiles, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = serve(tls=files)
    served.board.post(CHAT, posted(2))
    called = ["--address", f"localhost:{served.server.port}", "--ca-cert", str(made / "ca.pem")]
    for address, code in (("127.0.0.1:9090", 0), ("chat.prod:9090", 1)):
        file.write_text(manifest(served, predictiveAutoscaler="chat", scalerAddress=address))
        assert run(["keda", "check", str(file), *called]) == code


def test_a_namespace_that_nobody_states_is_told_or_given(
    served: Served, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.board.post(CHAT, posted(2))
    served.board.post(("default", "chat"), posted(3))
    file.write_text(manifest(served, predictiveAutoscaler="chat").replace(", namespace: prod", ""))
    assert run(["keda", "check", str(file)]) == 0
    out, err = shown(capsys)
    assert out[0].startswith("default/chat: ")
    assert "metadata.namespace is missing, and taken as default; say which with --namespace" in err
    assert run(["keda", "check", str(file), "--namespace", "prod"]) == 0
    out, err = shown(capsys)
    assert out[0].startswith("prod/chat: ")
    assert "metadata.namespace" not in err


def test_a_list_from_standard_input(served: Served, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.board.post(CHAT, posted(2))
    _, text = manifest(served, predictiveAutoscaler="chat").split("---\n")
    lines = text.splitlines()
    file.write_text("\n".join(["kind: List", "items:", f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]))
    stdin = os.dup(0)
    try:
        with file.open() as opened:
            os.dup2(opened.fileno(), 0)
        assert run(["keda", "check", "-"]) == 0
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
    out, err = shown(capsys)
    assert out[0].startswith("prod/chat: trigger 1 (external-push)")
    assert err.startswith("/dev/stdin:12: spec.triggers[1]: warning: ")
