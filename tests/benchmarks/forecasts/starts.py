"""How a service's first two days go: windows of traces, as if nothing before them were known. `starts.py FOLDER`.

Of each trace of days fifteen windows of two hours to two days, of each shorter one itself and four of its parts. Every
window is run with loads of 30 s, 120 s and 600 s and the budgets of `headstart benchmark`; its later half is scored.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from question import default_question
from scores import markdown_table

from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.benchmark.cases import Job, plan_cases
from autoscaler.backtest.benchmark.find import trace_paths
from autoscaler.backtest.benchmark.gap import bound_hours
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.headstart import replay_headstart
from autoscaler.cli import benchmark_options as options
from autoscaler.report.words import share
from autoscaler.traces.read import read_trace
from autoscaler.traces.trace import Trace
from forecasting.clock import DAY_S

OURS, HPA = "Headstart", "HPA, target 80 %"
_LOADS = ("30s", "120s", "600s")
_DAYS = (1 / 12, 2.0)
_WIDTHS, _PLACES = 3, 5
_PARTS, _PART_PLACES = (1 / 3, 2 / 3), 2


@dataclass(frozen=True, slots=True)
class Line:
    """One plan in one case."""

    plan: str
    late_budget: float
    cost: float
    late: float


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, help="a folder of traces, or one")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1 is one per core")
    parser.add_argument("--seed", type=int, default=1, help="of the windows")
    given = parser.parse_args()
    jobs = [
        job
        for window in _windows(given.traces, given.seed)
        for job in plan_cases([window], default_question(_LOADS)).jobs
    ]
    found = Parallel(n_jobs=given.jobs)(delayed(_lines)(job) for job in jobs)
    print(_table([pd.DataFrame(lines) for lines in found if lines]))  # noqa: T201


def _windows(folder: Path, seed: int) -> Iterator[Trace]:
    """Windows in which something came in the later half."""
    rng = np.random.default_rng(seed)
    for path in trace_paths([folder]):
        trace = read_trace(path)
        day = DAY_S / trace.bin_s
        if len(trace) > _DAYS[1] * day:
            widths, places = day * rng.uniform(*_DAYS, _WIDTHS), _PLACES
        else:
            yield trace
            widths, places = len(trace) * np.array(_PARTS), _PART_PLACES
        for width in widths.astype(np.int64).tolist():
            for first in rng.integers(0, len(trace) - width, places).tolist():
                window = _window(trace, first, width)
                if np.nansum(window.demand["requests"][width // 2 :]) > 0:
                    yield window


def _window(trace: Trace, first: int, bins: int) -> Trace:
    demand = {unit: values[first : first + bins] for unit, values in trace.demand.items()}
    return replace(trace, start_s=trace.start_s + first * trace.bin_s, demand=demand)


def _lines(job: Job) -> list[Line]:
    setting = job.cases[0].setting
    optimum_hours = bound_hours(setting, simulate(setting, plan_optimum(setting)))
    if optimum_hours == 0:
        return []
    hpa = simulate(setting, FAMILIES["hpa"].plan(setting, FAMILIES["hpa"].target))
    lines = []
    for case in job.cases:
        for plan, outcome in ((OURS, replay_headstart(case.setting).outcome), (HPA, hpa)):
            cost = outcome.replica_hours / optimum_hours
            lines.append(Line(plan, case.setting.late_budget, cost, outcome.late_fraction))
    return lines


def _table(jobs: list[pd.DataFrame]) -> str:
    """Costs over the optimum's, the share that keeps the budget, and the cases beyond it and the HPA, as Markdown."""
    lines = pd.concat(jobs, keys=range(len(jobs)), names=["job", "row"]).reset_index("job")
    by_case = lines.set_index(["job", "late_budget", "plan"]).unstack("plan")
    late = by_case["late"]
    budget = late.index.get_level_values("late_budget").to_numpy()
    limit = pd.DataFrame(dict.fromkeys(late.columns, budget), late.index)
    kept = late.le(limit)
    table = pd.DataFrame({"x optimum": np.exp(np.log(by_case["cost"]).mean()), "kept": kept.mean().map(share)})
    for asked in options.DEFAULT_BUDGETS:
        table[f"kept, {100 * asked:g} %"] = kept.xs(asked, level="late_budget").mean().map(share)
    table["at most twice as late"] = late.le(2 * limit).mean().map(share)
    worse = (~kept[OURS] & (late[OURS] > late[HPA])).sum()
    return "\n\n".join(
        [
            f"{len(by_case)} cases; in {worse} Headstart missed the budget and was later than the HPA.",
            markdown_table(table.loc[[OURS, HPA]], "plan"),
        ]
    )


if __name__ == "__main__":
    main()
