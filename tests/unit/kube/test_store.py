"""Watches that go on: from version to version, over lost connections, forgotten history and malformed objects."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from cluster.waiting import wait_until
from fake_api.objects import changed, pod
from fake_api.server import FakeApi, status

from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeFailure
from autoscaler.kube.parse import parse_pod
from autoscaler.kube.resources import PODS
from autoscaler.kube.store import Facts, Store


def until(condition, what="it"):
    return wait_until(condition, timeout_s=20.0, what=what, every_s=0.005)


class Watched:
    """A store of pods, and how often it told of a change."""

    def __init__(self, kube: Kube, **options) -> None:
        self.changes = 0
        self.facts: Facts = Facts()
        self.store = Store(
            kube, PODS, namespace="team", parse=parse_pod, shelf=self.facts, on_change=self._changed, **options
        )

    def _changed(self) -> None:
        self.changes += 1

    @property
    def names(self) -> list[str]:
        return [name for (_, name), _ in self.facts.items()]


@pytest.fixture
def watched(kube: Kube) -> Iterator[Watched]:
    watched = Watched(kube)
    yield watched
    watched.store.close()
    watched.store.join()


def started(watched: Watched) -> Watched:
    watched.store.start()
    until(lambda: watched.store.synced)
    return watched


@contextmanager
def out_of_touch(api: FakeApi, watched: Watched) -> Iterator[None]:
    """The watch can't be opened meanwhile, and what happens is forgotten."""
    until(lambda: api.watchers == 1)
    with api.fault("GET", "/pods", status=429):
        api.cut_watches()
        until(lambda: watched.store.error)
        yield
        api.forget_history()


def lists(api: FakeApi) -> int:
    """How often pods were listed, pages counted once."""
    asked = [urlsplit(path) for _, path, _ in api.requests]
    return sum(
        address.path.endswith("/pods") and not {"watch", "continue"} & set(parse_qs(address.query)) for address in asked
    )


def test_it_is_synced_after_the_first_list_and_not_before(api, watched):
    api.put("pods", pod("a"))
    with api.fault("GET", "/pods", status=503):
        watched.store.start()
        until(lambda: watched.store.error)
        assert not watched.store.synced
        assert watched.store.error.kind is KubeFailure.SERVER_ERROR
    until(lambda: watched.store.synced)
    assert watched.names == ["a"]
    until(lambda: watched.store.error is None)


def test_changes_arrive_and_nothing_is_listed_again(api, watched):
    api.put("pods", pod("a"))
    started(watched)
    api.put("pods", pod("b", ready_at=None))
    until(lambda: watched.names == ["a", "b"])
    api.put("pods", pod("b"))
    until(lambda: watched.facts.get(("team", "b")).pod.ready)
    api.remove("pods", "a")
    until(lambda: watched.names == ["b"])
    assert lists(api) == 1
    assert watched.changes == 4


def test_other_namespaces_are_not_seen(api, watched):
    api.put("pods", pod("a"), namespace="elsewhere")
    started(watched)
    api.put("pods", pod("b"), namespace="elsewhere")
    api.put("pods", pod("c"))
    until(lambda: watched.names == ["c"])


def test_a_lost_connection_goes_on_where_it_was(api, watched):
    started(watched)
    until(lambda: api.watchers == 1)
    api.cut_watches()
    api.put("pods", pod("a"))
    until(lambda: watched.names == ["a"])
    assert lists(api) == 1


def test_watches_that_end_in_time_go_on_without_a_list(api, kube):
    watched = Watched(kube, watch_s=1.0)
    started(watched)
    until(lambda: sum("watch=true" in path for _, path, _ in api.requests) >= 2)
    api.put("pods", pod("a"))
    until(lambda: watched.names == ["a"])
    assert lists(api) == 1
    assert watched.store.error is None
    watched.store.close()
    watched.store.join()


def test_forgotten_history_is_listed_again_and_what_was_deleted_meanwhile_is_gone(api, watched):
    api.put("pods", pod("a"))
    api.put("pods", pod("b"))
    started(watched)
    with out_of_touch(api, watched):
        api.remove("pods", "a")
        api.put("pods", pod("c"))
    until(lambda: watched.names == ["b", "c"])
    assert watched.store.error is None


