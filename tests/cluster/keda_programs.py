"""KEDA itself beside the test cluster: its operator, and its metrics server as an aggregated API."""

from __future__ import annotations

import base64
import contextlib
import re
import urllib.request
from pathlib import Path

from cluster import definitions
from cluster.certificates import Authority
from cluster.processes import Process, free_port
from kubernetes import client
from kubernetes.client.exceptions import ApiException

BINARIES = ("keda-operator", "keda-adapter", "openssl")
NAMESPACE = "default"
_API_SERVICE = "v1beta1.external.metrics.k8s.io"
_SERVICE = "keda-metrics-apiserver"
_TIMEOUT_S = 10


class Keda:
    """KEDA for all namespaces of the cluster, as its own manifests start it: defaults, but loopback addresses.

    Two things are ours. Both programs act as the administrator, not under KEDA's roles; and the certificates that they
    know each other by are made here, not by the operator, which would put them into a Secret for the kubelet to mount.
    """

    def __init__(self, programs: dict[str, Path], kubeconfig: Path, folder: Path) -> None:
        # `make keda` puts them there.
        self._definitions = programs["keda-operator"].parent / "crds"
        self._api_port = free_port()
        self._operator_page = f"127.0.0.1:{free_port()}"
        operator_address = f"127.0.0.1:{free_port()}"
        certificates = folder / "certificates"
        authority = Authority(programs["openssl"], certificates, name="keda-ca")
        hosts = f"IP:127.0.0.1,DNS:localhost,DNS:{_SERVICE}.{NAMESPACE}.svc"
        served = authority.issue("tls", subject="keda", hosts=hosts)
        self._authority = authority.certificate
        # Cluster-wide objects are looked for in a namespace that a pod would read from its ServiceAccount's files.
        environment = [
            "env",
            "WATCH_NAMESPACE=",
            f"POD_NAMESPACE={NAMESPACE}",
            f"KEDA_CLUSTER_OBJECT_NAMESPACE={NAMESPACE}",
        ]
        self.operator = Process(
            "keda-operator",
            [
                *(*environment, programs["keda-operator"], f"--kubeconfig={kubeconfig}"),
                f"--metrics-service-bind-address={operator_address}",
                f"--metrics-bind-address={self._operator_page}",
                # The page of its health is never asked for.
                "--health-probe-bind-address=0",
                f"--cert-dir={certificates}",
                *("--zap-encoder=console", "--zap-log-level=debug"),
            ],
            log=folder / "keda-operator.log",
        )
        self.adapter = Process(
            "keda-adapter",
            [
                *(
                    *environment,
                    programs["keda-adapter"],
                    f"--kubeconfig={kubeconfig}",
                    f"--lister-kubeconfig={kubeconfig}",
                ),
                *(f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}"),
                *("--bind-address=127.0.0.1", f"--secure-port={self._api_port}", f"--port={free_port()}"),
                *(f"--tls-cert-file={served.certificate}", f"--tls-private-key-file={served.key}"),
                *(f"--cert-dir={certificates}", f"--metrics-service-address={operator_address}"),
                *("--zap-encoder=console", "--zap-log-level=info"),
            ],
            log=folder / "keda-adapter.log",
        )

    @property
    def processes(self) -> list[Process]:
        """Both programs, for their logs."""
        return [self.operator, self.adapter]

    def start(self, api: client.ApiClient) -> None:
        """Start both, and return once the API server passes requests for external metrics on to KEDA."""
        for path in sorted(self._definitions.glob("*.yaml")):
            definitions.install(api, path, replace=True)
        self._register(api)
        for process in self.processes:
            process.start()

        def serves() -> bool:
            found = client.ApiregistrationV1Api(api).read_api_service(_API_SERVICE, _request_timeout=5)
            return any(one.type == "Available" and one.status == "True" for one in found.status.conditions or [])

        self.adapter.wait_until_ready(serves, timeout_s=120)
        self.operator.wait_until_ready(self.measurements, timeout_s=60)

    def stop(self, api: client.ApiClient) -> None:
        """Stop both, and take the metrics API out, without which no namespace could be deleted."""
        for process in self.processes:
            process.stop(timeout_s=2)
        with contextlib.suppress(ApiException):
            client.ApiregistrationV1Api(api).delete_api_service(_API_SERVICE, _request_timeout=_TIMEOUT_S)
        with contextlib.suppress(ApiException):
            client.CoreV1Api(api).delete_namespaced_service(_SERVICE, NAMESPACE, _request_timeout=_TIMEOUT_S)

    def measurements(self) -> str:
        """The operator's page for Prometheus."""
        with urllib.request.urlopen(f"http://{self._operator_page}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def polled(self, name: str, namespace: str, scaled_object: str) -> float | None:
        """The measurement `name` about a ScaledObject with one trigger; None before there is one."""
        labels = {f'namespace="{namespace}"', f'scaledObject="{scaled_object}"'}
        for line in self.measurements().splitlines():
            found = re.fullmatch(rf"{name}{{(.*)}} (\S+)", line)
            if found and labels <= set(found[1].split(",")):
                return float(found[2])
        return None

    def _register(self, api: client.ApiClient) -> None:
        # The cluster has no network for Services: the API server connects to the name that this one is an alias of.
        service = {
            "metadata": {"name": _SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": self._api_port}]},
        }
        client.CoreV1Api(api).create_namespaced_service(NAMESPACE, service, _request_timeout=_TIMEOUT_S)
        api_service = {
            "metadata": {"name": _API_SERVICE},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "service": {"namespace": NAMESPACE, "name": _SERVICE, "port": self._api_port},
                "caBundle": base64.b64encode(self._authority.read_bytes()).decode(),
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        }
        client.ApiregistrationV1Api(api).create_api_service(api_service, _request_timeout=_TIMEOUT_S)
