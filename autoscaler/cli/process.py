"""What the process was started with: its standard streams, and the terminal's Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

from autoscaler.errors import HeadstartError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_interrupted = Event()


class StdoutError(Exception):
    """Standard output can't be written to. No OSError, which whoever handles a file's would take for that."""

    def __init__(self, error: OSError) -> None:
        """What the system said."""
        super().__init__(f"standard output: {error.strerror}")
        self.reader_gone = error.errno == errno.EPIPE


class _Stdout(FileIO):
    """Tells its failures from those of all other streams: an OSError of a write doesn't say which it was."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutError(error) from error


def prepare_streams() -> None:
    """Let nothing fail for want of a standard stream, or of a character in its encoding.

    Python has None in the place of a stream that was closed when the process was started: what is said there goes
    nowhere. In this order each gets the number that it would have had, so that no file that is opened later gets it.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        given, raw = sys.stdout, _Stdout(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = TextIOWrapper(
            raw if given.write_through else BufferedWriter(raw),
            encoding=given.encoding,
            errors="replace",
            line_buffering=given.line_buffering,
            write_through=given.write_through,
        )
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", errors="replace"))


def check_stdout() -> None:
    """Raise HeadstartError where standard output was closed when the process was started: a document would be lost."""
    if sys.__stdout__ is None:
        raise HeadstartError("standard output: is closed, and the document would be lost; send it to a file or a pipe")


def note_interruptions() -> None:
    """Remember a Ctrl-C: where it meets numba as it compiles the exception is lost, and another may follow, or none."""

    def note(number: int, frame: FrameType | None) -> None:
        _interrupted.set()
        signal.default_int_handler(number, frame)

    # Where interruptions are ignored, as in the background, they stay so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    say = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if issubclass(lost.exc_type, KeyboardInterrupt) else say(lost)


def was_interrupted() -> bool:
    """Whether a Ctrl-C came."""
    return _interrupted.is_set()


def go_on_unless_interrupted() -> None:
    """Raise KeyboardInterrupt where a Ctrl-C came: of 61 while kernels were compiled or loaded 10 were lost."""
    if was_interrupted():
        raise KeyboardInterrupt


def discard_stdout() -> None:
    """Let go nowhere what the interpreter flushes once more on exit: it could be written no better then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
