"""Certificates that are replaced while KEDA itself is connected by mutual TLS: all of both sides, authorities too."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cluster import binaries
from cluster.certificates import Authority, Certificate
from cluster.keda_objects import KedaObjects, external_trigger, scaled_by
from cluster.live_objects import LiveObjects
from cluster.waiting import stays, wait_until

from autoscaler.keda.board import Board, Posted
from autoscaler.keda.guests import Guests
from autoscaler.keda.server import GrpcServer, Limits
from autoscaler.keda.service import ExternalScalerService
from autoscaler.keda.tls import TlsFiles

NAME = "chat"
PARAMETERS = {"caCert": "ca", "tlsClientCert": "cert", "tlsClientKey": "key"}
# KEDA connects anew as often: by default only after 10 minutes.
CONNECTION_S = 1.0


class Party:
    """An authority, and what it has issued for both sides."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(binaries.require("openssl")["openssl"], folder, name=folder.name)
        self.authority = authority.certificate.read_text()
        self.server = authority.issue("server", subject="headstart", hosts="DNS:localhost")
        self.client = authority.issue("client", subject="keda")


class Headstart:
    """Headstart's service on loopback, with certificates in files, and the decisions about one object."""

    def __init__(self, namespace: str, folder: Path, party: Party) -> None:
        self._key = (namespace, NAME)
        self._board = Board()
        self.files = TlsFiles(folder / "tls.crt", folder / "tls.key", client_ca=folder / "ca.crt")
        replace(self.files.cert, party.server.certificate.read_text())
        replace(self.files.key, party.server.key.read_text())
        self.trust(party)
        service = ExternalScalerService(self._board, Guests())
        limits = Limits(connection_age_s=CONNECTION_S)
        self.server = GrpcServer(service, "127.0.0.1:0", tls=self.files, limits=limits)
        self.server.start()

    def trust(self, *parties: Party) -> None:
        """Take clients of these from now on, and no others."""
        assert self.files.client_ca is not None
        replace(self.files.client_ca, "".join(each.authority for each in parties))

    def decide(self, desired: int) -> None:
        """Post a decision."""
        self._board.post(self._key, Posted(desired, interval_s=60.0, usable=True, reason="", replicas=None))

    def certificate(self, client: Certificate, *trusted: Party) -> str:
        """What a new connection is shown, in PEM; '' where the client's own isn't taken."""
        context = ssl.create_default_context(cadata="".join(each.authority for each in trusted))
        context.load_cert_chain(client.certificate, client.key)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("localhost", self.server.port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
            assert shown is not None
            with suppress(ssl.SSLError):
                # The server's settings: only now is it known to take the client's certificate.
                return ssl.DER_cert_to_PEM_cert(shown) if secured.recv(1) else ""
            return ""


def replace(path: Path, content: str) -> None:
    """As a mounted Secret is replaced: in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    fresh.rename(path)


def secret(client: Certificate, *trusted: Party) -> dict[str, str]:
    """What KEDA's TriggerAuthentication reads."""
    own = {"cert": client.certificate.read_text(), "key": client.key.read_text()}
    return {"ca": "".join(each.authority for each in trusted), **own}


@pytest.fixture
def old(tmp_path: Path) -> Party:
    return Party(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Party:
    return Party(tmp_path / "new")


@pytest.fixture
def serving(namespace: str, tmp_path: Path, old: Party) -> Iterator[Headstart]:
    headstart = Headstart(namespace, tmp_path, old)
    yield headstart
    headstart.server.stop(grace_s=0.0)


def test_keda_goes_on_while_the_certificates_of_both_sides_and_their_authority_are_replaced(
    live: LiveObjects, scaled: KedaObjects, serving: Headstart, old: Party, new: Party
) -> None:
    def follows(desired: int) -> None:
        """On a connection made since, KEDA acts on a new decision, and its metric was valid all the time."""
        assert stays(lambda: scaled.hpa_condition(NAME, "ScalingActive")[0] == "True", for_s=2 * CONNECTION_S)
        serving.decide(desired)
        wait_until(lambda: live.replicas(NAME) == desired, timeout_s=60, what=f"{desired} replicas")

    scaled.create_secret("headstart-tls", secret(old.client, old))
    references = [{"parameter": each, "name": "headstart-tls", "key": PARAMETERS[each]} for each in PARAMETERS]
    manifest = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": "headstart"},
        "spec": {"secretTargetRef": references},
    }
    scaled.create("triggerauthentications", manifest)
    live.create_deployment(NAME, replicas=1, load="0s")
    trigger = external_trigger(f"localhost:{serving.server.port}") | {"authenticationRef": {"name": "headstart"}}
    trigger["metadata"]["predictiveAutoscaler"] = NAME
    serving.decide(2)
    scaled.create("scaledobjects", scaled_by(trigger, name=NAME, minimum=1))
    wait_until(
        lambda: scaled.hpa_condition(NAME, "ScalingActive")[0] == "True", timeout_s=60, what="an HPA with its metric"
    )

    # Both sides trust both authorities before anything of the new one is shown.
    serving.trust(old, new)
    scaled.replace_secret("headstart-tls", secret(old.client, old, new))
    replace(serving.files.cert, new.server.certificate.read_text())
    assert serving.certificate(old.client, old, new) == old.server.certificate.read_text()
    assert "is no certificate with its key" in serving.server.figures().certificate_problem
    follows(3)
    replace(serving.files.key, new.server.key.read_text())
    assert serving.certificate(old.client, old, new) == new.server.certificate.read_text()
    assert serving.server.figures().certificate_problem == ""
    follows(4)
    scaled.replace_secret("headstart-tls", secret(new.client, new))
    serving.trust(new)
    assert serving.certificate(old.client, new) == ""
    follows(5)
