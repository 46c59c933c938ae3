"""`headstart run`: the controller, in a cluster or on a simulated one."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli import keda_options as keda
from autoscaler.cli import kube_options as kube
from autoscaler.cli import prometheus_options as prometheus
from autoscaler.cli.option_group import with_groups
from autoscaler.cli.outs import parse_record, tell_appended
from autoscaler.cli.params import (
    BudgetGpus,
    Capacity,
    gpus_by_budget,
    is_typed,
    parse_address,
    parse_capacity,
    parse_duration_s,
    parse_gpu_budget,
    parse_load_latency,
    parse_positive_duration_s,
    parse_speed,
    share_parser,
)
from autoscaler.errors import UsageError
from autoscaler.keda.guest_limits import GUESTS_PER_NAMESPACE

if TYPE_CHECKING:
    from autoscaler.controller.live import Lease
    from autoscaler.core.load_latency import LoadLatency
else:
    # typer evaluates annotations when the command line is built; the class itself would import numpy into `--help`.
    LoadLatency = object

_SIMULATION = "Simulation"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LOCAL = "default"


@with_groups
def run(
    context: typer.Context,
    *,
    url: prometheus.UrlOption = None,
    access: prometheus.Access,
    allowed_servers: prometheus.AllowedServersOption = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="Look after this namespace only.", show_default="all", rich_help_panel=kube.PANEL),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Take PredictiveAutoscalers from this YAML file or folder, read again when it changes, instead of from"
            " the API: no CustomResourceDefinition is needed.",
            rich_help_panel=kube.PANEL,
        ),
    ] = None,
    kubeconfig: kube.KubeconfigOption = None,
    kube_context: kube.ContextOption = None,
    tick_s: Annotated[
        float,
        typer.Option(
            "--tick",
            parser=parse_positive_duration_s,
            metavar="DURATION",
            help="Time from one look at everything to the next. Objects are decided on once per their interval.",
            show_default="15s",
            rich_help_panel=kube.PANEL,
        ),
    ] = 15.0,
    listen: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Serves /metrics, /healthz and /readyz.", rich_help_panel=kube.PANEL),
    ] = "0.0.0.0:8080",
    leader_election: Annotated[
        bool,
        typer.Option(help="Let one of several replicas write; needs a Lease.", rich_help_panel=kube.PANEL),
    ] = True,
    lease_namespace: Annotated[
        str | None,
        typer.Option(help="Of the Lease.", show_default="the pod's own", rich_help_panel=kube.PANEL),
    ] = None,
    lease_name: Annotated[str, typer.Option(help="Of the Lease.", rich_help_panel=kube.PANEL)] = "headstart",
    keda_listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Also be KEDA's external scaler there: for objects by name, and for what triggers describe.",
            show_default="off",
            rich_help_panel=keda.PANEL,
        ),
    ] = None,
    keda_tls_cert: keda.TlsCertOption = None,
    keda_tls_key: keda.TlsKeyOption = None,
    keda_tls_client_ca: keda.TlsClientCaOption = None,
    keda_cross_namespace: keda.CrossNamespaceOption = False,
    keda_guests_per_namespace: keda.GuestsOption = GUESTS_PER_NAMESPACE,
    gpu_budget: Annotated[
        list[BudgetGpus] | None,
        typer.Option(
            parser=parse_gpu_budget,
            metavar="NAME=GPUS",
            help="GPUs that the objects with this spec.gpuBudget.name hold together at most; repeat it for several.",
            show_default=False,
            rich_help_panel=kube.PANEL,
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            parser=parse_record,
            metavar="FILE",
            help="Append decisions and the histories that they stand on, to what it holds from before a restart too; "
            "headstart replay makes them again.",
        ),
    ] = None,
    simulate: Annotated[
        Path | None,
        typer.Option(
            metavar="TRACE",
            help="Run on a simulated cluster that gets this trace's demand, on a virtual clock.",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            parser=parse_speed,
            metavar="FACTOR",
            help="Virtual seconds per second: 600x shows ten minutes in a second; max doesn't wait.",
            show_default="600x",
            rich_help_panel=_SIMULATION,
        ),
    ] = 600.0,
    capacity: Annotated[
        list[Capacity] | None,
        typer.Option(
            parser=parse_capacity,
            metavar="NUMBER | UNIT=NUMBER",
            help="Work per second that one replica sustains; repeat it for several units.",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    load_latency: Annotated[
        LoadLatency,
        typer.Option(
            parser=parse_load_latency,
            metavar="DURATION | lognormal:MEDIAN,SIGMA | empirical:FILE",
            help="How long simulated replicas load; the controller learns it.",
            show_default="120s",
            rich_help_panel=_SIMULATION,
        ),
    ] = "120s",  # type: ignore[assignment] # the parser takes the text
    max_wait_s: Annotated[
        float,
        typer.Option(
            "--max-wait",
            parser=parse_duration_s,
            metavar="DURATION",
            help="The longest wait for a replica that is not late.",
            show_default="10s",
            rich_help_panel=_SIMULATION,
        ),
    ] = 10.0,
    late_budget: Annotated[
        float,
        typer.Option(
            parser=share_parser(),
            metavar="SHARE",
            help="Share of the work that may be late.",
            show_default="1%",
            rich_help_panel=_SIMULATION,
        ),
    ] = 0.01,
) -> None:
    """Close the loop: pull demand from Prometheus, decide once per interval, and write replicas or floors.

    Decisions go to standard output, one JSON line each; headstart explain reads them. With --simulate it is a sentence
    per change of replicas, and headstart explain reads what --record writes. Ends on SIGTERM or SIGINT, when the bounds
    that it raised are put back.

    What reaches Prometheus can also stand in the environment: --prometheus-token-file as
    HEADSTART_PROMETHEUS_TOKEN_FILE, and so on; --prometheus-header as HEADSTART_PROMETHEUS_HEADERS.
    """
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: _end(stop))
    if simulate is not None:
        from autoscaler.cli.run_simulated import run_simulated

        prometheus.refuse_typed(context, "counts for nothing with --simulate, whose demand is the trace's")
        _refuse_with_simulation(context)
        tell_appended(record)
        run_simulated(
            simulate,
            capacity=capacity,
            load_latency=load_latency,
            max_wait_s=max_wait_s,
            late_budget=late_budget,
            speed=speed,
            record=record,
            stop=stop,
        )
        return
    from autoscaler.controller.live import Settings, run_live
    from autoscaler.controller.process import Process

    if capacity:
        raise UsageError("--capacity: is for --simulate; in a cluster each object states its own")
    host, port = parse_address(listen, "--listen")
    # Told before a kubeconfig is looked for.
    if config is not None and not config.exists():
        raise UsageError(f"--config: there is no {config}; name a YAML file, or a folder of them")
    connection = access.connection_to(url, allowed_servers)
    settings = Settings(
        process=Process(
            connection=connection,
            tick_s=tick_s,
            host=host,
            port=port,
            record=record,
            gpu_budgets=gpus_by_budget(gpu_budget or ()),
        ),
        kubeconfig=kubeconfig,
        context=kube_context,
        namespace=namespace,
        config=config,
        lease=_lease(lease_namespace, lease_name) if leader_election else None,
    )
    extension = None
    if keda_listen is not None:
        from autoscaler.keda.serve import external_scaler

        parse_address(keda_listen, "--keda-listen")
        extension = external_scaler(
            keda.listening_at(
                keda_listen,
                cert=keda_tls_cert,
                key=keda_tls_key,
                client_ca=keda_tls_client_ca,
                cross_namespace=keda_cross_namespace,
                guests_per_namespace=keda_guests_per_namespace,
            )
        )
    tell_appended(record)
    run_live(
        settings,
        stop,
        on_start=lambda at: typer.echo(f"headstart: /metrics, /healthz, /readyz on port {at}", err=True),
        extension=extension,
    )


def _end(stop: Event) -> None:
    """End in order; whoever interrupts once more doesn't want to wait for that."""
    stop.set()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _refuse_with_simulation(context: typer.Context) -> None:
    """Raise UsageError for the first option of a cluster's that was typed beside --simulate."""
    for param in context.command.params:
        if getattr(param, "rich_help_panel", None) in {kube.PANEL, keda.PANEL} and is_typed(context, param.name):
            raise UsageError(f"{max(param.opts, key=len)}: counts for nothing with --simulate, which needs no cluster")


def _lease(namespace: str | None, name: str) -> Lease:
    from autoscaler.controller.live import Lease

    if namespace is None:
        inside = _NAMESPACE_FILE.is_file()
        namespace = _NAMESPACE_FILE.read_text().strip() if inside else _LOCAL
    return Lease(namespace, name, f"{os.environ.get('POD_NAME') or os.uname().nodename}-{os.getpid()}")
