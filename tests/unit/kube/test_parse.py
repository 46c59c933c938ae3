"""From the API's JSON to facts."""

from __future__ import annotations

import pytest
from fake_api.objects import (
    T0_S,
    at,
    autoscaler,
    changed,
    deployment,
    hpa,
    pod,
    scaled_object,
    stateful_set,
    worker_set,
)

from autoscaler.kube.facts import OwnerKind, Pod, TargetKey
from autoscaler.kube.parse import (
    MALFORMED,
    UNREAD_SPEC,
    WorkloadId,
    parse_autoscaler,
    parse_hpa,
    parse_pod,
    parse_scaled_object,
    parse_time_s,
    parse_workload,
    unread_autoscaler,
    workload_id,
)
from autoscaler.kube.selectors import parse_selector


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-31T12:00:00Z", T0_S),
        ("2026-01-31T12:00:00.250000Z", T0_S + 0.25),
        ("2026-01-31T12:00:00.123456789Z", T0_S + 0.123456),
        ("2026-01-31T14:00:00+02:00", T0_S),
    ],
)
def test_times_are_seconds_since_the_epoch(text, seconds):
    assert parse_time_s(text) == pytest.approx(seconds, abs=1e-6)


def test_a_ready_pod():
    seen = parse_pod(pod())
    assert seen.labels == {"app": "llm", "pod-template-hash": "6b7f"}
    assert seen.pod == Pod(
        uid="uid-llm-0",
        name="llm-0",
        node="node-1",
        created_s=T0_S,
        scheduled_s=T0_S + 1,
        started_s=T0_S + 5,
        ready=True,
        ready_s=T0_S + 60,
        restarts=0,
        deleting=False,
        failed=False,
    )


def test_a_pod_that_was_just_created_has_nothing_but_its_name():
    body = pod()
    del body["status"], body["spec"]["nodeName"], body["metadata"]["labels"]
    seen = parse_pod(body)
    assert (seen.labels, seen.pod.node, seen.pod.scheduled_s, seen.pod.started_s) == ({}, "", None, None)
    assert not seen.pod.ready
    assert not seen.pod.lapsed


@pytest.mark.parametrize(("reason", "waits"), [("Unschedulable", True), ("SchedulingGated", False), (None, False)])
def test_a_pod_waits_for_a_node_only_where_the_scheduler_found_none(reason, waits):
    body = pod(ready_at=None)
    body["status"]["conditions"][0] = {"type": "PodScheduled", "status": "False", "reason": reason}
    seen = parse_pod(body).pod
    assert (seen.unschedulable, seen.scheduled_s) == (waits, None)
    assert not parse_pod(pod()).pod.unschedulable


def test_a_loading_pod_is_not_one_that_lapsed():
    loading, lapsed = parse_pod(pod(ready_at=None)).pod, pod(ready_at=None)
    assert (loading.ready, loading.ready_s, loading.lapsed) == (False, None, False)
    lapsed["status"]["conditions"][1]["lastTransitionTime"] = at(900)
    assert parse_pod(lapsed).pod.lapsed


def test_the_first_of_several_containers_starts_a_load_and_restarts_of_all_count():
    containers = [
        {"restartCount": 0, "state": {"running": {"startedAt": at(9)}}},
        {"restartCount": 2, "state": {"running": {"startedAt": at(7)}}},
        {"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]
    body = pod(containerStatuses=containers, initContainerStatuses=[{"restartCount": 1, "state": {"terminated": {}}}])
    assert (parse_pod(body).pod.started_s, parse_pod(body).pod.restarts) == (T0_S + 7, 4)


def test_a_ready_pod_that_does_not_say_since_when_is_ready_all_the_same():
    body = pod()
    del body["status"]["conditions"][1]["lastTransitionTime"]
    assert (parse_pod(body).pod.ready, parse_pod(body).pod.ready_s) == (True, None)


def test_ends_of_pods():
    assert parse_pod(changed(pod(), metadata__deletionTimestamp=at(90))).pod.deleting
    assert [parse_pod(pod(phase=phase)).pod.failed for phase in ("Failed", "Succeeded", "Running")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None},
        changed(pod(), metadata__creationTimestamp="yesterday"),
        changed(pod(), metadata__labels=["app"]),
        pod(containerStatuses=[{"restartCount": "many"}]),
        pod(conditions=[{}]),
    ],
)
def test_a_malformed_pod_says_so(body):
    with pytest.raises(MALFORMED):
        parse_pod(body)


def test_an_hpa_and_what_it_scales():
    claim = parse_hpa(hpa())
    assert claim.workload == workload_id(TargetKey("team", "apps/v1beta2", "Deployment", "llm"))
    assert (claim.owner.replicas_min, claim.owner.replicas_max, claim.owner.resource_version) == (1, 8, "7")
    assert (claim.owner.kind, claim.made_by) == (OwnerKind.HPA, "")
    assert parse_hpa(hpa(made_by="mine")).made_by == "mine"


def test_an_hpa_of_another_kind_of_scaled_object_is_not_kedas():
    body = hpa(made_by="x")
    body["metadata"]["ownerReferences"][0]["apiVersion"] = "example.com/v1"
    assert parse_hpa(body).made_by == ""


def test_bounds_that_are_no_numbers_do_not_pass_for_unset():
    with pytest.raises(MALFORMED):
        parse_hpa(hpa(minReplicas="1"))
    with pytest.raises(MALFORMED):
        parse_scaled_object(scaled_object(minReplicaCount=True))


