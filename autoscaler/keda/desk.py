"""The loop's end of the process that answers KEDA: decisions go there, guests come from there, beside the tick."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Collection
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import HeadstartError, UsageError
from autoscaler.keda.board import Key, Posted
from autoscaler.keda.messages import NEW_MAX, POSTS_MAX, Beginning, Guestlist, Listening, Refused, Update

log = logging.getLogger(__name__)

# Guests are asked for as often; a tick starts a guest's history.
_EXCHANGE_S = 1.0
_START_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 10.0
# Streams get 5 s to end well.
_STOP_TIMEOUT_S = 10.0
# Between two starts of a process that dies.
_RESTART_S = 5.0


class DeskError(HeadstartError):
    """The process that answers KEDA can't be had."""


class Desk:
    """Starts the process, and again if it dies: then KEDA gets errors until decisions come anew.

    `post`, `keep` and `objects` never wait for it.
    """

    def __init__(self, listening: Listening) -> None:
        """Start nothing yet."""
        self._listening = listening
        self._lock = threading.Lock()
        self._posts: dict[Key, Posted] = {}
        self._keys: frozenset[Key] | None = None
        self._sent_keys: frozenset[Key] | None = None
        self._guests: dict[Key, PredictiveAutoscaler] = {}
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
        with self._lock:
            self._posts[key] = posted

    def keep(self, keys: Collection[Key]) -> None:
        """A tick is over, and these objects exist: its decisions are sent."""
        with self._lock:
            self._keys = frozenset((namespace, name) for namespace, name in keys)
            self._posts = {key: posted for key, posted in self._posts.items() if key in self._keys}
        self._wake.set()

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """Objects that triggers describe."""
        with self._lock:
            return tuple(self._guests.values())

    def _talk(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self._exchange()
            except DeskError as problem:
                log.error("%s; it is started anew, and answers again with the next decisions", problem)
                self._disconnect()
                self._stopping.wait(_RESTART_S)
                with contextlib.suppress(UsageError, DeskError):
                    self._connect()
                continue
            if not more:
                self._wake.wait(_EXCHANGE_S)
                self._wake.clear()

    def _exchange(self) -> bool:
        """Send some decisions and take in some guests; whether there are more."""
        with self._lock:
            keys = list(self._posts)[:POSTS_MAX]
            posts = tuple((key, self._posts.pop(key)) for key in keys)
            known = self._keys
        answer = self._asked(Update(posts, None if known == self._sent_keys else known), _ANSWER_TIMEOUT_S)
        self._sent_keys = known
        assert isinstance(answer, Guestlist), "an update is answered so"
        with self._lock:
            for key in answer.gone:
                self._guests.pop(key, None)
            self._guests |= {(one.metadata.namespace, one.metadata.name): one for one in answer.new}
            return bool(self._posts) or len(answer.new) == NEW_MAX

    def _asked(self, what: Beginning | Update, timeout_s: float) -> Any:
        if self._connection is None:
            raise DeskError("the process that answers KEDA doesn't run")
        try:
            self._connection.send(what)
            if self._connection.poll(timeout_s):
                return self._connection.recv()
        except (EOFError, OSError) as problem:
            raise DeskError("the process that answers KEDA is gone") from problem
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
        started = self._asked(Beginning(self._listening, self.objects()), _START_TIMEOUT_S)
        if isinstance(started, Refused):
            self._disconnect()
            raise UsageError(started.reason)
        self._port = started

    def _disconnect(self) -> None:
        connection, process = self._connection, self._process
        self._connection = self._process = None
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
