"""The process around the loop: logs, metrics, probes, warm kernels; started in order, and ended in the reverse one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Protocol

from autoscaler.controller.clock import SystemClock
from autoscaler.controller.controller import Controller
from autoscaler.controller.ports import Actuator, Cluster, Elector
from autoscaler.controller.rebuilder import ThreadedRebuilder
from autoscaler.controller.tell import Teller
from autoscaler.controller.warm import warm_kernels
from autoscaler.controller.workload import ObjectKey, Workload
from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.telemetry.line_writer import LineWriter
from autoscaler.telemetry.log import ForwardingHandler, Log
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.recording import appending
from autoscaler.telemetry.server import Heartbeat, Pages, TelemetryServer

# A pull may take so much of a tick; the rest is for deciding and writing.
_PULL_SHARE = 0.6
# For short histories; one of more than 1,000 points has the source's own limit for histories.
_HISTORY_TIMEOUT_S = 60.0
_SYNC_S = 60
_SILENT_TICKS = 5
# However short the tick: 1,000 objects that catch up on two hours take half a minute, a call that hangs 20 s.
_SILENT_S_MIN = 75.0
_START_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Process:
    """What a process of the loop was told, whatever its cluster is.

    Attributes:
        connection: the Prometheus server of objects that don't name their own.
        tick_s: time from one look to the next.
        host, port: where /metrics, /healthz and /readyz are served.
        record: file for decisions with their histories.
        gpu_budgets: GPUs of each budget, by its name.
    """

    connection: Connection
    tick_s: float
    host: str
    port: int
    record: Path | None = None
    gpu_budgets: Mapping[str, int] = field(default_factory=dict)


class Candidate(Elector, Protocol):
    """An elector that takes part from `start` to `stop`."""

    def start(self) -> None:
        """Begin to take part."""
        ...

    def stop(self) -> None:
        """Give up what is held."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What the loop runs on.

    Attributes:
        cluster, actuator, elector: see ports.
        wait_synced: waits up to so many seconds for the cluster to be listed; whether it is.
    """

    cluster: Cluster
    actuator: Actuator
    elector: Candidate
    wait_synced: Callable[[float], bool] = lambda _timeout_s: True


MakeWorld = Callable[[Log, Metrics, ExitStack], World]


class Extension(Protocol):
    """Something beside the loop that takes part in it."""

    def cluster(self, inner: Cluster) -> Cluster:
        """The cluster with what the extension adds."""
        ...

    def actuator(self, inner: Actuator) -> Actuator:
        """The writer with what the extension adds."""
        ...

    def decided(self, workload: Workload) -> None:
        """A decision was made."""
        ...

    def ticked(self, keys: Collection[ObjectKey]) -> None:
        """A tick is over: these objects exist."""
        ...

    def observe(self, metrics: Metrics) -> None:
        """Show figures of its own beside the loop's."""
        ...

    def problem(self) -> str:
        """For /healthz, from any thread: '' while it works, else one line."""
        ...

    def start(self) -> None:
        """The loop is about to begin."""
        ...

    def stop(self) -> None:
        """The loop has ended."""
        ...


class Alone:
    """The only replica leads."""

    def start(self) -> None:
        """There is nothing to elect."""

    def stop(self) -> None:
        """There is nothing to give up."""

    def is_leader(self) -> bool:
        """Always."""
        return True

    def hand_over(self, *, within_s: float) -> bool:  # noqa: ARG002 - there is nobody to wait for
        """To nobody."""
        return False

    def another_leads(self) -> bool:
        """Never."""
        return False


