from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from certificates_made import end_s, make_authority, openssl
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from keda_client import DEADLINE_S, INLINE, Serve, Served, posted, ref

from autoscaler.errors import UsageError
from autoscaler.keda.expiry import expires_s
from autoscaler.keda.externalscaler_pb2 import ScaledObjectRef
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub
from autoscaler.keda.server import GrpcServer, Limits
from autoscaler.keda.service import Options
from autoscaler.keda.tls import Certificates, TlsFiles

Code = grpc.StatusCode
NAMED = {"predictiveAutoscaler": "chat"}
CHAT = ("prod", "chat")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def replace(path: Path, made: Path) -> None:
    """As a mounted secret is replaced: in one step."""
    fresh = path.with_suffix(".new")
    shutil.copy(made, fresh)
    fresh.rename(path)


def ask(served: Served, made: Path, authority: str, client: str | None = None) -> grpc.StatusCode:
    """The status of one call over TLS, on a connection of its own."""
    identity = () if client is None else ((made / f"{client}.key").read_bytes(), (made / f"{client}.pem").read_bytes())
    credentials = grpc.ssl_channel_credentials((made / f"{authority}.pem").read_bytes(), *identity)
    own_connection = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.secure_channel(f"127.0.0.1:{served.server.port}", credentials, options=own_connection) as channel:
        try:
            ExternalScalerStub(channel).IsActive(ref(NAMED), timeout=DEADLINE_S)
        except grpc.RpcError as error:
            return error.code()
        return Code.OK


def test_tls_serves_who_trusts_its_authority_and_no_plaintext(serve: Serve, made: Path, files: TlsFiles) -> None:
    served = serve(tls=files)
    served.board.post(CHAT, posted(1))
    assert ask(served, made, "ca") is Code.OK
    assert ask(served, made, "other-ca") is Code.UNAVAILABLE
    assert served.refusal(ref(NAMED), "IsActive")[0] is Code.UNAVAILABLE


def test_mutual_tls_serves_clients_of_its_authority_alone(serve: Serve, made: Path, files: TlsFiles) -> None:
    served = serve(tls=TlsFiles(files.cert, files.key, client_ca=files.cert.parent / "ca.pem"))
    served.board.post(CHAT, posted(1))
    assert ask(served, made, "ca", "client") is Code.OK
    assert ask(served, made, "ca", "stranger") is Code.UNAVAILABLE
    assert ask(served, made, "ca") is Code.UNAVAILABLE


def test_replaced_certificates_serve_new_connections_and_old_ones_live_on(
    serve: Serve, made: Path, files: TlsFiles
) -> None:
    served = serve(tls=files)
    served.board.post(CHAT, posted(1))
    credentials = grpc.ssl_channel_credentials((made / "ca.pem").read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{served.server.port}", credentials) as old:
        assert ExternalScalerStub(old).IsActive(ref(NAMED), timeout=DEADLINE_S).result
        replace(files.cert, made / "rotated.pem")
        # Half of a rotation: the key is still the old one.
        assert ask(served, made, "ca") is Code.OK
        assert "is no certificate with its key" in served.server.figures().certificate_problem
        replace(files.key, made / "rotated.key")
        assert ask(served, made, "other-ca") is Code.OK
        assert ask(served, made, "ca") is Code.UNAVAILABLE
        assert served.server.figures().certificate_problem == ""
        assert ExternalScalerStub(old).IsActive(ref(NAMED), timeout=DEADLINE_S).result


def test_replaced_authorities_of_clients_count_at_once(serve: Serve, made: Path, files: TlsFiles) -> None:
    client_ca = files.cert.parent / "ca.pem"
    served = serve(tls=TlsFiles(files.cert, files.key, client_ca=client_ca))
    served.board.post(CHAT, posted(1))
    replace(client_ca, made / "other-ca.pem")
    assert ask(served, made, "ca", "stranger") is Code.OK
    assert ask(served, made, "ca", "client") is Code.UNAVAILABLE


def test_certificates_that_vanish_leave_the_server_with_what_it_had(serve: Serve, made: Path, files: TlsFiles) -> None:
    served = serve(tls=files)
    served.board.post(CHAT, posted(1))
    files.key.unlink()
    assert ask(served, made, "ca") is Code.OK
    assert served.server.figures().certificate_problem.endswith("server.key: can't be read: No such file or directory")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda files: files.cert.unlink(), "server.pem: can't be read: No such file or directory"),
        (lambda files: files.key.write_text("no key"), "is no certificate with its key in PEM"),
        (lambda files: (files.cert.parent / "ca.pem").write_text(""), "ca.pem: holds no certificates in PEM"),
    ],
)
def test_unusable_certificates_stop_the_start_with_one_line(files: TlsFiles, spoil: object, said: str) -> None:
    spoil(files)  # type: ignore[operator]
    with pytest.raises(UsageError) as raised:
        Certificates(TlsFiles(files.cert, files.key, files.cert.parent / "ca.pem"))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_figures_say_when_the_served_certificate_ends(serve: Serve, made: Path, files: TlsFiles) -> None:
    served = serve(tls=files)
    assert served.server.figures().certificate_expires_s == end_s(made, "server")
    assert serve().server.figures().certificate_expires_s is None


