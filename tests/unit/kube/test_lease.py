"""Leader election. Times are the shortest that the client's loop allows: lease 3 s, deadline 2 s, retry 1 s."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_api.server import FakeApi

from autoscaler.kube.client import Kube
from autoscaler.kube.connect import connect
from autoscaler.kube.lease import LeaderElection

LEASE_S, DEADLINE_S, RETRY_S = 3, 2, 1


class Candidate:
    """A candidate and what it was told."""

    def __init__(self, kube: Kube, identity: str) -> None:
        self.started, self.stopped = threading.Event(), threading.Event()
        self.told: list[str] = []
        self.stopped_s = 0.0
        self.election = LeaderElection(
            kube,
            namespace="headstart",
            name="headstart",
            identity=identity,
            on_started=self._on_started,
            on_stopped=self._on_stopped,
            lease_s=LEASE_S,
            renew_deadline_s=DEADLINE_S,
            retry_s=RETRY_S,
        )

    def _on_started(self) -> None:
        self.told.append("started")
        self.started.set()

    def _on_stopped(self) -> None:
        self.stopped_s = time.monotonic()
        self.told.append("stopped")
        self.stopped.set()


@contextmanager
def candidate(kubeconfig: Path, identity: str) -> Iterator[Candidate]:
    """A candidate with connections of its own, as in a process of its own."""
    kube = connect(kubeconfig)
    taking_part = Candidate(kube, identity)
    taking_part.election.start()
    yield taking_part
    taking_part.election.stop()
    kube.close()


def holder(api: FakeApi) -> str:
    return str(api.read("leases", "headstart", namespace="headstart")["spec"]["holderIdentity"])


def test_a_standby_takes_over_at_once_when_the_leader_stops(api: FakeApi, kubeconfig: Path) -> None:
    with candidate(kubeconfig, "a") as first, candidate(kubeconfig, "b") as second:
        assert first.started.wait(5.0) or second.started.wait(5.0)
        leader, standby = (first, second) if first.started.is_set() else (second, first)
        assert leader.election.is_leader()
        assert not standby.election.is_leader()
        written = len(api.writes())
        leader.election.stop()
        assert leader.told == ["started", "stopped"]
        assert not leader.election.is_leader()
        assert standby.started.wait(5.0)
        # It was released: the standby had nothing to wait for.
        holders = [body["spec"]["holderIdentity"] for _, _, body in api.writes()[written:] if body is not None]
        assert "" in holders
        assert standby.election.is_leader()
        spec = api.read("leases", "headstart", namespace="headstart")["spec"]
        assert spec["leaseTransitions"] == 1
        assert spec["holderIdentity"] == ("b" if standby is second else "a")
    assert holder(api) == ""


def test_a_leader_hands_over_or_learns_that_nobody_is_there(api: FakeApi, kubeconfig: Path) -> None:
    with candidate(kubeconfig, "a") as leader:
        assert leader.started.wait(5.0)
        with candidate(kubeconfig, "b") as standby:
            assert leader.election.hand_over(within_s=10.0)
            assert standby.election.is_leader()
            assert leader.election.another_leads()
            assert not standby.election.another_leads()
            assert not standby.election.hand_over(within_s=0.5)
            assert not leader.election.another_leads()
            with api.fault(path="/leases", status=500):
                assert not leader.election.another_leads()
    assert holder(api) == ""


def test_a_lease_that_cannot_be_read_for_a_moment_is_handed_over_all_the_same(api: FakeApi, kubeconfig: Path) -> None:
    with candidate(kubeconfig, "a") as leader:
        assert leader.started.wait(5.0)
        leader.election.stop()
        with candidate(kubeconfig, "b") as standby:
            assert standby.started.wait(5.0)
            # One read to release the lease, and the first one to see who holds it.
            with api.fault("GET", "/leases", status=500, times=2):
                assert leader.election.hand_over(within_s=10.0)


def test_leading_ends_within_the_deadline_while_the_server_hangs_and_begins_again(
    api: FakeApi, kubeconfig: Path
) -> None:
    with candidate(kubeconfig, "a") as leader:
        assert leader.started.wait(5.0)
        with api.fault(path="/leases", hang_s=30.0):
            hung_s = time.monotonic()
            assert leader.stopped.wait(10.0)
            # Before anybody else may begin.
            assert leader.stopped_s - hung_s < LEASE_S
            assert not leader.election.is_leader()
            leader.started.clear()
        assert leader.started.wait(10.0)
        assert leader.election.is_leader()
        assert leader.told == ["started", "stopped", "started"]


def test_a_lease_that_another_took_is_lost_and_never_taken_while_it_is_renewed(api: FakeApi, kubeconfig: Path) -> None:
    with candidate(kubeconfig, "a") as leader:
        assert leader.started.wait(5.0)

        def steal(lease: dict[str, dict[str, object]]) -> None:
            lease["spec"]["holderIdentity"] = "z"

        api.edit("leases", "headstart", steal, namespace="headstart")
        assert leader.stopped.wait(5.0)
        leader.started.clear()
        for second in range(LEASE_S + 1):
            # Its clock is years away: only that it renews counts.
            api.edit(
                "leases",
                "headstart",
                lambda lease, second=second: lease["spec"].update(renewTime=f"2099-01-01T00:00:{second:02}.000000Z"),
                namespace="headstart",
            )
            assert not leader.started.wait(1.0)
        assert holder(api) == "z"
        assert leader.started.wait(LEASE_S + 2 * RETRY_S + 1.0)
        assert holder(api) == "a"


def test_a_callback_that_fails_and_a_server_that_refuses_end_nothing(api: FakeApi, kubeconfig: Path) -> None:
    kube = connect(kubeconfig)
    told: list[str] = []
    again = threading.Event()

    def fail() -> None:
        told.append("started")
        if len(told) > 1:
            again.set()
        raise RuntimeError("broken")

    election = LeaderElection(
        kube,
        namespace="headstart",
        name="headstart",
        identity="a",
        on_started=fail,
        on_stopped=fail,
        lease_s=LEASE_S,
        renew_deadline_s=DEADLINE_S,
        retry_s=RETRY_S,
    )
    with api.fault(path="/leases", status=403, times=1):
        election.start()
        assert again.wait(10.0)
    election.stop()
    election.stop()
    assert holder(api) == ""
    kube.close()


def test_unfit_times_are_refused_before_the_client_ends_the_process(kube: Kube) -> None:
    with pytest.raises(ValueError, match="unfit times"):
        LeaderElection(
            kube,
            namespace="n",
            name="n",
            identity="a",
            on_started=print,
            on_stopped=print,
            lease_s=5,
            renew_deadline_s=7,
        )
