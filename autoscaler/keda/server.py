"""The gRPC server: an event loop in a thread of its own, with TLS, health and reflection, and a limit on everything."""

from __future__ import annotations

import asyncio
import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from autoscaler.errors import UsageError, shown
from autoscaler.keda import externalscaler_pb2
from autoscaler.keda.externalscaler_pb2_grpc import add_ExternalScalerServicer_to_server
from autoscaler.keda.service import ExternalScalerService
from autoscaler.keda.tls import Certificates, TlsFiles
from autoscaler.telemetry.scaler_figures import ScalerFigures

SERVICE = externalscaler_pb2.DESCRIPTOR.services_by_name["ExternalScaler"].full_name

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0
# Below what the loop's process waits for an answer in which they are.
_FIGURES_TIMEOUT_S = 5.0
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes.

    Attributes:
        message_bytes: of one request; the longest query allowed has 8 kB.
        header_bytes: of one request's headers.
        connections: open at a time. KEDA has one, its metrics server none.
        calls: under way at a time, streams included. KEDA sends all its calls on one connection, and those above a
            connection's limit wait without a deadline there, so that both limits are the same.
        connection_age_s: after which a client is asked to connect anew: it then finds replicas that came since.
        idle_s: after which a connection without calls is closed.
        keepalive_s: after which a silent connection is asked whether it is alive.
        handshake_s: for TLS and HTTP/2 to get going.
    """

    message_bytes: int = 64 << 10
    header_bytes: int = 16 << 10
    connections: int = 256
    calls: int = 8_000
    connection_age_s: float = 600.0
    idle_s: float = 900.0
    keepalive_s: float = 60.0
    handshake_s: float = 10.0

    def options(self, stream_s: float) -> list[tuple[str, int]]:
        """As gRPC's options; a connection that is to end waits for streams of that length."""
        return [
            ("grpc.so_reuseport", 0),  # or two servers could share a port without noticing
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_metadata_size", self.header_bytes // 2),
            ("grpc.absolute_max_metadata_size", self.header_bytes),
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.max_concurrent_streams", self.calls),
            ("grpc.max_connection_age_ms", _ms(self.connection_age_s)),
            ("grpc.max_connection_age_grace_ms", _ms(stream_s + 10.0)),
            ("grpc.max_connection_idle_ms", _ms(self.idle_s)),
            ("grpc.keepalive_time_ms", _ms(self.keepalive_s)),
            ("grpc.keepalive_timeout_ms", 20_000),
            # KEDA's client sends none, and a proxy that pings every 10 s is none to be cut off.
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.server_handshake_timeout_ms", _ms(self.handshake_s)),
        ]


class GrpcServer:
    """Serves one ExternalScalerService. Start it once, and stop it once; both may come from any thread."""

    def __init__(
        self,
        service: ExternalScalerService,
        address: str,
        *,
        tls: TlsFiles | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to listen.

        Args:
            service: what answers.
            address: host and port, such as 0.0.0.0:9090 or [::]:9090; port 0 takes a free one.
            tls: certificates; None speaks plaintext.
            limits: what is taken at most.

        Raises:
            UsageError: the address is none, or the certificates can't be used.
        """
        _check_address(address)
        self._service = service
        self._address = address
        self._limits = limits or Limits()
        self._certificates = Certificates(tls) if tls else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="keda-server", daemon=True)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._started: Future[int] = Future()

    @property
    def port(self) -> int:
        """The port that it listens on, once started."""
        return self._started.result(timeout=0)

    def start(self) -> None:
        """Listen and answer from now on.

        Raises:
            UsageError: the address can't be listened on.
        """
        self._thread.start()
        try:
            self._started.result(timeout=_START_TIMEOUT_S)
        except UsageError:
            self._thread.join()
            raise

    def figures(self) -> ScalerFigures:
        """What was counted; it is asked for where calls are answered.

        Raises:
            TimeoutError: no call is answered either.
        """
        if self._certificates:
            self._certificates.look()
        return asyncio.run_coroutine_threadsafe(self._figures(), self._loop).result(_FIGURES_TIMEOUT_S)

    def stop(self, grace_s: float = 5.0) -> None:
        """Take no more calls, end streams well, and wait for calls under way, up to `grace_s`."""
        if self._thread.is_alive():
            stopping = asyncio.run_coroutine_threadsafe(self._stop(grace_s), self._loop)
            try:
                stopping.result(grace_s + _STOP_TIMEOUT_S)
            except TimeoutError:
                return  # it hangs, and ends with the process
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            try:
                port = self._loop.run_until_complete(self._start())
            except BaseException as error:
                self._started.set_exception(error)
                return
            self._started.set_result(port)
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _start(self) -> int:
        server = grpc.aio.server(
            options=self._limits.options(self._service.options.stream_s), maximum_concurrent_rpcs=self._limits.calls
        )
        add_ExternalScalerServicer_to_server(self._service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        try:
            port = (
                server.add_secure_port(self._address, self._certificates.credentials())
                if self._certificates
                else server.add_insecure_port(self._address)
            )
        except RuntimeError as error:
            raise UsageError(
                f"{self._address}: can't be listened on; it must be an address of this machine, with a port that"
                " nothing else has"
            ) from error
        self._service.begin()
        # From the start: without a specification, which is always there, KEDA counts no failure for its fallback.
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await server.start()
        self._server = server
        return int(port)

    async def _figures(self) -> ScalerFigures:
        certificates = self._certificates
        return ScalerFigures(
            calls=dict(self._service.calls),
            streams=self._service.streams_open,
            certificate_problem=certificates.problem if certificates else "",
            certificate_expires_s=certificates.expires_s if certificates else None,
        )

    async def _stop(self, grace_s: float) -> None:
        await self._health.enter_graceful_shutdown()
        self._service.end()
        if self._server is not None:
            await self._server.stop(grace_s)


def _check_address(address: str) -> None:
    match = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[0-9a-fA-F:.%]+\]):([0-9]{1,5})", address)
    if match is None or int(match[1]) > _PORT_MAX:
        raise UsageError(
            f"{shown(address)} is no address to listen on; it must be HOST:PORT, such as 0.0.0.0:9090 or [::]:9090"
        )


def _ms(duration_s: float) -> int:
    return round(duration_s * 1_000)
