"""`headstart backtest`: a trace in, the GPU-hours saved out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli.output import progress, stderr_console, stdout_console
from autoscaler.cli.params import (
    CapacityOption,
    LateBudgetOption,
    LoadLatencyOption,
    MaxWaitOption,
    ScoreFromOption,
    capacity_by_unit,
    parse_duration_s,
    parse_positive,
    share_parser,
)

if TYPE_CHECKING:
    from autoscaler.backtest.result import BacktestResult

_OUTPUTS = "Outputs"
_CLUSTER = "Simulated cluster"


def backtest(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="CSV or Parquet with 'timestamp' and counts per bin.")],
    *,
    capacity: CapacityOption,
    load_latency: LoadLatencyOption,
    max_wait_s: MaxWaitOption = 10.0,
    late_budget: LateBudgetOption = 0.01,
    score_from: ScoreFromOption = 0.5,
    unit: Annotated[
        str, typer.Option("--unit", metavar="COLUMN", help="The column of work that a bare --capacity is for.")
    ] = "requests",
    policy: Annotated[
        str, typer.Option("--policy", metavar="NAME", help="The policy whose plan --plan-out writes.")
    ] = "headstart",
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Compare with this policy; repeat it. 'none': with none but the optimum. Default: with all.",
            show_default=False,
        ),
    ] = None,
    replicas_min: Annotated[int, typer.Option("--min-replicas", min=0, help="Fewest replicas.")] = 0,
    replicas_max: Annotated[int, typer.Option("--max-replicas", min=1, help="Most replicas.")] = 100_000,
    start_failures: Annotated[
        float,
        typer.Option(
            "--start-failures",
            parser=share_parser(zero=True),
            metavar="SHARE",
            help="Share of starts that fail and load a second time.",
            rich_help_panel=_CLUSTER,
        ),
    ] = 0.0,
    drain_s: Annotated[
        float,
        typer.Option(
            "--drain",
            parser=parse_duration_s,
            metavar="DURATION",
            help="How long a released replica is still paid for.",
            rich_help_panel=_CLUSTER,
        ),
    ] = 0.0,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=2**32 - 1, help="For load latencies drawn at random.", rich_help_panel=_CLUSTER
        ),
    ] = 0,
    gpu_hour_price: Annotated[
        float | None,
        typer.Option(
            "--gpu-hour-price", parser=parse_positive, metavar="DOLLARS", help="Tells money too.", show_default=False
        ),
    ] = None,
    gpus_per_replica: Annotated[int, typer.Option("--gpus-per-replica", min=1, help="GPUs that a replica holds.")] = 1,
    plan_out: Annotated[
        Path | None,
        typer.Option("--plan-out", metavar="FILE", help="The plan, a row per bin.", rich_help_panel=_OUTPUTS),
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option("--json-out", metavar="FILE", help="The results for machines.", rich_help_panel=_OUTPUTS),
    ] = None,
    html_out: Annotated[
        Path | None,
        typer.Option("--html-out", metavar="FILE", help="The report, one page.", rich_help_panel=_OUTPUTS),
    ] = None,
    png_out: Annotated[
        Path | None,
        typer.Option("--png-out", metavar="FILE", help="The report as a picture.", rich_help_panel=_OUTPUTS),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON, not the table.", rich_help_panel=_OUTPUTS)
    ] = False,
) -> None:
    """Replay a trace: what your GPUs would have cost, and how much would have waited, under each policy.

    Headstart decides bin by bin with what was known at that time. HPA, KEDA and Knative run beside it at their default
    targets and at the best one in hindsight, the one that is as late as Headstart was.
    """
    from autoscaler.backtest.from_trace import Scenario, setting_of
    from autoscaler.backtest.run import POLICIES, priced, run_backtest
    from autoscaler.files import check_outputs
    from autoscaler.traces.read import read_trace
    from autoscaler.traces.write import check_format

    outputs = {"--plan-out": plan_out, "--json-out": json_out, "--html-out": html_out, "--png-out": png_out}
    check_outputs(outputs, trace=trace)
    if plan_out is not None:
        check_format(plan_out)
    capacity_rps = capacity_by_unit(capacity, unit)
    scenario = Scenario(
        capacity_rps=capacity_rps,
        load_latency=load_latency,
        max_wait_s=max_wait_s,
        late_budget=late_budget,
        score_from=score_from,
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        start_failure_share=start_failures,
        drain_s=drain_s,
        seed=seed,
    )
    compared = POLICIES if against is None else tuple(name for name in against if name != "none")
    with progress(f"reading {trace.name}", quiet=as_json):
        read = read_trace(trace, tuple(capacity_rps))
        setting = setting_of(read, scenario)
    with progress(f"replaying {trace.name}", quiet=as_json) as report:
        result = run_backtest(setting, (policy, *compared), report=report)
    result = priced(result, gpu_hour_price=gpu_hour_price, gpus_per_replica=gpus_per_replica)
    if plan_out is not None:
        from autoscaler.backtest.plan import write_plan

        chosen = next(row for row in result.policies if row.name == policy)
        write_plan(read, next(iter(capacity_rps)), chosen.outcome.desired, plan_out)
    write_reports(result, json_out=json_out, html_out=html_out, png_out=png_out)
    print_result(result, as_json=as_json)
    for path in outputs.values():
        if path is not None:
            stderr_console().print(f"wrote {path}")


def write_reports(
    result: BacktestResult, *, json_out: Path | None, html_out: Path | None, png_out: Path | None
) -> None:
    """Write what was asked for, each aside and then renamed."""
    import json

    from autoscaler.files import write_aside
    from autoscaler.report.table import to_json

    if json_out is not None:
        text = json.dumps(to_json(result, command=command_line()), indent=2, allow_nan=False) + "\n"
        write_aside(json_out, lambda aside: aside.write_text(text, encoding="utf-8"))
    if html_out is not None:
        from autoscaler.report.page import write_html

        write_html(result, html_out, command=command_line())
    if png_out is not None:
        from autoscaler.report.picture import write_png

        write_png(result, png_out)


def print_result(result: BacktestResult, *, as_json: bool) -> None:
    """The table and the sentence on standard output; or JSON."""
    import json

    from autoscaler.report.sentence import sentence
    from autoscaler.report.table import policy_table, to_json

    if as_json:
        typer.echo(json.dumps(to_json(result, command=command_line()), indent=2, allow_nan=False))
        return
    console = stdout_console()
    console.print(policy_table(result))
    console.print()
    console.print(sentence(result), style="bold")


def command_line() -> str:
    """What the user typed, to run it again."""
    return shlex.join(["headstart", *sys.argv[1:]])
