"""What files are read from. Small ones are read whole, and what is far too large is refused: it may be a disk."""

from __future__ import annotations

from pathlib import Path

from autoscaler.errors import UsageError


def named_input(path: Path) -> Path:
    """`path`, where '-' names standard input."""
    return Path("/dev/stdin") if str(path) == "-" else path


def read_limited(path: Path, *, mib: int, beyond: str, option: str = "") -> bytes:
    """What a file of at most `mib` MiB holds.

    Args:
        path: the file.
        mib: its largest size.
        beyond: what to say of a larger one after its limit: '; split it'.
        option: the option that names it, where messages begin with that.

    Raises:
        UsageError: it can't be read, or is larger.
    """
    named = f"{option}: {path}" if option else f"{path}"
    try:
        with path.open("rb") as opened:
            content = opened.read((mib << 20) + 1)
    except OSError as error:
        raise UsageError(f"{named}: can't be read: {error.strerror}") from error
    if len(content) > mib << 20:
        raise UsageError(f"{named}: is larger than {mib} MiB{beyond}")
    return content
