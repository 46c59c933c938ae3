"""`headstart run` as a process beside the tests, and what it says of itself."""

from __future__ import annotations

import http.client
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.processes import Process
from cluster.waiting import wait_until

from autoscaler.telemetry.decision_line import OPENING, from_line
from autoscaler.telemetry.record import Record

_PORT = re.compile(r"on port (\d+)")
# Kernels are compiled for about a minute where their cache is empty, and longer on a busy machine.
_START_S = 180.0


class Controller:
    """One `headstart run`; its standard output and error go to one log, which holds whole lines only.

    Its Lease is in the namespace that it looks after, so that the tests don't meet.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        kubeconfig: Path,
        prometheus_url: str,
        namespace: str,
        options: Sequence[str | Path] = (),
    ) -> None:
        command = [
            *(Path(sys.executable).with_name("headstart"), "run"),
            *("--kubeconfig", kubeconfig, "--prometheus", prometheus_url),
            *("--namespace", namespace, "--lease-namespace", namespace),
            *("--tick", "1s", "--listen", "127.0.0.1:0"),
            *options,
        ]
        self.process = Process(name, command, log=folder / f"{name}.log")

    def start(self) -> None:
        """Start, and return once it serves its pages, which is before it is ready."""
        self.process.start()
        self.process.wait_until_ready(self._find_port, timeout_s=60)

    def start_until_ready(self) -> set[str]:
        """Start, and return once /readyz says yes: what it said before."""
        self.start()
        before: set[str] = set()

        def is_ready() -> bool:
            status, text = self.page("/readyz")
            if status != 200:
                before.add(text)
            return status == 200

        self.process.wait_until_ready(is_ready, timeout_s=_START_S)
        return before

    def end(self, *, kill: bool = False) -> int | None:
        """End it by SIGTERM, or by SIGKILL with `kill`; its exit code, negative where a signal ended it."""
        return self.process.stop(kill=kill, timeout_s=30)

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages."""
        connection = http.client.HTTPConnection("127.0.0.1", self._find_port(), timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def decisions(self) -> list[Record]:
        """What it has decided so far, oldest first."""
        lines = self.process.log.read_text().splitlines(keepends=True)
        return [from_line(line) for line in lines if line.startswith(OPENING) and line.endswith("\n")]

    def said(self, text: str) -> bool:
        """Whether its log has `text`."""
        return text in self.process.log.read_text()

    def wait_for_decision(self, after_s: float, *, timeout_s: float = 60) -> Record:
        """The first decision about a bin that starts after `after_s`."""
        return wait_until(
            lambda: next((each for each in self.decisions() if each.observation.now_s > after_s), None),
            timeout_s=timeout_s,
            what=f"a decision of {self.process.name}",
        )

    def _find_port(self) -> int:
        # The log is appended to by each start.
        found = _PORT.findall(self.process.log.read_text())
        return int(found[-1]) if found else 0
