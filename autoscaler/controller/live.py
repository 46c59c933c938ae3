"""The controller in a Kubernetes cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from autoscaler.controller.config_files import ConfigFiles
from autoscaler.controller.kube_actuator import KubeActuator
from autoscaler.controller.process import Alone, Extension, Process, World, run_process
from autoscaler.kube.client import Kube
from autoscaler.kube.cluster import KubeCluster
from autoscaler.kube.connect import connect
from autoscaler.kube.events import EventRecorder
from autoscaler.kube.lease import LeaderElection
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics


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
        process: of any loop.
        kubeconfig, context: how to reach the API server; see kube.connect.
        namespace: whose objects are looked after; None for all.
        config: a file or folder of objects instead of the API's.
        lease: None where no other replica can be.
    """

    process: Process
    kubeconfig: Path | None
    context: str | None
    namespace: str | None
    config: Path | None
    lease: Lease | None


def run_live(
    settings: Settings,
    stop: Event,
    *,
    on_start: Callable[[int], object] = lambda _port: None,
    extension: Extension | None = None,
) -> None:
    """Run until `stop` is set; then put back what was written, give up the lease and end.

    Args:
        settings: see Settings.
        stop: set to end.
        on_start: called with the port that is served, once it is.
        extension: takes part in the loop.
    """

    def make_world(log: Log, metrics: Metrics, ending: ExitStack) -> World:
        kube = connect(settings.kubeconfig, settings.context)
        given = ConfigFiles(settings.config, log, settings.namespace) if settings.config else None
        cluster = KubeCluster(kube, settings.namespace, given=given).start()
        ending.callback(cluster.stop)
        events = EventRecorder(kube, instance=_instance(settings))
        ending.callback(events.stop)
        elector = _elector(kube, settings, log)
        actuator = KubeActuator(kube, events, log, metrics, namespace=settings.namespace, leads=elector.is_leader)
        return World(cluster, actuator, elector, cluster.wait_synced)

    run_process(settings.process, make_world, stop, on_start=on_start, extension=extension)


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


def _instance(settings: Settings) -> str:
    return settings.lease.identity if settings.lease else os.uname().nodename