def test_a_scaled_object_with_kedas_defaults():
    claim = parse_scaled_object(scaled_object())
    assert claim.workload == WorkloadId("team", "apps", "Deployment", "llm")
    assert (claim.owner.replicas_min, claim.owner.replicas_max, claim.owner.replicas_idle) == (None, 8, None)
    idle = parse_scaled_object(scaled_object(minReplicaCount=2, idleReplicaCount=0)).owner
    assert (idle.replicas_min, idle.replicas_idle) == (2, 0)


@pytest.mark.parametrize(
    ("annotations", "paused"),
    [
        ({}, ""),
        ({"autoscaling.keda.sh/paused": "true"}, "autoscaling.keda.sh/paused"),
        ({"autoscaling.keda.sh/paused": "maybe"}, "autoscaling.keda.sh/paused"),
        ({"autoscaling.keda.sh/paused": "False"}, ""),
        ({"autoscaling.keda.sh/paused-replicas": "0"}, "autoscaling.keda.sh/paused-replicas"),
        ({"autoscaling.keda.sh/paused-scale-in": "true"}, ""),
        ({"autoscaling.keda.sh/paused-scale-out": "true"}, "autoscaling.keda.sh/paused-scale-out"),
    ],
)
def test_a_paused_scaled_object_says_by_what(annotations, paused):
    assert parse_scaled_object(scaled_object(annotations=annotations)).owner.paused == paused


def test_annotations_are_kept_but_for_the_copy_of_the_object():
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "headstart.dev/original-min-replicas": "{}",
    }
    owner = parse_scaled_object(scaled_object(annotations=annotations)).owner
    assert dict(owner.annotations) == {"headstart.dev/original-min-replicas": "{}"}


def workload(body, kind="Deployment", group="apps"):
    # The items of a list don't say their kind.
    return parse_workload({key: body[key] for key in ("metadata", "spec", "status")}, group=group, kind=kind)


def test_a_deployment_tells_its_scale_without_its_subresource():
    seen = workload(deployment(replicas=3))
    assert (seen.replicas, seen.selector, seen.resource_version) == (3, parse_selector("app=llm"), "1")
    assert workload(changed(deployment(), spec__replicas=None)).replicas == 1
    other = workload(worker_set(), kind="LeaderWorkerSet", group="leaderworkerset.x-k8s.io")
    assert (other.replicas, other.selector, other.rolling) == (None, None, False)


@pytest.mark.parametrize(
    ("body", "rolling"),
    [
        (deployment(), False),
        (deployment(updatedReplicas=1), True),
        (deployment(observedGeneration=0), True),
        (deployment(replicas=0), False),
        (changed(deployment(updatedReplicas=1), spec__paused=True), False),
    ],
)
def test_a_deployment_is_rolling_while_pods_of_two_revisions_are_being_replaced(body, rolling):
    assert workload(body).rolling is rolling


@pytest.mark.parametrize(
    ("status", "strategy", "rolling"),
    [
        ({}, {}, False),
        ({"updatedReplicas": 1}, {}, False),
        ({"updateRevision": "b", "updatedReplicas": 1}, {}, True),
        ({"updateRevision": "b", "updatedReplicas": 1}, {"type": "OnDelete"}, False),
        ({"updateRevision": "b", "updatedReplicas": 1}, {"rollingUpdate": {"partition": 1}}, False),
        ({"updateRevision": "b", "updatedReplicas": 0}, {"rollingUpdate": {"partition": 1}}, True),
    ],
)
def test_a_stateful_set_that_waits_for_its_user_is_not_rolling(status, strategy, rolling):
    body = changed(stateful_set(**status), spec__updateStrategy=strategy)
    assert workload(body, kind="StatefulSet").rolling is rolling


def test_a_predictive_autoscaler():
    seen = parse_autoscaler(autoscaler(minReplicas=2, interval="30s"))
    assert (seen.metadata.name, seen.spec.min_replicas, seen.spec.interval) == ("llm", 2, 30.0)


def test_a_mistake_in_an_object_is_named_by_its_field():
    with pytest.raises(ValueError, match=r"^spec\.maxReplicas: must be a whole number"):
        parse_autoscaler(autoscaler(maxReplicas="many"))


def test_what_cannot_be_read_stands_with_its_own_metadata_and_status_and_the_last_spec_that_could():
    former = parse_autoscaler(changed(autoscaler(), metadata__uid="1"))
    body = changed(autoscaler(timeZone="Nowhere", spare=1), metadata__uid="1", metadata__deletionTimestamp=at(0))
    seen = unread_autoscaler({**body, "status": {"desiredReplicas": 3}}, former)
    assert (seen.metadata.deletion_timestamp, seen.status.desired_replicas) == (at(0), 3)
    assert seen.spec is former.spec
    # Another one of the same name, and one that nothing is known of.
    for before in (changed(autoscaler(), metadata__uid="2"), None):
        seen = unread_autoscaler(body, before and parse_autoscaler(before))
        assert (seen.metadata.uid, seen.spec) == ("1", UNREAD_SPEC)
    for metadata in (None, {"name": 7}, {**body["metadata"], "finalizers": "all"}):
        assert unread_autoscaler({**body, "metadata": metadata}, former) is former


def test_a_status_of_another_version_is_left_out():
    body = {**autoscaler(), "status": {"desiredReplicas": {"of": 3}}}
    assert parse_autoscaler(body).status is None
    assert parse_autoscaler({**autoscaler(), "status": {"desiredReplicas": 3}}).status.desired_replicas == 3
