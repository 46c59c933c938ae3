"""`headstart keda`: Headstart as KEDA's external scaler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli import kube_options
from autoscaler.cli.keda_options import check_pair

if TYPE_CHECKING:
    from autoscaler.keda.scaled_object import ScaledObject

app = typer.Typer(help="Be an external scaler for KEDA, and check its triggers.")

_ENDPOINT = "Endpoint"


@app.command("check")
def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE | -",
            help="YAML with ScaledObjects, or a List of them, as kubectl get writes it; other objects in it are passed"
            " over. - is standard input.",
        ),
    ] = None,
    *,
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE", show_default="default", help="Of ScaledObjects in FILE that don't say which is theirs."
        ),
    ] = None,
    scaled_object: Annotated[
        str | None,
        typer.Option(
            "--scaledobject",
            metavar="NAMESPACE/NAME",
            help="One in the cluster, instead of a file.",
            rich_help_panel=kube_options.PANEL,
        ),
    ] = None,
    kubeconfig: kube_options.KubeconfigOption = None,
    kube_context: kube_options.ContextOption = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1_000_000,
            metavar="NUMBER",
            show_default=False,
            help="Replicas that the workload has, for what the HorizontalPodAutoscaler makes of the answer. Default:"
            " what the cluster says, with --scaledobject.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Call this instead of the trigger's scalerAddress, such as a forwarded port. With TLS the certificate"
            " must be for the scalerAddress all the same.",
            rich_help_panel=_ENDPOINT,
        ),
    ] = None,
    ca_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The TriggerAuthentication's caCert: TLS.", rich_help_panel=_ENDPOINT),
    ] = None,
    client_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its tlsClientCert: mutual TLS.", rich_help_panel=_ENDPOINT),
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its tlsClientKey.", rich_help_panel=_ENDPOINT)
    ] = None,
) -> None:
    """Read a ScaledObject as KEDA does, call its external triggers, and say what the HPA would do with the answers.

    The exit code is 2 if the ScaledObject can't be used, and 1 if a trigger got no answer.
    """
    from autoscaler.errors import UsageError
    from autoscaler.keda.check import Client, check_trigger, to_lines, warnings
    from autoscaler.keda.scaled_object_file import read_scaled_objects

    if (file is None) == (scaled_object is None):
        raise UsageError("give either a FILE or --scaledobject NAMESPACE/NAME")
    if namespace is not None and file is None:
        raise UsageError("--namespace: belongs to FILE; --scaledobject names its own")
    if file is not None:
        found = tuple((each, replicas) for each in read_scaled_objects(file, namespace))
    else:
        found = (_of_cluster(str(scaled_object), kubeconfig, kube_context, replicas),)
    _check_certificates(ca_cert, client_cert, client_key)
    failed = False
    client = Client(address, ca_cert, client_cert, client_key)
    for scaled, there_are in found:
        for trigger in scaled.triggers:
            checked = check_trigger(scaled, trigger, client)
            failed |= bool(checked.failure)
            for line in to_lines(scaled, checked, there_are):
                typer.echo(line)
            for warning in warnings(scaled, trigger):
                typer.echo(f"{trigger.place}: warning: {warning}", err=True)
    if failed:
        raise typer.Exit(1)


def _check_certificates(ca_cert: Path | None, client_cert: Path | None, client_key: Path | None) -> None:
    """Raise UsageError for files that gRPC can't use: it writes a page about them itself, or ends the process."""
    from autoscaler.certificates import check_authorities, check_own

    check_pair(client_cert, client_key, "--client")
    if ca_cert is not None:
        check_authorities(ca_cert, option="--ca-cert")
    if client_cert is not None:
        check_own(client_cert, client_key, options="--client")


def _of_cluster(
    named: str, kubeconfig: Path | None, context: str | None, replicas: int | None
) -> tuple[ScaledObject, int | None]:
    """A ScaledObject of the cluster, and the replicas of its workload."""
    from autoscaler.errors import UsageError, shown
    from autoscaler.keda.scaled_object import path_text, scaled_object_of
    from autoscaler.kube.connect import connect
    from autoscaler.kube.facts import OwnerKind

    namespace, slash, name = named.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise UsageError(f"--scaledobject: {shown(named)} must be NAMESPACE/NAME")
    kube = connect(kubeconfig, context)
    try:
        manifest = kube.read_owner(OwnerKind.SCALED_OBJECT, namespace=namespace, name=name)
        scaled = scaled_object_of(manifest, lambda path: f"ScaledObject {named}: {path_text(path)}")
        if not scaled.triggers:
            raise UsageError(f"ScaledObject {named}: has no trigger of type external or external-push")
        if replicas is None:
            replicas = kube.read_scale(scaled.target).status_replicas
    finally:
        kube.close()
    return scaled, replicas
