"""The clock on the wall, and one that jumps."""

from __future__ import annotations

import time
from threading import Event


class SystemClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wait_until(self, at_s: float, stop: Event) -> None:
        """Return at `at_s`, or as soon as `stop` is set."""
        stop.wait(max(0.0, at_s - time.time()))


class VirtualClock:
    """Starts at a time and runs `speed` times as fast as the machine's; infinitely fast, it jumps."""

    def __init__(self, start_s: float, *, speed: float) -> None:
        self._start_s = start_s
        self._speed = speed
        self._real_start_s = time.monotonic()
        self._jumped_s = start_s

    def now_s(self) -> float:
        """The time that the last wait ended, seconds since the epoch."""
        return self._jumped_s

    def wait_until(self, at_s: float, stop: Event) -> None:
        """Return at `at_s`, or as soon as `stop` is set."""
        due_s = (at_s - self._start_s) / self._speed - (time.monotonic() - self._real_start_s)
        if due_s > 0:
            stop.wait(due_s)
        self._jumped_s = max(self._jumped_s, at_s)
