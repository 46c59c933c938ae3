"""The options that say where KEDA asks, for `headstart run` and `headstart keda serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.errors import UsageError
from autoscaler.keda.guest_limits import GUESTS_MAX

if TYPE_CHECKING:
    from autoscaler.keda.messages import Listening

PANEL = "KEDA"

TlsCertOption = Annotated[
    Path | None,
    typer.Option(
        "--keda-tls-cert",
        metavar="FILE",
        help="PEM certificate of the gRPC server; read again when it is rotated. Default: plaintext.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TlsKeyOption = Annotated[
    Path | None,
    typer.Option("--keda-tls-key", metavar="FILE", help="Its key.", show_default=False, rich_help_panel=PANEL),
]
TlsClientCaOption = Annotated[
    Path | None,
    typer.Option(
        "--keda-tls-client-ca",
        metavar="FILE",
        help="Take calls only from clients with a certificate of this authority.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
CrossNamespaceOption = Annotated[
    bool,
    typer.Option(
        "--keda-cross-namespace",
        help="Let a trigger name a PredictiveAutoscaler of another namespace.",
        rich_help_panel=PANEL,
    ),
]

GuestsOption = Annotated[
    int,
    typer.Option(
        "--keda-guests-per-namespace",
        min=1,
        max=GUESTS_MAX,
        metavar="NUMBER",
        help=f"Workloads that triggers of one namespace may describe, of {GUESTS_MAX:,} in all.",
        rich_help_panel=PANEL,
    ),
]


def check_pair(cert: Path | None, key: Path | None, options: str) -> None:
    """Raise UsageError where a certificate or its key is missing; their options are called `options`-cert and -key."""
    if (cert is None) != (key is None):
        missing = f"{options}-key" if key is None else f"{options}-cert"
        raise UsageError(f"{missing}: is missing; a certificate needs its key, and a key its certificate")


def listening_at(
    address: str,
    *,
    cert: Path | None,
    key: Path | None,
    client_ca: Path | None,
    cross_namespace: bool,
    guests_per_namespace: int,
) -> Listening:
    """What the options describe. Raises UsageError."""
    from autoscaler.keda.messages import Listening
    from autoscaler.keda.tls import TlsFiles

    check_pair(cert, key, "--keda-tls")
    if client_ca is not None and cert is None:
        raise UsageError("--keda-tls-client-ca: needs --keda-tls-cert and --keda-tls-key beside it")
    tls = TlsFiles(cert, key, client_ca) if cert is not None and key is not None else None
    return Listening(address, tls, allow_cross_namespace=cross_namespace, guests_per_namespace=guests_per_namespace)
