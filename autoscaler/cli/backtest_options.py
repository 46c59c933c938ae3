"""The options of `headstart backtest`, as typer is to show and to parse them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoscaler.cli import prometheus_options
from autoscaler.cli.backtest_fidelity import DEFAULT_UNIT, Fidelity
from autoscaler.cli.outs import parse_out, parse_png_out
from autoscaler.cli.params import (
    checked,
    number_parser,
    parse_duration_s,
    parse_load_latency,
    parse_positive_duration_s,
    share_parser,
)

if TYPE_CHECKING:
    from autoscaler.core.event import Event

OUTPUTS = "Outputs"
DASH_TOLD = " - as one of these files is standard output; the table then goes to standard error."
_CLUSTER = "Simulated cluster"
_REQUESTS = "Per request, with --fidelity request"

# Given to --against, it leaves all others out.
NO_POLICY = "none"

# Narrow enough that a burst within the usual limit of 10 s isn't averaged away in what policies plan on.
DEFAULT_BIN_S = 10.0
# Slower by far, and one request would last for years; faster, and it would take no time.
_parse_tokens_per_s = number_parser(1e-3, 1e9)


def _read_schedule(file: str) -> tuple[Event, ...]:
    from autoscaler.api.schedule_file import read_schedule

    return read_schedule(Path(file))


def _parse_policy(name: str) -> str:
    from autoscaler.backtest.run import check_policy

    return checked(name, check_policy)


def _parse_against(name: str) -> str:
    return name if name == NO_POLICY else _parse_policy(name)


def _parse_member(name: str) -> str:
    from autoscaler.backtest.run import check_member

    return checked(name, check_member)


FidelityOption = Annotated[
    Fidelity,
    typer.Option(
        "--fidelity", help="'fluid' replays counts per bin; 'request' a log with a row per request, one by one."
    ),
]
MemberOption = Annotated[
    list[str] | None,
    typer.Option(
        "--member",
        parser=_parse_member,
        metavar="NAME",
        help="A member of Headstart's forecast; repeat it. 'boosted' grows trees daily. Default: all others.",
        show_default=False,
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        min=1,
        max=1_000_000,
        metavar="REQUESTS",
        help="Requests that a replica serves at once.",
        show_default=False,
        rich_help_panel=_REQUESTS,
    ),
]
PrefillSpeedOption = Annotated[
    float | None,
    typer.Option(
        "--prefill-speed",
        parser=_parse_tokens_per_s,
        metavar="TOKENS/S",
        help="Prompt tokens per second of one request in a full batch.",
        show_default=False,
        rich_help_panel=_REQUESTS,
    ),
]
DecodeSpeedOption = Annotated[
    float | None,
    typer.Option(
        "--decode-speed",
        parser=_parse_tokens_per_s,
        metavar="TOKENS/S",
        help="Output tokens per second of one request in a full batch.",
        show_default=False,
        rich_help_panel=_REQUESTS,
    ),
]
BinOption = Annotated[
    float | None,
    typer.Option(
        "--bin",
        parser=parse_positive_duration_s,
        metavar="DURATION",
        help="The bins that policies see and decide in; with --query too.",
        show_default=f"{DEFAULT_BIN_S:g}s; {prometheus_options.DEFAULT_BIN_S:g}s with --query",
        rich_help_panel=_REQUESTS,
    ),
]
IntervalOption = Annotated[
    float,
    typer.Option(
        "--interval",
        parser=parse_positive_duration_s,
        metavar="DURATION",
        help="From one decision of Headstart to the next, in whole bins; a bin where that is longer.",
        show_default="60s",
    ),
]
ScheduleOption = Annotated[
    Any,  # tuple[Event, ...] | None, which typer would take for several values
    typer.Option(
        "--schedule",
        parser=_read_schedule,
        metavar="FILE",
        help="YAML with known events that Headstart plans by: what an object has under spec.schedule.",
        show_default=False,
    ),
]
UnitOption = Annotated[
    str | None,
    typer.Option(
        "--unit",
        metavar="COLUMN",
        help="The column of work that a bare --capacity is for.",
        show_default=DEFAULT_UNIT,
    ),
]
PolicyOption = Annotated[
    str,
    typer.Option("--policy", parser=_parse_policy, metavar="NAME", help="The policy whose plan --plan-out writes."),
]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        parser=_parse_against,
        metavar="NAME",
        help="Compare with this policy; repeat it. 'none': with none but the optimum. Default: with all.",
        show_default=False,
    ),
]
ReplicasMinOption = Annotated[int, typer.Option("--min-replicas", min=0, help="Fewest replicas.")]
ReplicasMaxOption = Annotated[int, typer.Option("--max-replicas", min=1, help="Most replicas.")]
NodeLatencyOption = Annotated[
    Any,  # LoadLatency | None, which typer would take for a class of its own
    typer.Option(
        "--node-latency",
        parser=parse_load_latency,
        metavar="DURATION | lognormal:MEDIAN,SIGMA | empirical:FILE",
        help="Every replica needs a node that takes so long to provision, before its load.",
        show_default="none",
        rich_help_panel=_CLUSTER,
    ),
]
PlaceholdersOption = Annotated[
    int | None,
    typer.Option(
        "--placeholders",
        min=1,
        metavar="MOST",
        help="With --node-latency: replay Headstart with at most so many placeholders that keep nodes warm, too.",
        show_default=False,
        rich_help_panel=_CLUSTER,
    ),
]
StartFailuresOption = Annotated[
    float,
    typer.Option(
        "--start-failures",
        parser=share_parser(zero=True),
        metavar="SHARE",
        help="Share of starts that fail and load a second time.",
        show_default="0%",
        rich_help_panel=_CLUSTER,
    ),
]
DrainOption = Annotated[
    float | None,
    typer.Option(
        "--drain",
        parser=parse_duration_s,
        metavar="DURATION",
        help="How long a released replica is still paid for.",
        show_default="0s",
        rich_help_panel=_CLUSTER,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, max=2**32 - 1, help="For load latencies drawn at random.", rich_help_panel=_CLUSTER),
]
GpuHourPriceOption = Annotated[
    float | None,
    typer.Option(
        "--gpu-hour-price",
        parser=number_parser(1e-6, 1e6),
        metavar="DOLLARS",
        help="Tells money too.",
        show_default=False,
    ),
]
GpusPerReplicaOption = Annotated[
    int, typer.Option("--gpus-per-replica", min=1, max=1_024, help="GPUs that a replica holds.")
]
PlanOutOption = Annotated[
    Path | None,
    typer.Option(
        "--plan-out", parser=parse_out, metavar="FILE", help="The plan, a row per bin.", rich_help_panel=OUTPUTS
    ),
]
JsonOutOption = Annotated[
    Path | None,
    typer.Option(
        "--json-out", parser=parse_out, metavar="FILE", help="The results for machines.", rich_help_panel=OUTPUTS
    ),
]
HtmlOutOption = Annotated[
    Path | None,
    typer.Option("--html-out", parser=parse_out, metavar="FILE", help="The report, one page.", rich_help_panel=OUTPUTS),
]
PngOutOption = Annotated[
    Path | None,
    typer.Option(
        "--png-out",
        parser=parse_png_out,
        metavar="FILE",
        help=f"The report as a picture.{DASH_TOLD}",
        rich_help_panel=OUTPUTS,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON, not the table.", rich_help_panel=OUTPUTS)
]
