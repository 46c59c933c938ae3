"""kubectl of the cluster's own version, as a user runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster import binaries

_TIMEOUT_S = 60


class Kubectl:
    """Runs commands with one kubeconfig file."""

    def __init__(self, kubeconfig: Path) -> None:
        self._command = [binaries.require("kubectl")["kubectl"], f"--kubeconfig={kubeconfig}"]

    def run(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Exit code, standard output and error of one command."""
        return subprocess.run(
            [*self._command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Standard output of a command that succeeds without a warning."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout
