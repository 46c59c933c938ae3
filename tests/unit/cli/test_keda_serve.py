"""`headstart keda serve` as its user starts it, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from autoscaler.cli import app as command_line
from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub

URL = "http://127.0.0.1:1"
REF = ScaledObjectRef(
    name="chat", namespace="prod", scalerMetadata={"query": "sum(rate(requests[1m]))", "capacityPerReplica": "3"}
)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--prometheus: is missing"),
        (["--listen", "nowhere"], "--listen: must be HOST:PORT, such as 0.0.0.0:8080, got 'nowhere'"),
        (["--metrics-listen", "nowhere"], "--metrics-listen: "),
        (["--keda-tls-cert", "tls.crt"], "--keda-tls-key: is missing"),
        (["--keda-tls-client-ca", "ca.crt"], "--keda-tls-client-ca: needs --keda-tls-cert"),
        (["--keda-tls-cert", "/no.crt", "--keda-tls-key", "/no.key"], "/no.crt: can't be read"),
        (["--tick", "0s"], "--tick"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cant_be_used_is_one_line_and_exit_2(
    options: list[str], said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_PROMETHEUS_URL", raising=False)
    given = options and ["--prometheus", URL, *options]
    if "--metrics-listen" not in options:
        given += ["--metrics-listen", "127.0.0.1:0"]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert command_line.run(["keda", "serve", *given]) == 2
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and where it answers; its Prometheus can't be reached."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [str(Path(sys.executable).with_name("headstart")), "keda", "serve", "--prometheus", URL]
    command += ["--listen", address, "--metrics-listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": ""}
    )
    try:
        yield process, address
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_it_answers_from_its_start_on_and_ends_in_order(running: tuple[subprocess.Popen[str], str]) -> None:
    process, address = running
    assert process.stderr is not None
    assert process.stderr.readline().startswith(f"headstart: gRPC at {address}, /metrics and probes on port ")
    with grpc.insecure_channel(address) as channel:
        stub = ExternalScalerStub(channel)
        (spec,) = stub.GetMetricSpec(REF, timeout=10).metricSpecs
        assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("headstart-replicas", 1, 1.0)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetMetrics(GetMetricsRequest(scaledObjectRef=REF), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
