"""The controller's benchmark's processes: `headstart run` as users start it, and stand-ins that take commands."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_FOLDER = Path(__file__).resolve().parent
_PORT = re.compile(r"on port (\d+)")
_SAMPLE = re.compile(r"(\w+)(?:\{([^}]*)\})? (\S+)")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class StandIn:
    """A program, or a script of this folder, that prints one JSON line, and one more for each that it is sent."""

    def __init__(self, program: str | Path, *options: object) -> None:
        command = [program] if isinstance(program, Path) else [sys.executable, _FOLDER / program]
        self._process = subprocess.Popen(
            [*map(str, command), *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.about = self._answer()

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)


@dataclass(frozen=True)
class Usage:
    """What a process has used; `at_s` is a monotonic time."""

    at_s: float
    cpu_s: float
    rss_mib: float
    rss_peak_mib: float

    def cores_since(self, before: Usage) -> float:
        return (self.cpu_s - before.cpu_s) / (self.at_s - before.at_s)


class Controller:
    """`headstart run` against stand-ins; what it prints goes to files of `folder`."""

    def __init__(
        self, folder: Path, *, kubeconfig: str, prometheus_url: str, tick: str = "15s", cache: Path | None = None
    ) -> None:
        (folder / "kubeconfig").write_text(kubeconfig, encoding="utf-8")
        self._log = folder / "stderr"
        self.decisions = folder / "stdout"
        command: Sequence[str | Path] = [
            *(Path(sys.executable).with_name("headstart"), "run"),
            *("--kubeconfig", folder / "kubeconfig", "--prometheus", prometheus_url),
            *("--tick", tick, "--listen", "127.0.0.1:0", "--lease-namespace", "team"),
        ]
        environment = {**os.environ, **({"NUMBA_CACHE_DIR": str(cache)} if cache else {})}
        self.started_s = time.monotonic()
        with self._log.open("wb") as log, self.decisions.open("wb") as decisions:
            self._process = subprocess.Popen(command, stdout=decisions, stderr=log, env=environment)

    def wait_until_ready(self, timeout_s: float) -> float:
        """Seconds from the process's start to /readyz 200."""
        while time.monotonic() - self.started_s < timeout_s:
            assert self._process.poll() is None, self.said()
            if self._served() and self._page("/readyz")[0] == 200:
                return time.monotonic() - self.started_s
            time.sleep(0.1)
        raise TimeoutError(f"not ready after {timeout_s:g} s:\n{self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8")[-2_000:]

    def usage(self) -> Usage:
        process = Path(f"/proc/{self._process.pid}")
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        sizes = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", (process / "status").read_text()))
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        return Usage(time.monotonic(), cpu_s, int(sizes["VmRSS"]) / 1024, int(sizes["VmHWM"]) / 1024)

    def scrape(self) -> dict[tuple[str, str], float]:
        """(name, labels) -> value of its own metrics."""
        found = (_SAMPLE.fullmatch(line) for line in self._page("/metrics")[1].splitlines())
        return {(match[1], match[2] or ""): float(match[3]) for match in found if match}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _served(self) -> int:
        found = _PORT.search(self._log.read_text(encoding="utf-8"))
        return int(found[1]) if found else 0

    def _page(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._served(), timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
