"""`headstart benchmark`: what Headstart saves, over many traces, loads and budgets, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autoscaler.cli import benchmark_options as options
from autoscaler.cli.backtest import command_line
from autoscaler.cli.benchmark_table import print_benchmark
from autoscaler.cli.output import progress, stderr_console
from autoscaler.cli.params import MaxWaitOption, ScoreFromOption, parse_load_latency
from autoscaler.errors import UsageError

if TYPE_CHECKING:
    from autoscaler.backtest.benchmark.cases import Plan
    from autoscaler.backtest.benchmark.run_job import Finished


def benchmark(
    traces: options.TracesArgument,
    *,
    load_latency: options.LoadsOption = None,
    late_budget: options.BudgetsOption = None,
    seed: options.SeedsOption = None,
    max_wait_s: MaxWaitOption = 10.0,
    mean_replicas: options.MeanReplicasOption = 20.0,
    score_from: ScoreFromOption = 0.5,
    boosted: options.BoostedOption = False,
    out: options.OutOption = options.DEFAULT_OUT,
    jobs: options.JobsOption = -1,
    backend: options.BackendOption = "loky",
) -> None:
    """Benchmark Headstart over traces, loads and budgets: how much of the gap down to the optimum it closes.

    Each case replays a trace under Headstart, Headstart without one of its parts, HPA, KEDA and Knative at their
    defaults, the best HPA or Knative target in hindsight that is late as seldom, a static fleet, and the optimum.

    Finished cases are kept under --out: the same command goes on where it was stopped, and runs again what a change of
    the traces, the options or the code concerns.

    Example: headstart benchmark traces/ --load-latency 120s --late-budget 1% --out build/benchmark
    """
    from autoscaler.backtest.benchmark.cases import Question, plan_cases
    from autoscaler.backtest.benchmark.drive import check_backend
    from autoscaler.backtest.benchmark.find import trace_paths
    from autoscaler.backtest.benchmark.variants import VARIANTS, WITH_BOOSTED
    from autoscaler.traces.read import read_trace

    if jobs == 0:
        raise UsageError("--jobs: 0 jobs at once never end; give 1 or more, or -1 for one per core")
    check_backend(backend)
    question = Question(
        loads=load_latency or [parse_load_latency(load) for load in options.DEFAULT_LOADS],
        late_budgets=late_budget or options.DEFAULT_BUDGETS,
        seeds=seed or [0],
        max_wait_s=max_wait_s,
        mean_replicas=mean_replicas,
        score_from=score_from,
        variants=(*VARIANTS, *([WITH_BOOSTED] if boosted else [])),
    )
    with progress("reading traces"):
        plan = plan_cases([read_trace(path) for path in trace_paths(traces)], question)
    for sentence in plan.left_out:
        stderr_console().print(f"left out: {sentence}")
    _report(_results(plan, out, jobs=jobs, backend=backend), out)


def _results(plan: Plan, out: Path, *, jobs: int, backend: str) -> list[Finished]:
    """All cases' results, in order: those that lie under `out`, and the others after they have been run."""
    from autoscaler.backtest.benchmark.parts import make_folder
    from autoscaler.backtest.benchmark.resume import kept_rows, run_rest

    try:
        make_folder(out)
    except OSError as error:
        raise UsageError(f"--out: {out} can't be made: {error.strerror}; name a folder that can be") from error
    rows = kept_rows(plan, out)
    if rows:
        stderr_console().print(f"{len(rows)} of {len(plan.cases)} cases are finished already in {out}")
    try:
        with progress("replaying") as report:
            return run_rest(plan, rows, out, workers=jobs, backend=backend, report=report)
    except KeyboardInterrupt:
        done = f"{len(rows)} of {len(plan.cases)} cases are kept in {out}"
        stderr_console().print(f"interrupted: {done}; the same command goes on from there")
        raise


def _report(results: list[Finished], out: Path) -> None:
    from autoscaler.backtest.benchmark.parts import write_results
    from autoscaler.report.benchmark_page import write_benchmark_page
    from autoscaler.report.benchmark_text import write_markdown

    table, page, text = out / "results.parquet", out / "benchmark.html", out / "benchmark.md"
    try:
        write_results(table, results)
        write_benchmark_page(results, page, command=command_line())
        write_markdown(results, text, command=command_line())
    finally:
        print_benchmark(results)
    for path in (table, page, text):
        stderr_console().print(f"wrote {path}")
