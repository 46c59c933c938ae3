"""Objects from YAML files instead of the API: read again when a file changes, the last good ones kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.api.yaml_file import load_autoscalers, yaml_files
from autoscaler.errors import UsageError
from autoscaler.telemetry.log import Log

Stamp = tuple[tuple[str, int, int, int], ...]
# An editor, or cp, empties a file before it fills it. Read in between, the objects that aren't there yet would pass for
# objects that are gone, and their floors be put back.
_SETTLES_S = 1.0
# What can't be read, or used, is tried again so often: a network file system comes back, and permissions are corrected,
# without a change of the file. A thousand objects are 0.8 s of YAML: each second they would slow all ticks down.
_RETRY_S = 30.0


class ConfigFiles:
    """The objects of a file or folder."""

    def __init__(
        self,
        path: Path,
        log: Log,
        namespace: str | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read them; UsageError where they can't be used, which later edits that are wrong only log.

        Args:
            path: the file or folder.
            log: for what happens later.
            namespace: the only one that is looked after; None for all.
            monotonic_s: a clock that is never set.
        """
        self._path = path
        self._log = log
        self._namespace = namespace
        self._monotonic_s = monotonic_s
        self._stamp = self._stamped()
        # What was seen last, and from when on it is read. In one piece, for two threads ask.
        self._seen = self._stamp, monotonic_s()
        self._objects = self._loaded()
        if not self._objects:
            log.warning(f"{path}: holds no PredictiveAutoscaler: nothing is decided until one is there")

    def __call__(self) -> tuple[PredictiveAutoscaler, ...]:
        """The objects as they are now; an edit is taken in once the files have stood for a second."""
        try:
            stamp, now_s = self._stamped(), self._monotonic_s()
            seen, due_s = self._seen
            if stamp != seen:
                self._seen = stamp, now_s + _SETTLES_S
            elif stamp != self._stamp and now_s >= due_s:
                self._seen = stamp, now_s + _RETRY_S
                self._take_in(stamp)
        except (UsageError, OSError) as problem:
            self._log.warning(f"{problem}; what was read before stays in force")
        return self._objects

    def _take_in(self, stamp: Stamp) -> None:
        """Read what has settled. UsageError where it can't be used, or leaves nothing."""
        objects = self._loaded()
        if self._stamped() != stamp:
            # The next save began meanwhile, and what was read may be half of it: it is to settle first.
            return
        if self._objects and not objects:
            raise UsageError(
                f"{self._path}: holds no PredictiveAutoscaler any more, as after a save that failed; write it anew, or"
                " give objects that are to be let go mode: Shadow"
            )
        self._stamp, self._objects = stamp, objects
        noun = "object" if len(objects) == 1 else "objects"
        self._log.info(f"{self._path}: read again, {len(objects)} {noun}")

    def _loaded(self) -> tuple[PredictiveAutoscaler, ...]:
        objects = load_autoscalers(self._path)
        for each in objects:
            about = each.metadata
            if self._namespace not in (None, about.namespace):
                raise UsageError(
                    f"{self._path}: {about.namespace}/{about.name} is outside --namespace {self._namespace}; correct"
                    " metadata.namespace, or leave the option out"
                )
        return objects

    def _stamped(self) -> Stamp:
        """Names, inodes, sizes and times: a mounted ConfigMap changes by a link to another folder."""
        return tuple((str(path), *_stamp_of(path)) for path in yaml_files(self._path))


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        about = path.stat()
    except FileNotFoundError:
        # Whoever reads it next says so, with its name; a file may also go between the listing of its folder and this.
        return 0, 0, 0
    return about.st_ino, about.st_size, about.st_mtime_ns