def test_what_is_looked_at_before_a_connection_is_given_to_it(made: Path, files: TlsFiles) -> None:
    certificates = Certificates(files)
    assert certificates.renewed() is None
    replace(files.cert, made / "rotated.pem")
    certificates.look()
    assert "is no certificate with its key" in certificates.problem
    assert certificates.renewed() is None
    replace(files.key, made / "rotated.key")
    certificates.look()
    assert certificates.problem == ""
    assert certificates.renewed() is not None
    assert certificates.renewed() is None


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("days", [1, 36_500])
def test_a_certificate_ends_when_it_says_before_2050_and_after(tmp_path: Path, days: int) -> None:
    make_authority(tmp_path, "short", days=days)
    assert expires_s((tmp_path / "short.pem").read_bytes()) == end_s(tmp_path, "short")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMAMwAQA=\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMP8=\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_certificate_has_no_end(pem: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate in PEM"):
        expires_s(pem)


def test_a_key_with_a_passphrase_is_an_error_and_not_a_question(files: TlsFiles) -> None:
    openssl(files.key.parent, "ec", "-in", "server.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
    with pytest.raises(UsageError, match="is no certificate with its key"):
        Certificates(TlsFiles(files.cert, files.key.parent / "locked.key"))


def test_the_health_service_says_that_it_serves_until_the_server_stops(served: Served) -> None:
    health = health_pb2_grpc.HealthStub(served.channel)
    for name in ("", "externalscaler.ExternalScaler"):
        asked = health_pb2.HealthCheckRequest(service=name)
        assert health.Check(asked, timeout=DEADLINE_S).status == SERVING
    watched = health.Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
    assert next(watched).status == SERVING
    served.server.stop(grace_s=0.5)
    assert next(watched).status == NOT_SERVING


def test_calls_are_counted_by_how_they_ended(serve: Serve) -> None:
    served = serve(options=Options(repeat_s=3_600.0, stream_s=7_200.0), guests_max=1)
    served.board.post(CHAT, posted(2))
    for _ in range(3):
        served.value(ref(NAMED))
    served.refusal(ref(NAMED | {"maxAge": "soon"}))
    served.refusal(ref({"predictiveAutoscaler": "code"}), "IsActive")
    served.stub.GetMetricSpec(ref(INLINE), timeout=DEADLINE_S)
    served.refusal(ref(INLINE | {"maxReplicas": "9"}))
    with pytest.raises(grpc.RpcError):
        next(served.stub.StreamMetricSpec(ref(NAMED), timeout=DEADLINE_S))
    stream = served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)
    assert next(stream).result
    assert served.server.figures().streams == 1
    stream.cancel()
    _until(lambda: served.server.figures().streams == 0)
    assert served.server.figures().calls == {
        ("GetMetrics", "OK"): 3,
        ("GetMetrics", "INVALID_ARGUMENT"): 1,
        ("GetMetrics", "RESOURCE_EXHAUSTED"): 1,
        ("GetMetricSpec", "OK"): 1,
        ("IsActive", "UNAVAILABLE"): 1,
        ("StreamMetricSpec", "UNIMPLEMENTED"): 1,
        ("StreamIsActive", "CANCELLED"): 1,
    }


def test_a_loop_that_hangs_has_no_figures(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.keda.server._FIGURES_TIMEOUT_S", 0.05)
    goes_on = threading.Event()
    served.server._loop.call_soon_threadsafe(goes_on.wait, DEADLINE_S)
    with pytest.raises(TimeoutError):
        served.server.figures()
    goes_on.set()


def test_reflection_lists_what_is_served(served: Served) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = list(stub.ServerReflectionInfo(asked, timeout=DEADLINE_S))
    names = {service.name for service in answer.list_services_response.service}
    assert {"externalscaler.ExternalScaler", "grpc.health.v1.Health"} <= names


def test_a_message_that_is_too_large_is_refused(served: Served) -> None:
    code, _ = served.refusal(ref({"query": "x" * 70_000}))
    assert code is Code.RESOURCE_EXHAUSTED


def test_headers_that_are_too_large_are_refused(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.stub.IsActive(ref(NAMED), timeout=DEADLINE_S, metadata=(("x-large", "x" * 20_000),))
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED


def test_calls_above_the_limit_are_refused_or_wait_and_the_server_goes_on(serve: Serve) -> None:
    served = serve(limits=Limits(calls=4), options=Options(repeat_s=3_600.0, stream_s=7_200.0))
    served.board.post(CHAT, posted(1))
    streams = [served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S) for _ in range(4)]
    assert all(next(stream).result for stream in streams)
    with grpc.insecure_channel(
        f"127.0.0.1:{served.server.port}", options=(("grpc.use_local_subchannel_pool", 1),)
    ) as other:
        with pytest.raises(grpc.RpcError) as caught:
            ExternalScalerStub(other).IsActive(ref(NAMED), timeout=DEADLINE_S)
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        for stream in streams:
            stream.cancel()
        assert _answers(other)


def test_connections_above_the_limit_are_closed_and_freed_ones_make_room(serve: Serve) -> None:
    served = serve(limits=Limits(connections=3))
    served.board.post(CHAT, posted(1))
    held = [socket.create_connection(("127.0.0.1", served.server.port), DEADLINE_S) for _ in range(3)]
    assert all(connection.recv(1) for connection in held)  # the server's settings
    surplus = socket.create_connection(("127.0.0.1", served.server.port), DEADLINE_S)
    with contextlib.suppress(ConnectionResetError):
        assert surplus.recv(1) == b""
    for connection in (*held, surplus):
        connection.close()
    assert _answers(served.channel)


def test_a_port_that_is_taken_is_one_line(serve: Serve) -> None:
    served = serve()
    second = GrpcServer(served.service, f"127.0.0.1:{served.server.port}")
    with pytest.raises(UsageError, match=r"127.0.0.1:\d+: can't be listened on"):
        second.start()
    second.stop()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "", ":9090", "unix:/tmp/x:1", "::1:9090"])
