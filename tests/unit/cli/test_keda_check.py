"""`headstart keda check`: certificates that can't be used are one line; gRPC would end the process over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.cli import app as command_line

SCALED_OBJECT = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: chat}
spec:
  scaleTargetRef: {name: chat}
  triggers:
    - {type: external-push, metadata: {scalerAddress: '127.0.0.1:1', predictiveAutoscaler: chat}}
"""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--ca-cert", "none"], "--ca-cert: none: can't be read: No such file or directory"),
        (
            ["--ca-cert", "noise"],
            "--ca-cert: noise: holds no certificates in PEM (NO_CERTIFICATE_OR_CRL_FOUND); give those",
        ),
        (["--client-cert", "noise"], "--client-key: is missing; a certificate needs its key"),
        (["--client-key", "noise"], "--client-cert: is missing; a certificate needs its key"),
        (["--client-cert", "noise", "--client-key", "none"], "--client-key: none: can't be read: No such file"),
        (
            ["--client-cert", "noise", "--client-key", "noise"],
            "--client-cert: noise with noise: is no certificate with",
        ),
    ],
)
def test_certificates_that_cannot_be_used_are_one_line(
    options: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chat.yaml").write_text(SCALED_OBJECT)
    Path("noise").write_bytes(bytes(range(256)))
    assert command_line.run(["keda", "check", "chat.yaml", *options]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {line}")
    assert printed.err.count("\n") == 1
