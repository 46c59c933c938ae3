"""The loop's end of the process that answers KEDA: decisions go there, guests come from there, beside the tick."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import HeadstartError, UsageError
from autoscaler.keda.board import Board, Key, Posted
from autoscaler.keda.messages import NEW_MAX, POSTS_MAX, Beginning, Guestlist, Listening, Refused, Update
from autoscaler.telemetry.scaler_figures import ScalerFigures

log = logging.getLogger(__name__)

# Guests are asked for as often; a tick starts a guest's history.
_EXCHANGE_S = 1.0
_START_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 10.0
# Streams get 5 s to end well.
_STOP_TIMEOUT_S = 10.0
# From one start to the next of a process that dies.
_RESTART_S = 5.0
# A process that hangs is ended and another answers within some 15 s; after this one only a restart of all helps.
UNANSWERED_S = 25.0


class DeskError(HeadstartError):
    """The process that answers KEDA can't be had."""


class Desk:
    """Starts the process, and again if it dies or hangs: KEDA gets errors until it begins with what was decided.

    `post`, `keep`, `objects`, `figures` and `problem` never wait for it.
    """

    def __init__(self, listening: Listening, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Start nothing yet; `monotonic_s` is a clock that is never set."""
        self._listening = listening
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._posts: dict[Key, Posted] = {}
        # What a process that is started anew begins with: with intervals of an hour the next decisions are far away.
        self._board = Board(monotonic_s)
        self._keys: frozenset[Key] | None = None
        self._sent_keys: frozenset[Key] | None = None
        self._guests: dict[Key, PredictiveAutoscaler] = {}
        self._figures = ScalerFigures()
        self._ended_calls: Counter[tuple[str, str]] = Counter()
        self._restarts = 0
        self._started_s = -float("inf")
        self._answered_s: float | None = None
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._talk, name="keda-desk", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The port that KEDA asks at, once started."""
        return self._port

    @property
    def process_id(self) -> int | None:
        """Of the process that answers; None where there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Return once KEDA is answered.

        Raises:
            UsageError: the address can't be listened on, or the certificates can't be used.
            DeskError: the process doesn't start.
        """
        try:
            self._connect()
        except DeskError:
            self._disconnect()
            raise
        self._thread.start()

    def stop(self) -> None:
        """End all streams well, and answer no more."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_ANSWER_TIMEOUT_S + _STOP_TIMEOUT_S)
        self._disconnect()

    def post(self, key: Key, posted: Posted) -> None:
        """Leave a decision."""
        namespace, name = key
        with self._lock:
            self._posts[namespace, name] = posted
            self._board.post((namespace, name), posted)

    def keep(self, keys: Collection[Key]) -> None:
        """A tick is over, and these objects exist: its decisions are sent."""
        with self._lock:
            self._keys = frozenset((namespace, name) for namespace, name in keys)
            self._posts = {key: posted for key, posted in self._posts.items() if key in self._keys}
            self._board.keep(self._keys)
        self._wake.set()

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """Objects that triggers describe."""
        with self._lock:
            return tuple(self._guests.values())

    def figures(self) -> ScalerFigures:
        """What the processes have counted; of the last second of one that died nobody knows."""
        with self._lock:
            calls = self._ended_calls + Counter(self._figures.calls)
            return replace(self._figures, calls=calls, guests=len(self._guests), restarts=self._restarts)

    def problem(self) -> str:
        """'' while KEDA is answered, and before the start; else one line."""
        if self._answered_s is None:
            return ""
        silent_s = self._monotonic_s() - self._answered_s
        if silent_s <= UNANSWERED_S:
            return ""
        return f"the process that answers KEDA was last heard of {silent_s:.0f} s ago; {UNANSWERED_S:.0f} s are allowed"

    def _talk(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self._exchange()
            except DeskError as problem:
                log.error("%s; it is started anew, and answers again with the last decisions", problem)
                self._start_anew()
                continue
            if not more:
                self._wake.wait(_EXCHANGE_S)
                self._wake.clear()

    def _start_anew(self) -> None:
        self._disconnect()
        self._stopping.wait(max(0.0, self._started_s + _RESTART_S - self._monotonic_s()))
        if self._stopping.is_set():
            return
        self._restarts += 1
        try:
            self._connect()
        except (UsageError, DeskError) as problem:
            log.error("KEDA can't be answered: %s", problem)

    def _exchange(self) -> bool:
        """Send some decisions and take in some guests; whether there are more."""
        with self._lock:
            keys = list(self._posts)[:POSTS_MAX]
            posts = tuple((key, self._posts.pop(key)) for key in keys)
            known = self._keys
        answer = self._asked(Update(posts, None if known == self._sent_keys else known), _ANSWER_TIMEOUT_S)
        self._sent_keys = known
        assert isinstance(answer, Guestlist), "an update is answered so"
        self._tell_of_certificates(answer.figures.certificate_problem)
        with self._lock:
            self._figures = answer.figures
            for key in answer.gone:
                self._guests.pop(key, None)
            self._guests |= {(one.metadata.namespace, one.metadata.name): one for one in answer.new}
            return bool(self._posts) or len(answer.new) == NEW_MAX

    def _tell_of_certificates(self, problem: str) -> None:
        if problem and problem != self._figures.certificate_problem:
            log.warning("new certificates for KEDA can't be used, and the ones before are served: %s", problem)

    def _asked(self, what: Beginning | Update, timeout_s: float) -> Any:
        if self._connection is None or self._process is None:
            raise DeskError("the process that answers KEDA doesn't run")
        try:
            self._connection.send(what)
            if self._connection.poll(timeout_s):
                answer = self._connection.recv()
                self._answered_s = self._monotonic_s()
                return answer
        except (EOFError, OSError) as problem:
            raise DeskError("the process that answers KEDA is gone") from problem
        # Not asked to end in order: while KEDA's calls hang, so does its operator, and after 60 s of that a workload
        # without a minimum of replicas is taken to zero.
        self._process.kill()
        raise DeskError(f"the process that answers KEDA said nothing for {timeout_s:g} s")

    def _connect(self) -> None:
        ours, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "autoscaler.keda.answering", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._connection = ours
        self._sent_keys = None
        self._started_s = self._monotonic_s()
        with self._lock:
            # Sent once more they would pass for new.
            self._posts.clear()
            decided = self._board.everything()
        started = self._asked(Beginning(self._listening, self.objects(), decided), _START_TIMEOUT_S)
        if isinstance(started, Refused):
            self._disconnect()
            raise UsageError(started.reason)
        self._port = started

    def _disconnect(self) -> None:
        connection, process = self._connection, self._process
        self._connection = self._process = None
        with self._lock:
            self._ended_calls.update(self._figures.calls)
            self._figures = replace(self._figures, calls={}, streams=0)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.send(None)
            connection.close()
        if process is not None:
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
