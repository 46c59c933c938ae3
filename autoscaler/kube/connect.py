"""How to reach the API server: from inside a pod by its service account, from outside by a kubeconfig."""

from __future__ import annotations

import os
from pathlib import Path

import urllib3.exceptions
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import KUBE_CONFIG_DEFAULT_LOCATION, ConfigException, load_incluster_config, load_kube_config

from autoscaler.errors import UsageError, one_line
from autoscaler.kube.client import Kube
from autoscaler.kube.transport import READ_TIMEOUT_S, Transport

# Watches keep theirs for minutes, and patches of one tick run side by side.
_CONNECTIONS_MAX = 64


def connect(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    read_timeout_s: float = READ_TIMEOUT_S,
) -> Kube:
    """The API, without asking it anything yet. Tokens are read again as they rotate (each minute inside a pod).

    Args:
        kubeconfig: with contexts, certificates and exec plugins; without one (and without a context) the pod's own
            service account, else `$KUBECONFIG` or `~/.kube/config`.
        context: of the kubeconfig; its current one by default.
        read_timeout_s: of every call, for each wait for bytes; to connect it may take 5 s.

    Raises:
        UsageError: there is no such file, context or service account.
    """
    configuration = Configuration()
    if kubeconfig is not None and not kubeconfig.is_file():
        raise UsageError(f"{kubeconfig}: there is no such kubeconfig; name one with --kubeconfig")
    try:
        if kubeconfig is not None or context is not None or not _in_a_pod(configuration):
            load_kube_config(  # type: ignore[no-untyped-call] # the client's, without annotations
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context,
                client_configuration=configuration,
                # An expired token of a plugin is renewed in memory; the user's file stays the user's.
                persist_config=False,
            )
    except (
        ConfigException,
        yaml.YAMLError,
        OSError,
        UnicodeDecodeError,
        TypeError,
        AttributeError,
        urllib3.exceptions.HTTPError,
    ) as problem:
        advice = "give --kubeconfig and --context, or run in a pod"
        usual = KUBE_CONFIG_DEFAULT_LOCATION.split(os.pathsep)
        if kubeconfig is None and not any(Path(each).expanduser().exists() for each in usual):
            raise UsageError(f"there is no kubeconfig at {' or '.join(usual)}; {advice}") from problem
        raise UsageError(f"{kubeconfig or 'kubeconfig'}: {one_line(str(problem))}; {advice}") from problem
    # Sent once: by default the pool repeats a read up to three times, each with the whole timeout, and sleeps for as
    # long as a Retry-After says. Whoever calls knows better when to ask again.
    configuration.retries = False
    configuration.keep_alive = True
    configuration.connection_pool_maxsize = _CONNECTIONS_MAX
    client = ApiClient(configuration)
    client.user_agent = "headstart"
    return Kube(Transport(client, read_timeout_s=read_timeout_s))


def _in_a_pod(configuration: Configuration) -> bool:
    try:
        load_incluster_config(  # type: ignore[no-untyped-call] # the client's, without annotations
            client_configuration=configuration
        )
    except ConfigException:
        return False
    return True
