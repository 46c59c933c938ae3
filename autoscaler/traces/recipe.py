"""Recipes of synthetic demand: what a trace is made of, kept as TOML beside it."""

from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from autoscaler.errors import UsageError, shown
from autoscaler.files import write_aside
from forecasting.clock import UTC_ZONE, clock_of
from forecasting.errors import ModelError

# A misspelt key is an error, not a silent default; TOML's nan and inf are no amounts.
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
# A recipe asks for at most this many bins: a year at one second each is 31.5 million.
_MAX_BINS = 50_000_000

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_STRICT)
class Peak:
    """One hump of the day: exp(-|hours from it / width| ** (2 flatness)), by the clock of the recipe's time zone."""

    hour: Annotated[float, Field(ge=0, lt=24)]
    """Where it is highest."""
    width_h: Annotated[float, Field(ge=1 / 60)]
    """Hours from the top to where it has fallen to 37 %; a minute at least, since the day's mean is one of minutes."""
    height: Positive = 1.0
    """Against the other peaks of the day."""
    flatness: Annotated[float, Field(ge=0.5, le=20)] = 1.0
    """1 is a bell, 4 a plateau with steep sides, such as office hours."""


@dataclass(frozen=True, config=_STRICT)
class Day:
    """Demand over the day; without peaks it is flat. Its mean over the day is 1, whatever its shape."""

    low: Share = 1.0
    """The night's demand as a share of the highest peak's; 0 is a night without any."""
    peaks: tuple[Peak, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class Shift:
    """A lasting change of level: a customer that came or left, a launch."""

    day: NotNegative
    """When it begins, in days from the start."""
    factor: Positive
    """The level after it, against the level before."""
    ramp_h: NotNegative = 0.0
    """Hours that the change takes, linearly; 0 is a step."""


@dataclass(frozen=True, config=_STRICT)
class Bursts:
    """Short rises on top, each at a random time: a tenant's batch job, a link that is shared."""

    per_day: NotNegative = 0.0
    """How many begin per day on average, independently of each other."""
    size: NotNegative = 0.0
    """Mean height in multiples of `base_rps`; heights are exponentially distributed."""
    rise_s: NotNegative = 0.0
    """Seconds of linear rise to the top."""
    hold_s: NotNegative = 0.0
    """Seconds at the top."""
    decay_s: Positive = 600.0
    """Then it falls exponentially with this time constant."""


@dataclass(frozen=True, config=_STRICT)
class Noise:
    """What chance does beyond single independent requests (Poisson)."""

    wander: NotNegative = 0.0
    """Standard deviation of a slow drift of the level's logarithm: 0.1 is about 10 %."""
    wander_h: Positive = 6.0
    """Hours after which the drift has forgotten 63 % of where it was."""
    overdispersion: NotNegative = 0.0
    """Squared coefficient of variation of the rate within a bin (gamma): counts are negative binomial; 0 is Poisson."""


@dataclass(frozen=True, config=_STRICT)
class Tokens:
    """Tokens per request, gamma-distributed and independent; the trace then has their sums per bin as well."""

    prompt_mean: Positive
    output_mean: Positive
    variation: Positive = 1.0
    """Coefficient of variation of one request's tokens; 1 is exponential."""


@dataclass(frozen=True, config=_STRICT)
class Outage:
    """Bins whose counts were lost: missing, not zero."""

    day: NotNegative
    """When it begins, in days from the start."""
    hours: Positive
    """How long it lasts."""


def _seven(week: tuple[float, ...]) -> tuple[float, ...]:
    if len(week) != 7 or sum(week) == 0:
        raise ValueError("must have seven factors, Monday first, not all 0")
    return week


def _known_zone(name: str) -> str:
    try:
        clock_of(name)
    except ModelError as error:
        raise ValueError(str(error)) from None
    return name


@dataclass(frozen=True, config=_STRICT)
class Recipe:
    """Demand for `days` days. Rate = base x day x week x shifts x drift + bursts; counts are drawn around it."""

    name: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """The same recipe and seed give the same trace."""
    start: AwareDatetime
    """Start of the first bin, with its offset."""
    days: Positive
    bin_s: Positive
    base_rps: Positive
    """Requests per second, the mean over a week before shifts and bursts."""
    day: Day = Day()
    week: Annotated[tuple[NotNegative, ...], AfterValidator(_seven)] = (1.0,) * 7
    """Demand of each day against the others, Monday first; 0 is a day without any."""
    shifts: tuple[Shift, ...] = ()
    bursts: Bursts = Bursts()
    noise: Noise = Noise()
    tokens: Tokens | None = None
    outages: tuple[Outage, ...] = ()
    time_zone: Annotated[str, AfterValidator(_known_zone)] = UTC_ZONE
    """IANA name of the zone by whose clocks the day's hours and the week's days are."""

    @property
    def bins(self) -> int:
        """Whole bins in `days`."""
        return int(self.days * 86400 / self.bin_s + 1e-9)


def load_recipe(path: Path | str) -> Recipe:
    """Read a recipe from a TOML file.

    Raises:
        UsageError: one line that names the file and the key (or the line that is no TOML), and what is allowed.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = TypeAdapter(Recipe).validate_python(table)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give a recipe in TOML, such as data/chat.toml") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not TOML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {_first_problem(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; give a recipe in TOML, such as data/chat.toml") from error
    if not 2 <= recipe.bins <= _MAX_BINS:
        raise UsageError(f"{path}: 'days' and 'bin_s' make {recipe.bins} bins; allowed are 2 to {_MAX_BINS}")
    return recipe


def save_recipe(recipe: Recipe, path: Path | str) -> None:
    """Write `recipe` as TOML for `load_recipe`; what has its default value is left out. Raises UsageError."""
    lines = _toml_lines(recipe, ())
    text = "\n".join(lines) + "\n"
    write_aside(Path(path), lambda aside: aside.write_text(text, encoding="utf-8"))


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    if first["type"] == "missing":
        return f"'{key}' is missing; it must be given"
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"'{key}' is unknown; remove it or correct its spelling"
    message = first["msg"].removeprefix("Value error, ")
    return f"'{key}' = {shown(first['input'])}: {message[0].lower()}{message[1:]}"


def _toml_lines(part: Any, where: tuple[str, ...]) -> list[str]:
    """Keys of `part` first, then its tables, as TOML wants it."""
    values, tables = [], []
    for field in fields(part):
        value = getattr(part, field.name)
        if value is None or value == field.default:
            continue
        key = (*where, field.name)
        if is_dataclass(value):
            tables += ["", f"[{'.'.join(key)}]", *_toml_lines(value, key)]
        elif isinstance(value, tuple) and is_dataclass(value[0]):
            for item in value:
                tables += ["", f"[[{'.'.join(key)}]]", *_toml_lines(item, key)]
        else:
            values.append(f"{field.name} = {_toml_value(value)}")
    return values + tables


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
        return f'"{"".join(escaped)}"'
    return repr(value)
