"""What every page is made of: its style and scripts, escaped texts, rows of numbers and of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

from autoscaler.report.palette import ALL_LOOKS

MISSING_KEY = '<span class="key block" style="--fill:var(--missing)">missing in the trace, filled linearly</span>'


def asset(name: str) -> str:
    """A file that lies beside this one."""
    return (files("autoscaler.report") / name).read_text(encoding="utf-8")


def framed(charts: str) -> Template:
    """A page with charts over time: the frame that such pages share, around the file that lays out its charts."""
    return topped(asset("page_frame.html").replace("$charts", asset(charts)), scripts=" script-src 'unsafe-inline';")


def topped(rest: str, *, scripts: str = "", style: str = "") -> Template:
    """A page: the top that all share, and the rest; `scripts` is the policy for them, where it has any."""
    return Template(asset("page_top.html").replace("$scripts", scripts).replace("$style", style) + rest)


def unbroken(text: str) -> str:
    """Escaped, with a number and its percent sign, and 'GPU-hours', kept on one line."""
    return escape(text).replace(" %", "&nbsp;%").replace("GPU-hours", '<span class="whole">GPU-hours</span>')


def colours() -> str:
    """The looks of policies as CSS."""
    light = "".join(f"--c-{look.key}:{look.light};" for look in ALL_LOOKS)
    dark = "".join(f"--c-{look.key}:{look.dark};" for look in ALL_LOOKS)
    classes = "\n".join(f".look-{look.key}{{--c:var(--c-{look.key})}}" for look in ALL_LOOKS)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{classes}"


def inlined(data: str) -> str:
    """JSON as it may stand in an element of the page."""
    # In JSON a '<' only occurs inside strings, where the escape means the same and can't close the element.
    return data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def row_cells(tag: str, texts: Iterable[str]) -> str:
    """Cells of a row, one per text."""
    return "".join(f"<{tag}>{unbroken(text)}</{tag}>" for text in texts)


def number_cards(cards: Iterable[tuple[str, str, str]]) -> str:
    """The numbers at the top: what each is, the number, and a note to it."""
    return "\n".join(
        f"<div><dt>{unbroken(label)}</dt><dd>{unbroken(value)}<small>{unbroken(note)}</small></dd></div>"
        for label, value, note in cards
    )


def bullets(texts: Iterable[str]) -> str:
    """Sentences one below the other."""
    return "\n".join(f"<li>{unbroken(text)}</li>" for text in texts)


def facts_list(rows: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """What it takes to run it again: a label and its values per row; rows without any are left out."""
    return "\n".join(f"<dt>{escape(label)}</dt><dd>{escape(_listed(values))}</dd>" for label, values in rows if values)


def command_shown(command: str | None) -> str:
    """The command line that made the page, where it is known."""
    return f"<pre>{escape(command)}</pre>" if command else ""


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in values.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)
