"""Times statsforecast's MSTL on the series in a file: `python mstl.py PROBLEM.npz ANSWER.npz`.

Runs in the rivals' environment, which has nothing of ours. The problem holds `histories` (m, n), `periods` in bins,
`steps` and `levels` from 0.5 on; the answer `quantiles` (m, steps, q) and the CPU `seconds` (m,) per fit and forecast.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from statsforecast.models import MSTL, AutoETS


def forecast(history: np.ndarray, periods: list[int], steps: int, levels: list[float]) -> np.ndarray:
    """Quantiles, shape (steps, q): MSTL with AutoETS for the trend, as by default, and its own intervals."""
    # The upper end of the central 90 % is the quantile at 0.95.
    central = {level: round(100 * (2 * level - 1)) for level in levels if level > 0.5}
    model = MSTL(season_length=periods, trend_forecaster=AutoETS(model="ZZN"))
    said = model.forecast(y=history, h=steps, level=list(central.values()))
    return np.column_stack([said[f"hi-{central[level]}" if level in central else "mean"] for level in levels])


def main(problem_path: str, answer_path: str) -> None:
    """Answer the problem."""
    problem = np.load(problem_path)
    levels, periods, steps = problem["levels"].tolist(), problem["periods"].tolist(), int(problem["steps"])
    forecast(problem["histories"][0][: 4 * 24 * 7], [24, 7 * 24], steps, levels)  # what is compiled or imported is now
    quantiles, seconds = [], []
    for history in problem["histories"]:
        began_s = time.process_time()
        quantiles.append(forecast(history, periods, steps, levels))
        seconds.append(time.process_time() - began_s)
    np.savez(answer_path, quantiles=quantiles, seconds=seconds)


if __name__ == "__main__":
    # What it warns of is its own affair.
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
