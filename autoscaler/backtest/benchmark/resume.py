"""A whole benchmark: what is finished already is read, the rest is run and kept case by case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from autoscaler.backtest.benchmark.cases import Plan, Question, plan_cases
from autoscaler.backtest.benchmark.drive import on_backend, run_jobs
from autoscaler.backtest.benchmark.parts import read_part, write_part
from autoscaler.backtest.benchmark.rows import Row
from autoscaler.backtest.benchmark.run_job import Finished, run_job
from autoscaler.backtest.benchmark.variants import VARIANTS
from autoscaler.core.load_latency import LoadLatency
from autoscaler.traces.trace import Trace

RowsByDigest = dict[str, tuple[Row, ...]]


def kept_rows(plan: Plan, out: Path) -> RowsByDigest:
    """The rows of those cases that are finished under `out`, by digest."""
    return {case.digest: rows for case in plan.cases if (rows := read_part(out, case)) is not None}


def run_rest(
    plan: Plan, rows: RowsByDigest, out: Path, *, workers: int, backend: str, report: Callable[[int, int], None]
) -> list[Finished]:
    """Run the cases that have no rows yet, keep each under `out` as it is finished, and return those of all cases.

    Args:
        plan: all cases.
        rows: those that are finished; grows as others are.
        out: the folder of the results.
        workers: see drive.on_backend.
        backend: see drive.on_backend.
        report: called with (cases finished, cases in all).
    """
    jobs = [replace(job, cases=tuple(case for case in job.cases if case.digest not in rows)) for job in plan.jobs]
    jobs = [job for job in jobs if job.cases]
    done, total = len(plan.cases) - sum(len(job.cases) for job in jobs), len(plan.cases)
    report(done, total)
    if jobs:
        with on_backend(backend, workers):
            warm_kernels()
            for finished in run_jobs(jobs, workers=workers):
                for one in finished:
                    write_part(out, one)
                    rows[one.case.digest] = one.rows
                done += len(finished)
                report(done, total)
    return [Finished(case, rows[case.digest]) for case in plan.cases]


def warm_kernels() -> None:
    """Compile every kernel once, into the cache: a minute, and workers that start together would each spend it."""
    demand = 5.0 + np.sin(np.arange(150) * 2.0 * np.pi / 48.0)
    trace = Trace("warm", 0.0, 1_800.0, {"requests": demand}, dated=False)
    question = Question(
        loads=[LoadLatency.lognormal(3_600.0, 0.5)],
        late_budgets=[0.01],
        seeds=[0],
        max_wait_s=10.0,
        mean_replicas=5.0,
        score_from=0.5,
        variants=VARIANTS,
    )
    for job in plan_cases([trace], question).jobs:
        run_job(job)
