"""Histories are asked for and forecast anew beside the tick, which never waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, local
from typing import Protocol

from autoscaler.controller.rebuild import Job, Rebuilt, defect, rebuild
from autoscaler.sources.ranges import MetricsSource

# 16 objects of 20,160 bins are 2.6 MB of answers at a time, and one batched query where they differ by a label.
_GROUP = 16


class Rebuilder(Protocol):
    """Takes jobs; gives what became of them, sooner or later."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Begin with some jobs."""
        ...

    def finished(self) -> list[Rebuilt]:
        """What is done since the last call."""
        ...


class InlineRebuilder:
    """Does each job at once: for a virtual clock."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source
        self._done: list[Rebuilt] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """See Rebuilder."""
        self._done.extend(rebuild(self._source, jobs))

    def finished(self) -> list[Rebuilt]:
        """See Rebuilder."""
        done, self._done = self._done, []
        return done


class ThreadedRebuilder:
    """Does jobs in threads: the kernels that forecast a history hold no lock."""

    def __init__(self, make_source: Callable[[Event], MetricsSource], *, threads: int = 2) -> None:
        """Start no thread yet.

        Args:
            make_source: each thread makes a source of its own, since a source serves one thread at a time. It is given
                what is set once no answer is wanted any more.
            threads: how many.
        """
        self._make_source = make_source
        self._ended = Event()
        self._local = local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="history")
        self._done: SimpleQueue[list[Rebuilt]] = SimpleQueue()

    def submit(self, jobs: Sequence[Job]) -> None:
        """See Rebuilder."""
        for first in range(0, len(jobs), _GROUP):
            self._pool.submit(self._run, list(jobs[first : first + _GROUP]))

    def finished(self) -> list[Rebuilt]:
        """See Rebuilder."""
        done: list[Rebuilt] = []
        while not self._done.empty():
            done.extend(self._done.get_nowait())
        return done

    def close(self) -> None:
        """Begin no more jobs, and ask nothing more for the running ones: the interpreter waits for them at its end."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, jobs: list[Job]) -> None:
        try:
            source = getattr(self._local, "source", None)
            if source is None:
                source = self._local.source = self._make_source(self._ended)
            done = rebuild(source, jobs)
        except Exception as problem:
            # Each job comes to an end: its object would wait for it for good.
            done = [defect(job, problem) for job in jobs]
        self._done.put(done)
