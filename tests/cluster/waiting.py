"""Waiting for a cluster to get somewhere: poll until a condition holds, and say what was seen when it never does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout_s: float, what: str, every_s: float = 0.1) -> T:
    """Call `condition` every `every_s` seconds until it returns something true, and return that.

    An exception of `condition` counts as "not yet": a server that restarts refuses connections meanwhile. `what`
    completes the sentence "waited in vain for ..." that the `AssertionError` says after `timeout_s`, along with the
    last value or exception.
    """
    give_up_at = time.monotonic() + timeout_s
    while True:
        error: Exception | None = None
        seen: object = None
        try:
            seen = value = condition()
            if value:
                return value
        except Exception as exception:
            error = exception
        if time.monotonic() >= give_up_at:
            last = f"{type(error).__name__}: {error}" if error else repr(seen)
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; last seen: {last[:2000]}") from error
        time.sleep(every_s)


def stays(condition: Callable[[], bool], *, for_s: float, every_s: float = 0.2) -> bool:
    """Whether `condition` is true each time that it is looked at, every `every_s` for `for_s` seconds."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        if not condition():
            return False
        time.sleep(every_s)
    return True


@contextmanager
def watching(look: Callable[[], T], *, every_s: float = 0.05) -> Iterator[list[T]]:
    """Look again and again, every `every_s` seconds; gives all that was seen."""
    seen: list[T] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(look())
            stop.wait(every_s)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(15)