def test_history_forgotten_under_way_is_no_error(api, watched):
    started(watched)
    until(lambda: api.watchers == 1)
    expired = {"type": "ERROR", "object": status(410, "Expired", "too old resource version: 1")}
    with api.fault("GET", "/pods", times=1, status=200, body=json.dumps(expired).encode()):
        api.cut_watches()
        until(lambda: lists(api) == 2)
    api.put("pods", pod("a"))
    until(lambda: watched.names == ["a"])
    assert watched.store.error is None


def test_a_server_that_restarts_is_found_again(api, watched):
    api.put("pods", pod("a"))
    started(watched)
    until(lambda: api.watchers == 1)
    api.stop()
    until(lambda: watched.store.error)
    assert watched.store.error.kind is KubeFailure.UNREACHABLE
    assert watched.names == ["a"]
    api.start()
    api.put("pods", pod("b"))
    until(lambda: watched.names == ["a", "b"])


def test_a_version_from_the_future_is_given_up_for_a_list(api, watched):
    api.put("pods", pod("a"))
    started(watched)
    until(lambda: api.watchers == 1)
    api.put("pods", changed(pod("b")))
    until(lambda: watched.names == ["a", "b"])
    # As of a server whose etcd was restored: it knows the list, and no version so high.
    ahead = status(504, "Timeout", "Too large resource version: 9000, current: 100")
    with api.fault("GET", "/pods", times=3, status=504, body=ahead):
        api.cut_watches()
        until(lambda: lists(api) == 2)
    until(lambda: watched.store.error is None)


def test_a_malformed_object_is_a_problem_of_its_own(api, watched):
    api.put("pods", pod("good"))
    api.put("pods", changed(pod("bad"), metadata__creationTimestamp="yesterday"))
    started(watched)
    assert watched.names == ["good"]
    assert list(watched.store.problems) == [("team", "bad")]
    assert watched.store.problems["team", "bad"].startswith("Pod team/bad can't be read: ")

    # One that was fine keeps what was known of it.
    api.put("pods", changed(pod("good"), metadata__labels=["app"]))
    until(lambda: ("team", "good") in watched.store.problems)
    assert watched.names == ["good"]
    api.put("pods", pod("bad"))
    api.remove("pods", "good")
    until(lambda: not watched.store.problems)
    assert watched.names == ["bad"]


def test_a_malformed_object_keeps_its_former_fact_over_a_list_too(api, watched):
    api.put("pods", pod("a"))
    started(watched)
    with out_of_touch(api, watched):
        api.put("pods", changed(pod("a"), metadata__creationTimestamp=None))
    until(lambda: watched.store.problems)
    assert watched.names == ["a"]


def test_what_is_forbidden_says_what_to_grant_and_is_tried_again(api, watched):
    with api.fault("GET", "/pods", status=403):
        watched.store.start()
        until(lambda: watched.store.denied)
        assert "grant the service account the verb 'list' on 'pods' in namespace team" in str(watched.store.error)
    until(lambda: watched.store.synced)
    assert not watched.store.denied


def test_its_age_tells_how_long_nothing_was_heard(api, kube):
    now_s = [100.0]
    watched = Watched(kube, clock=lambda: now_s[0])
    started(watched)
    until(lambda: api.watchers == 1)
    now_s[0] = 130.0
    until(lambda: watched.store.age_s() == 0.0, what="a bookmark")
    api.stop()
    until(lambda: watched.store.error)
    now_s[0] = 200.0
    assert watched.store.age_s() == 70.0
    watched.store.close()
    watched.store.join()


def test_it_ends_at_once_while_its_watch_is_silent(kube, api):
    api.bookmark_s = 60.0
    watched = Watched(kube)
    watched.store.start()
    until(lambda: api.watchers == 1)
    # The fake server answers with the first event: this one.
    api.put("pods", pod("a"))
    until(lambda: watched.names == ["a"])
    begin_s = time.monotonic()
    watched.store.close()
    watched.store.join()
    assert not any(thread.name == "watch pods" for thread in threading.enumerate())
    # Its call would have taken a minute.
    assert time.monotonic() - begin_s < 20.0


def test_long_lists_come_in_pages(api, watched):
    for i in range(501):
        api.put("pods", pod(f"p{i}"))
    started(watched)
    assert len(watched.names) == 501
    assert lists(api) == 1
