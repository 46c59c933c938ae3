"""The options that say how to reach a Kubernetes API server, for all commands that ask one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Cluster"

KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Default: the pod's service account, else $KUBECONFIG.",
        rich_help_panel=PANEL,
    ),
]
ContextOption = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig.", rich_help_panel=PANEL)]
