"""Lines to a pipe or file from a thread of their own, so that a reader that stalls never holds up a tick.

It writes to the descriptor itself: a daemon thread that hangs inside the interpreter's own buffer of standard output
would end the process with a fatal error on exit.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable

# Ten ticks of a thousand objects; 2 kB each.
LINES_MAX = 10_000


class LineWriter:
    """Writes whole lines in order. Thread-safe; lines that find no room, or no reader, are dropped and counted."""

    def __init__(
        self, descriptor: int, *, lines_max: int = LINES_MAX, on_drop: Callable[[], object] = lambda: None
    ) -> None:
        """Start.

        Args:
            descriptor: open for writing; a copy is used, and the caller keeps his.
            lines_max: lines that wait at most.
            on_drop: called for each line that is dropped, in either thread.
        """
        self._descriptor = os.dup(descriptor)
        self._on_drop = on_drop
        self._lines: queue.Queue[bytes | None] = queue.Queue(lines_max)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision-lines", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line, without its end; returns at once."""
        if self._closed.is_set():
            self._on_drop()
            return
        try:
            self._lines.put_nowait(line.encode() + b"\n")
        except queue.Full:
            self._on_drop()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for `timeout_s` seconds at most."""
        deadline_s = time.monotonic() + timeout_s
        self._closed.set()
        try:
            self._lines.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        torn = False
        while (line := self._lines.get()) is not None:
            # Half a line may stand there, where a disk was full: the next one is not to be glued to it.
            written, length = self._write(b"\n" + line if torn else line), len(line) + torn
            torn = written < length if written else torn
            if written < length:
                self._on_drop()
        os.close(self._descriptor)

    def _write(self, line: bytes) -> int:
        """Bytes written; fewer than given once the reader has gone, or while the disk is full."""
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            pass
        return written
