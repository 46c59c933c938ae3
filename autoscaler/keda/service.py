"""The five calls of KEDA's protocol."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from autoscaler.keda.answers import Answers, RefusedError
from autoscaler.keda.board import Board, Key
from autoscaler.keda.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
    ScaledObjectRef,
)
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerServicer
from autoscaler.keda.guests import Guests
from autoscaler.keda.metadata import Inline, Named
from autoscaler.keda.metric import METRIC_NAME, TARGET


@dataclass(frozen=True, slots=True)
class Options:
    """How calls are answered.

    Attributes:
        allow_cross_namespace: whether a trigger may name an object of another namespace.
        repeat_s: time after which "active" is pushed again: KEDA may have dropped the first.
        stream_s: a stream's length; then it ends well, and KEDA opens another after 2 s. An end by force instead makes
            KEDA wait longer each time.
        streams_max: streams open at a time.
    """

    allow_cross_namespace: bool = False
    repeat_s: float = 10.0
    stream_s: float = 300.0
    streams_max: int = 4_000


_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
_Call = Callable[[Any, _Request, grpc.aio.ServicerContext], Awaitable[_Answer]]


def _counted(call: _Call[_Request, _Answer]) -> _Call[_Request, _Answer]:
    """The call with its RefusedErrors as statuses, counted by how it ended, at the cost of some microseconds."""
    method = call.__name__

    @functools.wraps(call)
    async def counting(self: ExternalScalerService, request: _Request, context: grpc.aio.ServicerContext) -> _Answer:
        code = "UNKNOWN"  # a defect: gRPC says so too
        try:
            answer = await call(self, request, context)
            code = "OK"
            return answer
        except RefusedError as error:
            code = error.code.name
            await context.abort(error.code, error.details)
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        finally:
            self.calls[method, code] += 1

    return counting


class ExternalScalerService(ExternalScalerServicer):
    """Runs in one event loop; the board may be posted on from any thread.

    GetMetricSpec says the same for the same metadata, always, whether the object exists and has data or not: without a
    specification KEDA has no metric to count failures of, and its fallback never comes.

    Attributes:
        options: as given.
        calls: (method, name of the status) -> calls that ended so; only that loop changes it.
    """

    def __init__(self, board: Board, guests: Guests, options: Options | None = None) -> None:
        """Answer from the board, and note in guests what triggers describe."""
        self.options = options or Options()
        self.calls: Counter[tuple[str, str]] = Counter()
        self._answers = Answers(board, guests, allow_cross_namespace=self.options.allow_cross_namespace)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = 0
        self._waiting: dict[Key, set[asyncio.Event]] = {}
        board.listen(self._posted)

    def begin(self) -> None:
        """Called in the event loop that calls will come in, before they do."""
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Called in that loop: all streams end well."""
        self._loop = None
        for events in self._waiting.values():
            for event in events:
                event.set()

    @property
    def streams_open(self) -> int:
        """Streams that are open now."""
        return self._open

    @_counted
    async def GetMetricSpec(self, request: ScaledObjectRef, context: grpc.aio.ServicerContext) -> GetMetricSpecResponse:  # noqa: ARG002
        """The metric and its target."""
        asked = self._answers.asked(request)
        with contextlib.suppress(RefusedError):  # GetMetrics says it, where KEDA counts it
            self._answers.admit(asked)
        return GetMetricSpecResponse(
            metricSpecs=[MetricSpec(metricName=METRIC_NAME, targetSize=TARGET, targetSizeFloat=float(TARGET))]
        )

    @_counted
    async def GetMetrics(self, request: GetMetricsRequest, context: grpc.aio.ServicerContext) -> GetMetricsResponse:  # noqa: ARG002
        """The metric's value, by the newest decision."""
        asked = self._answers.asked(request.scaledObjectRef)
        self._answers.admit(asked)
        value = self._answers.answer(asked).value
        return GetMetricsResponse(
            metricValues=[MetricValue(metricName=METRIC_NAME, metricValue=value, metricValueFloat=float(value))]
        )

    @_counted
    async def IsActive(self, request: ScaledObjectRef, context: grpc.aio.ServicerContext) -> IsActiveResponse:  # noqa: ARG002
        """Whether the workload needs a replica now or one load ahead. An error is not false: KEDA keeps what it has."""
        asked = self._answers.asked(request)
        self._answers.admit(asked)
        return IsActiveResponse(result=self._answers.answer(asked).active)

    @_counted
    async def StreamIsActive(self, request: ScaledObjectRef, context: grpc.aio.ServicerContext) -> None:
        """True at once where it is so, with each change to it, and again every few seconds; false is left to polling.

        Where nothing is known the stream waits: KEDA's polls say why.
        """
        asked = self._answers.asked(request)
        if self._open >= self.options.streams_max:
            raise RefusedError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._open:,} streams are open, and no more are served"
            )
        with self._watch(asked.key) as event:
            await self._push(asked, event, context)

    @_counted
    async def StreamMetricSpec(self, request: ScaledObjectRef, context: grpc.aio.ServicerContext) -> None:  # noqa: ARG002
        """Not offered: the specification never changes. KEDA then asks by GetMetricSpec alone."""
        raise RefusedError(grpc.StatusCode.UNIMPLEMENTED, "the specification of a trigger's metric never changes")

    async def _push(self, asked: Named | Inline, event: asyncio.Event, context: grpc.aio.ServicerContext) -> None:
        """Write what a stream pushes, until it is long enough."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self.options.stream_s
        repeat_s = loop.time()
        was_active = False
        while self._loop is loop and (now_s := loop.time()) < ends_s:
            event.clear()
            active = self._is_active(asked)
            if active and (not was_active or now_s >= repeat_s):
                await context.write(IsActiveResponse(result=True))
                repeat_s = now_s + self.options.repeat_s
            was_active = active
            wake_s = min(ends_s, repeat_s if active else now_s + self.options.repeat_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(wake_s):
                    await event.wait()

    def _is_active(self, asked: Named | Inline) -> bool:
        try:
            self._answers.admit(asked)
            return self._answers.answer(asked).active
        except RefusedError:
            return False

    @contextlib.contextmanager
    def _watch(self, key: Key) -> Iterator[asyncio.Event]:
        """An event that is set with each decision on the object, for as long as a stream is open."""
        event = asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)
        self._open += 1
        try:
            yield event
        finally:
            self._open -= 1
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def _posted(self, key: Key) -> None:
        """In the tick's thread: wake the streams that wait for the object."""
        loop = self._loop
        if loop is not None and key in self._waiting:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._wake, key)

    def _wake(self, key: Key) -> None:
        for event in self._waiting.get(key, ()):
            event.set()
