"""RBAC is enough and not more: Headstart's own calls, made under the ServiceAccount's token on a real API server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cluster import definitions
from cluster.control_plane import ControlPlane
from cluster.kubectl import Kubectl
from cluster.recorded_calls import RecordingTransport
from cluster.waiting import wait_until
from cluster.workloads import deployment, horizontal_pod_autoscaler, predictive_autoscaler, scaled_object
from kubernetes import client, config
from manifest_rights import ACCOUNT, LEASES, MANIFESTS, NAMESPACE, NEEDED, OVERLAYS, WARM_NODES, Right

from autoscaler.actuators.apply import apply
from autoscaler.actuators.outcome import Action, ActuatorMemory, Outcome
from autoscaler.actuators.placeholders import set_placeholders
from autoscaler.actuators.restore import release
from autoscaler.api.v1alpha1 import API_VERSION, KIND, PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.cluster import KubeCluster
from autoscaler.kube.events import EventRecorder, Regarding
from autoscaler.kube.facts import Target
from autoscaler.kube.lease import LeaderElection
from autoscaler.kube.watches import target_of

CRDS = Path(__file__).resolve().parent / "crds"
ROLES = ("headstart", "headstart-floor", "headstart-scale")
# What nobody would look for in the rights of an autoscaler is asked for too.
RESOURCES = sorted(
    {right.resource for right in NEEDED["scale"] | LEASES}
    | {
        *("pods/exec", "pods/log", "pods/eviction", "pods/binding", "secrets", "configmaps", "nodes", "namespaces"),
        *("serviceaccounts", "serviceaccounts/token", "services", "persistentvolumes", "replicasets.apps"),
        *("replicasets.apps/scale", "daemonsets.apps", "jobs.batch", "horizontalpodautoscalers.autoscaling/status"),
        *("scaledobjects.keda.sh/status", "triggerauthentications.keda.sh", "networkpolicies.networking.k8s.io"),
        *("roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io"),
        *("clusterrolebindings.rbac.authorization.k8s.io", "poddisruptionbudgets.policy"),
        "customresourcedefinitions.apiextensions.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    }
)
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind", "impersonate")

# name: kind of workload, its owner, and the mode of its object.
OBJECTS = {
    "watched": ("Deployment", None, "Shadow"),
    "by-hpa": ("Deployment", "hpa", "Floor"),
    "by-keda": ("Deployment", "keda", "Floor"),
    "alone": ("Deployment", None, "Scale"),
    "ordered": ("StatefulSet", None, "Scale"),
    "groups": ("LeaderWorkerSet", None, "Scale"),
}
MODES = {"shadow": {"Shadow"}, "floor": {"Shadow", "Floor"}, "scale": {"Shadow", "Floor", "Scale"}}


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Kubectl:
    return Kubectl(kubeconfig)


@pytest.fixture(scope="module")
def kinds(api: client.ApiClient, predictive_autoscalers: None, scaled_objects: None) -> None:
    """All kinds that Headstart looks at."""
    definitions.install(api, CRDS / "leaderworkersets.leaderworkerset.x-k8s.io.yaml")


class Account:
    """Headstart's ServiceAccount, and what it did."""

    def __init__(self, api: client.ApiClient) -> None:
        self._reviews = client.AuthorizationV1Api(api)
        self.transport = RecordingTransport(api)
        self.kube = Kube(self.transport)

    def may(self, right: Right, *, namespace: str | None) -> bool:
        """Ask as `kubectl auth can-i` does."""
        name, _, subresource = right.resource.partition("/")
        plural, _, group = name.partition(".")
        attributes = {"verb": right.verb, "resource": plural, "group": group, "subresource": subresource}
        # One object's name: a rule for the Lease 'headstart' is for no other.
        attributes |= {"namespace": namespace or "", "name": "headstart" if plural == "leases" else ""}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        answer = self._reviews.create_self_subject_access_review(
            {**body, "spec": {"resourceAttributes": attributes}}, _request_timeout=10
        )
        return bool(answer.status.allowed)


