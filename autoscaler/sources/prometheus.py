"""Range queries against Prometheus and what speaks its API: Thanos, Mimir, VictoriaMetrics."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from autoscaler.errors import UsageError, one_line
from autoscaler.sources.batch import Endpoint, Job, Values, plan, single
from autoscaler.sources.batch_sizes import BatchSizes
from autoscaler.sources.chunks import Grid
from autoscaler.sources.connection import Connection
from autoscaler.sources.endpoint import Circuit, Server
from autoscaler.sources.failures import short
from autoscaler.sources.matrix import labels_of, values_on
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError
from forecasting.series import FloatArray

log = logging.getLogger(__name__)

Result = RangeAnswer | SourceError
Results = dict[RangeRequest, Result]

_HISTORY_POINTS = 1_000
_SERVERS_MAX = 64
_THREADS_MAX = 64
_LANES_MAX = 32
# A query ends by itself at the deadline; this much later its thread is taken for stuck and left behind.
_GRACE_S = 0.5
# An evaluation note about the data of one object; everything else that warns is about the server.
_OF_A_QUERY = "PromQL warning:"


class PrometheusSource:
    """A MetricsSource. Values of partial responses, infinities and what has no series are NaN: missing, never zero.

    Queries that differ by a label's value are asked as one; see `autoscaler.sources.batch`. May be used by one thread
    at a time.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        concurrency: int = 8,
        fetch_timeout_s: float = 12.0,
        history_timeout_s: float = 300.0,
        jitter_s: float = 0.05,
        ended: threading.Event | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            connection: the source's own server.
            concurrency: queries at one time to one server.
            fetch_timeout_s: limit of a whole fetch.
            history_timeout_s: the same for a fetch with a query for more than 1,000 points.
            jitter_s: threads start up to this much apart, so that controllers with equal clocks don't all ask at once.
            ended: set where no answer is wanted any more: from then on all queries fail that weren't sent.
        """
        self._connection = connection
        self._concurrency = concurrency
        self._fetch_timeout_s = fetch_timeout_s
        self._history_timeout_s = history_timeout_s
        self._jitter_s = jitter_s
        self._ended = ended or threading.Event()
        self._servers: OrderedDict[Endpoint, Server] = OrderedDict()
        self._sizes = BatchSizes(time.monotonic)

    def fetch(self, requests: list[RangeRequest]) -> Results:
        """Answer all requests within the source's time limits. See MetricsSource."""
        results: Results = {}
        usable: list[RangeRequest] = []
        for request in dict.fromkeys(requests):
            refused = self._refusal(request)
            if refused is None:
                usable.append(request)
            else:
                results[request] = refused
        long = any(request.points > _HISTORY_POINTS for request in usable)
        deadline = time.monotonic() + (self._history_timeout_s if long else self._fetch_timeout_s)
        circuits: dict[Endpoint, Circuit] = defaultdict(lambda: Circuit(self._ended))
        batches = plan(usable, self._sizes.values_max)
        again: list[RangeRequest] = []
        for job, answers in self._run(batches, deadline, circuits):
            if self._is_to_be_split(job, answers):
                again.extend(job.requests)
            else:
                results |= answers
        for _, answers in self._run([single(request) for request in again], deadline, circuits):
            results |= answers
        return results

    def close(self) -> None:
        """Close all connections."""
        while self._servers:
            self._servers.popitem()[1].close()

    def _refusal(self, request: RangeRequest) -> SourceError | None:
        """Why `request` can't be asked at all; opens its server's entry otherwise."""
        try:
            Grid.of(request)
            self._server((request.endpoint, request.headers))
        except UsageError as error:
            return SourceError(Failure.UNREACHABLE, str(error))
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            return SourceError(Failure.BAD_QUERY, f"{short(request.query)}: {error}")
        return None

    def _server(self, endpoint: Endpoint) -> Server:
        """The server of `endpoint`, of which the latest used are kept. Raises UsageError for a bad address."""
        server = self._servers.get(endpoint)
        if server is None:
            server = self._servers[endpoint] = Server(self._connection.elsewhere(*endpoint))
            if len(self._servers) > _SERVERS_MAX:
                self._servers.popitem(last=False)[1].close()
        self._servers.move_to_end(endpoint)
        return server

    def _is_to_be_split(self, job: Job, answers: Results) -> bool:
        """Whether the batch failed for what one of its queries did, so that each is asked by itself."""
        if job.shape is None:
            return False
        answer = next(iter(answers.values()))
        if isinstance(answer, RangeAnswer):
            return any(warning.startswith(_OF_A_QUERY) for warning in answer.warnings)
        if answer.failure in {Failure.TIMEOUT, Failure.TOO_MANY_SERIES, Failure.SERVER_ERROR}:
            # Too late to split it now; smaller the next time.
            self._sizes.shrink(job.shape, len(job.members))
        return answer.failure is Failure.BAD_QUERY

    def _run(
        self, jobs: list[Job], deadline: float, circuits: dict[Endpoint, Circuit]
    ) -> Iterable[tuple[Job, Results]]:
        """Ask all jobs, each server by threads of its own: one that hangs takes none from the others."""
        lanes: dict[int, list[Job]] = defaultdict(list)
        numbers: dict[Endpoint, int] = {}
        for job in jobs:
            lanes[numbers.setdefault(job.endpoint, len(numbers)) % _LANES_MAX].append(job)
        executors = []
        futures: dict[Future[Results], Job] = {}
        for lane in lanes.values():
            threads = max(1, min(self._concurrency, len(lane), _THREADS_MAX // len(lanes)))
            executor = ThreadPoolExecutor(threads, "prometheus", self._sleep_a_little, (threads,))
            executors.append(executor)
            for job in lane:
                server = self._server(job.endpoint)
                futures[executor.submit(_ask, server, job, deadline, circuits[job.endpoint])] = job
        wait(futures, timeout=max(0.0, deadline - time.monotonic()) + _GRACE_S)
        for executor in executors:
            executor.shutdown(wait=False, cancel_futures=True)
        late = SourceError(Failure.TIMEOUT, "the query got no answer within the time for all; the server is too slow")
        return [
            (job, future.result() if future.done() and not future.cancelled() else dict.fromkeys(job.requests, late))
            for future, job in futures.items()
        ]

    def _sleep_a_little(self, threads: int) -> None:
        if threads > 1:
            # Not a secret, only spread.
            threading.Event().wait(random.uniform(0.0, self._jitter_s))  # noqa: S311


def _ask(server: Server, job: Job, deadline: float, circuit: Circuit) -> Results:
    """Ask one job in chunks. A failing chunk fails the job: half a history would pass for a whole one."""
    answers = {values: np.full(job.grid.points, np.nan) for values in job.members}
    warnings: dict[str, None] = {}
    behind_s = math.nan
    try:
        for first, grid in job.grid.chunks():
            reply = server.query_range(job.query, grid, deadline, circuit)
            warnings |= dict.fromkeys(reply.warnings)
            behind_s = reply.behind_s
            # A partial sum is too low, and would release replicas.
            if not reply.warnings:
                for values, found in _by_values(job, grid, reply.series).items():
                    answers[values][first : first + grid.points] = found
    except SourceError as error:
        return dict.fromkeys(job.requests, error)
    except Exception as problem:
        # What nobody thought of spoils this query: raised, it would take the tick from all objects.
        log.error("the answer to %s", short(job.query), exc_info=problem)
        said = f"the answer to {short(job.query)} can't be used: {type(problem).__name__}: {problem}"
        return dict.fromkeys(job.requests, SourceError(Failure.BAD_ANSWER, one_line(said)))
    return {
        request: RangeAnswer(answers[values], tuple(warnings), behind_s)
        for values, requests in job.members.items()
        for request in requests
    }


def _by_values(job: Job, grid: Grid, series: list[object]) -> dict[Values, FloatArray]:
    """The series of each of the job's members. Raises SourceError where one has several."""
    found: dict[Values, FloatArray] = {}
    for one in series:
        labels = labels_of(one)
        values = tuple(labels.get(label, "") for label in job.labels)
        if values in found:
            raise SourceError(
                Failure.TOO_MANY_SERIES,
                f"the query {short(job.query)} returns {len(series)} series; aggregate it to one, such as sum(...)",
            )
        if values in job.members:
            found[values] = values_on(grid, one)
    return found