def run_process(
    process: Process,
    make_world: MakeWorld,
    stop: Event,
    *,
    on_start: Callable[[int], object],
    extension: Extension | None = None,
) -> None:
    """Run the loop until `stop` is set; then put back what was written, give up the lease and end.

    Args:
        process: see Process.
        make_world: makes the cluster to run on; what must be ended goes onto the stack.
        stop: set to end.
        on_start: called with the port that is served, once it is.
        extension: takes part in the loop.
    """
    with ExitStack() as ending:
        clock = SystemClock()
        metrics = Metrics(version=version("headstart-gpu"), now_s=clock.now_s)
        log = _log(metrics, ending)
        world = make_world(log, metrics, ending)
        heartbeat = Heartbeat(limit_s=_silent_s_max(process.tick_s), start_limit_s=_START_LIMIT_S)
        rebuilder = ThreadedRebuilder(
            lambda ended: PrometheusSource(process.connection, fetch_timeout_s=_HISTORY_TIMEOUT_S, ended=ended)
        )
        ending.callback(rebuilder.close)
        controller = Controller(
            cluster=extension.cluster(world.cluster) if extension else world.cluster,
            source=PrometheusSource(process.connection, fetch_timeout_s=_PULL_SHARE * process.tick_s),
            rebuilder=rebuilder,
            actuator=extension.actuator(world.actuator) if extension else world.actuator,
            elector=world.elector,
            clock=clock,
            teller=_teller(process, metrics, log, heartbeat, extension, ending),
            tick_s=process.tick_s,
            gpu_budgets=process.gpu_budgets,
        )
        warm = Event()
        checks = {
            "kernels-warm": warm.is_set,
            "caches-synced": world.cluster.synced,
            "histories-read": lambda: controller.settled,
        }
        pages = Pages(metrics=metrics.text, problem=_problem(heartbeat, extension), checks=checks)
        server = TelemetryServer(pages, host=process.host, port=process.port)
        server.start()
        ending.callback(server.stop)
        if extension:
            extension.observe(metrics)
            extension.start()
            ending.callback(extension.stop)
        on_start(server.port)
        warm_kernels(stop)
        if stop.is_set():
            return
        warm.set()
        _wait_synced(world, log, stop)
        if stop.is_set():
            return
        # Not before: a leader that compiles kernels for a minute would write nothing for as long.
        world.elector.start()
        ending.callback(world.elector.stop)
        controller.run(stop)


def _silent_s_max(tick_s: float) -> float:
    """The longest time from one tick's end to the next that isn't taken for a loop that hangs."""
    return max(_SILENT_S_MIN, _SILENT_TICKS * tick_s)


def _problem(heartbeat: Heartbeat, extension: Extension | None) -> Callable[[], str]:
    """What /healthz fails by: a loop that doesn't tick, or an extension that doesn't work; only a restart helps."""
    if extension is None:
        return heartbeat.problem
    return lambda: heartbeat.problem() or extension.problem()


def _wait_synced(world: World, log: Log, stop: Event) -> None:
    """Wait for the cluster's lists, a minute at most, and not once it is to end."""
    for _ in range(_SYNC_S):
        if stop.is_set() or world.wait_synced(1.0):
            return
    log.warning(f"the cluster isn't listed after {_SYNC_S} s; going on with what is known")


def _log(metrics: Metrics, ending: ExitStack) -> Log:
    """The log, to standard error; what libraries and the watches log goes the same way, warnings and worse."""
    errors = LineWriter(sys.stderr.fileno(), on_drop=metrics.line_dropped)
    ending.callback(errors.close)
    log = Log(errors.write)
    handler = ForwardingHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    ending.callback(root.removeHandler, handler)
    return log


def _teller(
    process: Process,
    metrics: Metrics,
    log: Log,
    heartbeat: Heartbeat,
    extension: Extension | None,
    ending: ExitStack,
) -> Teller:
    decisions = LineWriter(sys.stdout.fileno(), on_drop=metrics.line_dropped)
    ending.callback(decisions.close)
    recording = None
    if process.record is not None:
        descriptor = ending.enter_context(appending(process.record))
        recording = LineWriter(descriptor, on_drop=metrics.line_dropped)
        ending.callback(recording.close)

    def ticked(keys: Collection[ObjectKey]) -> None:
        heartbeat.beat()
        if extension:
            extension.ticked(keys)

    return Teller(
        metrics,
        log,
        decisions=decisions,
        recording=recording,
        on_decided=extension.decided if extension else lambda _workload: None,
        on_tick=ticked,
    )
