"""`headstart crd`: the CustomResourceDefinition of the user's object, or its reference page."""

from __future__ import annotations

from typing import Annotated

import typer

from autoscaler.cli.outs import print_document


def crd(
    reference: Annotated[
        bool, typer.Option("--reference", help="Print a Markdown page that documents every field instead.")
    ] = False,
) -> None:
    """Print the CustomResourceDefinition of PredictiveAutoscaler as YAML.

    Example: headstart crd | kubectl apply --server-side -f -
    """
    if reference:
        from autoscaler.api.reference import reference_page

        print_document(reference_page())
    else:
        from autoscaler.api.schema import definition_yaml

        print_document(definition_yaml())
