"""What kind of file the user gave, by its content, and its bytes without compression."""

from __future__ import annotations

import atexit
import gzip
import re
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, cast

from autoscaler.errors import UsageError
from autoscaler.read_limited import named_input

_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
# Enough to see what a file is; a CSV's header and first rows fit in it.
_SNIFFED_BYTES = 4096
_WANTED = "give a CSV or Parquet file with a 'timestamp' column"
# As a path writes it: of 'http://' one slash is left.
_ADDRESS = re.compile(r"[a-z][a-z0-9+]+:/")


class Content(Enum):
    """What a readable file holds."""

    CSV = "CSV"
    JSON = "JSON"
    PARQUET = "Parquet"


def sniff(path: Path) -> Content:
    """Tell the content of `path` from its first bytes.

    Raises:
        UsageError: it is missing, a directory, empty, or holds no trace (HTML, an archive, other binary data).
    """
    _check_is_file(path)
    with open_bytes(path) as stream:
        head = stream.read(_SNIFFED_BYTES)
    if head.startswith(_PARQUET_MAGIC):
        return Content.PARQUET
    if not head.strip():
        raise UsageError(f"{path}: is empty; {_WANTED}")
    if path.suffix == ".parquet":
        raise UsageError(f"{path}: is not a Parquet file (it does not start with 'PAR1'); rename it if it is a CSV")
    return _text_content(path, head)


def _check_is_file(path: Path) -> None:
    try:
        mode = named_input(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if _ADDRESS.match(str(path)):
            raise UsageError(f"{path}: is an address, and only files are read; download it and give the file") from None
        raise UsageError(f"{path}: no such file; {_WANTED}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        kind = "a directory" if stat.S_ISDIR(mode) else "neither a regular file nor a pipe"
        raise UsageError(f"{path}: is {kind}; {_WANTED}")


def _text_content(path: Path, head: bytes) -> Content:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{path}: is UTF-16 text; save it as UTF-8")
    if head.startswith(b"PK\x03\x04"):
        raise UsageError(f"{path}: is a zip archive or a spreadsheet; export it as CSV")
    if b"\0" in head:
        raise UsageError(f"{path}: is binary data, not CSV or Parquet; {_WANTED}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        raise UsageError(f"{path}: is HTML or XML, perhaps the page around a download; {_WANTED}")
    return Content.JSON if text.startswith((b"{", b"[")) else Content.CSV


def on_disk(path: Path) -> Path:
    """`path`; for a pipe a copy of all that came out of it, made once, since a trace is read in several goes.

    '-' is standard input. Raises OSError.
    """
    status = named_input(path).stat()
    return (
        _copy(named_input(path), (status.st_dev, status.st_ino)) if stat.S_ISFIFO(status.st_mode) else named_input(path)
    )


@lru_cache
def _copy(pipe: Path, _identity: tuple[int, int]) -> Path:
    copy = NamedTemporaryFile(prefix="headstart-")  # noqa: SIM115 - it is read until the process ends
    atexit.register(copy.close)
    with pipe.open("rb") as stream:
        shutil.copyfileobj(stream, copy)
    copy.flush()
    return Path(copy.name)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` for reading bytes; gzip is recognised by its first bytes and decompressed.

    Errors of reading inside the `with` block become a UsageError as well: a compressed file that was cut short
    shows it only at its end.
    """
    try:
        with on_disk(path).open("rb") as raw:
            compressed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            if compressed:
                with gzip.open(raw) as stream:
                    yield cast("IO[bytes]", stream)
            else:
                yield raw
    except EOFError as error:
        raise UsageError(
            f"{path}: the gzip data ends too early: the file is cut short; fetch or write it again"
        ) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path}: the gzip data is damaged ({error}); fetch or write the file again") from error
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}") from error


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed, by its first bytes."""
    with on_disk(path).open("rb") as raw:
        return raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def trace_name(path: Path) -> str:
    """The file's name without its suffixes `.csv`, `.csv.gz`, `.parquet`, `.jsonl`; 'stdin' for '-'."""
    return Path(named_input(path).name.removesuffix(".gz")).stem
