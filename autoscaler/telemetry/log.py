"""What an operator should read, on standard error: one JSON object per line, the same one at most once a minute."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable

_EVERY_S = 60.0
# Messages whose last time is remembered; more at once are an outage of everything, which a few lines tell.
_REMEMBERED_MAX = 1_000


class Log:
    """Thread-safe."""

    def __init__(self, write: Callable[[str], object], *, now_s: Callable[[], float] = time.time) -> None:
        """Where lines go, without their end, and what time it is."""
        self._write = write
        self._now_s = now_s
        self._lock = threading.Lock()
        self._told_s: dict[str, float] = {}

    def info(self, message: str) -> None:
        """Something that happened."""
        self._tell("info", message)

    def warning(self, message: str) -> None:
        """Something to look into."""
        self._tell("warning", message)

    def _tell(self, level: str, message: str) -> None:
        now_s = self._now_s()
        with self._lock:
            if now_s - self._told_s.get(message, float("-inf")) < _EVERY_S:
                return
            if len(self._told_s) >= _REMEMBERED_MAX:
                self._told_s.clear()
            self._told_s[message] = now_s
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s))
        self._write(json.dumps({"kind": "Log", "level": level, "time": at, "message": message}))


class ForwardingHandler(logging.Handler):
    """Hands what goes through `logging` to a Log: one line each, without tracebacks."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log_to = log

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {record.exc_info[1]!r}"
        self._log_to.warning(f"{record.name}: {' '.join(message.split())}")
