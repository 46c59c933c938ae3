"""`headstart backtest`: a trace in, the GPU-hours saved out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli import backtest_options as options
from autoscaler.cli import prometheus_options
from autoscaler.cli.backtest_fidelity import DEFAULT_UNIT, Fidelity, Replica, queries_for, with_nodes
from autoscaler.cli.counts import read_counts
from autoscaler.cli.gaps import warn_of_gaps
from autoscaler.cli.history import PastDemand
from autoscaler.cli.idle import warn_of_idleness
from autoscaler.cli.option_group import with_groups
from autoscaler.cli.output import progress, table_console
from autoscaler.cli.outs import check_outs, json_text, print_document, tell_written, write_text, writing
from autoscaler.cli.params import (
    CapacityOption,
    LateBudgetOption,
    LoadLatencyOption,
    MaxWaitOption,
    ScoreFromOption,
    TimeZoneOption,
    is_typed,
)
from autoscaler.errors import UsageError

if TYPE_CHECKING:
    from autoscaler.backtest.result import BacktestResult
    from autoscaler.backtest.setting import Setting
    from autoscaler.core.event import Event
    from autoscaler.traces.trace import Trace


@with_groups
def backtest(
    context: typer.Context,
    trace: Annotated[
        Path | None,
        typer.Argument(
            metavar="TRACE",
            help="CSV or Parquet with 'timestamp' and counts per bin, or a log of requests; - is standard input. Or"
            " give --query.",
            show_default=False,
        ),
    ] = None,
    *,
    capacity: CapacityOption = None,
    load_latency: LoadLatencyOption,
    max_wait_s: MaxWaitOption = 10.0,
    late_budget: LateBudgetOption = 0.01,
    score_from: ScoreFromOption = 0.5,
    unit: options.UnitOption = None,
    policy: options.PolicyOption = "headstart",
    against: options.AgainstOption = None,
    member: options.MemberOption = None,
    replicas_min: options.ReplicasMinOption = 0,
    replicas_max: options.ReplicasMaxOption = 100_000,
    interval_s: options.IntervalOption = 60.0,
    schedule: options.ScheduleOption = None,
    time_zone: TimeZoneOption = "UTC",
    fidelity: options.FidelityOption = Fidelity.FLUID,
    concurrency: options.ConcurrencyOption = None,
    prefill_speed: options.PrefillSpeedOption = None,
    decode_speed: options.DecodeSpeedOption = None,
    bin_s: options.BinOption = None,
    node_latency: options.NodeLatencyOption = None,
    placeholders: options.PlaceholdersOption = None,
    start_failures: options.StartFailuresOption = 0.0,
    drain_s: options.DrainOption = None,
    seed: options.SeedOption = 0,
    gpu_hour_price: options.GpuHourPriceOption = None,
    gpus_per_replica: options.GpusPerReplicaOption = 1,
    plan_out: options.PlanOutOption = None,
    json_out: options.JsonOutOption = None,
    html_out: options.HtmlOutOption = None,
    png_out: options.PngOutOption = None,
    as_json: options.JsonOption = False,
    prometheus: prometheus_options.UrlOption = None,
    query: prometheus_options.QueryOption = None,
    days: prometheus_options.DaysOption = prometheus_options.DEFAULT_DAYS,
    access: prometheus_options.Access,
) -> None:
    """Replay a trace: what your GPUs would have cost, and how much would have waited, under each policy.

    Headstart decides bin by bin with what was known at that time. HPA, KEDA and Knative run beside it at their default
    targets and at the best one in hindsight, the one that is as late as Headstart was.

    With --fidelity request, TRACE is a log with one row per request (timestamp, prompt_tokens, output_tokens, or a
    public format): policies plan on its bins, then every request is replayed through each plan.

    With --prometheus and --query instead of TRACE, the past of a query is replayed; see headstart history.

    Example: headstart backtest demand.csv --capacity 3.2 --load-latency 600s --max-wait 10s --late-budget 1%
    """
    from autoscaler.backtest.from_trace import Scenario, setting_of
    from autoscaler.backtest.request_run import replay_per_request, request_setting
    from autoscaler.backtest.run import POLICIES, priced, run_backtest
    from autoscaler.traces.formats import import_requests
    from autoscaler.traces.requests import bin_requests
    from forecasting.lead_members import DEFAULT_MEMBERS

    outputs = {"--plan-out": plan_out, "--json-out": json_out, "--html-out": html_out, "--png-out": png_out}
    piped = check_outs(outputs, source=trace, as_json=as_json)
    if trace is not None:
        prometheus_options.refuse_typed(context)
        past = None
    else:
        past = PastDemand(
            queries=queries_for(fidelity, query, unit),
            days=days,
            bin_s=bin_s or prometheus_options.DEFAULT_BIN_S,
            connection=access.connection_to(prometheus),
        )
    _check_plan(plan_out)
    order_latency, warm_nodes = with_nodes(load_latency, node_latency, placeholders, fidelity)
    replica = Replica(
        fidelity=fidelity,
        capacity=capacity,
        unit=unit,
        drain_s=drain_s,
        concurrency=concurrency,
        prefill_speed=prefill_speed,
        decode_speed=decode_speed,
        bin_s=bin_s if past is None else None,
    )
    capacity_rps, speed = replica.resolve()
    scenario = Scenario(
        capacity_rps=capacity_rps,
        load_latency=order_latency,
        max_wait_s=max_wait_s,
        late_budget=late_budget,
        score_from=score_from,
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        start_failure_share=start_failures,
        drain_s=drain_s or 0.0,
        seed=seed,
        interval_s=interval_s,
        warm_nodes=warm_nodes,
    )
    compared = POLICIES if against is None else _policies_against(against)
    if past is not None:
        read = past.read(tuple(capacity_rps), quiet=as_json)
        setting = setting_of(read, scenario)
    else:
        assert trace is not None
        with progress(f"reading {trace.name}", quiet=as_json):
            if speed is None:
                read = read_counts(trace, tuple(capacity_rps))
                setting = setting_of(read, scenario)
            else:
                log = import_requests(trace)
                read = bin_requests(log, bin_s or options.DEFAULT_BIN_S)
                setting = request_setting(log, read.bin_s, speed, scenario)
    with progress(f"replaying {read.name}", quiet=as_json) as report:
        result = run_backtest(
            _dated(setting, schedule or (), time_zone, context, dated=read.dated),
            (policy, *compared),
            members=member or DEFAULT_MEMBERS,
            report=report,
        )
    if speed is not None:
        with progress("replaying its requests", quiet=as_json) as report:
            result = replay_per_request(result, log, speed, report=report)
    result = priced(result, gpu_hour_price=gpu_hour_price, gpus_per_replica=gpus_per_replica)
    try:
        _write_plan(result, policy, read, DEFAULT_UNIT if speed else next(iter(capacity_rps)), plan_out)
        write_reports(result, json_out=json_out, html_out=html_out, png_out=png_out)
    finally:
        # Files first, since a reader of the table may have gone; and the table though one of them can't be written.
        print_result(result, as_json=as_json, beside=piped)
    tell_written(outputs)


def _check_plan(path: Path | None) -> None:
    """Raise UsageError where a plan can't be written in the format that its name asks for."""
    from autoscaler.traces.write import check_format

    if path is not None:
        check_format(path)


