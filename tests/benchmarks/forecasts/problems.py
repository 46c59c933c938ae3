"""What is forecast: the same origins, steps and levels for every model, and the files in which rivals get them.

Whoever reads `<trace>.parquet` gets the whole series; `rivals.py` hands each model the bins before an origin only.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from autoscaler.traces.trace import Trace

# How long from now until the bin that is forecast starts. A load of ten minutes is what the comparison is pooled at.
LEADS_S = (0.0, 120.0, 600.0, 1_800.0, 3_600.0, 7_200.0)
LOAD_S = 600.0
# All of them can be had from symmetric intervals, which is what most rivals give.
LEVELS = (0.5, 0.9, 0.95, 0.99)

_DAY_S = 86_400.0
_SEED = 6


@dataclass(frozen=True, slots=True)
class Problem:
    """One trace to be forecast from many origins.

    Attributes:
        name: the trace's.
        bin_s: width of a bin in seconds.
        start_s: start of the first bin.
        values: work per second, shape (n,), NaN where missing.
        leads_s: seconds from now to the start of the bin that is forecast; those that the trace is too short for are
            left out.
        origins: bins known at each origin, increasing, evenly spread over the later half, shape (m,).
        rival_origins: those of them that slow models are asked at, chosen by chance so that no time of the day is
            left out, increasing, shape (k,).
    """

    name: str
    bin_s: float
    start_s: float
    values: np.ndarray
    leads_s: tuple[float, ...]
    origins: np.ndarray
    rival_origins: np.ndarray

    @property
    def steps(self) -> list[int]:
        """Step of each lead; a replica ordered now with a load of that many seconds serves from this bin on."""
        return [math.ceil(lead_s / self.bin_s) + 1 for lead_s in self.leads_s]

    @property
    def day(self) -> int:
        """Bins in a day."""
        return max(1, round(_DAY_S / self.bin_s))

    @property
    def every(self) -> int:
        """Bins between origins."""
        return int(self.origins[1] - self.origins[0]) if len(self.origins) > 1 else 1


def problem_of(trace: Trace, unit: str, *, origins: int, rival_origins: int) -> Problem:
    """The problem of forecasting the later half of `trace` from about so many origins."""
    values = trace.demand[unit] / trace.bin_s
    first = len(values) // 2
    scored = len(values) - first
    leads_s = tuple(lead_s for lead_s in LEADS_S if lead_s / trace.bin_s <= scored / 2)
    every = max(1, math.ceil(scored / origins))
    all_origins = np.arange(first, len(values), every)
    # An origin whose last target is past the end would be scored at fewer leads than others.
    last = len(values) - max(math.ceil(lead_s / trace.bin_s) + 1 for lead_s in leads_s)
    asked = np.flatnonzero(all_origins <= last)
    chosen = np.random.default_rng(_SEED).choice(asked, min(rival_origins, len(asked)), replace=False)
    return Problem(
        name=trace.name,
        bin_s=trace.bin_s,
        start_s=trace.start_s,
        values=values,
        leads_s=leads_s,
        origins=all_origins,
        rival_origins=np.sort(all_origins[chosen]),
    )


def write_problem(problem: Problem, folder: Path) -> Path:
    """Write `<trace>.parquet` and, last, `<trace>.json` for rivals.py; returns the latter."""
    pd.DataFrame({"demand": problem.values}).to_parquet(folder / f"{problem.name}.parquet")
    path = folder / f"{problem.name}.json"
    described = {
        "name": problem.name,
        "bin_s": problem.bin_s,
        "start_s": problem.start_s,
        "day": problem.day,
        "digest": hashlib.sha256(np.ascontiguousarray(problem.values).tobytes()).hexdigest(),
        "steps": problem.steps,
        "levels": list(LEVELS),
        "origins": problem.rival_origins.tolist(),
    }
    path.write_text(json.dumps(described))
    return path
