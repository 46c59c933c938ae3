"""Calls an external scaler as KEDA does, for many ScaledObjects: a process of its own.

Each object is polled once per second by GetMetricSpec, GetMetrics and IsActive, one after the other, all on one
connection as KEDA's are; the polls are spread over the second. A command is a JSON line on standard input,
`{"seconds": 60}`; its answer has the calls, what they took, those that failed, and how late the polls began.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from typing import Any

import grpc
import numpy as np

from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub

METRIC = "headstart-replicas"
_DEADLINE_S = 3.0


def ref_of(number: int) -> ScaledObjectRef:
    """The trigger of one object; `prometheus_stand_in` knows its query."""
    metadata = {
        "scalerAddress": "headstart:9090",
        "query": f'sum(rate(http_requests_total{{service="m-{number}"}}[1m]))',
        "capacityPerReplica": "7",
        "loadLatency": "60s",
        "maxReplicas": "200",
    }
    return ScaledObjectRef(name=f"m-{number}", namespace="team", scalerMetadata=metadata)


class Callers:
    """All objects, and what their calls took."""

    def __init__(self, address: str, objects: int) -> None:
        self._stub = ExternalScalerStub(grpc.aio.insecure_channel(address))
        self._refs = [ref_of(number) for number in range(objects)]
        self._start_over()

    def _start_over(self) -> None:
        self._took_s: dict[str, list[float]] = {"GetMetricSpec": [], "GetMetrics": [], "IsActive": []}
        self._failed: Counter[str] = Counter()
        self._late_s: list[float] = []

    async def run(self, seconds: float) -> dict[str, Any]:
        """Poll for so long."""
        self._start_over()
        gc.collect()
        gc.disable()
        loop = asyncio.get_running_loop()
        start_s = loop.time() + 0.1
        tasks = [self._poll(ref, start_s + k / len(self._refs), seconds) for k, ref in enumerate(self._refs)]
        await asyncio.gather(*tasks)
        gc.enable()
        return {
            "calls": {call: len(took_s) for call, took_s in self._took_s.items()},
            "ms": {call: _percentiles_ms(took_s) for call, took_s in self._took_s.items()},
            "late_ms": _percentiles_ms(self._late_s),
            "failed": dict(self._failed),
        }

    async def _poll(self, ref: ScaledObjectRef, first_s: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for k in range(int(seconds)):
            due_s = first_s + k
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            self._late_s.append(loop.time() - due_s)
            await self._timed("GetMetricSpec", ref)
            await self._timed("GetMetrics", GetMetricsRequest(scaledObjectRef=ref, metricName=METRIC))
            await self._timed("IsActive", ref)

    async def _timed(self, call: str, request: Any) -> None:
        begin_s = time.perf_counter()
        try:
            await getattr(self._stub, call)(request, timeout=_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            self._failed[f"{call}: {error.code().name}"] += 1
        self._took_s[call].append(time.perf_counter() - begin_s)


def _percentiles_ms(took_s: list[float]) -> dict[str, float]:
    took_ms = 1_000 * np.array(took_s or [0.0])
    return {name: float(np.percentile(took_ms, q)) for name, q in (("p50", 50), ("p99", 99), ("max", 100))}


async def _main(address: str, objects: int) -> None:
    callers = Callers(address, objects)
    _say({})
    while line := await asyncio.to_thread(sys.stdin.readline):
        _say(await callers.run(json.loads(line)["seconds"]))


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("objects", type=int)
    given = parser.parse_args()
    asyncio.run(_main(given.address, given.objects))
