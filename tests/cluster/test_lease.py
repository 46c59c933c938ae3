"""Leader election on a real Lease, with the times of production: a second replica takes over within 15 s."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from cluster.control_plane import ControlPlane

from autoscaler.kube.connect import connect
from autoscaler.kube.lease import LeaderElection
from autoscaler.kube.resources import LEASES


def elect(kubeconfig: Path, namespace: str, identity: str) -> tuple[LeaderElection, threading.Event, threading.Event]:
    started, stopped = threading.Event(), threading.Event()
    election = LeaderElection(
        connect(kubeconfig),
        namespace=namespace,
        name="headstart",
        identity=identity,
        on_started=started.set,
        on_stopped=stopped.set,
    )
    election.start()
    return election, started, stopped


def seconds(until: Callable[[], object]) -> float:
    begun_s = time.monotonic()
    until()
    return time.monotonic() - begun_s


def test_a_leader_that_stops_hands_over_and_one_that_dies_is_followed_within_15_s(
    kubeconfig: Path, namespace: str
) -> None:
    first, first_started, first_stopped = elect(kubeconfig, namespace, "first")
    assert first_started.wait(10.0)
    second, second_started, _ = elect(kubeconfig, namespace, "second")
    assert not second_started.wait(3.0)
    first.stop()
    assert first_stopped.is_set()
    assert second_started.wait(15.0)
    assert second.is_leader()
    assert not first.is_leader()

    # It dies: it renews no more, and releases nothing.
    second._term.close()
    third, third_started, _ = elect(kubeconfig, namespace, "third")
    assert seconds(lambda: third_started.wait(30.0)) < 15.0
    assert third.is_leader()
    spec = connect(kubeconfig).get(LEASES, namespace=namespace, name="headstart")["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("third", 2, 10)
    third.stop()


def test_leading_ends_while_the_server_is_away_and_begins_again(
    kubeconfig: Path, namespace: str, cluster: ControlPlane
) -> None:
    election, started, stopped = elect(kubeconfig, namespace, "only")
    assert started.wait(10.0)
    cluster.stop_api_server()
    try:
        assert stopped.wait(10.0)
        assert not election.is_leader()
        started.clear()
    finally:
        cluster.start_api_server()
    assert started.wait(30.0)
    assert election.is_leader()
    election.stop()
