"""A name for a case: a digest of all that determines its result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from autoscaler.backtest.benchmark.variants import Variant
from autoscaler.backtest.setting import Setting

_ROOT = Path(__file__).resolve().parents[3]
# What computes a result. The command line, the controller and the reports don't: a change there keeps the results.
_SOURCES = ("autoscaler/backtest", "autoscaler/core", "forecasting")
_PACKAGES = ("headstart-gpu", "numpy", "numba", "scipy", "scikit-learn")


def case_digest(setting: Setting, variants: Sequence[Variant]) -> str:
    """32 hexadecimal digits: the same for the same demand, settings, variants, sources and packages.

    Neither the trace's name nor the loads' labels count.
    """
    asked = replace(
        setting,
        trace_name="",
        load_latency=replace(setting.load_latency, label=""),
        demand_rps={},
        arrivals_rs=np.empty(0),
    )
    run = [(variant.name, variant.members, sorted(variant.without)) for variant in variants]
    # All of the setting, so that a field that is added can't be forgotten.
    digest = hashlib.sha256(repr((code_digest(_ROOT), asked, run)).encode())
    digest.update(np.ascontiguousarray(setting.arrivals_rs).tobytes())
    for unit, demand_rps in setting.demand_rps.items():
        digest.update(unit.encode())
        digest.update(np.ascontiguousarray(demand_rps).tobytes())
    return digest.hexdigest()[:32]


@cache
def code_digest(root: Path) -> str:
    """A digest of the text of the sources under `root` that compute results, and of the packages' versions.

    By content, not by time as for kernels: a fresh clone of the same commit goes on where another stopped.
    """
    digest = hashlib.sha256()
    for package in _PACKAGES:
        digest.update(f"{package}={_version(package)}\n".encode())
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
