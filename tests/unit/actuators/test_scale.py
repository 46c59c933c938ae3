"""Replicas by /scale, and failures of either actuator, case by case. r: ordered replicas, d: the decision.

| case                                   | what is written          | outcome                         |
| -------------------------------------- | ------------------------ | ------------------------------- |
| d = r                                  | nothing                  | None/InPlace                    |
| d other than r, also from 0 and to 0   | r = d                    | Patched/Scaled                  |
| an HPA or ScaledObject owns the target | nothing                  | Refused/OwnedBy...              |
| that ScaledObject is paused            | nothing                  | Waiting/Paused                  |
| d < r while pods are being replaced    | nothing                  | Waiting/RollingUpdate           |
| within 15 s of the last write          | nothing                  | Waiting/TooSoon                 |
| only the target's status changed       | r = d, newer version     | Patched/Scaled                  |
| r changed meanwhile                    | nothing                  | Conflict/Conflict               |
| 404, 422, 403, 500                     | nothing; back-off        | Failed/..., Waiting/BackingOff  |
| hang, cut                              | nothing; back-off        | Waiting/Unanswered, BackingOff  |
| ... and what was tried stands then     | nothing                  | Patched/Scaled, back-off or not |
| ... and d is another one by then       | r = d, 15 s later        | TooSoon, Patched/Scaled of both |
| 429 with Retry-After                   | nothing until then       | Failed/Throttled, ...           |
| mode: Shadow                           | nothing, ever            | None/Shadow                     |
"""

from __future__ import annotations

import pytest
from fake_api.objects import autoscaler, hpa, scaled_object, stateful_set, worker_set
from fake_api.server import FakeApi
from world import World, short

from autoscaler.actuators.apply import apply
from autoscaler.actuators.outcome import Action, ActuatorMemory, Outcome
from autoscaler.kube.client import Kube
from autoscaler.kube.facts import Target, TargetKey
from autoscaler.kube.parse import parse_autoscaler


@pytest.fixture
def world(api: FakeApi, kube: Kube) -> World:
    return World(api, kube, mode="Scale")


def test_replicas_are_ordered_on_change_only_also_from_0_and_to_0(world: World) -> None:
    outcome = world.apply(5)
    assert short(outcome) == (Action.PATCHED, "Scaled")
    assert outcome.message == "Deployment team/llm: replicas 3 -> 5"
    assert short(world.apply(5)) == (Action.NONE, "InPlace")
    assert world.apply(0).after == 0
    assert world.replicas() == 0
    assert world.apply(2).before == 0
    assert world.replicas() == 2
    assert world.writes() == ["PATCH scale"] * 3
    assert world.finalizers() == []


@pytest.mark.parametrize(
    ("plural", "api_version", "kind", "body"),
    [
        ("statefulsets", "apps/v1", "StatefulSet", stateful_set()),
        ("leaderworkersets", "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", worker_set()),
    ],
)
def test_any_kind_with_a_scale_subresource_will_do(
    api: FakeApi, kube: Kube, plural: str, api_version: str, kind: str, body: dict[str, object]
) -> None:
    stored = api.put(plural, body)
    api.put("predictiveautoscalers", autoscaler(mode="Scale", kind=kind, api_version=api_version))
    key = TargetKey("team", api_version, kind, "llm")
    target = Target(key, 2, stored["metadata"]["resourceVersion"], ())
    user = parse_autoscaler(api.read("predictiveautoscalers", "llm"))
    assert apply(kube, user, target, 4, now_s=0.0, memory=ActuatorMemory()).after == 4
    assert api.read(plural, "llm")["spec"]["replicas"] == 4


def test_a_kind_without_scale_fails_and_says_so(api: FakeApi, kube: Kube, world: World) -> None:
    target = Target(TargetKey("team", "apps/v1", "DaemonSet", "agent"), 2, "1", ())
    outcome = world.apply(4, target=target)
    assert short(outcome) == (Action.FAILED, "NotFound")
    assert "has no scale subresource" in outcome.message


def test_an_owned_target_is_refused_naming_all_owners(world: World) -> None:
    world.api.put("horizontalpodautoscalers", hpa())
    outcome = world.apply(5)
    assert short(outcome) == (Action.REFUSED, "OwnedByHorizontalPodAutoscaler")
    assert outcome.message == (
        "HorizontalPodAutoscaler team/llm scales Deployment team/llm; use mode: Floor, or delete it"
    )
    world.api.put("scaledobjects", scaled_object())
    assert short(world.apply(5)) == (Action.REFUSED, "OwnedByScaledObject")
    world.api.put("scaledobjects", scaled_object(annotations={"autoscaling.keda.sh/paused-replicas": "2"}))
    assert short(world.apply(5)) == (Action.WAITING, "Paused")
    assert world.writes() == []


