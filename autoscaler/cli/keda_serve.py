"""`headstart keda serve`: an external scaler that needs a Prometheus and nothing else."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from autoscaler.cli import keda_options as keda
from autoscaler.cli import prometheus_options as prometheus
from autoscaler.cli.option_group import with_groups
from autoscaler.cli.outs import parse_record, tell_appended
from autoscaler.cli.params import parse_address, parse_positive_duration_s
from autoscaler.keda.guest_limits import GUESTS_PER_NAMESPACE


@with_groups
def serve(
    *,
    url: prometheus.UrlOption = None,
    access: prometheus.Access,
    allowed_servers: prometheus.AllowedServersOption = None,
    listen: Annotated[
        str,
        typer.Option("--listen", metavar="HOST:PORT", help="Where KEDA asks by gRPC.", rich_help_panel=keda.PANEL),
    ] = "0.0.0.0:9090",
    tls_cert: keda.TlsCertOption = None,
    tls_key: keda.TlsKeyOption = None,
    tls_client_ca: keda.TlsClientCaOption = None,
    guests_per_namespace: keda.GuestsOption = GUESTS_PER_NAMESPACE,
    metrics_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Serves /metrics, /healthz and /readyz.")
    ] = "0.0.0.0:8080",
    tick_s: Annotated[
        float,
        typer.Option(
            "--tick",
            parser=parse_positive_duration_s,
            metavar="DURATION",
            help="Time from one look to the next; each trigger is decided on once per its interval.",
            show_default="15s",
        ),
    ] = 15.0,
    record: Annotated[
        Path | None,
        typer.Option(
            parser=parse_record,
            metavar="FILE",
            help="Append decisions and the histories that they stand on, to what it holds from before a restart too.",
        ),
    ] = None,
) -> None:
    """Decide for what KEDA's triggers describe: no CustomResourceDefinition, no rights in the cluster.

    Decisions go to standard output, one JSON line each; headstart explain reads them. Ends on SIGTERM or SIGINT.
    """
    from autoscaler.controller.process import Process
    from autoscaler.keda.serve import serve as serve_keda

    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parse_address(listen, "--listen")
    host, port = parse_address(metrics_listen, "--metrics-listen")
    connection = access.connection_to(url, allowed_servers)
    listening = keda.listening_at(
        listen,
        cert=tls_cert,
        key=tls_key,
        client_ca=tls_client_ca,
        cross_namespace=False,
        guests_per_namespace=guests_per_namespace,
    )
    tell_appended(record)
    serve_keda(
        Process(connection, tick_s, host, port, record),
        listening,
        stop,
        on_start=lambda at: typer.echo(f"headstart: gRPC at {listen}, /metrics and probes on port {at}", err=True),
    )