@pytest.fixture
def account(request: pytest.FixtureRequest, cluster: ControlPlane, kubectl: Kubectl, kinds: None) -> Iterator[Account]:
    """The account with the rights of the overlay that the test is parametrized with; they are taken away again."""
    overlay: str = request.param
    built = kubectl("kustomize", MANIFESTS / "overlays" / overlay)
    # Without the Deployment, whose pods nobody needs here.
    wanted = [text for text in built.split("\n---\n") if "\nkind: Deployment\n" not in text]
    kubectl("apply", "--server-side", "--filename=-", stdin="\n---\n".join(wanted))
    with config.new_client_from_config(str(cluster.service_account_kubeconfig(NAMESPACE, ACCOUNT))) as api:
        acting = Account(api)
        # The authorizer follows by a watch of its own.
        for right in NEEDED[overlay] | LEASES:
            wait_until(lambda right=right: acting.may(right, namespace=NAMESPACE), timeout_s=60, what=f"{right}")
        yield acting
        kubectl("delete", "clusterrolebinding,clusterrole", "--ignore-not-found", *ROLES)
        wait_until(
            lambda: not any(acting.may(right, namespace=NAMESPACE) for right in NEEDED[overlay]),
            timeout_s=60,
            what="the rights to be gone",
        )


def by_overlay(*overlays: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("account", "overlay"), [(each, each) for each in overlays], indirect=["account"])


def create_objects(api: client.ApiClient, namespace: str) -> None:
    """As the administrator: workloads of one replica, what scales them, and objects that name them."""
    apps, custom = client.AppsV1Api(api), client.CustomObjectsApi(api)
    autoscaling = client.AutoscalingV2Api(api)
    for name, (kind, owner, mode) in OBJECTS.items():
        body = deployment(name, replicas=1)
        ours = predictive_autoscaler(name, target=name, query="demand", mode=mode)
        if kind == "Deployment":
            apps.create_namespaced_deployment(namespace, body, _request_timeout=10)
        elif kind == "StatefulSet":
            stateful = {**body, "kind": kind, "spec": {**body["spec"], "serviceName": name}}
            apps.create_namespaced_stateful_set(namespace, stateful, _request_timeout=10)
        else:
            ours["spec"]["scaleTargetRef"]["apiVersion"] = "leaderworkerset.x-k8s.io/v1"
            group = (*("leaderworkerset.x-k8s.io", "v1"), namespace, "leaderworkersets")
            about = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": kind, "metadata": {"name": name}}
            custom.create_namespaced_custom_object(*group, {**about, "spec": {"replicas": 1}}, _request_timeout=10)
            custom.patch_namespaced_custom_object_status(
                *group, name, {"status": {"replicas": 1, "hpaPodSelector": f"app={name}"}}, _request_timeout=10
            )
        ours["spec"]["scaleTargetRef"]["kind"] = kind
        if owner == "hpa":
            hpa = horizontal_pod_autoscaler(name, target=name, minimum=1, maximum=9)
            autoscaling.create_namespaced_horizontal_pod_autoscaler(namespace, hpa, _request_timeout=10)
        elif owner == "keda":
            custom.create_namespaced_custom_object(
                *("keda.sh", "v1alpha1"),
                namespace,
                "scaledobjects",
                scaled_object(name, target=name, minimum=1, maximum=9),
                _request_timeout=10,
            )
        custom.create_namespaced_custom_object(
            *("headstart.dev", "v1alpha1"), namespace, "predictiveautoscalers", ours, _request_timeout=10
        )


def seen(view: KubeCluster, namespace: str) -> dict[str, tuple[PredictiveAutoscaler, Target]]:
    """The namespace's objects and their targets, once all are known; nothing until then."""
    found = {}
    for autoscaler in view.objects():
        target = view.target(target_of(autoscaler))
        if autoscaler.metadata.namespace == namespace and isinstance(target, Target):
            found[autoscaler.metadata.name] = (autoscaler, target)
    owned = {name for name, (_, target) in found.items() if target.owners}
    return found if set(found) == set(OBJECTS) and owned == {"by-hpa", "by-keda"} else {}