def test_an_address_that_is_none_is_one_line(served: Served, address: str) -> None:
    with pytest.raises(UsageError, match="is no address to listen on; it must be HOST:PORT"):
        GrpcServer(served.service, address)


def test_an_address_of_another_machine_is_one_line(served: Served) -> None:
    with pytest.raises(UsageError, match="192.0.2.1:0: can't be listened on"):
        GrpcServer(served.service, "192.0.2.1:0").start()


def test_stop_ends_streams_well_and_leaves_no_thread(serve: Serve) -> None:
    served = serve(options=Options(repeat_s=3_600.0, stream_s=7_200.0))
    served.board.post(CHAT, posted(1))
    stream = served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)
    assert next(stream).result
    served.server.stop(grace_s=DEADLINE_S)
    assert list(stream) == []
    assert stream.code() is Code.OK
    assert not [thread for thread in threading.enumerate() if thread.name == "keda-server"]
    served.board.post(CHAT, posted(2))  # the tick may outlive the server


def test_many_callers_and_a_tick_at_once_get_whole_answers(served: Served) -> None:
    keys = [("prod", f"chat-{number}") for number in range(20)]
    refs = [ref({"predictiveAutoscaler": name}) for _, name in keys]
    done = threading.Event()

    def tick() -> None:
        for count in range(200):
            for key in keys:
                served.board.post(key, posted(1 + count % 7, replicas=None))
        done.set()

    def call(asked: ScaledObjectRef) -> set[tuple[int, float]]:
        values = set()
        while not done.is_set():
            values.add(served.value(asked))
        return values

    for key in keys:
        served.board.post(key, posted(1))
    with ThreadPoolExecutor(4) as callers:
        ticking = callers.submit(tick)
        values = set().union(*callers.map(call, refs))
        ticking.result()
    assert values <= {(value, float(value)) for value in range(1, 8)}


def test_metadata_of_one_call_does_not_reach_another(served: Served) -> None:
    served.stub.GetMetricSpec(ref(INLINE), timeout=DEADLINE_S)
    served.stub.GetMetricSpec(ref(INLINE, namespace="team-b"), timeout=DEADLINE_S)
    assert {guest.metadata.namespace for guest in served.guests.objects()} == {"prod", "team-b"}


def _until(check: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if check():
            return
        time.sleep(0.005)
    raise AssertionError("it never came")


def _answers(channel: grpc.Channel) -> bool:
    """Whether a call is answered before long: what was freed is free a moment later."""
    for _ in range(100):
        try:
            return bool(ExternalScalerStub(channel).IsActive(ref(NAMED), timeout=DEADLINE_S).result)
        except grpc.RpcError:
            time.sleep(0.05)
    return False
