"""Runs models of other libraries over the problems that compare.py wrote: `python rivals.py FOLDER MODEL...`.

Runs in an environment of its own, which has those libraries and nothing of ours: statsforecast needs a pandas below 3.
Writes `<trace>-<model>.parquet` per problem; one that is there for the same demand, origins, steps and levels is left
as it is.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

# History that a model gets at most: 14 days of 5 minutes, or four days where that is more. Some take seconds for it.
_HISTORY_BINS = 4_032
_HISTORY_DAYS = 4
# Fits per problem of models that can be fitted at one time and moved on by later bins, as a job each night would do.
_FITS = 4


@dataclass(frozen=True)
class Known:
    """The bins before an origin: work per second, shape (n,), NaN where missing."""

    values: np.ndarray
    start_s: float
    bin_s: float
    day: int


class Fitted(Protocol):
    """What a rival says, from the parameters that it was fitted with, after the bins in `known`."""

    def __call__(self, known: Known, steps: Sequence[int], levels: Sequence[float]) -> np.ndarray:
        """Quantiles, shape (steps, levels)."""
        ...


class Rival(Protocol):
    """A model, which estimates its parameters from the bins in `known`."""

    def __call__(self, known: Known) -> Fitted: ...


def walk(rival: Rival, values: np.ndarray, problem: dict) -> pd.DataFrame:
    """Forecasts of `rival` at each origin: a row per origin and step, a column per level, and the seconds it took.

    It gets a copy of the bins before the origin, so it can't reach those after it.
    """
    refit_every = -(-len(problem["origins"]) // _FITS)
    history_bins = max(_HISTORY_BINS, _HISTORY_DAYS * problem["day"])
    rows = []
    for i, origin in enumerate(problem["origins"]):
        first = max(0, origin - history_bins)
        start_s = problem["start_s"] + first * problem["bin_s"]
        known = Known(values[first:origin].copy(), start_s, problem["bin_s"], problem["day"])
        fit_s = 0.0
        began_s = time.perf_counter()
        if i % refit_every == 0:
            fitted = rival(known)
            fit_s = time.perf_counter() - began_s
        said = fitted(known, problem["steps"], problem["levels"])
        forecast_s = time.perf_counter() - began_s - fit_s
        # Demand is never below 0, and a higher level never less: both are gifts to models that say otherwise.
        said = np.maximum.accumulate(np.maximum(said, 0.0), axis=1)
        for step, quantiles in zip(problem["steps"], said, strict=True):
            named = {f"q{level}": quantile for level, quantile in zip(problem["levels"], quantiles, strict=True)}
            rows.append({"origin": origin, "step": step, **named, "fit_s": fit_s, "forecast_s": forecast_s})
    return pd.DataFrame(rows).drop_duplicates(["origin", "step"]).assign(digest=_digest(problem))


def is_answered(path: Path, problem: dict) -> bool:
    """Whether `path` has forecasts for just this problem's demand, origins, steps and levels."""
    if not path.exists():
        return False
    there = pd.read_parquet(path)
    asked = {(origin, step) for origin in problem["origins"] for step in problem["steps"]}
    columns = {"digest", *(f"q{level}" for level in problem["levels"])}
    if not columns <= set(there.columns) or set(there["digest"]) != {_digest(problem)}:
        return False
    return set(zip(there["origin"], there["step"], strict=True)) == asked


def _digest(problem: dict) -> str:
    """Of the demand and when it came: a trace that was written anew may have as many bins as before."""
    return f"{problem['start_s']} {problem['bin_s']} {problem['digest']}"


def main(folder: Path, names: Sequence[str]) -> None:
    """Answer all problems in `folder` with the models called `names`."""
    from rival_models import RIVALS

    # Other libraries warn of what they use themselves and of what they can't fit; both are theirs to answer for.
    warnings.simplefilter("ignore")
    for name in names:
        for path in sorted(folder.glob("*.json")):
            problem = json.loads(path.read_text())
            answer = folder / f"{path.stem}-{name}.parquet"
            if is_answered(answer, problem):
                continue
            began_s = time.perf_counter()
            values = pd.read_parquet(path.with_suffix(".parquet"))["demand"].to_numpy(np.float64)
            forecasts = walk(RIVALS[name], values, problem)
            # Whole or not there: what is interrupted is done anew.
            partial = answer.with_suffix(".part")
            forecasts.to_parquet(partial)
            partial.rename(answer)
            print(f"{path.stem}: {name} in {time.perf_counter() - began_s:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
