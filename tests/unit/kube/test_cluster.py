"""The cluster as the controller sees it: targets, their pods and owners, and when they can't be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from cluster.waiting import wait_until
from fake_api.objects import (
    T0_S,
    autoscaler,
    changed,
    deployment,
    hpa,
    pod,
    scaled_object,
    worker_set,
)
from fake_api.server import FakeApi

from autoscaler.kube.cluster import KubeCluster
from autoscaler.kube.facts import OwnerKind, Target, TargetKey, Unavailable
from autoscaler.kube.parse import UNREAD_SPEC, parse_autoscaler
from autoscaler.kube.watches import NAMESPACES_MAX

LLM = TargetKey("team", "apps/v1", "Deployment", "llm")
WORKERS = TargetKey("team", "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "llm")


def until(condition, what="it"):
    return wait_until(condition, timeout_s=20.0, what=what, every_s=0.005)


class Clock:
    """The time, which tests move on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(api: FakeApi, kube, clock) -> Iterator[Callable[..., KubeCluster]]:
    """Clusters that are synced, and stopped at the end."""
    made = []

    def begin(namespace=None, *, wait=True, **options) -> KubeCluster:
        cluster = KubeCluster(kube, namespace, clock=clock, **options).start()
        made.append(cluster)
        if wait:
            assert cluster.wait_synced(20.0)
        return cluster

    yield begin
    for cluster in made:
        cluster.stop()


@pytest.fixture
def llm(api: FakeApi) -> None:
    """An object, its Deployment and two pods."""
    api.put("predictiveautoscalers", autoscaler())
    api.put("deployments", deployment())
    api.put("pods", pod("llm-0"))
    api.put("pods", pod("llm-1", ready_at=None))
    api.put("pods", pod("other", labels={"app": "other"}))


def asked(api: FakeApi, word: str) -> list[str]:
    """Paths of GETs that are no watches and contain a word."""
    addresses = [urlsplit(path) for verb, path, _ in api.requests if verb == "GET"]
    return [each.path for each in addresses if word in each.path and "watch" not in parse_qs(each.query)]


def said(cluster: KubeCluster, key: TargetKey = LLM) -> str:
    seen = cluster.target(key)
    return seen.reason if isinstance(seen, Unavailable) else "Available"


def test_a_target_with_its_pods(api, llm, make):
    cluster = make()
    assert cluster.synced()
    assert [each.metadata.name for each in cluster.objects()] == ["llm"]
    target = cluster.target(LLM)
    assert isinstance(target, Target)
    assert (target.key, target.replicas, target.owners, target.rolling) == (LLM, 2, (), False)
    assert [(each.name, each.ready, each.created_s) for each in target.pods] == [
        ("llm-0", True, T0_S),
        ("llm-1", False, T0_S),
    ]
    assert target.resource_version == api.read("deployments", "llm")["metadata"]["resourceVersion"]


def test_changes_are_seen_without_asking(api, llm, make):
    cluster = make()
    before = len(asked(api, ""))
    api.edit("deployments", "llm", lambda body: body["spec"].update(replicas=5))
    until(lambda: cluster.target(LLM).replicas == 5)
    assert cluster.target(LLM).rolling
    api.put("pods", pod("llm-1"))
    until(lambda: cluster.target(LLM).pods[1].ready)
    api.remove("pods", "llm-0")
    until(lambda: len(cluster.target(LLM).pods) == 1)
    assert len(asked(api, "")) == before


def test_the_scale_of_other_kinds_is_read_once_per_change(api, make):
    api.put("predictiveautoscalers", autoscaler(kind="LeaderWorkerSet", api_version=WORKERS.api_version))
    api.put("leaderworkersets", worker_set())
    api.put("pods", pod("llm-0"))
    cluster = make()
    assert [cluster.target(WORKERS).replicas for _ in range(5)] == [2] * 5
    assert [each.name for each in cluster.target(WORKERS).pods] == ["llm-0"]
    assert len(asked(api, "llm/scale")) == 1
    api.edit("leaderworkersets", "llm", lambda body: body["spec"].update(replicas=4))
    until(lambda: cluster.target(WORKERS).replicas == 4)
    assert (
        cluster.target(WORKERS).resource_version == api.read("leaderworkersets", "llm")["metadata"]["resourceVersion"]
    )
    assert len(asked(api, "llm/scale")) == 2


