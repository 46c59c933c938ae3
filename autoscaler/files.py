"""Files are written aside and renamed: a reader sees the old file or the whole new one, never half of one."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from autoscaler.errors import HeadstartError, UsageError


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary sibling of `path`, then put it in the place of `path`.

    The sibling's name ends like `path`, since writers such as matplotlib's choose the format by the suffix. It is
    flushed to disk before the rename, so that a crash leaves no empty file under the name, and is removed when `write`
    fails. What can't be renamed over (a pipe, `/dev/stdout`) is written to directly.

    Args:
        path: where the file goes; an existing one is replaced and keeps its mode, and a link is followed.
        write: called once with the path to write to.

    Raises:
        UsageError: `path` is a directory, or its directory does not exist or can't be written to.
        HeadstartError: the system refused the write: the disk is full, a quota is reached.
    """
    check_writable(path)
    try:
        if _is_device(path):
            write(path)
        else:
            _write_and_rename(path.resolve(), write)
    except OSError as error:
        raise HeadstartError(f"{path}: can't be written: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """Raise UsageError where `path` can't be written to: commands call it before the work whose result goes there."""
    try:
        _check_place(path)
    except OSError as error:
        # The name is too long, links go round in a circle, a directory above may not be looked into.
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error


def _check_place(path: Path) -> None:
    directory = path.parent
    try:
        # Not is_dir(), which takes a circle of links for nothing at all.
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_directory = False
    if is_directory:
        raise UsageError(f"{path}: is a directory; name a file in it")
    if not directory.exists():
        raise UsageError(f"{path}: the directory {directory} does not exist; create it first")
    if not directory.is_dir():
        raise UsageError(f"{path}: {directory} is not a directory")
    if not _is_device(path) and not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: the directory {directory} is not writable")


def check_outputs(outputs: Mapping[str, Path | None], *, source: Path | None) -> None:
    """Raise UsageError where an output can't be written to, or would replace what is read or another output.

    Args:
        outputs: option name -> path; None where it is not asked for.
        source: what is read; None where it is no file.
    """
    # Not resolve(), which raises for a circle of links: whoever reads the input says what is wrong with it.
    taken = {} if source is None else {os.path.realpath(source): "the input"}
    for option, path in outputs.items():
        if path is None:
            continue
        check_writable(path)
        if _is_device(path):
            continue
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise UsageError(f"{option} and {other} are the same file, {path}; give each a name of its own")


def _is_device(path: Path) -> bool:
    # /dev/stdout is a regular file where the shell redirects it to one, and still must not be renamed over.
    return str(path.parent) in {"/dev", "/dev/fd"} or (path.exists() and not path.is_file())


def _write_and_rename(path: Path, write: Callable[[Path], object]) -> None:
    # 200 characters of the name keep the sibling's below the 255 bytes that file systems allow.
    aside = path.with_name(f".{secrets.token_hex(4)}-{path.name[-200:]}")
    aside.touch(mode=0o666, exist_ok=False)
    try:
        write(aside)
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        if path.exists():
            aside.chmod(path.stat().st_mode & 0o777)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
