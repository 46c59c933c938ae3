"""The file of a recording: one process at a time appends to it, from a new line on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoscaler.errors import UsageError
from autoscaler.files import check_writable


@contextmanager
def appending(path: Path) -> Iterator[int]:
    """A descriptor to append whole lines to `path` with. UsageError where it can't be had, or another process has it.

    Two that write to one file would have each other's decisions among theirs, which no replay could make again.
    """
    check_writable(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as problem:
        raise UsageError(f"{path}: can't be written to: {problem.strerror}") from problem
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise UsageError(f"{path}: another headstart run records to it; give each a file of its own") from problem
        except OSError:
            # A file system without locks: then it is the user's to keep them apart.
            pass
        _end_cut_line(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _end_cut_line(descriptor: int) -> None:
    """A process that was killed may have left half a line."""
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
    except OSError:
        # A pipe has no end.
        return
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")
