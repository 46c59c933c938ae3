"""How much late work each division of a GPU budget leads to, over unlike groups of models. `gpu_budgets.py FOLDER`.

Groups of made-up demand, of the bundled traces and of those in FOLDER, each at several numbers of GPUs, from far too
few to nearly enough.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from autoscaler.backtest.from_trace import Scenario, equally_long, setting_of
from autoscaler.backtest.group import DIVISIONS, HEADSTART, UNLIMITED, Group, Model, run_group
from autoscaler.backtest.setting import Setting
from autoscaler.core.load_latency import LoadLatency
from autoscaler.traces.read import read_trace
from forecasting.series import FloatArray

_BINS = 4_032  # 14 days of 300 s
_BIN_S = 300.0
_LOAD_S = 600.0
_SCORE_FROM = 1.0 / 3.0
_NAMES = [name for name in DIVISIONS if name != UNLIMITED]
_DATA = Path(__file__).parents[2] / "data"


@dataclass(frozen=True, slots=True)
class Case:
    """One group, and the numbers of GPUs that it gets."""

    name: str
    gpus: tuple[int, ...]
    models: tuple[Model, ...]


def _office(rng: np.random.Generator) -> FloatArray:
    """Twelve replicas in office hours, one at other times."""
    hours = np.arange(_BINS) / 12.0
    return 1.0 + 11.0 * np.exp(-(((hours % 24.0 - 13.0) / 3.2) ** 4)) * (hours // 24 % 7 < 5) * _noise(rng, 0.05)


def _batches(_rng: np.random.Generator) -> FloatArray:
    """Seven replicas in four of seventeen bins, one at other times."""
    return 1.0 + 6.0 * (np.arange(_BINS) % 17 < 4)


def _steady(rng: np.random.Generator) -> FloatArray:
    """Six replicas."""
    return 6.0 * _noise(rng, 0.03)


def _bursts(rng: np.random.Generator) -> FloatArray:
    """Four replicas, and tenants that come about every half day with as many times that, for about an hour."""
    demand, t = np.full(_BINS, 4.0), 0
    while (t := t + int(rng.exponential(144))) < _BINS:
        demand[t : t + int(rng.exponential(12))] *= 1.0 + rng.exponential(2.0)
    return demand * _noise(rng, 0.05)


def _wave(phase: float, hours: float) -> Callable[[np.random.Generator], FloatArray]:
    """Four replicas on average, nearly eight at the peak."""

    def demand(rng: np.random.Generator) -> FloatArray:
        at = np.arange(_BINS) / 12.0 / hours
        return 4.0 * (1.0 + 0.9 * np.sin(2.0 * np.pi * (at + phase))) * _noise(rng, 0.05)

    return demand


def _noise(rng: np.random.Generator, spread: float) -> FloatArray:
    return np.maximum(0.0, rng.normal(1.0, spread, _BINS))


def _made(name: str, demand: Callable[[np.random.Generator], FloatArray], *, load_s: float = _LOAD_S) -> Model:
    replicas = demand(np.random.default_rng(sum(map(ord, name))))
    setting = Setting(
        trace_name=name,
        start_s=1_750_032_000.0,
        bin_s=_BIN_S,
        demand_rps={"requests": replicas},
        capacity_rps={"requests": 1.0},
        arrivals_rs=replicas * _BIN_S,
        load_latency=LoadLatency.constant(load_s),
        max_wait_s=10.0,
        late_budget=0.01,
        score_from_bin=0,
    )
    return Model(name, setting, 1, 0)


def _read(path: Path, *, mean: float) -> Model:
    """A trace whose capacity is such that it takes `mean` replicas on average."""
    trace = read_trace(path, ("requests",))
    scenario = Scenario(
        capacity_rps={"requests": float(np.nanmean(trace.demand["requests"])) / trace.bin_s / mean},
        load_latency=LoadLatency.constant(_LOAD_S),
        max_wait_s=10.0,
        late_budget=0.01,
        score_from=_SCORE_FROM,
    )
    return Model(path.stem, setting_of(trace, scenario), 1, 0)


def _cases(folder: Path) -> list[Case]:
    office, batches, steady = _made("office", _office), _made("batches", _batches), _made("steady", _steady)
    slow = _made("steady", _steady, load_s=3_000.0)
    chat, code, agents = (_read(_DATA / f"{name}.csv", mean=12.0) for name in ("chat", "code", "agents"))
    tweets = [_read(folder / f"nab_tweets_{name}_5min.csv", mean=7.0) for name in ("AMZN", "FB", "IBM")]
    machines = _read(folder / "azure_vm_2017_arrivals_5min.csv", mean=10.0)
    large = _read(folder / "servegen_m_large_10min.csv", mean=15.0)
    clients = [_read(folder / f"servegen_m_mid_client_{name}_10min.csv", mean=8.0) for name in ("c15", "c40", "c73")]
    return [
        Case("bundled", (40, 55, 80), (chat, code, agents)),
        Case("bundled, one first", (40, 55, 80), (replace(chat, priority=1), code, agents)),
        Case("bundled, unlike sizes", (80, 110), (chat, replace(code, gpus_per_replica=4), agents)),
        Case("office hours, batches, steady", (16, 20, 24), (office, batches, steady)),
        Case("the same, office first", (16, 20, 24), (replace(office, priority=1), batches, steady)),
        Case("batches against a long load", (10, 11, 12), (batches, slow)),
        Case("tenants' bursts", (20, 30), (_made("one", _bursts), _made("two", _bursts), _made("three", _bursts))),
        Case("three phases of a day", (13, 14, 15), tuple(_made(f"d{k}", _wave(k / 3, 24.0)) for k in range(3))),
        Case("three phases of four hours", (14, 15, 16), tuple(_made(f"h{k}", _wave(k / 3, 4.0)) for k in range(3))),
        Case("FOLDER: mentions and machines", (80, 140), (*tweets, machines)),
        Case("FOLDER: a large service and clients", (60, 100), (large, *clients)),
    ]


def _late(case: Case, gpus: int, division: str) -> dict[str, str | float]:
    settings = equally_long([model.setting for model in case.models], _SCORE_FROM)
    models = tuple(replace(model, setting=setting) for model, setting in zip(case.models, settings, strict=True))
    outcome = run_group(Group(gpus, models), division)
    return {"group": case.name, "GPUs": str(gpus), "division": division, "late": outcome.late_fraction}


def main() -> None:
    """Print one row per group and number of GPUs: late work of all its work, in GPU-seconds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    cases = _cases(parser.parse_args().folder)
    jobs = [delayed(_late)(case, gpus, name) for case in cases for gpus in case.gpus for name in _NAMES]
    late = pd.DataFrame(Parallel(n_jobs=-1)(jobs))
    late["group"] += ", " + late.pop("GPUs") + " GPUs"
    table = 100.0 * late.pivot_table("late", "group", "division", sort=False)[_NAMES]
    table.loc[f"mean of {len(table)}"] = table.mean()
    others = table[[name for name in _NAMES if name != HEADSTART]].min(axis=1)
    sys.stdout.write(table.to_string(float_format="%.1f") + "\n")
    sys.stdout.write(f"worst against the better of the others: {(table[HEADSTART] - others).max():+.1f} points\n")


if __name__ == "__main__":
    main()
