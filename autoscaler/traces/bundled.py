"""The demonstration traces that come with Headstart: in an installed wheel, and in a checkout.

The wheel carries the repository's `data/` as `autoscaler/bundled/` (pyproject.toml); a checkout reads `data/` itself.
"""

from __future__ import annotations

from pathlib import Path

from autoscaler.errors import UsageError

_PACKAGE = Path(__file__).resolve().parents[1]
_ENDINGS = (".csv.gz", ".csv")


def bundled_names() -> list[str]:
    """Names of the bundled traces, sorted: the files' names without their endings."""
    return sorted(_paths_by_name())


def bundled_trace_path(name: str) -> Path:
    """The file of a bundled trace.

    Raises:
        UsageError: there is no trace of that name; the message lists those that there are.
    """
    paths = _paths_by_name()
    if name not in paths:
        known = ", ".join(sorted(paths)) or "none in this installation"
        raise UsageError(f"{name!r} is not a bundled trace; there are: {known}")
    return paths[name]


def _paths_by_name() -> dict[str, Path]:
    folder = _folder()
    files = [path for ending in _ENDINGS for path in folder.glob(f"*{ending}")] if folder.is_dir() else []
    return {path.name.removesuffix(".gz").removesuffix(".csv"): path for path in files}


def _folder() -> Path:
    installed = _PACKAGE / "bundled"
    return installed if installed.is_dir() else _PACKAGE.parent / "data"