def test_a_scale_that_hangs_does_not_hold_up_every_target(api, make, clock):
    api.put("predictiveautoscalers", autoscaler(kind="LeaderWorkerSet", api_version=WORKERS.api_version))
    api.put("leaderworkersets", worker_set())
    cluster = make()
    with api.fault("GET", "/scale", hang_s=30.0):
        assert [said(cluster, WORKERS) for _ in range(20)] == ["Timeout"] * 20
        assert len(asked(api, "llm/scale")) == 1
    clock.ahead_s += 11.0
    assert said(cluster, WORKERS) == "Available"


def test_a_workload_that_does_not_tell_its_selector_is_unavailable(api, make):
    api.put("predictiveautoscalers", autoscaler(kind="LeaderWorkerSet", api_version=WORKERS.api_version))
    api.put("leaderworkersets", changed(worker_set(), spec__selector={}))
    assert said(make(), WORKERS) == "NoSelector"


def test_owners_are_found_and_kedas_hpa_comes_after_its_scaled_object(api, llm, make):
    api.put("horizontalpodautoscalers", hpa("keda-hpa-llm", made_by="mine"))
    api.put("horizontalpodautoscalers", hpa("unrelated", target="other"))
    api.put("scaledobjects", scaled_object("mine", minReplicaCount=2))
    cluster = make()
    owners = cluster.target(LLM).owners
    assert [str(owner) for owner in owners] == [
        "ScaledObject team/mine",
        "HorizontalPodAutoscaler team/keda-hpa-llm",
    ]
    assert owners[0].replicas_min == 2
    api.remove("scaledobjects", "mine")
    api.remove("horizontalpodautoscalers", "keda-hpa-llm")
    until(lambda: cluster.target(LLM).owners == ())


def test_an_hpa_whose_scaled_object_can_not_be_seen_is_not_for_patching(api, llm, make):
    api.put("horizontalpodautoscalers", hpa("keda-hpa-llm", made_by="hidden"))
    first = make().target(LLM).owners[0]
    assert (first.kind, first.name, first.paused) == (OwnerKind.SCALED_OBJECT, "hidden", "it can't be read")


def test_keda_may_be_installed_later_and_removed(api, llm, make, clock):
    keda = next(kind for kind in api.kinds if kind.kind == "ScaledObject")
    api.kinds.remove(keda)
    cluster = make()
    assert said(cluster) == "Available"
    api.kinds.append(keda)
    api.put("scaledobjects", scaled_object())
    clock.ahead_s += 301.0
    api.edit("predictiveautoscalers", "llm", lambda body: body["spec"].update(maxReplicas=9))
    until(lambda: said(cluster) == "Available" and cluster.target(LLM).owners)

    api.kinds.remove(keda)
    api.cut_watches()
    until(lambda: any("scaledobjects" in str(error) for error in cluster.errors()))
    clock.ahead_s += 61.0
    api.edit("predictiveautoscalers", "llm", lambda body: body["spec"].update(maxReplicas=8))
    until(lambda: said(cluster) == "Available" and not cluster.target(LLM).owners)


def test_not_to_know_whether_keda_is_there_makes_targets_unavailable(api, llm, make):
    with api.fault("GET", "/apis/keda.sh", status=503):
        cluster = make(wait=False)
        until(cluster.objects)
        until(lambda: asked(api, "/pods"))
        assert said(cluster) == "CacheNotSynced"
        assert not cluster.synced()


