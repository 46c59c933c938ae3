"""Floors, case by case. `min` is the owner's lower bound, o the user's own, d the decision, max the owner's upper.

| case                                     | what is written                       | outcome                     |
| ---------------------------------------- | ------------------------------------- | --------------------------- |
| no owner                                 | nothing                               | Refused/NoOwner             |
| two HPAs, two ScaledObjects              | nothing                               | Refused/AmbiguousOwner      |
| HPA                                      | min = d, note {o, d}                  | Patched/FloorWritten        |
| ScaledObject, with KEDA's HPA            | the ScaledObject's only               | Patched/FloorWritten        |
| o unset                                  | note {null}; put back: field removed  |                             |
| d <= o                                   | min = o, no note                      | None/UserMinSuffices        |
| d > max                                  | min = max                             | Patched/LimitedByMax        |
| owner paused, unreadable or deleted      | nothing                               | Waiting/Paused, ...Deleting |
| idleReplicaCount, HPA at 0, KEDA is away | min = d, then nothing                 | Waiting/FloorNotFollowed    |
| the user edits min, below d              | min = d, the edit is the new o        | Patched/FloorWritten        |
| the user edits min, above d              | only the note goes: the edit stands   | Patched/FloorPutBack        |
| the user edits min, and again, ...       | ever less often                       | Waiting/FloorReverted       |
| the user removes the note                | the note, with o as it was            | Patched/FloorWritten        |
| an unreadable note                       | what stands is o                      |                             |
| another object's floor                   | nothing                               | Refused/HeldByAnother       |
| only the owner's status changed          | the same, with the newer version      | Patched/FloorWritten        |
| the owner's bounds changed meanwhile     | nothing                               | Conflict/Conflict           |
| mode becomes Shadow or Scale             | min = o, no note, no finalizer        | Patched/FloorPutBack        |
| the target has another owner             | there min = d, the former's min = o   |                             |
| the object is deleted                    | min = o, no note, no finalizer        | Patched/FloorPutBack        |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fake_api.objects import autoscaler, hpa, scaled_object
from fake_api.server import FakeApi
from world import NOTE, World, short

from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.outcome import Action
from autoscaler.kube.client import Kube
from autoscaler.kube.parse import parse_autoscaler

HPA, SCALED_OBJECT = "horizontalpodautoscalers", "scaledobjects"


def note(original: int | None, written: int, by: str = "team/llm") -> str:
    return json.dumps({"min": original, "written": written, "by": by})


def set_min(value: int | None, field: str = "minReplicas") -> Callable[[dict[str, Any]], object]:
    return lambda body: body["spec"].update({field: value}) if value is not None else body["spec"].pop(field)


@pytest.fixture
def world(api: FakeApi, kube: Kube) -> World:
    return World(api, kube, mode="Floor")


@pytest.fixture
def with_hpa(world: World) -> World:
    """An HPA from 1 to 8."""
    world.api.put(HPA, hpa())
    return world


@pytest.fixture
def with_keda(world: World) -> World:
    """A ScaledObject up to 8, without a lower bound, and the HPA that KEDA makes of it."""
    world.api.put(SCALED_OBJECT, scaled_object())
    world.api.put(HPA, hpa("keda-hpa-llm", made_by="llm"))
    return world


def test_without_an_owner_there_is_nothing_to_hold(world: World) -> None:
    outcome = world.apply(5)
    assert short(outcome) == (Action.REFUSED, "NoOwner")
    assert "Deployment team/llm; create one, or use mode: Scale" in outcome.message
    assert world.writes() == []


@pytest.mark.parametrize(("plural", "body"), [(HPA, hpa), (SCALED_OBJECT, scaled_object)])
def test_two_owners_are_one_too_many(world: World, plural: str, body: Callable[..., dict[str, Any]]) -> None:
    world.api.put(plural, body("one"))
    world.api.put(plural, body("two"))
    outcome = world.apply(5)
    assert short(outcome) == (Action.REFUSED, "AmbiguousOwner")
    assert "team/one and" in outcome.message
    assert world.writes() == []


def test_an_hpa_gets_its_floor_and_the_users_own_back(with_hpa: World) -> None:
    outcome = with_hpa.apply(5)
    assert short(outcome) == (Action.PATCHED, "FloorWritten")
    assert (outcome.before, outcome.after) == (1, 5)
    assert outcome.message == "HorizontalPodAutoscaler team/llm: minReplicas 1 -> 5, the user's own is 1"
    assert with_hpa.owner(HPA) == (5, note(1, 5))
    # The finalizer comes first: a crash between the two leaves no floor that nobody puts back.
    assert with_hpa.writes() == ["PATCH predictiveautoscalers", "PATCH horizontalpodautoscalers"]
    assert with_hpa.finalizers() == [FINALIZER]
    assert with_hpa.apply(4).after == 4
    assert with_hpa.owner(HPA) == (4, note(1, 4))
    assert short(with_hpa.apply(1)) == (Action.PATCHED, "FloorPutBack")
    assert with_hpa.owner(HPA) == (1, None)
    assert short(with_hpa.apply(0)) == (Action.NONE, "UserMinSuffices")
    assert len(with_hpa.writes()) == 4


def test_what_stands_is_not_written_again_also_after_a_restart(with_hpa: World) -> None:
    with_hpa.apply(3)
    with_hpa.restart()
    for _ in range(3):
        assert short(with_hpa.apply(3)) == (Action.NONE, "InPlace")
    assert len(with_hpa.writes()) == 2


def test_a_scaled_object_gets_the_floor_and_kedas_own_hpa_never(with_keda: World) -> None:
    outcome = with_keda.apply(5)
    assert outcome.message == "ScaledObject team/llm: minReplicaCount unset -> 5, the user's own is unset"
    assert with_keda.owner(SCALED_OBJECT) == (5, note(None, 5))
    assert with_keda.owner(HPA, "keda-hpa-llm") == (1, None)
    assert short(with_keda.apply(0)) == (Action.PATCHED, "FloorPutBack")
    assert "minReplicaCount" not in with_keda.api.read(SCALED_OBJECT, "llm")["spec"]
    assert with_keda.owner(SCALED_OBJECT) == (None, None)


def test_a_floor_stops_at_the_owners_upper_bound(with_hpa: World) -> None:
    outcome = with_hpa.apply(20)
    assert short(outcome) == (Action.PATCHED, "LimitedByMax")
    assert outcome.after == 8
    assert outcome.message.endswith("; 20 are wanted but its upper bound is 8")
    assert short(with_hpa.apply(20)) == (Action.NONE, "LimitedByMax")
    # The user lowers the bound, in one edit with their own lower bound: the floor follows.
    with_hpa.api.edit(HPA, "llm", lambda body: body["spec"].update(minReplicas=2, maxReplicas=4))
    assert with_hpa.apply(20).after == 4
    assert with_hpa.owner(HPA) == (4, note(2, 4))


def test_kedas_own_upper_bound_is_100_where_it_is_unset(world: World) -> None:
    body = scaled_object()
    del body["spec"]["maxReplicaCount"]
    world.api.put(SCALED_OBJECT, body)
    assert world.apply(120).after == 100


@pytest.mark.parametrize("annotation", ["paused", "paused-replicas", "paused-scale-out"])
def test_a_paused_scaled_object_is_left_alone(world: World, annotation: str) -> None:
    world.api.put(SCALED_OBJECT, scaled_object(annotations={f"autoscaling.keda.sh/{annotation}": "true"}))
    outcome = world.apply(5)
    assert short(outcome) == (Action.WAITING, "Paused")
    assert f"autoscaling.keda.sh/{annotation}" in outcome.message
    assert world.writes() == []


def test_an_owner_that_is_being_deleted_is_left_alone(world: World) -> None:
    body = hpa()
    body["metadata"].update(deletionTimestamp="2026-01-05T12:00:00Z", finalizers=["acme.io/hold"])
    world.api.put(HPA, body)
    assert short(world.apply(5)) == (Action.WAITING, "OwnerDeleting")
    assert world.writes() == []


@pytest.mark.parametrize(
    ("plural", "body", "replicas", "why"),
    [
        (SCALED_OBJECT, scaled_object(minReplicaCount=1, idleReplicaCount=0), 0, "KEDA keeps idleReplicaCount"),
        (HPA, hpa(), 0, "an HPA rests while its workload has 0 replicas; scale it to 1"),
        (HPA, hpa(), 3, "see the conditions of HorizontalPodAutoscaler team/llm"),
    ],
)
def test_a_floor_that_is_not_followed_is_told(
    world: World, plural: str, body: dict[str, Any], replicas: int, why: str
) -> None:
    world.api.put(plural, body)
    world.api.edit("deployments", "llm", lambda raw: raw["spec"].update(replicas=replicas))
    assert world.apply(5).action is Action.PATCHED
    assert short(world.apply(5)) == (Action.NONE, "InPlace")
    outcome = world.apply(5)
    assert short(outcome) == (Action.WAITING, "FloorNotFollowed")
    assert why in outcome.message
    world.api.edit("deployments", "llm", lambda raw: raw["spec"].update(replicas=5))
    assert short(world.apply(5)) == (Action.NONE, "InPlace")


def test_a_lower_edit_is_the_users_own_under_the_floor(with_hpa: World) -> None:
    with_hpa.apply(5)
    with_hpa.api.edit(HPA, "llm", set_min(3))
    assert with_hpa.apply(5).message.endswith("minReplicas 3 -> 5, the user's own is 3")
    assert with_hpa.owner(HPA) == (5, note(3, 5))
    with_hpa.apply(0)
    assert with_hpa.owner(HPA) == (3, None)


def test_a_higher_edit_stands(with_hpa: World) -> None:
    with_hpa.apply(5)
    with_hpa.api.edit(HPA, "llm", set_min(7))
    assert short(with_hpa.apply(5)) == (Action.PATCHED, "FloorPutBack")
    assert with_hpa.owner(HPA) == (7, None)
    assert with_hpa.apply(8).after == 8
    assert with_hpa.owner(HPA) == (8, note(7, 8))


def test_a_field_that_the_user_removed_is_removed_again_at_the_end(with_keda: World) -> None:
    with_keda.api.edit(SCALED_OBJECT, "llm", set_min(2, "minReplicaCount"))
    with_keda.apply(5)
    with_keda.api.edit(SCALED_OBJECT, "llm", set_min(None, "minReplicaCount"))
    with_keda.apply(5)
    assert with_keda.owner(SCALED_OBJECT) == (5, note(None, 5))
    with_keda.apply(0)
    assert with_keda.owner(SCALED_OBJECT) == (None, None)


def test_a_tool_that_puts_the_field_back_is_fought_ever_less_often(with_hpa: World) -> None:
    patches = 0
    for _ in range(240):
        patches += with_hpa.apply(5, after_s=15.0).action is Action.PATCHED
        with_hpa.api.edit(HPA, "llm", set_min(1))
    # An hour: after 15, 30, 60, 120, 240, 480 and then every 600 s.
    assert patches == 11
    outcome = with_hpa.apply(5, after_s=15.0)
    assert short(outcome) == (Action.WAITING, "FloorReverted")
    assert "if it is a GitOps tool, let it ignore the field" in outcome.message


def test_what_another_leader_wrote_passes_for_somebodys_edit_unless_it_is_forgotten(with_hpa: World) -> None:
    with_hpa.apply(3)
    for _ in range(3):
        with_hpa.api.edit(HPA, "llm", set_min(2))
        with_hpa.apply(3, after_s=130.0)
    own = with_hpa.memory
    with_hpa.restart()
    assert with_hpa.apply(4, after_s=20.0).after == 4  # by another leader
    with_hpa.memory = own
    assert short(with_hpa.apply(6, after_s=20.0)) == (Action.WAITING, "FloorReverted")
    own.keep(())
    assert with_hpa.apply(6, after_s=0.0).after == 6


def test_a_note_that_was_removed_is_written_again_with_the_users_own(with_hpa: World) -> None:
    with_hpa.apply(5)
    with_hpa.restart()
    with_hpa.apply(5)
    with_hpa.api.edit(HPA, "llm", lambda body: body["metadata"].pop("annotations"))
    with_hpa.apply(5)
    assert with_hpa.owner(HPA) == (5, note(1, 5))
    with_hpa.api.edit(HPA, "llm", lambda body: body["metadata"].pop("annotations"))
    with_hpa.apply(0)
    assert with_hpa.owner(HPA) == (1, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "{}",
        "[]",
        '{"min": -1, "written": 5, "by": "team/llm"}',
        '{"min": 1, "written": "5", "by": ""}',
        "[" * 990,  # deeper than is read under the calls of a test
        "[" * 100_000,
        " " * 1_000 + '{"min": 1, "written": 5, "by": "team/llm"}',
    ],
    ids=range(9),
)
def test_with_an_unreadable_note_what_stands_is_the_users_own(world: World, text: str) -> None:
    body = hpa(minReplicas=5)
    body["metadata"]["annotations"] = {NOTE: text}
    world.api.put(HPA, body)
    assert short(world.apply(2)) == (Action.NONE, "UserMinSuffices")
    assert world.apply(6).after == 6
    assert world.owner(HPA) == (6, note(5, 6))


def test_the_floor_of_another_object_is_left_alone(with_hpa: World) -> None:
    theirs = note(1, 4, by="team/other")
    body = hpa(minReplicas=4)
    body["metadata"]["annotations"] = {NOTE: theirs}
    with_hpa.api.put(HPA, body)
    outcome = with_hpa.apply(6)
    assert short(outcome) == (Action.REFUSED, "HeldByAnother")
    assert "PredictiveAutoscaler team/other" in outcome.message
    assert with_hpa.owner(HPA) == (4, theirs)


def test_a_change_of_the_owners_status_is_no_conflict(with_hpa: World) -> None:
    target = with_hpa.target()
    with_hpa.api.edit(HPA, "llm", lambda body: body.update(status={"currentReplicas": 3}))
    assert with_hpa.apply(5, target=target).action is Action.PATCHED
    assert with_hpa.owner(HPA) == (5, note(1, 5))


def test_what_met_a_conflict_is_not_sent_again_once_the_lease_is_lost(with_hpa: World) -> None:
    target = with_hpa.target()
    with_hpa.api.edit(HPA, "llm", lambda body: body.update(status={"currentReplicas": 3}))
    with_hpa.leads = False
    assert short(with_hpa.apply(5, target=target)) == (Action.CONFLICT, "Conflict")
    assert with_hpa.owner(HPA) == (1, None)


def test_a_users_edit_in_between_is_never_overwritten(with_hpa: World) -> None:
    for number, change in enumerate(({"minReplicas": 2}, {"maxReplicas": 4})):
        target = with_hpa.target()
        with_hpa.api.edit(HPA, "llm", lambda body, change=change: body["spec"].update(change))
        before = with_hpa.api.read(HPA, "llm")
        outcome = with_hpa.apply(6 + number, target=target)
        assert short(outcome) == (Action.CONFLICT, "Conflict")
        assert with_hpa.api.read(HPA, "llm") == before
    # The next tick sees the edit, at once.
    assert with_hpa.apply(6, after_s=1.0).after == 4
    assert with_hpa.owner(HPA) == (4, note(2, 4))


@pytest.mark.parametrize("known", [False, True], ids=["the first floor", "another floor before"])
def test_a_lost_answer_is_found_out_at_the_next_tick_and_blames_nobody(with_hpa: World, known: bool) -> None:
    if known:
        with_hpa.apply(3)
    before = len([write for write in with_hpa.writes() if HPA in write])
    with with_hpa.api.fault("PATCH", HPA, cut=True, after=True, times=1):
        lost = with_hpa.apply(5)
    assert (short(lost), lost.maybe) == ((Action.WAITING, "Unanswered"), 5)
    assert with_hpa.owner(HPA) == (5, note(1, 5))
    found = with_hpa.apply(5, after_s=5.0)
    assert (short(found), found.after) == ((Action.PATCHED, "FloorWritten"), 5)
    assert found.message.endswith(", by a write whose answer was lost")
    assert short(with_hpa.apply(5, after_s=1.0)) == (Action.NONE, "InPlace")
    assert len([write for write in with_hpa.writes() if HPA in write]) == before + 1
    # It is ours: moved like any other floor, and no tool is said to have put it back.
    for desired in (4, 6, 4, 6):
        assert with_hpa.apply(desired, after_s=15.0).after == desired
    assert short(with_hpa.apply(1, after_s=15.0)) == (Action.PATCHED, "FloorPutBack")


def test_another_owners_bound_is_no_sign_of_what_was_lost(with_hpa: World) -> None:
    with with_hpa.api.fault("PATCH", HPA, cut=True, times=1):
        assert with_hpa.apply(5).reason == "Unanswered"
    with_hpa.api.put(SCALED_OBJECT, scaled_object(minReplicaCount=5))
    assert short(with_hpa.apply(5)) == (Action.NONE, "UserMinSuffices")


def test_replicas_are_no_sign_of_a_floor_that_was_lost(with_hpa: World) -> None:
    with with_hpa.api.fault("PATCH", HPA, cut=True, times=1):
        assert with_hpa.apply(5).reason == "Unanswered"
    with_hpa.api.edit("deployments", "llm", lambda body: body["spec"].update(replicas=5))
    with_hpa.set_mode("Shadow")
    assert with_hpa.apply(5).message == "no floor is in place; the finalizer was removed"
    assert short(with_hpa.apply(5)) == (Action.NONE, "Shadow")


def test_a_floor_put_back_without_an_answer_is_told_and_stays_so(with_hpa: World) -> None:
    with_hpa.apply(5)
    with with_hpa.api.fault("PATCH", HPA, cut=True, after=True, times=1):
        assert with_hpa.apply(1).reason == "Unanswered"
    assert with_hpa.owner(HPA) == (1, None)
    assert short(with_hpa.apply(1)) == (Action.PATCHED, "FloorPutBack")
    assert short(with_hpa.apply(1)) == (Action.NONE, "UserMinSuffices")


def test_writes_are_15_s_apart(with_hpa: World) -> None:
    with_hpa.apply(5)
    assert short(with_hpa.apply(6, after_s=14.0)) == (Action.WAITING, "TooSoon")
    assert with_hpa.apply(6, after_s=1.0).after == 6
    # A clock that is set back by an hour doesn't stop it for an hour.
    assert with_hpa.apply(7, after_s=-3_600.0).after == 7


@pytest.mark.parametrize("mode", ["Shadow", "Scale"])
@pytest.mark.parametrize("restarted", [False, True])
def test_leaving_floor_mode_puts_the_bound_back(with_keda: World, mode: str, restarted: bool) -> None:
    with_keda.apply(5)
    # KEDA copies the annotations to its HPA, and doesn't remove them.
    copied = with_keda.owner(SCALED_OBJECT)[1]
    with_keda.api.edit(HPA, "keda-hpa-llm", lambda body: body["metadata"].update(annotations={NOTE: copied}))
    with_keda.set_mode(mode)
    if restarted:
        with_keda.restart()
    assert short(with_keda.apply(5)) == (Action.PATCHED, "FloorPutBack")
    assert with_keda.owner(SCALED_OBJECT) == (None, None)
    assert with_keda.finalizers() == []
    before = len(with_keda.api.requests)
    expected = (Action.NONE, "Shadow") if mode == "Shadow" else (Action.REFUSED, "OwnedByScaledObject")
    assert short(with_keda.apply(5)) == expected
    assert len(with_keda.api.requests) == before


def test_the_floor_moves_when_keda_takes_over_from_the_hpa(with_hpa: World) -> None:
    with_hpa.apply(5)
    with_hpa.api.put(SCALED_OBJECT, scaled_object())
    with_hpa.api.edit(HPA, "llm", lambda body: body["spec"]["scaleTargetRef"].update(name="other"))
    assert short(with_hpa.apply(5)) == (Action.PATCHED, "FloorPutBack")
    assert with_hpa.owner(HPA) == (1, None)
    assert short(with_hpa.apply(5)) == (Action.PATCHED, "FloorWritten")
    assert with_hpa.owner(SCALED_OBJECT) == (5, note(None, 5))


def test_an_owner_that_went_is_forgotten(with_hpa: World) -> None:
    with_hpa.apply(5)
    with_hpa.api.remove(HPA, "llm")
    assert short(with_hpa.apply(5)) == (Action.REFUSED, "NoOwner")
    with_hpa.api.put(HPA, hpa(minReplicas=5))
    # As it happens the new one has the floor as its own bound: it is the user's.
    assert short(with_hpa.apply(2)) == (Action.NONE, "UserMinSuffices")


def test_an_object_that_is_deleted_puts_the_bound_back_and_goes(with_hpa: World) -> None:
    with_hpa.apply(5)
    with_hpa.api.delete("predictiveautoscalers", "llm")
    deleting = with_hpa.object()
    assert deleting.metadata.deletion_timestamp is not None
    assert short(with_hpa.apply(5)) == (Action.PATCHED, "FloorPutBack")
    assert with_hpa.owner(HPA) == (1, None)
    assert with_hpa.api.items("predictiveautoscalers") == []


def test_an_object_from_a_file_has_no_finalizer(with_hpa: World) -> None:
    body = {**autoscaler(mode="Floor"), "metadata": {"name": "llm", "namespace": "team"}}
    outcome = with_hpa.apply(5, given=parse_autoscaler(body))
    assert outcome.action is Action.PATCHED
    assert with_hpa.writes() == ["PATCH horizontalpodautoscalers"]
