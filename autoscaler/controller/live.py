"""The controller in a cluster: everything is made, started, and ended in order."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event

from autoscaler.controller.clock import SystemClock
from autoscaler.controller.config_files import ConfigFiles
from autoscaler.controller.controller import Controller
from autoscaler.controller.kube_actuator import KubeActuator
from autoscaler.controller.rebuilder import ThreadedRebuilder
from autoscaler.controller.tell import Teller
from autoscaler.controller.warm import warm_kernels
from autoscaler.kube.client import Kube
from autoscaler.kube.cluster import KubeCluster
from autoscaler.kube.connect import connect
from autoscaler.kube.events import EventRecorder
from autoscaler.kube.lease import LeaderElection
from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.telemetry.line_writer import LineWriter
from autoscaler.telemetry.log import ForwardingHandler, Log
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.recording import appending
from autoscaler.telemetry.server import Heartbeat, Pages, TelemetryServer

# A pull may take so much of a tick; the rest is for deciding and writing.
_PULL_SHARE = 0.6
# 14 days for 16 objects are 3 chunks of half a second each; a loaded server takes ten times as long.
_HISTORY_TIMEOUT_S = 60.0
_SYNC_S = 60
_SILENT_TICKS = 5
_START_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease that leadership is by."""

    namespace: str
    name: str
    identity: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What `headstart run` was told.

    Attributes:
        kubeconfig, context: how to reach the API server; see kube.connect.
        connection: the Prometheus server of objects that don't name their own.
        namespace: whose objects are looked after; None for all.
        config: a file or folder of objects instead of the API's.
        tick_s: time from one look to the next.
        host, port: where /metrics, /healthz and /readyz are served.
        lease: None where no other replica can be.
        record: file for decisions with their histories.
    """

    kubeconfig: Path | None
    context: str | None
    connection: Connection
    namespace: str | None
    config: Path | None
    tick_s: float
    host: str
    port: int
    lease: Lease | None
    record: Path | None


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


def run_live(settings: Settings, stop: Event, *, on_start: Callable[[int], object] = lambda _port: None) -> None:
    """Run until `stop` is set; then put back what was written, give up the lease and end.

    Args:
        settings: see Settings.
        stop: set to end.
        on_start: called with the port that is served, once it is.
    """
    with ExitStack() as ending:
        clock = SystemClock()
        metrics = Metrics(version=version("headstart-gpu"), now_s=clock.now_s)
        errors = LineWriter(sys.stderr.fileno(), on_drop=metrics.line_dropped)
        ending.callback(errors.close)
        log = Log(errors.write)
        _forward_logging(log, ending)
        kube = connect(settings.kubeconfig, settings.context)
        given = ConfigFiles(settings.config, log) if settings.config else None
        cluster = KubeCluster(kube, settings.namespace, given=given).start()
        ending.callback(cluster.stop)
        heartbeat = Heartbeat(limit_s=_SILENT_TICKS * settings.tick_s, start_limit_s=_START_LIMIT_S)
        rebuilder = ThreadedRebuilder(lambda: PrometheusSource(settings.connection, fetch_timeout_s=_HISTORY_TIMEOUT_S))
        ending.callback(rebuilder.close)
        events = EventRecorder(kube, instance=_instance(settings))
        ending.callback(events.stop)
        elector = _elector(kube, settings, log)
        controller = Controller(
            cluster=cluster,
            source=PrometheusSource(settings.connection, fetch_timeout_s=_PULL_SHARE * settings.tick_s),
            rebuilder=rebuilder,
            actuator=KubeActuator(kube, events, log, metrics, namespace=settings.namespace),
            elector=elector,
            clock=clock,
            teller=_teller(settings, metrics, log, heartbeat, ending),
            tick_s=settings.tick_s,
        )
        warm = Event()
        server = TelemetryServer(
            Pages(
                metrics=metrics.text,
                problem=heartbeat.problem,
                checks={
                    "kernels-warm": warm.is_set,
                    "caches-synced": cluster.synced,
                    "histories-read": lambda: controller.settled,
                },
            ),
            host=settings.host,
            port=settings.port,
        )
        server.start()
        ending.callback(server.stop)
        on_start(server.port)
        warm_kernels()
        warm.set()
        _wait_synced(cluster, log, stop)
        if stop.is_set():
            return
        # Not before: a leader that compiles kernels for a minute would write nothing for as long.
        elector.start()
        ending.callback(elector.stop)
        controller.run(stop)


def _wait_synced(cluster: KubeCluster, log: Log, stop: Event) -> None:
    """Wait for the cluster's lists, a minute at most, and not once it is to end."""
    for _ in range(_SYNC_S):
        if stop.is_set() or cluster.wait_synced(1.0):
            return
    log.warning(f"the cluster isn't listed after {_SYNC_S} s; going on with what is known")


def _forward_logging(log: Log, ending: ExitStack) -> None:
    """What libraries and the watches log goes the same way, warnings and worse."""
    handler = ForwardingHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    ending.callback(root.removeHandler, handler)


def _elector(kube: Kube, settings: Settings, log: Log) -> LeaderElection | Alone:
    if settings.lease is None:
        return Alone()
    return LeaderElection(
        kube,
        namespace=settings.lease.namespace,
        name=settings.lease.name,
        identity=settings.lease.identity,
        on_started=lambda: log.info("this replica leads now"),
        on_stopped=lambda: log.warning("this replica doesn't lead any more"),
    )


def _teller(settings: Settings, metrics: Metrics, log: Log, heartbeat: Heartbeat, ending: ExitStack) -> Teller:
    decisions = LineWriter(sys.stdout.fileno(), on_drop=metrics.line_dropped)
    ending.callback(decisions.close)
    recording = None
    if settings.record is not None:
        descriptor = ending.enter_context(appending(settings.record))
        recording = LineWriter(descriptor, on_drop=metrics.line_dropped)
        ending.callback(recording.close)
    return Teller(metrics, log, decisions=decisions, recording=recording, on_tick=heartbeat.beat)


def _instance(settings: Settings) -> str:
    return settings.lease.identity if settings.lease else os.uname().nodename