def test_what_does_not_exist_says_so(api, llm, make):
    sets, leases = "leaderworkerset.x-k8s.io/v1", "coordination.k8s.io/v1"
    api.put("predictiveautoscalers", autoscaler("typo", api_version=sets, kind="LeaderWorkerSett"))
    api.put("predictiveautoscalers", autoscaler("lease", api_version=leases, kind="Lease"))
    cluster = make()
    reasons = {
        "KindUnknown": TargetKey("team", sets, "LeaderWorkerSett", "typo"),
        "NoScaleSubresource": TargetKey("team", leases, "Lease", "lease"),
        "TargetNotFound": TargetKey("team", "apps/v1", "Deployment", "missing"),
    }
    assert {reason: said(cluster, key) for reason, key in reasons.items()} == {reason: reason for reason in reasons}
    assert "LeaderWorkerSett" in cluster.target(reasons["KindUnknown"]).message


def test_a_workload_that_is_deleted_is_seen_to_go(api, llm, make):
    cluster = make()
    api.edit(
        "deployments",
        "llm",
        lambda body: body["metadata"].update(deletionTimestamp="2026-01-31T12:00:00Z", finalizers=["x"]),
    )
    until(lambda: said(cluster) == "TargetDeleting")
    api.remove("deployments", "llm")
    until(lambda: said(cluster) == "TargetNotFound")


def test_pods_that_a_deleted_workload_leaves_are_told_by_the_selector_that_it_had(api, llm, make):
    cluster = make()
    assert said(cluster) == "Available"
    api.remove("deployments", "llm")
    until(lambda: said(cluster) == "TargetNotFound")
    assert [pod.name for pod in cluster.target(LLM).pods] == ["llm-0", "llm-1"]
    api.remove("pods", "llm-0")
    api.remove("pods", "llm-1")
    until(lambda: cluster.target(LLM).pods == ())
    late = make()
    assert (said(late), late.target(LLM).pods) == ("TargetNotFound", None)


def test_a_minute_without_the_api_server_makes_targets_unavailable_until_it_is_back(api, llm, make, clock):
    cluster = make()
    api.stop()
    until(lambda: len(cluster.errors()) == 5)
    assert said(cluster) == "Available"
    clock.ahead_s += 61.0
    assert said(cluster) == "ClusterStale"
    assert "nothing was heard of deployments.apps" in cluster.target(LLM).message
    assert cluster.synced()
    api.start()
    until(lambda: said(cluster) == "Available")
    api.edit("deployments", "llm", lambda body: body["spec"].update(replicas=3))
    until(lambda: cluster.target(LLM).replicas == 3)


def test_what_is_forbidden_names_the_verb_and_holds_up_nothing_else(api, llm, make):
    api.put("predictiveautoscalers", autoscaler(kind="StatefulSet"))
    api.put("predictiveautoscalers", autoscaler("other"))
    api.put("deployments", deployment("other"))
    with api.fault("GET", "/statefulsets", status=403):
        cluster = make()
        forbidden = TargetKey("team", "apps/v1", "StatefulSet", "llm")
        assert said(cluster, forbidden) == "Forbidden"
        assert "the verb 'list' on 'statefulsets.apps'" in cluster.target(forbidden).message
        assert said(cluster, TargetKey("team", "apps/v1", "Deployment", "other")) == "Available"


def test_objects_come_and_go_and_their_watches_with_them(api, make):
    cluster = make()
    assert cluster.objects() == ()
    assert not asked(api, "/pods")
    api.put("predictiveautoscalers", autoscaler())
    api.put("deployments", deployment())
    until(lambda: said(cluster) == "Available")
    assert asked(api, "/pods") == ["/api/v1/namespaces/team/pods"]
    assert asked(api, "/deployments") == ["/apis/apps/v1/deployments"]
    api.remove("predictiveautoscalers", "llm")
    # Of objects, HPAs and ScaledObjects.
    until(lambda: api.watchers == 3)
    assert cluster.objects() == ()


