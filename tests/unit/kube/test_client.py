"""Calls, against a server that counts versions."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fake_api.server import FakeApi

from autoscaler.kube.client import Kube
from autoscaler.kube.connect import connect
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.facts import Owner, OwnerKind, TargetKey
from autoscaler.kube.resources import HPAS, PODS, PREDICTIVE_AUTOSCALERS, Resource

LLM = TargetKey("team", "apps/v1", "Deployment", "llm")
DEPLOYMENT = {
    "metadata": {"name": "llm"},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "llm"}}, "template": {}},
    "status": {"replicas": 2},
}


def pods(api: FakeApi, count: int) -> None:
    for number in range(count):
        api.put("pods", {"metadata": {"name": f"p{number}", "labels": {"app": "ab"[number % 2]}}})


def failure(attempt: pytest.ExceptionInfo[KubeError]) -> KubeFailure:
    return attempt.value.kind


def test_a_list_is_read_page_by_page(api: FakeApi, kube: Kube) -> None:
    pods(api, 7)
    pages = list(kube.list_pages(PODS, namespace=None, page_items=3))
    assert [len(items) for items, _ in pages] == [3, 3, 1]
    assert len({version for _, version in pages}) == 1
    items, version = kube.list(PODS, namespace="team", label_selector="app=a", page_items=2)
    assert [item["metadata"]["name"] for item in items] == ["p0", "p2", "p4", "p6"]
    assert version == pages[0][1]


def test_pages_that_took_too_long_say_gone(api: FakeApi, kube: Kube) -> None:
    pods(api, 4)
    pages = kube.list_pages(PODS, namespace=None, page_items=2)
    next(pages)
    api.forget_history()
    with pytest.raises(KubeError) as attempt:
        next(pages)
    assert failure(attempt) is KubeFailure.GONE


def test_a_watch_tells_what_follows_the_list_and_bookmarks_the_way(api: FakeApi, kube: Kube) -> None:
    pods(api, 1)
    _, version = kube.list(PODS, namespace="team")
    api.put("deployments", DEPLOYMENT)
    pods(api, 2)
    api.edit("pods", "p1", lambda pod: pod.update(status={"phase": "Running"}))
    api.remove("pods", "p0")
    watch = kube.watch(PODS, namespace="team", resource_version=version)
    seen = [(change, thing["metadata"]["name"]) for change, thing in (next(watch) for _ in range(3))]
    assert seen == [("ADDED", "p1"), ("MODIFIED", "p1"), ("DELETED", "p0")]
    change, bookmark = next(watch)
    assert change == "BOOKMARK"
    assert int(bookmark["metadata"]["resourceVersion"]) > int(version)
    watch.close()


def test_a_watch_is_closed_from_another_thread(api: FakeApi, kube: Kube) -> None:
    api.bookmark_s = 30.0
    pods(api, 1)
    watch = kube.watch(PODS, namespace=None, resource_version="1")
    seen, first = [], threading.Event()

    def read() -> None:
        for change, _ in watch:
            seen.append(change)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(5.0)
    watch.close()
    watch.close()
    reader.join(5.0)
    assert not reader.is_alive()
    assert seen == ["ADDED"]
    api.cut_watches()


def test_a_watch_that_is_cut_ends_or_says_unreachable_and_one_that_is_silent_times_out(
    api: FakeApi, kube: Kube
) -> None:
    watch = kube.watch(PODS, namespace=None, resource_version="1", timeout_s=1.0)
    next(watch)
    api.cut_watches()
    assert [change for change, _ in watch if change != "BOOKMARK"] == []
    with api.fault("GET", "/pods", status=200, body=b'{"type": "ADDED"'), pytest.raises(KubeError) as attempt:
        list(kube.watch(PODS, namespace=None, resource_version="1"))
    assert failure(attempt) is KubeFailure.SERVER_ERROR


def test_a_version_that_is_too_old_says_gone_at_the_start_and_on_the_way(api: FakeApi, kube: Kube) -> None:
    pods(api, 1)
    under_way = kube.watch(PODS, namespace=None, resource_version="100")
    next(under_way)
    api.forget_history()
    with pytest.raises(KubeError) as attempt:
        kube.watch(PODS, namespace=None, resource_version="100")
    assert failure(attempt) is KubeFailure.GONE
    # The one under way has seen all there is: it goes on.
    assert next(under_way)[0] == "BOOKMARK"
    under_way.close()


def test_scale_is_read_and_patched_with_its_version(api: FakeApi, kube: Kube) -> None:
    api.put("deployments", DEPLOYMENT)
    scale = kube.read_scale(LLM)
    assert (scale.replicas, scale.selector, scale.status_replicas) == (3, "app=llm", 2)
    after = kube.patch_scale(LLM, replicas=0, resource_version=scale.resource_version)
    assert after.replicas == 0
    assert api.read("deployments", "llm")["spec"]["replicas"] == 0
    with pytest.raises(KubeError) as attempt:
        kube.patch_scale(LLM, replicas=5, resource_version=scale.resource_version)
    assert failure(attempt) is KubeFailure.CONFLICT
    assert api.read("deployments", "llm")["spec"]["replicas"] == 0


def test_writes_name_their_field_manager(api: FakeApi, kube: Kube) -> None:
    api.put("deployments", DEPLOYMENT)
    kube.patch_scale(LLM, replicas=1, resource_version="")
    assert api.writes()[0][1].endswith("/apis/apps/v1/namespaces/team/deployments/llm/scale?fieldManager=headstart")


def test_a_kind_without_scale_is_told_from_one_that_is_unknown(api: FakeApi, kube: Kube) -> None:
    with pytest.raises(KubeError, match="DaemonSet has no scale subresource; target a kind that has one"):
        kube.read_scale(TargetKey("team", "apps/v1", "DaemonSet", "agent"))
    with pytest.raises(KubeError, match="no kind 'Deploiment' in apps/v1"):
        kube.read_scale(TargetKey("team", "apps/v1", "Deploiment", "llm"))
    with pytest.raises(KubeError, match=r"no kind 'LLM' in acme\.io/v1"):
        kube.read_scale(TargetKey("team", "acme.io/v1", "LLM", "llm"))


def test_bounds_and_annotations_go_in_one_request_and_null_removes(api: FakeApi, kube: Kube) -> None:
    body = api.put("horizontalpodautoscalers", {"metadata": {"name": "llm"}, "spec": {"maxReplicas": 9}})
    version = body["metadata"]["resourceVersion"]
    owner = Owner(OwnerKind.HPA, "team", "llm", None, 9, "", {}, version)
    version = kube.patch_bounds(owner, replicas_min=4, annotations={"a": "b"}, resource_version=version)
    stored = api.read("horizontalpodautoscalers", "llm")
    assert (stored["spec"], stored["metadata"]["annotations"]) == ({"maxReplicas": 9, "minReplicas": 4}, {"a": "b"})
    assert len(api.writes()) == 1
    kube.patch_bounds(owner, replicas_min=None, annotations={"a": None}, resource_version=version)
    stored = api.read("horizontalpodautoscalers", "llm")
    assert (stored["spec"], stored["metadata"]["annotations"]) == ({"maxReplicas": 9}, {})


def test_status_and_finalizers_of_our_object(api: FakeApi, kube: Kube) -> None:
    body = api.put("predictiveautoscalers", {"metadata": {"name": "llm"}, "spec": {"mode": "Floor"}})
    version = kube.patch_status("team", "llm", {"desiredReplicas": 3})
    with pytest.raises(KubeError) as attempt:
        kube.set_finalizers("team", "llm", ["a/b"], body["metadata"]["resourceVersion"])
    assert failure(attempt) is KubeFailure.CONFLICT
    kube.set_finalizers("team", "llm", ["a/b"], version)
    stored = kube.get(PREDICTIVE_AUTOSCALERS, namespace="team", name="llm")
    assert stored["status"] == {"desiredReplicas": 3}
    assert stored["metadata"]["finalizers"] == ["a/b"]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../kube-system/pods/x", "a%2fb", ""])
def test_a_name_never_reaches_another_path(api: FakeApi, kube: Kube, name: str) -> None:
    with pytest.raises(KubeError) as attempt:
        kube.read_scale(TargetKey("team", "apps/v1", "Deployment", name))
    assert failure(attempt) is KubeFailure.INVALID
    assert [path for _, path, _ in api.requests if "llm" in path or "kube-system" in path] == []


def test_cluster_scoped_and_core_resources_have_their_own_paths() -> None:
    assert PODS.path("team", "p") == "/api/v1/namespaces/team/pods/p"
    assert HPAS.path() == "/apis/autoscaling/v2/horizontalpodautoscalers"
    assert Resource("", "v1", "nodes", "Node", namespaced=False).path("team", "n") == "/api/v1/nodes/n"
    assert (PODS.rbac_name, PODS.api_version, HPAS.api_version) == ("pods", "v1", "autoscaling/v2")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429, "headers": {"Retry-After": "9"}}, KubeFailure.THROTTLED),
        ({"status": 503, "headers": {"Retry-After": "9"}}, KubeFailure.SERVER_ERROR),
        ({"hang_s": 2.0}, KubeFailure.TIMEOUT),
        ({"cut": True}, KubeFailure.UNREACHABLE),
        ({"status": 200, "body": b"<html>"}, KubeFailure.SERVER_ERROR),
        ({"status": 200, "body": b"[]"}, KubeFailure.SERVER_ERROR),
    ],
)
def test_a_call_is_sent_once_whatever_happens(
    api: FakeApi, kube: Kube, fault: dict[str, object], kind: KubeFailure
) -> None:
    pods(api, 1)
    with api.fault(**fault), pytest.raises(KubeError) as attempt:
        kube.get(PODS, namespace="team", name="p0", timeout_s=0.3)
    assert failure(attempt) is kind
    assert len(api.requests) == 1
    assert "\n" not in str(attempt.value)
    assert kube.get(PODS, namespace="team", name="p0")["metadata"]["name"] == "p0"


@pytest.mark.parametrize(
    ("fault", "may_be_done"),
    [
        ({"hang_s": 2.0}, True),
        ({"cut": True}, True),
        ({"status": 504}, True),
        ({"status": 502}, True),
        ({"status": 500}, False),
        ({"status": 409}, False),
        ({"status": 429}, False),
    ],
)
def test_of_a_write_without_an_answer_it_isnt_known_what_became(
    api: FakeApi, kube: Kube, fault: dict[str, object], may_be_done: bool
) -> None:
    pods(api, 1)
    with api.fault(**fault):
        with pytest.raises(KubeError) as attempt:
            kube.patch(PODS, {}, namespace="team", name="p0", timeout_s=0.3)
        assert attempt.value.may_be_done is may_be_done
        assert ("whether it was carried out isn't known" in str(attempt.value)) is may_be_done
        with pytest.raises(KubeError) as attempt:
            kube.get(PODS, namespace="team", name="p0", timeout_s=0.3)
        assert not attempt.value.may_be_done


def test_what_was_never_sent_is_not_done(api: FakeApi, kube: Kube) -> None:
    api.stop()
    with pytest.raises(KubeError) as attempt:
        kube.patch(PODS, {}, namespace="team", name="p0")
    assert not attempt.value.may_be_done


def test_a_server_that_is_away_is_unreachable_and_reached_again(api: FakeApi, kube: Kube) -> None:
    pods(api, 1)
    kube.get(PODS, namespace="team", name="p0")
    api.stop()
    for _ in range(2):
        with pytest.raises(KubeError) as attempt:
            kube.get(PODS, namespace="team", name="p0")
        assert failure(attempt) is KubeFailure.UNREACHABLE
    api.start()
    assert kube.get(PODS, namespace="team", name="p0")


def test_a_port_that_speaks_no_tls_is_one_line(api: FakeApi, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "tls"
    kubeconfig.write_text(api.kubeconfig().replace("http://", "https://"), encoding="utf-8")
    with pytest.raises(KubeError) as attempt:
        connect(kubeconfig, read_timeout_s=0.5).list(PODS, namespace=None)
    assert failure(attempt) is KubeFailure.UNREACHABLE
    assert "\n" not in str(attempt.value)
