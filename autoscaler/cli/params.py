"""What users write on the command line: durations, shares, capacities, load latencies.

Each parser takes the text of one option, or a default that is a number already, and raises typer.BadParameter with one
sentence that says what was given and what is allowed; `autoscaler.cli.app` puts the option's name in front of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from autoscaler.errors import UsageError, shown

if TYPE_CHECKING:
    from autoscaler.core.load_latency import LoadLatency
else:
    # typer evaluates annotations when the command line is built; the class itself would import numpy into `--help`.
    LoadLatency = object

_Given = TypeVar("_Given")
_Read = TypeVar("_Read")
_SPEED_MIN = 1e-3


class Capacity(NamedTuple):
    """Work per second that one replica sustains, in one unit of work; `unit` is None where only a number was given."""

    unit: str | None
    per_second: float


def is_typed(context: typer.Context, parameter: str | None) -> bool:
    """Whether the parameter was typed, rather than left at its default or set in the environment."""
    source = context.get_parameter_source(parameter or "")
    return source is not None and source.name == "COMMANDLINE"


def parse_duration_s(given: str | float) -> float:
    """Seconds, 0 or more, from '600s', '1h30m', '250ms', '14d' or plain seconds."""
    from autoscaler.api.typed import typed_duration_s

    return _told(typed_duration_s, given)


def parse_positive_duration_s(given: str | float) -> float:
    """Seconds, more than 0, written as for `parse_duration_s`."""
    from autoscaler.api.typed import typed_positive_duration_s

    return _told(typed_positive_duration_s, given)


def parse_time_zone(given: str) -> str:
    """The IANA name of a time zone."""
    from autoscaler.core.cron import check_time_zone

    return checked(given, check_time_zone)


def checked(given: str, check: Callable[[str], None]) -> str:
    """`given`, where `check` raises no UsageError; else that as the option's."""
    _told(check, given)
    return given


def share_parser(*, zero: bool = False, one: bool = False) -> Callable[[str | float], float]:
    """A parser of shares, '1%' or '0.01', between 0 and 1; `zero` and `one` say whether the ends are allowed."""
    lowest, highest = ("at least 0 %" if zero else "more than 0 %"), ("at most 100 %" if one else "less than 100 %")

    def parse_share(given: str | float) -> float:
        from autoscaler.api import scalars

        text = str(given).strip()
        try:
            share = scalars.parse_share(text if isinstance(given, str) else given, typed=True)
        except ValueError:
            raise typer.BadParameter(f"{shown(given)} is not a share; write it as 1% or 0.01") from None
        if not ((share > 0 or (zero and share == 0)) and (share < 1 or (one and share == 1))):
            allowed = f"{lowest} and {highest}, written as 1% or 0.01"
            meant = f"; did you mean {share:g}%?" if "%" not in text and 1 <= share < 100 else ""
            raise typer.BadParameter(f"{shown(given)} is out of range; it must be {allowed}{meant}")
        return share

    return parse_share


def parse_positive(given: str | float) -> float:
    """A finite number above 0."""
    from autoscaler.api.typed import typed_number

    number = _told(typed_number, given)
    if number <= 0:
        raise typer.BadParameter(f"{shown(given)} is not above 0")
    return number


def number_parser(least: float, most: float) -> Callable[[str | float], float]:
    """A parser of numbers between two above 0: what is beyond them was mistyped, and no table would hold it."""

    def parse_number(given: str | float) -> float:
        number = parse_positive(given)
        if not least <= number <= most:
            raise typer.BadParameter(f"{shown(given)} is out of range; it must be {least:g} to {most:g}")
        return number

    return parse_number


parse_days = number_parser(1e-6, 1e4)
"""Days: from a tenth of a second to 27 years."""


def parse_capacity(given: str | float) -> Capacity:
    """One capacity: '3.2', or 'prompt_tokens=9000' where the work has several units."""
    from autoscaler.api.scalars import CAPACITY_MAX, CAPACITY_MIN

    unit, equals, number = str(given).rpartition("=")
    if equals and not unit.strip():
        raise typer.BadParameter(f"{shown(given)} names no unit; write it as prompt_tokens=9000")
    per_second = number_parser(CAPACITY_MIN, CAPACITY_MAX)(number)
    return Capacity(unit.strip() if equals else None, per_second)


