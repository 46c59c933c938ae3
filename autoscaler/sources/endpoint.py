"""One server of a source: connections kept open between fetches, and within a fetch the memory that it fails."""

from __future__ import annotations

import threading
import time

from autoscaler.sources.chunks import Grid
from autoscaler.sources.connection import Connection
from autoscaler.sources.ranges import Failure, SourceError
from autoscaler.sources.wire import Reply, Wire

# So many time-outs and not one answer: the server hangs, and is not merely slow in one query.
_TIMEOUTS_MAX = 3


class Circuit:
    """Opens within one fetch when a server can't be reached: the remaining queries fail at once.

    Otherwise each of 1,000 objects would wait for its own time-out. So does the end of the process, `ended`.
    """

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._timeouts = 0
        self._answered = False
        self._open: SourceError | None = None

    def check(self) -> None:
        """Raise the SourceError that opened it, if it is open."""
        if self._ended.is_set():
            raise SourceError(Failure.UNREACHABLE, "it isn't asked any more: the process ends")
        if self._open is not None:
            raise self._open

    def answered(self) -> None:
        """The server answered, if only with an error."""
        with self._lock:
            self._answered = True

    def failed(self, error: SourceError) -> None:
        """Take note of a query that got no answer."""
        with self._lock:
            if error.failure is Failure.TIMEOUT:
                self._timeouts += 1
            hangs = self._timeouts >= _TIMEOUTS_MAX and not self._answered
            if error.failure is Failure.UNREACHABLE or hangs:
                self._open = error


class Server:
    """Connections to one server, each used by one thread at a time and kept for the next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._idle: list[Wire] = []
        self._closed = False

    def query_range(self, query: str, grid: Grid, deadline: float, circuit: Circuit) -> Reply:
        """Evaluate `query` on `grid` before `deadline` (time.monotonic()). Raises SourceError."""
        circuit.check()
        if time.monotonic() >= deadline:
            raise SourceError(Failure.TIMEOUT, f"{self._connection.base_url}: no time was left; it answers slowly")
        wire = self._take()
        try:
            reply = wire.query_range(query, grid, deadline)
        except SourceError as error:
            if error.failure in {Failure.UNREACHABLE, Failure.TIMEOUT}:
                circuit.failed(error)
            else:
                circuit.answered()
            raise
        finally:
            self._give_back(wire)
        circuit.answered()
        return reply

    def close(self) -> None:
        """Close all connections; one that is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def _take(self) -> Wire:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Wire(self._connection)

    def _give_back(self, wire: Wire) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(wire)
                return
        wire.close()