def _policies_against(names: list[str]) -> tuple[str, ...]:
    """The policies to compare with; none for 'none'. Raises UsageError where 'none' has company."""
    if options.NO_POLICY not in names:
        return tuple(names)
    if set(names) != {options.NO_POLICY}:
        raise UsageError("--against: 'none' leaves all others out; give either it or names of policies")
    return ()


def _dated(
    setting: Setting, schedule: tuple[Event, ...], time_zone: str, context: typer.Context, *, dated: bool
) -> Setting:
    """The setting with its events and time zone; says on standard error what can't be as it was asked for."""
    from autoscaler.backtest.from_trace import remarks, with_calendar

    interval_given, duration_s = is_typed(context, "interval_s"), setting.bin_s * len(setting)
    if interval_given and setting.interval_s > duration_s:
        raise UsageError(
            f"--interval: {setting.interval_s:g} s is longer than the trace, which covers {duration_s:g} s"
        )
    setting = with_calendar(setting, schedule, time_zone, dated=dated)
    for remark in remarks(setting, interval_given=interval_given):
        typer.echo(f"warning: {remark}", err=True)
    warn_of_gaps(setting)
    if is_typed(context, "capacity"):
        warn_of_idleness(setting)
    return setting


def _write_plan(result: BacktestResult, policy: str, trace: Trace, unit: str, path: Path | None) -> None:
    from autoscaler.backtest.plan import write_plan

    if path is None:
        return
    chosen = next(row for row in result.policies if row.name == policy)
    with writing(path) as file:
        write_plan(trace, unit, chosen.outcome.desired, file)


def write_reports(
    result: BacktestResult, *, json_out: Path | None, html_out: Path | None, png_out: Path | None
) -> None:
    """Write what was asked for, each aside and then renamed."""
    from autoscaler.report.table import to_json

    if json_out is not None:
        write_text(json_text(to_json(result, command=command_line())), json_out)
    if html_out is not None:
        from autoscaler.report.page import write_html

        with writing(html_out) as file:
            write_html(result, file, command=command_line())
    if png_out is not None:
        from autoscaler.report.picture import write_png

        with writing(png_out) as file:
            write_png(result, file)


def print_result(result: BacktestResult, *, as_json: bool = False, beside: bool = False) -> None:
    """The table and the sentence; or JSON. See `table_console` for `beside`."""
    from autoscaler.report.sentence import sentence
    from autoscaler.report.table import policy_table, to_json, wait_table

    if as_json:
        print_document(json_text(to_json(result, command=command_line())))
        return
    console = table_console(beside=beside)
    console.print(policy_table(result), crop=False)
    console.print()
    waits = wait_table(result)
    if waits is not None:
        console.print(waits, crop=False)
        console.print()
    console.print(sentence(result), style="bold")


def command_line() -> str:
    """What the user typed, to run it again; without what may be secret, since reports are passed on."""
    return shlex.join(["headstart", *prometheus_options.without_secrets(sys.argv[1:])])
