"""A real control plane on loopback: etcd, kube-apiserver with RBAC, kube-controller-manager, kube-scheduler."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import subprocess
from pathlib import Path

from cluster.certificates import Authority
from cluster.processes import Process, free_port

BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "openssl", "setpriv")
# What the tests need: workloads get pods, HPAs act, namespaces and owned objects go away, pods find a ServiceAccount,
# PodDisruptionBudgets count. Not the node lifecycle: kwok sends no heartbeats.
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "horizontal-pod-autoscaler-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
)


class ControlPlane:
    """The processes of one cluster, all state below `folder`.

    `kubeconfig` is the path of an administrator's kubeconfig file (group system:masters). RBAC applies to everyone
    else; `service_account_kubeconfig` gives one for a ServiceAccount. HPAs are synced each second, not each 15.
    """

    def __init__(self, binaries: dict[str, Path], folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._port = free_port()
        self._token = secrets.token_hex(16)
        self._binaries = binaries
        etcd_url = f"http://127.0.0.1:{free_port()}"
        self._etcd = Process("etcd", self._etcd_command(etcd_url), log=folder / "etcd.log")
        self._api_server = Process(
            "kube-apiserver", self._api_server_command(etcd_url), log=folder / "kube-apiserver.log"
        )
        self._controllers = [
            Process("kube-controller-manager", self._controller_command(), log=folder / "kube-controller-manager.log"),
            Process("kube-scheduler", self._scheduler_command(), log=folder / "kube-scheduler.log"),
        ]

    @property
    def url(self) -> str:
        """The API server's address, the same after a restart."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def processes(self) -> list[Process]:
        """All programs, for their logs."""
        return [self._etcd, self._api_server, *self._controllers]

    def start(self) -> None:
        """Start everything, and return once the API server is ready."""
        self._write_credentials()
        self._etcd.start()
        self.start_api_server()
        self._write_kubeconfig(self.kubeconfig, token=self._token)
        for process in self._controllers:
            process.start()

    def stop(self) -> None:
        """Stop everything, API server and etcd last; does nothing to what doesn't run."""
        for process in [*self._controllers, self._api_server, self._etcd]:
            # All of it is thrown away: nothing is worth a graceful end that takes a minute.
            process.stop(timeout_s=2)

    def start_api_server(self) -> None:
        """Start the API server, and return once it is ready (about 2 s)."""
        self._api_server.start()
        self._api_server.wait_until_ready(self._is_ready, timeout_s=60)

    def stop_api_server(self) -> None:
        """End the API server as a crash does: connections and watches break, objects stay in etcd."""
        self._api_server.stop(kill=True)

    def restart_api_server(self) -> None:
        """`stop_api_server`, then `start_api_server`: same address, credentials and objects; about 2 s of refusals."""
        self.stop_api_server()
        self.start_api_server()

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig file with a token (1 h) of the ServiceAccount, which must exist: RBAC says what it may do."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        status, answer = self._request("POST", path, request)
        if status != 201:
            raise AssertionError(f"no token for ServiceAccount {namespace}/{name}: HTTP {status}: {answer[:500]!r}")
        kubeconfig = self.folder / f"{namespace}-{name}.kubeconfig"
        self._write_kubeconfig(kubeconfig, token=json.loads(answer)["status"]["token"])
        return kubeconfig

    def _request(self, verb: str, path: str, body: object = None) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self._certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=5, context=context)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request(verb, path, body=None if body is None else json.dumps(body), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        return self._certificate.exists() and self._request("GET", "/readyz")[0] == 200

    @property
    def _certificate(self) -> Path:
        # The server signs its own certificate at the first start; the file holds its authority too.
        return self.folder / "certificates" / "apiserver.crt"

    def _write_credentials(self) -> None:
        (self.folder / "tokens.csv").write_text(f'{self._token},admin,admin,"system:masters"\n')
        subprocess.run(
            [self._binaries["openssl"], "genrsa", "-out", self.folder / "service-accounts.key", "2048"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        Authority(self._binaries["openssl"], self._front_proxy, name="front-proxy-ca").issue(
            "client", subject="front-proxy"
        )

    @property
    def _front_proxy(self) -> Path:
        # With these the API server says who asks when it passes a request on to an aggregated API, KEDA's metrics.
        return self.folder / "front-proxy"

    def _write_kubeconfig(self, path: Path, *, token: str) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self._certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user", "namespace": "default"}}],
            "current-context": "test",
        }
        # JSON is YAML.
        path.write_text(json.dumps(config, indent=2))

    def _etcd_command(self, url: str) -> list[str | Path]:
        peer_url = f"http://127.0.0.1:{free_port()}"
        return [
            self._binaries["etcd"],
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
        ]

    def _api_server_command(self, etcd_url: str) -> list[str | Path]:
        return [
            self._binaries["kube-apiserver"],
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'service-accounts.key'}",
            f"--service-account-signing-key-file={self.folder / 'service-accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            f"--proxy-client-cert-file={self._front_proxy / 'client.crt'}",
            f"--proxy-client-key-file={self._front_proxy / 'client.key'}",
            f"--requestheader-client-ca-file={self._front_proxy / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            # Clients then list, and watch from there. A watch that begins with the list needs etcd's progress
            # notifications, which Debian 12's etcd 3.4.23 lacks: each such watch breaks, and clients wait up to 40 s.
            "--feature-gates=WatchList=false",
            # It taints new nodes as not ready, and only the node lifecycle controller takes that off again.
            "--disable-admission-plugins=TaintNodesByCondition",
        ]

    def _controller_command(self) -> list[str | Path]:
        return [
            self._binaries["kube-controller-manager"],
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--horizontal-pod-autoscaler-sync-period=1s",
        ]

    def _scheduler_command(self) -> list[str | Path]:
        return [
            self._binaries["kube-scheduler"],
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]