def test_a_rolling_update_may_grow_but_not_shrink(world: World) -> None:
    assert short(world.apply(2, target=world.target(rolling=True))) == (Action.WAITING, "RollingUpdate")
    assert world.apply(4, target=world.target(rolling=True)).after == 4


def test_writes_are_15_s_apart(world: World) -> None:
    world.apply(5)
    assert short(world.apply(6, after_s=14.9)) == (Action.WAITING, "TooSoon")
    assert world.apply(6, after_s=0.1).after == 6


def test_a_snapshot_from_before_our_own_write_writes_nothing(world: World) -> None:
    before = world.target()
    world.apply(5)
    assert world.apply(5, after_s=1.0, target=before).action is Action.WAITING
    assert world.apply(5, after_s=60.0, target=before).action is Action.CONFLICT
    assert world.replicas() == 5
    assert world.api.read("deployments", "llm")["metadata"]["generation"] == 2


def test_a_change_of_the_targets_status_is_no_conflict(world: World) -> None:
    target = world.target()
    world.api.edit("deployments", "llm", lambda body: body["status"].update(readyReplicas=1))
    assert world.apply(5, target=target).after == 5


def test_what_met_a_conflict_is_not_sent_again_once_the_lease_is_lost(world: World) -> None:
    target = world.target()
    world.api.edit("deployments", "llm", lambda body: body["status"].update(readyReplicas=1))
    world.leads = False
    assert short(world.apply(5, target=target)) == (Action.CONFLICT, "Conflict")
    assert (world.replicas(), world.writes()) == (3, ["PATCH scale"])


def test_a_users_order_in_between_is_never_overwritten(world: World) -> None:
    target = world.target()
    world.api.edit("deployments", "llm", lambda body: body["spec"].update(replicas=10))
    assert short(world.apply(5, target=target)) == (Action.CONFLICT, "Conflict")
    assert world.replicas() == 10
    # No back-off: the next tick decides anew.
    assert world.apply(9, after_s=1.0).before == 10


@pytest.mark.parametrize(
    ("fault", "action", "reason"),
    [
        ({"status": 403}, Action.FAILED, "Forbidden"),
        ({"status": 404}, Action.FAILED, "NotFound"),
        ({"status": 422}, Action.FAILED, "Invalid"),
        ({"status": 500}, Action.FAILED, "ServerError"),
        ({"status": 504}, Action.WAITING, "Unanswered"),
        ({"cut": True}, Action.WAITING, "Unanswered"),
        ({"hang_s": 2.0}, Action.WAITING, "Unanswered"),
        ({"status": 200, "body": {"kind": "Scale"}}, Action.FAILED, "Malformed"),
    ],
)
@pytest.mark.parametrize("mode", ["Scale", "Floor"])
def test_a_failure_is_told_and_tried_again_ever_less_often(
    world: World, mode: str, fault: dict[str, object], action: Action, reason: str
) -> None:
    world.set_mode(mode)
    if mode == "Floor":
        world.api.put("horizontalpodautoscalers", hpa())
    with world.api.fault("PATCH", **fault):
        outcome = world.apply(5)
        assert short(outcome) == (action, reason)
        assert "\n" not in outcome.message
        assert ("whether it was carried out isn't known" in outcome.message) == (reason == "Unanswered")
        waiting = world.apply(5, after_s=14.0)
        assert short(waiting) == (Action.WAITING, "BackingOff")
        assert outcome.message in waiting.message
        assert world.apply(5, after_s=1.0).action is action
        assert short(world.apply(5, after_s=29.0)) == (Action.WAITING, "BackingOff")
    assert world.replicas() == 3
    assert world.apply(5, after_s=1.0).action is Action.PATCHED


def test_failures_are_in_a_row_only_while_nothing_works_in_between(world: World) -> None:
    for _ in range(6):
        with world.api.fault("PATCH", status=500):
            assert world.apply(5).action is Action.FAILED
        assert short(world.apply(3, after_s=15.0)) == (Action.NONE, "InPlace")


def test_the_pause_grows_to_5_min_and_a_success_resets_it(world: World) -> None:
    with world.api.fault("PATCH", status=500):
        tries = sum(world.apply(5, after_s=15.0).action is Action.FAILED for _ in range(240))
    # In an hour: after 15, 30, 60, 120, 240 s, and then every 300 s.
    assert tries == 16
    world.apply(5, after_s=300.0)
    with world.api.fault("PATCH", status=500):
        assert world.apply(6).action is Action.FAILED
    assert world.apply(6, after_s=15.0).action is Action.PATCHED


@pytest.mark.parametrize(("asked", "waits_s"), [("40", 40.0), ("1", 15.0), ("86400", 300.0)])
def test_retry_after_is_respected_within_5_min(world: World, asked: str, waits_s: float) -> None:
    with world.api.fault("PATCH", status=429, headers={"Retry-After": asked}):
        assert short(world.apply(5)) == (Action.FAILED, "Throttled")
        assert len(world.writes()) == 1
    assert short(world.apply(5, after_s=waits_s - 1.0)) == (Action.WAITING, "BackingOff")
    assert world.apply(5, after_s=1.0).action is Action.PATCHED


