"""Headstart's external scaler and KEDA itself: from decisions to replicas, from and to zero, over mutual TLS.

The service is the real one; its decisions are posted by the test in place of a tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import binaries
from cluster.certificates import Authority
from cluster.keda_objects import KedaObjects, external_trigger, scaled_by
from cluster.keda_programs import Keda
from cluster.live_objects import LiveObjects
from cluster.waiting import wait_until

from autoscaler.keda.board import Board, Posted
from autoscaler.keda.guests import Guests
from autoscaler.keda.server import GrpcServer
from autoscaler.keda.service import ExternalScalerService
from autoscaler.keda.tls import TlsFiles

METRIC = "s0-headstart-replicas"
NAME = "chat"


class Headstart:
    """Headstart's service on loopback, and the decisions about one object."""

    def __init__(self, namespace: str, tls: TlsFiles | None) -> None:
        self._key = (namespace, NAME)
        self._board = Board()
        self._server = GrpcServer(ExternalScalerService(self._board, Guests()), "127.0.0.1:0", tls=tls)
        self._server.start()

    def trigger(self, *, kind: str = "external", **metadata: str) -> dict[str, object]:
        """A trigger that names the object."""
        return external_trigger(f"localhost:{self._server.port}", kind=kind, predictiveAutoscaler=NAME, **metadata)

    def decide(self, desired: int, *, replicas: int | None = None) -> None:
        """Post a decision for a workload that has `replicas` now."""
        posted = Posted(desired=desired, interval_s=30.0, usable=True, reason="", replicas=replicas)
        self._board.post(self._key, posted)

    def stop(self) -> None:
        """Serve no more."""
        self._server.stop(grace_s=0.0)


@pytest.fixture
def headstart_with(namespace: str) -> Iterator[Callable[[TlsFiles | None], Headstart]]:
    made: list[Headstart] = []

    def make(tls: TlsFiles | None) -> Headstart:
        made.append(Headstart(namespace, tls))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def serving(headstart_with: Callable[[TlsFiles | None], Headstart]) -> Headstart:
    return headstart_with(None)


def test_keda_makes_an_hpa_of_our_metric_and_it_brings_the_decided_replicas(
    keda: Keda, live: LiveObjects, scaled: KedaObjects, serving: Headstart
) -> None:
    live.create_deployment(NAME, replicas=1, load="0s")
    serving.decide(3, replicas=1)
    scaled.create("scaledobjects", scaled_by(serving.trigger(), name=NAME, minimum=1, maximum=30))
    wait_until(lambda: live.replicas(NAME) == 3, timeout_s=60, what="3 replicas")

    (metric,) = scaled.hpa(NAME).spec.metrics
    assert metric.external.metric.name == METRIC
    assert metric.external.target.average_value == "1"
    assert scaled.external_metric(NAME, METRIC) == "3"
    # Replicas may be there before the next poll has measured.
    for measurement, value in (("keda_scaler_metrics_value", 3), ("keda_scaler_active", 1)):
        wait_until(
            lambda measurement=measurement, value=value: keda.polled(measurement, scaled.namespace, NAME) == value,
            timeout_s=30,
            what=f"{measurement} {value}",
        )

    serving.decide(20, replicas=3)
    wait_until(lambda: live.replicas(NAME) == 20, timeout_s=60, what="20 replicas")
    # Two more are within the HPA's tolerance of 10 %; the next number that isn't is 23.
    serving.decide(22, replicas=20)
    wait_until(lambda: live.replicas(NAME) == 23, timeout_s=60, what="23 replicas")
    serving.decide(2, replicas=23)
    wait_until(lambda: live.replicas(NAME) == 2, timeout_s=60, what="2 replicas")


def test_a_push_brings_the_first_replica_with_no_poll_near(
    live: LiveObjects, scaled: KedaObjects, serving: Headstart
) -> None:
    live.create_deployment(NAME, replicas=0, load="0s")
    serving.decide(0, replicas=0)
    trigger = serving.trigger(kind="external-push")
    scaled.create("scaledobjects", scaled_by(trigger, name=NAME, minimum=0, pollingInterval=3600))
    # Until then KEDA drops what is pushed. The first and only poll for an hour is made at the start.
    wait_until(lambda: scaled.metric_names(NAME), timeout_s=60, what="KEDA to know the metric")
    assert live.replicas(NAME) == 0

    serving.decide(2, replicas=0)
    wait_until(lambda: live.replicas(NAME) == 2, timeout_s=60, what="2 replicas, the first of them by a push")


def test_polls_take_the_last_replica_away_after_the_cool_down(
    live: LiveObjects, scaled: KedaObjects, serving: Headstart
) -> None:
    live.create_deployment(NAME, replicas=0, load="0s")
    serving.decide(1, replicas=0)
    trigger = serving.trigger(kind="external-push")
    # A poll that comes late would find a cool-down of 3 s over, and nobody would have seen it.
    scaled.create("scaledobjects", scaled_by(trigger, name=NAME, minimum=0, cooldownPeriod=15))
    wait_until(lambda: live.ready(NAME) == 1, timeout_s=60, what="the first replica")

    serving.decide(0, replicas=1)
    wait_until(
        lambda: scaled.condition(NAME, "Active") == ("False", "ScalerCooldown"),
        timeout_s=60,
        what="a cool-down",
    )
    wait_until(lambda: live.replicas(NAME) == 0, timeout_s=60, what="no replica")


def test_mutual_tls_lets_keda_in_that_has_our_certificate_and_nobody_else(
    live: LiveObjects,
    scaled: KedaObjects,
    headstart_with: Callable[[TlsFiles | None], Headstart],
    tmp_path: Path,
) -> None:
    authority = Authority(binaries.require("openssl")["openssl"], tmp_path, name="test-ca")
    own = authority.issue("server", subject="headstart", hosts="DNS:localhost")
    client = authority.issue("client", subject="keda")
    serving = headstart_with(TlsFiles(own.certificate, own.key, client_ca=authority.certificate))
    serving.decide(3, replicas=1)
    values = {"ca": authority.certificate, "cert": client.certificate, "key": client.key}
    scaled.create_secret("headstart-tls", {name: path.read_text() for name, path in values.items()})
    parameters = {"caCert": "ca", "tlsClientCert": "cert", "tlsClientKey": "key"}
    for name, known in (("headstart", tuple(parameters)), ("stranger", ("caCert",))):
        references = [{"parameter": each, "name": "headstart-tls", "key": parameters[each]} for each in known]
        manifest = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "TriggerAuthentication",
            "metadata": {"name": name},
            "spec": {"secretTargetRef": references},
        }
        scaled.create("triggerauthentications", manifest)

    live.create_deployment("stranger", replicas=1, load="0s")
    trigger = serving.trigger() | {"authenticationRef": {"name": "stranger"}}
    scaled.create("scaledobjects", scaled_by(trigger, name="stranger", minimum=1))
    live.create_deployment(NAME, replicas=1, load="0s")
    trigger = serving.trigger() | {"authenticationRef": {"name": "headstart"}}
    scaled.create("scaledobjects", scaled_by(trigger, name=NAME, minimum=1))
    wait_until(lambda: live.replicas(NAME) == 3, timeout_s=60, what="3 replicas")
    wait_until(
        lambda: scaled.condition("stranger", "Ready")[0] == "False", timeout_s=60, what="the stranger to be refused"
    )
    assert live.replicas("stranger") == 1