def lead_and_resign(kube: Kube) -> None:
    election = LeaderElection(
        kube,
        namespace=NAMESPACE,
        name="headstart",
        identity="test",
        on_started=lambda: None,
        on_stopped=lambda: None,
    )
    election.start()
    wait_until(election.is_leader, timeout_s=20, what="the lease")
    election.stop()


def tell_twice(kube: Kube, autoscaler: PredictiveAutoscaler) -> None:
    events = EventRecorder(kube, instance="test")
    about = autoscaler.metadata
    for _ in range(2):
        regarding = Regarding(API_VERSION, KIND, about.namespace, about.name, about.uid)
        events.record(regarding, type="Normal", reason="Tested", message="told twice")
    events.stop()
    assert events.dropped == 0


def make_stale(api: client.ApiClient, namespace: str) -> None:
    """Change workloads behind the snapshot, so that their scale is read anew."""
    apps = client.AppsV1Api(api)
    change: Any = {"metadata": {"annotations": {"test": "changed"}}}
    apps.patch_namespaced_deployment("alone", namespace, change, _request_timeout=10)
    apps.patch_namespaced_stateful_set("ordered", namespace, change, _request_timeout=10)


def carry_out(kube: Kube, found: dict[str, tuple[PredictiveAutoscaler, Target]]) -> dict[str, Outcome]:
    """Order two replicas for each object in its mode."""
    memory = ActuatorMemory()
    return {
        name: apply(kube, autoscaler, target, 2, now_s=time.time(), memory=memory)
        for name, (autoscaler, target) in found.items()
    }


@by_overlay(*OVERLAYS)
def test_what_headstart_does_needs_every_right_that_it_has_and_no_other(
    account: Account, overlay: str, api: client.ApiClient, namespace: str
) -> None:
    create_objects(api, namespace)
    client.CoordinationV1Api(api).delete_collection_namespaced_lease(NAMESPACE, _request_timeout=10)
    lead_and_resign(account.kube)
    view = KubeCluster(account.kube).start()
    try:
        assert view.wait_synced(60.0), view.errors()
        found = wait_until(lambda: seen(view, namespace), timeout_s=30, what="all objects, targets and owners")
        assert view.errors() == ()
    finally:
        view.stop()
    about = found["watched"][0].metadata
    account.kube.patch_status(about.namespace, about.name, {"desiredReplicas": 2})
    tell_twice(account.kube, found["watched"][0])

    make_stale(api, namespace)
    permitted = {name: each for name, each in found.items() if OBJECTS[name][2] in MODES[overlay]}
    outcomes = carry_out(account.kube, permitted)
    patched = {name for name, outcome in outcomes.items() if outcome.action is Action.PATCHED}
    assert patched == permitted.keys() - {"watched"}, outcomes
    for name in patched & {"by-hpa", "by-keda"}:
        assert release(account.kube, found[name][0]).reason == "FloorPutBack"

    assert account.transport.used == NEEDED[overlay] | LEASES


@by_overlay("shadow")
def test_warm_nodes_need_every_right_of_their_component_and_no_other(
    account: Account, overlay: str, kubectl: Kubectl, api: client.ApiClient, namespace: str
) -> None:
    definitions.install(api, CRDS / "capacitybuffers.autoscaling.x-k8s.io.yaml")
    client.AppsV1Api(api).create_namespaced_deployment(namespace, deployment("warm", replicas=0), _request_timeout=10)
    buffer = {"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer", "metadata": {"name": "warm"}}
    client.CustomObjectsApi(api).create_namespaced_custom_object(
        *("autoscaling.x-k8s.io", "v1beta1", namespace, "capacitybuffers"),
        {**buffer, "spec": {"podTemplateRef": {"name": "warm"}, "replicas": 0}},
        _request_timeout=10,
    )

    def place(kind: str) -> Outcome:
        placeholders = {"kind": kind, "name": "warm", "maxReplicas": 9}
        ours = predictive_autoscaler(
            "chat", target="chat", query="demand", nodeHeadStart={"placeholders": placeholders}
        )
        ours["metadata"]["namespace"] = namespace
        asking = PredictiveAutoscaler.from_manifest(ours)
        return set_placeholders(account.kube, asking, 2, held=False, now_s=time.time(), memory=ActuatorMemory())

    missing = {"Deployment": "deployments.apps/scale", "CapacityBuffer": "capacitybuffers.autoscaling.x-k8s.io"}
    for kind, resource in missing.items():
        refused = place(kind)
        assert (refused.action, refused.reason) == (Action.REFUSED, "PlaceholdersForbidden")
        assert resource in refused.message
    component = MANIFESTS / "components" / "node-head-start" / "rbac.yaml"
    kubectl("apply", "--server-side", "--filename", component)
    try:
        for right in WARM_NODES:
            wait_until(lambda right=right: account.may(right, namespace=namespace), timeout_s=60, what=f"{right}")
        assert {place(kind).action for kind in missing} == {Action.PATCHED}
        assert account.transport.used == WARM_NODES
    finally:
        kubectl("delete", "--filename", component)