def test_an_object_that_can_not_be_read_is_reported_and_serves_on_as_it_was(api, llm, make):
    api.put("predictiveautoscalers", changed(autoscaler("bad"), spec__maxReplicas="many"))
    cluster = make()
    assert list(cluster.problems()) == [("team", "bad")]
    assert "spec.maxReplicas" in cluster.problems()["team", "bad"]
    api.put("predictiveautoscalers", changed(autoscaler(), spec__maxReplicas=-1))
    until(lambda: ("team", "llm") in cluster.problems())
    bad, llm = cluster.objects()
    assert (bad.metadata.name, bad.spec) == ("bad", UNREAD_SPEC)
    assert (llm.metadata.name, llm.spec.max_replicas) == ("llm", 8)


def test_an_object_that_can_not_be_read_is_seen_to_change_and_to_go(api, llm, make):
    cluster = make()
    (before,) = cluster.objects()
    api.put("predictiveautoscalers", changed(autoscaler(maxReplicas=-1), metadata__finalizers=["acme.io/x"]))
    until(lambda: cluster.objects()[0].metadata.generation > before.metadata.generation)
    assert cluster.objects()[0].spec is before.spec
    api.delete("predictiveautoscalers", "llm")
    until(lambda: cluster.objects()[0].metadata.deletion_timestamp)
    api.remove("predictiveautoscalers", "llm")
    until(lambda: not cluster.objects())


def test_nothing_is_watched_for_what_was_never_read_until_it_is(api, make):
    api.put("predictiveautoscalers", autoscaler(timeZone="Europe/Berlni"))
    api.put("deployments", deployment())
    cluster = make()
    assert cluster.objects()[0].spec is UNREAD_SPEC
    assert not asked(api, "/pods")
    assert not asked(api, "/deployments")
    api.put("predictiveautoscalers", autoscaler(timeZone="Europe/Berlin"))
    until(lambda: said(cluster) == "Available")
    assert not cluster.problems()
    assert cluster.objects()[0].spec.time_zone == "Europe/Berlin"


def test_one_namespace_is_watched_alone(api, llm, make):
    api.put("predictiveautoscalers", autoscaler("elsewhere"), namespace="elsewhere")
    cluster = make("team")
    assert [each.metadata.name for each in cluster.objects()] == ["llm"]
    assert said(cluster) == "Available"
    asked_of = [path for path in asked(api, "") if not path.endswith("/v1") and "keda.sh/v1alpha1" not in path]
    assert all("/namespaces/team/" in path for path in asked_of)


def test_many_namespaces_share_one_watch_of_pods(api, make):
    for i in range(NAMESPACES_MAX):
        where = f"n{i}"
        api.put("predictiveautoscalers", autoscaler(), namespace=where)
        api.put("deployments", deployment(), namespace=where)
        api.put("pods", changed(pod(), metadata__namespace=where), namespace=where)
    cluster = make()
    keys = [TargetKey(f"n{i}", "apps/v1", "Deployment", "llm") for i in range(NAMESPACES_MAX + 1)]
    assert [len(cluster.target(key).pods) for key in keys[:-1]] == [1] * NAMESPACES_MAX
    assert "/api/v1/pods" not in asked(api, "/pods")
    for plural, body in (("predictiveautoscalers", autoscaler()), ("deployments", deployment()), ("pods", pod())):
        api.put(plural, body, namespace=keys[-1].namespace)
    # Pods are known at every moment of the change.
    until(lambda: all(len(cluster.target(key).pods) == 1 for key in keys[:-1]) and api.watchers == 5)
    until(lambda: said(cluster, keys[-1]) == "Available")
    assert "/api/v1/pods" in asked(api, "/pods")
    assert [len(cluster.target(key).pods) for key in keys] == [1] * len(keys)


def test_objects_may_come_from_elsewhere(api, make):
    api.put("deployments", deployment())
    given = parse_autoscaler(changed(autoscaler(), metadata__namespace="team"))
    cluster = make(given=lambda: (given,))
    assert cluster.objects() == (given,)
    assert said(cluster) == "Available"
    assert not asked(api, "predictiveautoscalers")
