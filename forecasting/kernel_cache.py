"""Where compiled kernels are kept: a directory per state of the sources.

numba caches a kernel under the time stamp of its own file alone. After an edit, or a `git pull`, to a file that the
kernel calls into, the stale machine code would go on running, and so would its decisions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[1]
_NAMES = ("autoscaler", "forecasting")
# One state of the sources takes 20 MB; those of the last few checkouts are worth keeping, and those of a working day
# while processes that began with them may still load kernels: a benchmark died while sources were edited.
_KEPT = 3
_KEPT_S = 8 * 3_600.0


def use_kernel_cache() -> None:
    """Point numba at the directory for these sources; a NUMBA_CACHE_DIR that the user has set is left alone."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstart"
    directory = home / f"kernels-{sources_digest()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.touch()
        _forget_old(home)
    except OSError:
        return  # a read-only home: numba falls back to its own places
    os.environ["NUMBA_CACHE_DIR"] = str(directory)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(directory)


def sources_digest() -> str:
    """A digest of the time stamps and sizes of all our Python files: 1 ms for 150 of them."""
    digest = hashlib.sha256()
    for name in _NAMES:
        for path in sorted((_PACKAGES / name).rglob("*.py")):
            stat = path.stat()
            digest.update(f"{path}:{stat.st_mtime_ns}:{stat.st_size}\n".encode())
    return digest.hexdigest()[:16]


def _forget_old(home: Path) -> None:
    caches = sorted(home.glob("kernels-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for cache in caches[_KEPT:]:
        if time.time() - cache.stat().st_mtime > _KEPT_S:
            shutil.rmtree(cache, ignore_errors=True)
