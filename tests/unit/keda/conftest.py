"""A real server on the loopback, and a client of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from certificates_made import make_authority, make_certificate
from keda_client import Hand, Serve, Served

from autoscaler.keda.board import Board
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub
from autoscaler.keda.guests import Guests
from autoscaler.keda.server import GrpcServer, Limits
from autoscaler.keda.service import ExternalScalerService, Options
from autoscaler.keda.tls import TlsFiles


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(
            *,
            options: Options | None = None,
            limits: Limits | None = None,
            tls: TlsFiles | None = None,
            guests_max: int = 100,
        ) -> Served:
            clock = Hand()
            board, guests = Board(clock), Guests(clock, guests_max=guests_max)
            service = ExternalScalerService(board, guests, options)
            server = GrpcServer(service, "127.0.0.1:0", tls=tls, limits=limits)
            server.start()
            stack.callback(server.stop, 0.0)
            channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
            stack.callback(channel.close)
            return Served(board, guests, clock, service, server, channel, ExternalScalerStub(channel))

        yield start


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, a server's certificate of each, and a client's of the first."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    folder = tmp_path_factory.mktemp("made")
    for authority in ("ca", "other-ca"):
        make_authority(folder, authority)
    for name, authority in (("server", "ca"), ("rotated", "other-ca"), ("client", "ca"), ("stranger", "other-ca")):
        make_certificate(folder, name, authority)
    return folder


@pytest.fixture
def files(made: Path, tmp_path: Path) -> TlsFiles:
    """The server's files, in a folder where a test may replace them."""
    for name in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(made / name, tmp_path / name)
    return TlsFiles(tmp_path / "server.pem", tmp_path / "server.key")
