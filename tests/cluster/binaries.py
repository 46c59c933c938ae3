"""Where the programs of the test cluster are, and what to do about one that isn't there."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
# Programs by the make target that builds them, from the Go module in the folder of the same name.
BUILT = {
    **dict.fromkeys(
        ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"), "control-plane"
    ),
    **dict.fromkeys(("keda-operator", "keda-adapter"), "keda"),
}
REMEDY = {
    **{
        name: f"run `make {target}` (needs Go 1.26), or name their folder in KUBEBUILDER_ASSETS"
        for name, target in BUILT.items()
    },
    "etcd": "on Debian: apt-get install etcd-server",
    "prometheus": "on Debian: apt-get install prometheus",
    "promtool": "on Debian: apt-get install prometheus",
    "openssl": "on Debian: apt-get install openssl",
    "setpriv": "on Debian: apt-get install util-linux",
}


def built_folder(target: str) -> Path:
    """Where `make control-plane` or `make keda` puts what it builds: one folder per content of go.mod and go.sum.

    It lies outside of the checkout, so that a fresh clone on the same machine needs no second build of 5 minutes.
    """
    module = FOLDER / target
    digest = hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "headstart" / target / digest


def find(name: str) -> Path | None:
    """The program `name`: of `$KUBEBUILDER_ASSETS`, else as its make target built it, else of the PATH.

    A program that we build is never taken from the PATH: which version that is, no one knows.
    """
    folders = [built_folder(BUILT[name])] if name in BUILT else []
    if os.environ.get("KUBEBUILDER_ASSETS"):
        folders.insert(0, Path(os.environ["KUBEBUILDER_ASSETS"]))
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    on_path = None if name in BUILT else shutil.which(name)
    return Path(on_path) if on_path else None


def require(*names: str) -> dict[str, Path]:
    """Paths of the programs; without one of them the test is skipped with what to do, and fails under CI=true."""
    found = {name: find(name) for name in names}
    missing: dict[str, list[str]] = {}
    for name, path in found.items():
        if path is None:
            missing.setdefault(REMEDY[name], []).append(name)
    if missing:
        reason = "; ".join(f"no {', '.join(names)}: {remedy}" for remedy, names in missing.items())
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return {name: path for name, path in found.items() if path is not None}
