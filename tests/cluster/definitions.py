"""CustomResourceDefinitions, installed from files."""

from __future__ import annotations

from pathlib import Path

import yaml
from cluster.waiting import wait_until
from kubernetes import client
from kubernetes.client.exceptions import ApiException


def install(api: client.ApiClient, path: Path, *, replace: bool = False) -> None:
    """Create the CustomResourceDefinition in the YAML file, and return once the API server serves it (about 2 s).

    One that is installed already stays as it is, or becomes as the file says with `replace`.
    """
    extensions = client.ApiextensionsV1Api(api)
    definition = yaml.safe_load(path.read_text())
    name = definition["metadata"]["name"]
    try:
        extensions.create_custom_resource_definition(definition, _request_timeout=10)
    except ApiException as error:
        if error.status != 409:
            raise
        if replace:
            installed = extensions.read_custom_resource_definition(name, _request_timeout=10)
            definition["metadata"]["resourceVersion"] = installed.metadata.resource_version
            extensions.replace_custom_resource_definition(name, definition, _request_timeout=10)

    def established() -> bool:
        status = extensions.read_custom_resource_definition(name, _request_timeout=5).status
        return any(one.type == "Established" and one.status == "True" for one in status.conditions or [])

    wait_until(established, timeout_s=30, what=f"the CRD {name} to be served")
