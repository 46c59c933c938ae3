"""What it takes to run a backtest again: its settings, the trace and the versions of what computed it."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from autoscaler.backtest.group import Model
from autoscaler.backtest.result import BacktestResult
from autoscaler.backtest.setting import Setting

_DISTRIBUTION = "headstart-gpu"
_PACKAGES = ("numpy", "numba", "scipy", "pandas", "scikit-learn", "statsmodels")

Value = str | int | float | None


def settings_used(result: BacktestResult) -> dict[str, Value | dict[str, float | None]]:
    """The settings of the replay under plain names, units last."""
    return {
        **setting_facts(result.setting),
        **_engine(result),
        "gpus_per_replica": int(result.gpus_per_replica),
        "gpu_hour_price": None if result.gpu_hour_price is None else finite(result.gpu_hour_price),
    }


def setting_facts(setting: Setting) -> dict[str, Value | dict[str, float | None]]:
    """The settings of one trace's replay."""
    return {
        "capacity_rps": {unit: finite(value) for unit, value in setting.capacity_rps.items()},
        "load_latency": setting.load_latency.label,
        "max_wait_s": finite(setting.max_wait_s),
        "late_budget": finite(setting.late_budget),
        "score_from_bin": int(setting.score_from_bin),
        "replicas_min": int(setting.replicas_min),
        "replicas_max": int(setting.replicas_max),
        "start_failure_share": finite(setting.start_failure_share),
        "drain_s": finite(setting.drain_s),
        "interval_s": finite(setting.interval_s),
        "time_zone": setting.time_zone,
        "schedule": ", ".join(event.name for event in setting.schedule) or None,
    }


def model_facts(model: Model) -> dict[str, Value | dict[str, float | None]]:
    """The settings of one of several models that share GPUs."""
    return {
        **setting_facts(model.setting),
        "gpus_per_replica": int(model.gpus_per_replica),
        "priority": int(model.priority),
    }


def _engine(result: BacktestResult) -> dict[str, Value]:
    """What a replica does with single requests, where they were replayed."""
    if result.requests is None:
        return {"fidelity": "fluid"}
    speed = result.requests.speed
    return {
        "fidelity": "request",
        "drain_s": "until its requests end",
        "concurrency": speed.concurrency,
        "prefill_tokens_per_s": finite(speed.prefill_tokens_per_s),
        "decode_tokens_per_s": finite(speed.decode_tokens_per_s),
    }


def trace_facts(setting: Setting) -> dict[str, Value | list[str]]:
    """What was replayed. Means and peaks are in replicas at the given capacity, over the scored bins."""
    need = setting.arrivals_rs[setting.score_from_bin :] / setting.bin_s
    return {
        "name": setting.trace_name,
        "units": list(setting.demand_rps),
        "start_s": finite(setting.start_s),
        "bin_s": finite(setting.bin_s),
        "bins": len(setting),
        "missing_bins": int(np.isnan(setting.observed_replicas).sum()),
        "scored_bins": len(need),
        "scored_hours": finite(len(need) * setting.bin_s / 3600),
        "mean_replicas": finite(float(np.mean(need))) if len(need) else None,
        "peak_replicas": finite(float(np.max(need))) if len(need) else None,
    }


def versions() -> dict[str, str]:
    """Versions of Headstart, Python and the packages that numbers come from."""
    found = {"headstart": _version(_DISTRIBUTION), "python": platform.python_version()}
    found |= {package: _version(package) for package in _PACKAGES}
    return found


def finite(value: float) -> float | None:
    """A plain float for JSON; None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def plain(settings: Mapping[str, float | int | str]) -> dict[str, Value]:
    """A policy's settings as JSON has them: no numpy scalars, nothing that is not finite."""
    return {key: _plain(value) for key, value in settings.items()}


def _plain(value: float | int | str) -> Value:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    return finite(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
