"""What users write on the command line: durations, shares, capacities, load latencies.

Each parser takes the text of one option, or a default that is a number already, and raises typer.BadParameter with one
sentence that says what was given and what is allowed; `autoscaler.cli.app` puts the option's name in front of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from autoscaler.errors import UsageError, shown

if TYPE_CHECKING:
    from autoscaler.core.load_latency import LoadLatency
else:
    # typer evaluates annotations when the command line is built; the class itself would import numpy into `--help`.
    LoadLatency = object

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_DURATION = re.compile(rf"({_NUMBER})\s*(ms|s|m|h|d|)")
_SHARE = re.compile(rf"({_NUMBER})\s*(%?)")
# Beyond these a mistyped unit is likelier, and numbers of bins, or of seconds to wait, would fit no machine.
_DURATION_MAX_S = 1e9
_SIGMA_MAX = 10.0
_SPEED_MIN = 1e-3
_SECONDS_PER = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Capacity(NamedTuple):
    """Work per second that one replica sustains, in one unit of work; `unit` is None where only a number was given."""

    unit: str | None
    per_second: float


def is_typed(context: typer.Context, parameter: str | None) -> bool:
    """Whether the parameter was typed, rather than left at its default or set in the environment."""
    source = context.get_parameter_source(parameter or "")
    return source is not None and source.name == "COMMANDLINE"


def parse_duration_s(given: str | float) -> float:
    """Seconds, 0 or more, from '600s', '10m', '2h', '1.5h', '250ms', '1d', or plain seconds."""
    match = _DURATION.fullmatch(str(given).strip())
    duration_s = float(match[1]) * _SECONDS_PER[match[2]] if match else math.nan
    if not math.isfinite(duration_s):
        raise typer.BadParameter(
            f"{shown(given)} is not a duration; write it as 600s, 10m, 1.5h, 250ms or plain seconds"
        )
    if duration_s < 0:
        raise typer.BadParameter(f"{shown(given)} is negative; a duration is 0 or more")
    if duration_s > _DURATION_MAX_S:
        raise typer.BadParameter(f"{shown(given)} is longer than 30 years; a duration is at most that")
    return duration_s


def parse_positive_duration_s(given: str | float) -> float:
    """Seconds, more than 0, written as for `parse_duration_s`."""
    duration_s = parse_duration_s(given)
    if duration_s == 0:
        raise typer.BadParameter(f"{shown(given)} is no time at all; it must be more than 0")
    return duration_s


def parse_time_zone(given: str) -> str:
    """The IANA name of a time zone."""
    from autoscaler.core.cron import check_time_zone

    return checked(given, check_time_zone)


def checked(given: str, check: Callable[[str], None]) -> str:
    """`given`, where `check` raises no UsageError; else that as the option's."""
    try:
        check(given)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return given


def share_parser(*, zero: bool = False, one: bool = False) -> Callable[[str | float], float]:
    """A parser of shares, '1%' or '0.01', between 0 and 1; `zero` and `one` say whether the ends are allowed."""
    lowest, highest = ("at least 0 %" if zero else "more than 0 %"), ("at most 100 %" if one else "less than 100 %")

    def parse_share(given: str | float) -> float:
        match = _SHARE.fullmatch(str(given).strip())
        if match is None:
            raise typer.BadParameter(f"{shown(given)} is not a share; write it as 1% or 0.01")
        share = float(match[1]) / (100 if match[2] else 1)
        if not ((share > 0 or (zero and share == 0)) and (share < 1 or (one and share == 1))):
            allowed = f"{lowest} and {highest}, written as 1% or 0.01"
            meant = f"; did you mean {share:g}%?" if not match[2] and 1 <= share < 100 else ""
            raise typer.BadParameter(f"{shown(given)} is out of range; it must be {allowed}{meant}")
        return share

    return parse_share


def parse_positive(given: str | float) -> float:
    """A finite number above 0."""
    number = _finite(given)
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


def parse_not_negative(given: str | float) -> float:
    """A finite number, 0 or more."""
    number = _finite(given)
    if number < 0:
        raise typer.BadParameter(f"{shown(given)} is negative; it must be 0 or more")
    return number


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
    """A load latency: a duration, a name out of KNOWN_LOADS, 'lognormal:MEDIAN,SIGMA', or 'empirical:FILE'.

    The file holds one number of seconds per line.
    """
    from autoscaler.core.known_loads import KNOWN_LOADS
    from autoscaler.core.load_latency import LoadLatency

    if given.strip() in KNOWN_LOADS:
        return KNOWN_LOADS[given.strip()]
    kind, colon, rest = given.strip().partition(":")
    if not colon:
        return LoadLatency.constant(parse_duration_s(given))
    if kind == "lognormal":
        median, comma, sigma = rest.partition(",")
        if not comma:
            raise typer.BadParameter(f"{shown(given)} lacks the spread; write it as lognormal:120s,0.5")
        spread = parse_not_negative(sigma)
        if spread > _SIGMA_MAX:
            raise typer.BadParameter(
                f"{shown(given)} spreads over all times; the second number must be at most {_SIGMA_MAX:g}"
            )
        return LoadLatency.lognormal(parse_positive_duration_s(median), spread)
    if kind == "empirical":
        path = Path(rest)
        return LoadLatency.empirical(_read_loads_s(path), label=path.name)
    raise typer.BadParameter(
        f"{shown(given)} is not a load latency; write it as 600s, lognormal:120s,0.5 or empirical:FILE.csv"
    )


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


def _finite(given: str | float) -> float:
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise typer.BadParameter(f"{shown(given)} is not a number")
    return number


def _read_loads_s(path: Path) -> list[float]:
    """Seconds, one per line of `path`; the first line may be a header, and empty lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise typer.BadParameter(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path}: is not text; it must hold one number of seconds per line") from error
    loads_s = [_load_s(line.strip(), path, number) for number, line in enumerate(lines, start=1) if line.strip()]
    given_s = [load_s for load_s in loads_s if load_s is not None]
    if not given_s:
        raise typer.BadParameter(f"{path}: holds no load latency; it needs one number of seconds per line")
    return given_s


def _load_s(text: str, path: Path, line: int) -> float | None:
    """The seconds on one line; None for a header."""
    try:
        load_s = float(text)
    except ValueError:
        if line == 1 and text.strip('"')[:1].isalpha():
            return None
        load_s = math.nan
    if not (math.isfinite(load_s) and load_s >= 0):
        raise typer.BadParameter(f"{path}, line {line}: {shown(text)} is not a number of seconds, 0 or more")
    return load_s


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
        parser=parse_positive_duration_s,
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
