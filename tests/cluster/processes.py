"""Programs that run beside the tests: started on loopback, their output kept, and gone when the tests are."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cluster.waiting import wait_until


def _ports() -> Iterator[int]:
    """This process's ports, round and round.

    They lie below 32,768, where Linux begins to hand out ports by itself, and each of pytest's workers has a thousand
    of its own: between a port's choice and its use no other socket of the tests can take it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + 1_000 * (worker % 12)
    return itertools.cycle(range(first, first + 1_000))


_PORTS = _ports()
_KILLED_S = 60.0


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now, and not one of the last hundreds given."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """One program in a process group of its own, its output appended to `log`.

    `setpriv --pdeathsig` lets the kernel end the program with the tests' own process, also when that is killed and
    runs no clean-up.
    """

    def __init__(self, name: str, command: Sequence[str | Path], *, log: Path) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.log = log
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program; `RuntimeError` when it runs already."""
        if self.is_running():
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, *, kill: bool = False, timeout_s: float = 10.0) -> int | None:
        """End the program: asked by SIGTERM first, by SIGKILL at once with `kill` or after `timeout_s`.

        Returns its exit code, negative where a signal ended it; None where it didn't run.
        """
        running, self._running = self._running, None
        if running is None:
            return None
        if running.poll() is None and not kill:
            os.killpg(running.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout_s)
        # The leader may have ended and left children in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        # Nothing withstands SIGKILL, but a busy machine may take its time.
        return running.wait(_KILLED_S)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let the program do nothing meanwhile: connections stay, and nothing is answered."""
        assert self._running is not None, f"{self.name} runs"
        os.killpg(self._running.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._running.pid, signal.SIGCONT)

    def is_running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self._running is not None and self._running.poll() is None

    def wait_until_ready(self, answers: Callable[[], object], *, timeout_s: float) -> None:
        """Wait until `answers()` is true; `AssertionError` with the end of the log when the program ends or is late."""

        def ended_or_answers() -> bool:
            return not self.is_running() or bool(answers())

        try:
            wait_until(ended_or_answers, timeout_s=timeout_s, what=f"{self.name} to answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from error
        if not self.is_running():
            raise AssertionError(f"{self.name} ended while it started\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The last `lines` lines of the program's output, long ones cut; all of it is in `log`."""
        if not self.log.exists():
            return ""
        return "\n".join(line[:300] for line in self.log.read_text(errors="replace").splitlines()[-lines:])