def capacity_by_unit(capacities: Sequence[Capacity], unit: str) -> dict[str, float]:
    """Capacities as a mapping from unit to work per second; a bare number is the capacity in `unit`.

    Raises:
        UsageError: a unit has two capacities.
    """
    by_unit: dict[str, float] = {}
    for capacity in capacities:
        name = unit if capacity.unit is None else capacity.unit
        if name in by_unit:
            raise UsageError(f"--capacity: {name} has two capacities, {by_unit[name]:g} and {capacity.per_second:g}")
        by_unit[name] = capacity.per_second
    return by_unit


def parse_load_latency(given: str) -> LoadLatency:
    """A load latency: a duration, a name out of KNOWN_LOADS, 'lognormal:MEDIAN,SIGMA', or 'empirical:FILE'."""
    from autoscaler.api.typed import typed_load_latency

    return _told(typed_load_latency, given)


def parse_address(given: str, option: str) -> tuple[str, int]:
    """Host and port of '0.0.0.0:8080' or '[::]:8080'. UsageError, which names `option`, for anything else."""
    host, colon, port = given.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535:
        raise UsageError(f"{option}: must be HOST:PORT, such as 0.0.0.0:8080, got {shown(given)}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - probes and scrapes come from other hosts


class BudgetGpus(NamedTuple):
    """The GPUs of a budget."""

    name: str
    gpus: int


def parse_gpu_budget(given: str) -> BudgetGpus:
    """Name and GPUs of 'h100=64'."""
    name, _, gpus = given.partition("=")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) or not re.fullmatch(r"0*[1-9][0-9]{0,6}", gpus):
        raise typer.BadParameter(
            f"{shown(given)} is not NAME=GPUS, such as h100=64; a name has a-z, 0-9 and -, GPUS is at least 1"
        )
    return BudgetGpus(name, int(gpus))


def gpus_by_budget(budgets: Sequence[BudgetGpus]) -> dict[str, int]:
    """Budget -> its GPUs. UsageError where one is given twice."""
    found: dict[str, int] = {}
    for name, gpus in budgets:
        if found.setdefault(name, gpus) != gpus:
            raise UsageError(f"--gpu-budget: {name} is given twice, with {found[name]} and {gpus} GPUs; leave one")
    return found


def parse_speed(given: str | float) -> float:
    """Virtual seconds per second, 0.001 or more: '600x' or '600'; 'max' doesn't wait."""
    if given == "max":
        return math.inf
    speed = parse_positive(str(given).removesuffix("x"))
    if speed < _SPEED_MIN:
        raise typer.BadParameter(f"{shown(given)} is as good as standing still; it must be at least {_SPEED_MIN:g}x")
    return speed


def _told(read: Callable[[_Given], _Read], given: _Given) -> _Read:
    """What `read` makes of it; its UsageError as the option's."""
    try:
        return read(given)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


CapacityOption = Annotated[
    list[Capacity] | None,
    typer.Option(
        "--capacity",
        parser=parse_capacity,
        metavar="NUMBER | UNIT=NUMBER",
        help="Work per second that one replica sustains. Repeat it as UNIT=NUMBER where the work has several units.",
        show_default=False,
    ),
]
LoadLatencyOption = Annotated[
    LoadLatency,
    typer.Option(
        "--load-latency",
        parser=parse_load_latency,
        metavar="DURATION | NAME | lognormal:MEDIAN,SIGMA | empirical:FILE",
        help="From ordering a replica to its readiness: 600s, lognormal:120s,0.5, a file with one load per line, or "
        "stable-diffusion, as measured in production.",
    ),
]
MaxWaitOption = Annotated[
    float,
    typer.Option(
        "--max-wait",
        parser=parse_duration_s,
        metavar="DURATION",
        help="The longest wait that is not late.",
        show_default="10s",
    ),
]
LateBudgetOption = Annotated[
    float,
    typer.Option(
        "--late-budget",
        parser=share_parser(),
        metavar="SHARE",
        help="The share of the work that may be late: 1% or 0.01.",
        show_default="1%",
    ),
]
ScoreFromOption = Annotated[
    float,
    typer.Option(
        "--score-from",
        parser=share_parser(zero=True),
        metavar="SHARE",
        help="Where scoring begins, as a share of the trace. What lies before it is history.",
        show_default="50%",
    ),
]
TimeZoneOption = Annotated[
    str,
    typer.Option(
        "--time-zone",
        parser=parse_time_zone,
        metavar="NAME",
        help="Whose clocks the seasons of demand follow when these change, such as Europe/Berlin.",
    ),
]
