"""How the API server is found."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from fake_api.server import FakeApi

from autoscaler.errors import UsageError
from autoscaler.kube.connect import connect
from autoscaler.kube.resources import PODS


def test_a_missing_file_and_a_missing_context_are_named(kubeconfig: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: there is no such kubeconfig"):
        connect(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"kubeconfig: .*staging.*; give --kubeconfig and --context"):
        connect(kubeconfig, "staging")


def test_where_there_is_none_its_usual_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}"
    # Both the client and ours know it from when they were loaded.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", usual)
    monkeypatch.setattr("autoscaler.kube.connect.KUBE_CONFIG_DEFAULT_LOCATION", usual)
    with pytest.raises(UsageError) as attempt:
        connect()
    assert str(attempt.value) == (
        f"there is no kubeconfig at {tmp_path / 'one'} or {tmp_path / 'two'}; give --kubeconfig and --context, or run"
        " in a pod"
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", "kind: Config", "clusters: 5\ncurrent-context: x\ncontexts: 1", "kind: \xff"]
)
def test_a_file_that_is_no_kubeconfig_is_one_line(tmp_path: Path, text: str) -> None:
    broken = tmp_path / "broken"
    broken.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="broken: ") as attempt:
        connect(broken)
    assert "\n" not in str(attempt.value)


def test_the_token_of_a_plugin_is_renewed_when_it_expires(api: FakeApi, kubeconfig: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        f"""
import json, pathlib
count = pathlib.Path({str(count)!r})
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
status = {{"token": f"token-{{number}}", "expirationTimestamp": "2020-01-01T00:00:00Z"}}
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
""",
        encoding="utf-8",
    )
    config = json.loads(kubeconfig.read_text())
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(plugin)]}
    config["users"][0]["user"] = {"exec": command}
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    before = kubeconfig.read_text()
    kube = connect(kubeconfig)
    kube.list(PODS, namespace=None)
    kube.list(PODS, namespace=None)
    assert api.tokens[-2:] == ["Bearer token-2", "Bearer token-3"]
    assert kubeconfig.read_text() == before
    kube.close()
