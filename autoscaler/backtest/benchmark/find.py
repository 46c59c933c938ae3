"""Traces to run a benchmark over: files, and those of folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoscaler.errors import UsageError

_ENDINGS = (".csv", ".csv.gz", ".parquet")


def trace_paths(given: Sequence[Path]) -> list[Path]:
    """The files given, and those of the folders given (not of folders in them), without repetitions.

    Raises:
        UsageError: one is neither, or a folder has no CSV or Parquet file.
    """
    paths: list[Path] = []
    for path in given:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder; give traces, or folders that hold them")
        paths += _in_folder(path) if path.is_dir() else [path]
    return list(dict.fromkeys(paths))


def _in_folder(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.name.endswith(_ENDINGS) and path.is_file())
    except OSError as error:
        raise UsageError(f"{folder}: can't be read: {error.strerror}") from error
    if not found:
        raise UsageError(f"{folder}: holds no trace; give a folder with files that end in {', '.join(_ENDINGS)}")
    return found
