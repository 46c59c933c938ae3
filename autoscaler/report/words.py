"""Numbers as people read them. The terminal, the page and the picture all take their texts from here."""

from __future__ import annotations

import math
from datetime import UTC, datetime

CURRENCY = "$"
NOTHING = "-"  # a value that does not exist: not 0


def count(value: float) -> str:
    """A whole number with thousands separated: '12,345'."""
    return f"{value:,.0f}" if math.isfinite(value) else NOTHING


def hours(value: float) -> str:
    """Hours with about three digits: '1,234', '12.3', '0.45'."""
    if not math.isfinite(value):
        return NOTHING
    size = abs(value)
    decimals = 0 if size >= 99.95 or size == 0 else 1 if size >= 9.995 else 2
    return f"{value:,.{decimals}f}"


def money(value: float) -> str:
    """An amount: '$1,234' from a hundred on, else with cents: '$12.30'. A negative one has its sign in front."""
    if not math.isfinite(value):
        return NOTHING
    sign = "-" if value < 0 else ""
    return f"{sign}{CURRENCY}{abs(value):,.{0 if abs(value) >= 99.995 else 2}f}"


def share(value: float) -> str:
    """A share as a percentage: '12.3 %', '0.61 %', '<0.001 %', and exactly 0 as '0 %'.

    What isn't all never reads '100 %': '99.99 %', '>99.999 %'.
    """
    if not math.isfinite(value):
        return NOTHING
    percent = 100 * value
    if percent == 0:
        return "0 %"
    if abs(percent) < 0.001:
        return "<0.001 %"
    decimals = 1 if abs(percent) >= 9.995 else 2 if abs(percent) >= 0.095 else 3
    while percent < 100 and float(f"{percent:.{decimals}f}") == 100:
        if decimals == 3:
            return ">99.999 %"
        decimals += 1
    return f"{_trimmed(percent, decimals)} %"


def asked_share(value: float) -> str:
    """A share that somebody asked for, as exactly as that: '1 %', '0.0001 %'."""
    return f"{100 * value:.12g} %"


def late_share(value: float, budget: float) -> str:
    """A late share, with enough decimals that one above the budget never reads like one within it.

    A budget of 1 % and a late share of 1.0004 % would both be '1 %' by `share`.
    """
    if value > budget and share(value) == share(budget):
        for decimals in range(3, 13):
            text = _trimmed(100 * value, decimals)
            if float(text) > 100 * budget:
                return f"{text} %"
    return share(value)


def duration(seconds: float) -> str:
    """A length of time in its largest fitting unit: '90 s', '10 min', '36 h', '14 days'."""
    for unit_s, unit, least in ((86_400.0, "days", 2.0), (3600.0, "h", 2.0), (60.0, "min", 2.0)):
        if seconds >= least * unit_s:
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds:.3g} s"


def moment(time_s: float, *, dated: bool = False) -> str:
    """A time of day in UTC, '03:12:00'; with its date where `dated`."""
    form = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"
    return f"{datetime.fromtimestamp(time_s, UTC):{form}}"


def wait_s(value: float) -> str:
    """Seconds that a request waited, without the unit: '0', '0.04', '3.2', '125', and 'never' for an infinite wait."""
    if math.isinf(value):
        return "never"
    if math.isnan(value):
        return NOTHING
    decimals = 0 if value >= 99.95 or value == 0 else 1 if value >= 0.995 else 2
    return f"{value:,.{decimals}f}"


def shortened(name: str, longest: int = 40) -> str:
    """A name that a chart has room for."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _trimmed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
