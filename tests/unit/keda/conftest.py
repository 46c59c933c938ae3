"""A real server on the loopback, and a client of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

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
