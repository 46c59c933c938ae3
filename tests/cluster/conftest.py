"""A real cluster and a real Prometheus for the tests in this folder.

The cluster is started once per session, in about 5 s, and each test has a namespace of its own; without the programs
(`make control-plane`, `make keda`, Debian's etcd-server and prometheus) the tests are skipped, and fail under CI=true.
What the programs printed is shown with a test that fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest
from kubernetes import client, config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster import binaries, control_plane, definitions, keda_programs, prometheus_server
from cluster.control_plane import ControlPlane
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.fake_nodes import Kwok
from cluster.faulty_prometheus import FaultyPrometheus
from cluster.keda_objects import KedaObjects
from cluster.keda_programs import Keda
from cluster.live_objects import LiveObjects
from cluster.processes import Process
from cluster.prometheus_server import PrometheusServer
from cluster.scripted_scaler import ScriptedScaler
from cluster.waiting import wait_until

FOLDER = Path(__file__).resolve().parent
NODES = 3
TEST_S = 900
started: list[Process] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each wait here has a limit of its own; this one is for all of a test's together, programs' starts included."""
    for item in items:
        # All that are collected are in `items`, those of other folders too.
        if item.path.resolve().is_relative_to(FOLDER) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the logs with a failure."""
    report = yield
    if report.failed:
        report.sections += [(f"end of {process.log}", process.tail()) for process in started]
    return report


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The running control plane with the nodes fake-0, fake-1 and fake-2 of 8 GPUs each, whose pods kwok plays.

    Give pods `workloads.pod_annotations(load="2s")` to let them load for 2 s. `cluster.restart_api_server()` and its
    halves break the connections of everyone; `cluster.service_account_kubeconfig()` acts as a ServiceAccount.
    """
    programs = binaries.require(*control_plane.BINARIES, "kwok")
    folder = tmp_path_factory.mktemp("cluster")
    plane = ControlPlane(programs, folder)
    kwok = Kwok(programs["kwok"], plane.kubeconfig, folder)
    processes = [*plane.processes, kwok.process]
    started.extend(processes)
    try:
        plane.start()
        with config.new_client_from_config(str(plane.kubeconfig)) as api:
            kwok.start(api, nodes=NODES)
        yield plane
    finally:
        kwok.stop()
        plane.stop()
        for process in processes:
            started.remove(process)


@pytest.fixture(scope="session")
def kubeconfig(cluster: ControlPlane) -> Path:
    """Path of the administrator's kubeconfig file."""
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """The kubernetes package's client as administrator; pass `_request_timeout` with each call."""
    with config.new_client_from_config(str(kubeconfig)) as connected:
        yield connected


@pytest.fixture
def namespace(api: client.ApiClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new namespace, ready for pods; it is deleted after the test, which nobody waits for."""
    core = client.CoreV1Api(api)
    created = core.create_namespace({"metadata": {"generateName": "test-"}}, _request_timeout=10)
    name = created.metadata.name
    # Pods are refused until the controller manager has made the namespace's ServiceAccount.
    wait_until(
        lambda: core.read_namespaced_service_account("default", name, _request_timeout=5),
        timeout_s=90,
        what=f"the ServiceAccount {name}/default",
    )
    yield name
    core.delete_namespace(name, _request_timeout=10)


@pytest.fixture(scope="session")
def scaled_objects(api: client.ApiClient) -> None:
    """KEDA's ScaledObjects can be created, by its CRD without KEDA: nobody acts on them."""
    definitions.install(api, FOLDER / "crds" / "scaledobjects.keda.sh.yaml")


@pytest.fixture(scope="session")
def predictive_autoscalers(api: client.ApiClient) -> None:
    """PredictiveAutoscalers can be created: the committed manifests/crd/predictiveautoscalers.yaml is installed."""
    definitions.install(api, FOLDER.parents[1] / "manifests" / "crd" / "predictiveautoscalers.yaml")


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """An exporter without series; `prometheus` scrapes it."""
    serving = Exporter()
    yield serving
    serving.close()


@pytest.fixture
def prometheus(tmp_path: Path, exporter: Exporter) -> Iterator[PrometheusServer]:
    """A Prometheus that is not started yet: `backfill` its history, then `start` it."""
    server = PrometheusServer(binaries.require(*prometheus_server.BINARIES), tmp_path, exporter_port=exporter.port)
    started.append(server.process)
    try:
        yield server
    finally:
        server.stop()
        started.remove(server.process)


@pytest.fixture
def faulty_prometheus(prometheus: PrometheusServer) -> Iterator[FaultyPrometheus]:
    """A proxy before `prometheus` that goes wrong when `set_fault` says so."""
    proxy = FaultyPrometheus(prometheus.url)
    yield proxy
    proxy.close()


@pytest.fixture
def headstart(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Controller]]:
    """Make `headstart run` for the test's namespace: `headstart("one", prometheus_url=..., options=[...])`."""
    made: list[Controller] = []

    def make(name: str, *, prometheus_url: str, options: Sequence[str | Path] = ()) -> Controller:
        controller = Controller(
            name,
            tmp_path,
            kubeconfig=cluster.kubeconfig,
            prometheus_url=prometheus_url,
            namespace=namespace,
            options=options,
        )
        made.append(controller)
        started.append(controller.process)
        return controller

    yield make
    for controller in made:
        controller.end(kill=True)
        started.remove(controller.process)


@pytest.fixture
def live(api: client.ApiClient, namespace: str) -> LiveObjects:
    """What the test's namespace holds."""
    return LiveObjects(api, namespace)


@pytest.fixture(scope="module")
def keda(cluster: ControlPlane, api: client.ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keda]:
    """KEDA acts on the ScaledObjects of all namespaces, for the tests of one file: others create some for nobody."""
    running = Keda(binaries.require(*keda_programs.BINARIES), cluster.kubeconfig, tmp_path_factory.mktemp("keda"))
    started.extend(running.processes)
    try:
        running.start(api)
        yield running
    finally:
        running.stop(api)
        for process in running.processes:
            started.remove(process)


@pytest.fixture
def scaled(keda: Keda, api: client.ApiClient, namespace: str) -> KedaObjects:
    """What KEDA makes of the test's namespace."""
    return KedaObjects(api, namespace)


@pytest.fixture
def scaler() -> Iterator[ScriptedScaler]:
    """An external scaler that does as the test says; it serves."""
    scripted = ScriptedScaler()
    scripted.start()
    yield scripted
    scripted.stop()