def lose_the_answer(world: World, desired: int) -> Outcome:
    """Carry out what is applied, and lose the answer."""
    with world.api.fault("PATCH", "/scale", cut=True, after=True, times=1):
        return world.apply(desired)


@pytest.mark.parametrize("after_s", [5.0, 60.0])
def test_a_lost_answer_is_found_out_at_the_next_tick_and_told_once(world: World, after_s: float) -> None:
    lost = lose_the_answer(world, 5)
    assert (short(lost), lost.after, lost.maybe) == ((Action.WAITING, "Unanswered"), None, 5)
    assert world.replicas() == 5
    found = world.apply(5, after_s=after_s)
    assert short(found) == (Action.PATCHED, "Scaled")
    assert (found.before, found.after) == (3, 5)
    assert found.message == "Deployment team/llm: replicas 3 -> 5, by a write whose answer was lost"
    assert short(world.apply(5, after_s=1.0)) == (Action.NONE, "InPlace")
    assert len(world.writes()) == 1


def test_what_was_lost_is_not_written_over_while_the_watch_is_behind(world: World) -> None:
    behind = world.target()
    lose_the_answer(world, 5)
    waiting = world.apply(5, after_s=14.0, target=behind)
    assert (short(waiting), waiting.maybe) == ((Action.WAITING, "BackingOff"), 5)
    assert world.apply(8, after_s=60.0, target=behind).action is Action.CONFLICT
    assert world.replicas() == 5
    assert short(world.apply(5)) == (Action.PATCHED, "Scaled")


def test_after_a_lost_answer_a_new_decision_is_written_over_what_is_found(world: World) -> None:
    lose_the_answer(world, 5)
    outcome = world.apply(8, after_s=15.0)
    assert (short(outcome), outcome.before, outcome.after) == ((Action.PATCHED, "Scaled"), 5, 8)
    lost, written = "replicas 3 -> 5, by a write whose answer was lost", "replicas 5 -> 8"
    assert outcome.message == f"Deployment team/llm: {lost}; Deployment team/llm: {written}"
    assert short(world.apply(8)) == (Action.NONE, "InPlace")
    assert len(world.writes()) == 2


def test_what_is_found_while_a_newer_order_waits_is_told_with_it_or_once_nothing_is_to_be_done(world: World) -> None:
    found = "replicas 3 -> 5, by a write whose answer was lost"
    lose_the_answer(world, 5)
    # 15 s after any write, answered or not.
    assert short(world.apply(6, after_s=5.0)) == (Action.WAITING, "TooSoon")
    assert found in world.apply(6, after_s=10.0).message
    assert world.apply(7, after_s=15.0).message == "Deployment team/llm: replicas 6 -> 7"
    world.apply(3)
    lose_the_answer(world, 5)
    assert short(world.apply(6, after_s=5.0)) == (Action.WAITING, "TooSoon")
    back = world.apply(5, after_s=1.0)
    assert (short(back), back.after) == ((Action.PATCHED, "Scaled"), 5)
    assert short(world.apply(5, after_s=1.0)) == (Action.NONE, "InPlace")


def test_answers_lost_in_a_row_are_all_told(world: World) -> None:
    lose_the_answer(world, 5)
    assert lose_the_answer(world, 8).reason == "Unanswered"
    outcome = world.apply(8)
    assert (short(outcome), outcome.after) == ((Action.PATCHED, "Scaled"), 8)
    for written in ("3 -> 5", "5 -> 8"):
        assert f"{written}, by a write whose answer was lost" in outcome.message


def test_what_was_not_carried_out_is_nobodys_write_later(world: World) -> None:
    with world.api.fault("PATCH", cut=True, times=1):
        assert world.apply(5).reason == "Unanswered"
    assert short(world.apply(3)) == (Action.NONE, "InPlace")
    world.api.edit("deployments", "llm", lambda body: body["spec"].update(replicas=5))
    assert short(world.apply(5)) == (Action.NONE, "InPlace")


def test_shadow_never_writes(world: World) -> None:
    world.set_mode("Shadow")
    for desired in (0, 3, 50):
        outcome = world.apply(desired)
        assert short(outcome) == (Action.NONE, "Shadow")
        assert outcome.message == f"mode is Shadow: Deployment team/llm would have {desired} replicas"
    assert world.api.requests == []


def test_what_is_remembered_goes_with_the_object(world: World) -> None:
    world.apply(5)
    world.memory.keep([world.object()])
    assert len(world.memory) == 1
    world.memory.keep([])
    assert len(world.memory) == 0
