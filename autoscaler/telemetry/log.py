"""What an operator should read, on standard error: one JSON object per line, the same one at most once a minute.

Nor more than a few hundred different ones: an outage of everything would fill the disk with what each object misses.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from autoscaler.api.scalars import time_text

_EVERY_S = 60.0
# Lines in that time, of 300 bytes: 0.1 GB in a day of an outage. Those beyond are counted.
_LINES_MAX = 300


class Log:
    """Thread-safe."""

    def __init__(self, write: Callable[[str], object], *, now_s: Callable[[], float] = time.time) -> None:
        """Where lines go, without their end, and what time it is."""
        self._write = write
        self._now_s = now_s
        self._lock = threading.Lock()
        self._told_s: dict[str, float] = {}
        self._minute_s = float("-inf")
        self._lines = self._left_out = 0

    def info(self, message: str) -> None:
        """Something that happened."""
        self._tell("info", message)

    def warning(self, message: str) -> None:
        """Something to look into."""
        self._tell("warning", message)

    def _tell(self, level: str, message: str) -> None:
        now_s = self._now_s()
        with self._lock:
            left_out = self._begin_minute(now_s)
            told = self._is_fresh(self._told_s.get(message, float("-inf")), now_s)
            if not told and self._lines >= _LINES_MAX:
                self._left_out += 1
            elif not told:
                self._lines += 1
                self._told_s[message] = now_s
                self._write_line(level, message, now_s)
            if left_out:
                self._write_line("warning", f"{left_out:,} more messages came in a minute and were left out", now_s)

    def _begin_minute(self, now_s: float) -> int:
        """Where a minute is over, forget what it told; the number of messages that were left out in it."""
        if self._is_fresh(self._minute_s, now_s):
            return 0
        left_out = self._left_out
        self._minute_s, self._lines, self._left_out = now_s, 0, 0
        self._told_s = {message: at_s for message, at_s in self._told_s.items() if self._is_fresh(at_s, now_s)}
        return left_out

    @staticmethod
    def _is_fresh(at_s: float, now_s: float) -> bool:
        # A clock that is set back must not silence anything until it is there again.
        return 0.0 <= now_s - at_s < _EVERY_S

    def _write_line(self, level: str, message: str, now_s: float) -> None:
        at = time_text(now_s)
        self._write(json.dumps({"kind": "Log", "level": level, "time": at, "message": message}))


class ForwardingHandler(logging.Handler):
    """Hands what goes through `logging` to a Log: one line each, of tracebacks where they ended."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log_to = log

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {record.exc_info[1]!r}{_place(record.exc_info[1])}"
        self._log_to.warning(f"{record.name}: {' '.join(message.split())}")


def _place(problem: BaseException) -> str:
    """Where it was raised: ' at demand.py:74'; '' where it wasn't."""
    frames = traceback.extract_tb(problem.__traceback__)
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
