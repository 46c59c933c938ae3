"""The options of `headstart backtest`, and which of them belong to which fidelity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoscaler.cli import prometheus_options
from autoscaler.cli.outs import parse_out, parse_png_out
from autoscaler.cli.params import (
    Capacity,
    capacity_by_unit,
    parse_duration_s,
    parse_load_latency,
    parse_positive,
    parse_positive_duration_s,
    share_parser,
)
from autoscaler.cli.prometheus_options import Query, queries_by_unit
from autoscaler.errors import UsageError

if TYPE_CHECKING:
    from autoscaler.backtest.engine_speed import EngineSpeed
    from autoscaler.backtest.setting import WarmNodes
    from autoscaler.core.event import Event
    from autoscaler.core.load_latency import LoadLatency

_OUTPUTS = "Outputs"
_CLUSTER = "Simulated cluster"
_REQUESTS = "Per request, with --fidelity request"

DEFAULT_UNIT = "requests"
# Narrow enough that a burst within the usual limit of 10 s isn't averaged away in what policies plan on.
DEFAULT_BIN_S = 10.0
_TOKENS_PER_S_MIN, _TOKENS_PER_S_MAX = 1e-3, 1e9


class Fidelity(StrEnum):
    """How a plan is replayed: as a flow of work per bin, or request by request."""

    FLUID = "fluid"
    REQUEST = "request"


def _read_schedule(file: str) -> tuple[Event, ...]:
    from autoscaler.api.schedule_file import read_schedule

    return read_schedule(Path(file))


def _parse_token_speed(given: str | float) -> float:
    """Tokens per second. Slower by far, and one request would last for years; faster, and it would take no time."""
    speed = parse_positive(given)
    if not _TOKENS_PER_S_MIN <= speed <= _TOKENS_PER_S_MAX:
        raise typer.BadParameter(
            f"{given!r} is out of range; it must be {_TOKENS_PER_S_MIN:g} to {_TOKENS_PER_S_MAX:g}"
        )
    return speed


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
        parser=_parse_token_speed,
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
        parser=_parse_token_speed,
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
PolicyOption = Annotated[str, typer.Option("--policy", metavar="NAME", help="The policy whose plan --plan-out writes.")]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
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
        "--gpu-hour-price", parser=parse_positive, metavar="DOLLARS", help="Tells money too.", show_default=False
    ),
]
GpusPerReplicaOption = Annotated[
    int, typer.Option("--gpus-per-replica", min=1, max=1_024, help="GPUs that a replica holds.")
]
PlanOutOption = Annotated[
    Path | None,
    typer.Option(
        "--plan-out", parser=parse_out, metavar="FILE", help="The plan, a row per bin.", rich_help_panel=_OUTPUTS
    ),
]
JsonOutOption = Annotated[
    Path | None,
    typer.Option(
        "--json-out", parser=parse_out, metavar="FILE", help="The results for machines.", rich_help_panel=_OUTPUTS
    ),
]
HtmlOutOption = Annotated[
    Path | None,
    typer.Option(
        "--html-out", parser=parse_out, metavar="FILE", help="The report, one page.", rich_help_panel=_OUTPUTS
    ),
]
PngOutOption = Annotated[
    Path | None,
    typer.Option(
        "--png-out",
        parser=parse_png_out,
        metavar="FILE",
        help="The report as a picture. - as one of these files is standard output; the table then goes to standard"
        " error.",
        rich_help_panel=_OUTPUTS,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON, not the table.", rich_help_panel=_OUTPUTS)
]


def queries_for(fidelity: Fidelity, query: list[Query] | None, unit: str | None) -> dict[str, str]:
    """Unit -> PromQL of a backtest without a trace. Raises UsageError where there is none, or it is to be a log."""
    if not query:
        raise UsageError("TRACE: is missing; give a file, or --prometheus and --query")
    if fidelity is Fidelity.REQUEST:
        raise UsageError("--query: gives work per bin; --fidelity request needs a TRACE with one row per request")
    return queries_by_unit(query, unit or DEFAULT_UNIT)


def with_nodes(
    load: LoadLatency, node: LoadLatency | None, placeholders: int | None, fidelity: Fidelity
) -> tuple[LoadLatency, WarmNodes | None]:
    """The load latency with a node's time in it, and what keeps nodes warm; UsageError where that is asked in vain."""
    from autoscaler.backtest.setting import WarmNodes
    from autoscaler.core.node_head_start import node_and_load

    if placeholders is not None and node is None:
        raise UsageError("--placeholders: keeps nodes warm; say with --node-latency how long one takes")
    if placeholders is not None and fidelity is Fidelity.REQUEST:
        raise UsageError("--placeholders: are replayed in counts per bin only; leave out --fidelity request")
    if node is None:
        return load, None
    return node_and_load(node, load), None if placeholders is None else WarmNodes(node, load, placeholders)


def policies_against(names: list[str]) -> tuple[str, ...]:
    """The policies to compare with; none for 'none'. Raises UsageError where 'none' has company."""
    if "none" not in names:
        return tuple(names)
    if set(names) != {"none"}:
        raise UsageError("--against: 'none' leaves all others out; give either it or names of policies")
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What the command line says of a replica's work: by `capacity` in the fluid fidelity, by speeds per request."""

    fidelity: Fidelity
    capacity: list[Capacity] | None
    unit: str | None
    drain_s: float | None
    concurrency: int | None
    prefill_speed: float | None
    decode_speed: float | None
    bin_s: float | None

    def resolve(self) -> tuple[dict[str, float], EngineSpeed | None]:
        """Unit -> work per second that a replica sustains, and its engine's speed; None in the fluid fidelity.

        Raises:
            UsageError: one line for an option that is missing, or that counts for nothing in this fidelity.
        """
        if self.fidelity is Fidelity.REQUEST:
            return self._per_request()
        speeds = {**self._speeds(), "--bin": self.bin_s}
        _refuse(speeds, "counts for nothing in counts per bin; leave it out, or give a log and --fidelity request")
        if not self.capacity:
            raise UsageError("--capacity: is missing; give the work per second that one replica sustains")
        return capacity_by_unit(self.capacity, self.unit or DEFAULT_UNIT), None

    def _per_request(self) -> tuple[dict[str, float], EngineSpeed]:
        from autoscaler.backtest.engine_speed import EngineSpeed

        fluid = {"--capacity": self.capacity or None, "--unit": self.unit}
        _refuse(fluid, "follows from the speeds with --fidelity request; leave it out")
        _refuse({"--drain": self.drain_s}, "lasts as long as its requests with --fidelity request; leave it out")
        if self.concurrency is None or self.prefill_speed is None or self.decode_speed is None:
            missing = next(option for option, given in self._speeds().items() if given is None)
            raise UsageError(f"{missing}: is missing; --fidelity request needs {', '.join(self._speeds())}")
        speed = EngineSpeed(self.concurrency, self.prefill_speed, self.decode_speed)
        return {"slots": float(self.concurrency)}, speed

    def _speeds(self) -> dict[str, float | None]:
        return {
            "--concurrency": self.concurrency,
            "--prefill-speed": self.prefill_speed,
            "--decode-speed": self.decode_speed,
        }


def _refuse(given: Mapping[str, object], why: str) -> None:
    """Raise UsageError for the first option that was given."""
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option}: {why}")