@by_overlay("shadow", "floor")
def test_a_mode_beyond_the_overlay_changes_nothing_and_names_the_right_that_is_missing(
    account: Account, overlay: str, api: client.ApiClient, namespace: str
) -> None:
    create_objects(api, namespace)
    view = KubeCluster(account.kube).start()
    try:
        found = wait_until(lambda: seen(view, namespace), timeout_s=30, what="all objects, targets and owners")
    finally:
        view.stop()
    beyond = {name: each for name, each in found.items() if OBJECTS[name][2] not in MODES[overlay]}
    outcomes = carry_out(account.kube, beyond)
    assert {(each.action, each.reason) for each in outcomes.values()} == {(Action.FAILED, "Forbidden")}
    missing = {"alone": "deployments.apps/scale", "by-hpa": "predictiveautoscalers.headstart.dev"}
    for name in missing.keys() & outcomes.keys():
        assert missing[name] in outcomes[name].message
    workloads = client.AppsV1Api(api).list_namespaced_deployment(namespace, _request_timeout=10).items
    assert {each.spec.replicas for each in workloads} == {1}


@by_overlay(*OVERLAYS)
def test_the_answer_to_everything_else_is_no(account: Account, overlay: str, namespace: str) -> None:
    asked = [Right(verb, resource) for verb, resource in product(VERBS, RESOURCES)]
    assert {right for right in asked if account.may(right, namespace=namespace)} == NEEDED[overlay]
    assert {right for right in asked if account.may(right, namespace=NAMESPACE)} == NEEDED[overlay] | LEASES


@by_overlay("scale")
def test_kubectl_auth_can_i_tells_the_same(account: Account, overlay: str, kubectl: Kubectl, namespace: str) -> None:
    asking = (f"--as=system:serviceaccount:{NAMESPACE}:{ACCOUNT}", f"--namespace={namespace}")
    for arguments, answer in {
        ("patch", "deployments.apps", "--subresource=scale"): "yes",
        ("patch", "deployments.apps"): "no",
        ("get", "secrets"): "no",
        ("delete", "pods"): "no",
    }.items():
        assert kubectl.run("auth", "can-i", *arguments, *asking).stdout.strip() == answer, arguments


@by_overlay("scale")
def test_role_bindings_limit_it_to_one_namespace(
    account: Account, overlay: str, kubectl: Kubectl, api: client.ApiClient, namespace: str
) -> None:
    kubectl("delete", "clusterrolebinding", *ROLES)
    for role in ROLES:
        kubectl(
            *("create", "rolebinding", role, f"--clusterrole={role}", f"--namespace={namespace}"),
            f"--serviceaccount={NAMESPACE}:{ACCOUNT}",
        )
    for right in NEEDED[overlay]:
        wait_until(
            lambda right=right: account.may(right, namespace=namespace) and not account.may(right, namespace="default"),
            timeout_s=60,
            what=f"{right} to count in one namespace only",
        )
    create_objects(api, namespace)
    view = KubeCluster(account.kube, namespace).start()
    try:
        found = wait_until(lambda: seen(view, namespace), timeout_s=30, what="all objects, targets and owners")
        assert view.errors() == ()
    finally:
        view.stop()
    outcomes = carry_out(account.kube, found)
    assert {name for name, each in outcomes.items() if each.action is Action.PATCHED} == set(OBJECTS) - {"watched"}
