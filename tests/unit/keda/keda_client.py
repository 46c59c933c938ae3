"""A client that calls a server as KEDA does, and what tests post and ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from autoscaler.keda.board import Board, Posted
from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from autoscaler.keda.guests import Guests
from autoscaler.keda.server import GrpcServer
from autoscaler.keda.service import ExternalScalerService

DEADLINE_S = 10.0
INLINE = {"query": "sum(rate(gateway_requests_total[2m]))", "capacityPerReplica": "3"}


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def posted(desired: int, *, replicas: int | None = 1, interval_s: float = 60.0) -> Posted:
    return Posted(desired, interval_s, usable=True, reason="", replicas=replicas)


def unusable(desired: int, reason: str = "Prometheus can't be reached") -> Posted:
    return Posted(desired, 60.0, usable=False, reason=reason, replicas=1)


def ref(metadata: Mapping[str, str], *, namespace: str = "prod", name: str = "chat") -> ScaledObjectRef:
    return ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=dict(metadata))


@dataclass(frozen=True, slots=True)
class Served:
    """What a test needs of a running server."""

    board: Board
    guests: Guests
    clock: Hand
    service: ExternalScalerService
    server: GrpcServer
    channel: grpc.Channel
    stub: Any

    def value(self, asked: ScaledObjectRef) -> tuple[int, float]:
        request = GetMetricsRequest(scaledObjectRef=asked, metricName="headstart-replicas")
        (value,) = self.stub.GetMetrics(request, timeout=DEADLINE_S).metricValues
        return value.metricValue, value.metricValueFloat

    def refusal(self, asked: ScaledObjectRef, call: str = "GetMetrics") -> tuple[grpc.StatusCode, str]:
        request = GetMetricsRequest(scaledObjectRef=asked) if call == "GetMetrics" else asked
        with pytest.raises(grpc.RpcError) as caught:
            getattr(self.stub, call)(request, timeout=DEADLINE_S)
        return caught.value.code(), caught.value.details()


Serve = Callable[..., Served]
