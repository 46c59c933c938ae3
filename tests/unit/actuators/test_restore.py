"""Putting bounds back at the end, and those that were left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fake_api.objects import autoscaler, hpa, scaled_object
from fake_api.server import FakeApi
from world import NOTE, World, short

from autoscaler.actuators import restore as restore_module
from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.note import Note, read_note
from autoscaler.actuators.outcome import Action
from autoscaler.actuators.restore import find_floors, release, sweep
from autoscaler.controller.kube_actuator import KubeActuator
from autoscaler.kube.client import Kube
from autoscaler.kube.events import EventRecorder
from autoscaler.kube.facts import Owner
from autoscaler.kube.parse import parse_autoscaler
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics

HPA, SCALED_OBJECT = "horizontalpodautoscalers", "scaledobjects"


def floored(body: dict[str, Any], *, by: str, written: int = 5) -> dict[str, Any]:
    field = "minReplicas" if body["kind"] == "HorizontalPodAutoscaler" else "minReplicaCount"
    original = body["spec"].get(field)
    body["spec"][field] = written
    body["metadata"]["annotations"] = {NOTE: json.dumps({"min": original, "written": written, "by": by})}
    return body


@pytest.fixture
def world(api: FakeApi, kube: Kube) -> World:
    """With a floor of 5 on an HPA."""
    made = World(api, kube, mode="Floor")
    api.put(HPA, hpa(minReplicas=2))
    made.apply(5)
    assert made.owner(HPA)[0] == 5
    return made


def test_release_finds_the_floor_and_lets_the_object_go(world: World) -> None:
    outcome = release(world.kube, world.object())
    assert short(outcome) == (Action.PATCHED, "FloorPutBack")
    assert (outcome.before, outcome.after) == (5, 2)
    assert world.owner(HPA) == (2, None)
    assert world.finalizers() == []
    assert short(release(world.kube, world.object())) == (Action.NONE, "NothingToRestore")


def test_release_of_many_looks_once(world: World) -> None:
    world.api.put(SCALED_OBJECT, floored(scaled_object("other", target="other"), by="team/other"))
    world.api.put("predictiveautoscalers", autoscaler("other", mode="Floor"))
    held = list(find_floors(world.kube, None))
    looked = lists(world)
    for name in ("llm", "other"):
        user = parse_autoscaler(world.api.read("predictiveautoscalers", name))
        assert release(world.kube, user, held).action is Action.PATCHED
    assert world.owner(HPA) == (2, None)
    assert world.owner(SCALED_OBJECT, "other") == (None, None)
    assert lists(world) == looked


@pytest.fixture
def actuator(world: World) -> Iterator[KubeActuator]:
    """The controller's own, over the same API."""
    events, metrics = EventRecorder(world.kube, instance="test"), Metrics(version="0", now_s=lambda: 0.0)
    yield KubeActuator(world.kube, events, Log(lambda _line: None), metrics, namespace=None)
    events.stop()


def lists(world: World) -> int:
    return len([path for verb, path, _ in world.api.requests if verb == "GET" and "limit=" in path])


def test_where_nothing_is_held_nobody_looks_again(world: World, actuator: KubeActuator) -> None:
    release(world.kube, world.object())
    held, looked = actuator.held(), lists(world)
    assert short(actuator.restore(world.object(), held)) == (Action.NONE, "NothingToRestore")
    assert lists(world) == looked


def test_where_nobody_could_look_each_is_looked_up_by_itself(world: World, actuator: KubeActuator) -> None:
    for fault in ({"status": 500}, {"status": 200, "body": {"kind": "List", "metadata": 7}}):
        with world.api.fault("GET", "/horizontalpodautoscalers", **fault):
            held = actuator.held()
        assert held is None
    assert short(actuator.restore(world.object(), held)) == (Action.PATCHED, "FloorPutBack")


def test_an_edit_since_is_left_and_the_note_goes(world: World) -> None:
    world.api.edit(HPA, "llm", lambda body: body["spec"].update(minReplicas=7))
    assert release(world.kube, world.object()).after == 7
    assert world.owner(HPA) == (7, None)


def test_a_busy_owner_is_tried_again(world: World) -> None:
    with world.api.fault("PATCH", "/horizontalpodautoscalers/", status=409, times=7):
        assert release(world.kube, world.object()).action is Action.PATCHED
    assert world.owner(HPA) == (2, None)


def test_the_finalizer_stays_while_the_floor_does(world: World) -> None:
    with world.api.fault("PATCH", "/horizontalpodautoscalers/", status=500):
        assert short(release(world.kube, world.object())) == (Action.FAILED, "ServerError")
    assert world.finalizers() == [FINALIZER]
    world.api.edit("predictiveautoscalers", "llm", lambda body: body["metadata"]["finalizers"].append("acme.io/x"))
    assert release(world.kube, world.object()).action is Action.PATCHED
    assert world.finalizers() == ["acme.io/x"]


def test_an_object_that_was_made_anew_keeps_its_finalizer(world: World) -> None:
    before = world.object()
    world.api.remove("predictiveautoscalers", "llm")
    body = autoscaler(mode="Floor")
    body["metadata"]["finalizers"] = [FINALIZER]
    world.api.put("predictiveautoscalers", body)
    release(world.kube, before)
    assert world.finalizers() == [FINALIZER]


def test_without_keda_there_is_nothing_to_find_there(world: World) -> None:
    world.api.kinds = [kind for kind in world.api.kinds if kind.group != "keda.sh"]
    assert [held.by for held in find_floors(world.kube, "team")] == ["team/llm"]
    with world.api.fault("GET", "/scaledobjects", status=403):
        assert short(release(world.kube, world.object())) == (Action.FAILED, "Forbidden")
    assert world.owner(HPA)[0] == 5


def test_a_sweep_puts_back_what_nobody_holds(world: World) -> None:
    for name, by in (("gone", "team/gone"), ("moved", "team/llm"), ("unread", "team/unread"), ("shadow", "team/s")):
        world.api.put(SCALED_OBJECT, floored(scaled_object(name, target=name), by=by))
    world.api.put(HPA, floored(hpa("keda-hpa-gone", target="gone", made_by="gone"), by="team/gone"))
    world.api.put(HPA, {**hpa("nonsense"), "spec": {}})
    world.api.put("predictiveautoscalers", autoscaler("s", mode="Shadow"))
    users = [parse_autoscaler(body) for body in world.api.items("predictiveautoscalers")]
    outcomes = sweep(world.kube, users, spared={"team/unread"})
    assert [outcome.action for outcome in outcomes] == [Action.PATCHED] * 3
    assert {name: world.owner(SCALED_OBJECT, name)[0] for name in ("gone", "moved", "unread", "shadow")} == {
        "gone": None,
        "moved": None,
        "unread": 5,
        "shadow": None,
    }
    assert world.owner(HPA)[0] == 5
    assert world.owner(HPA, "keda-hpa-gone")[0] == 5
    assert sweep(world.kube, users, spared={"team/unread"}, namespaces=["team", "elsewhere"]) == ()


def test_a_sweep_leaves_the_floors_of_objects_that_another_headstart_looks_after(world: World) -> None:
    """Such as the cluster's own, while somebody tries a file of objects from a laptop."""
    world.api.put(SCALED_OBJECT, floored(scaled_object("gone", target="gone"), by="team/gone"))
    world.api.put(SCALED_OBJECT, floored(scaled_object("odd", target="odd"), by="odd/../name"))
    told = {short(outcome) for outcome in sweep(world.kube, [])}
    assert told == {(Action.PATCHED, "FloorPutBack"), (Action.NONE, "HeldByAnother")}
    assert world.owner(HPA)[0] == 5
    assert [world.owner(SCALED_OBJECT, name)[0] for name in ("gone", "odd")] == [None, None]
    with world.api.fault("GET", "/predictiveautoscalers/", status=500):
        (outcome,) = sweep(world.kube, [])
    assert (short(outcome), outcome.undone) == ((Action.FAILED, "ServerError"), True)
    assert world.owner(HPA)[0] == 5
    with world.api.fault("GET", "/predictiveautoscalers/", status=403):
        assert [short(outcome) for outcome in sweep(world.kube, [])] == [(Action.PATCHED, "FloorPutBack")]


@pytest.mark.parametrize("note", ["[" * 990, "[" * 1_100, "[" * 100_000])
def test_nobodys_annotation_keeps_the_floors_of_others_from_being_found(world: World, note: str) -> None:
    bad = hpa("bad", target="bad")
    bad["metadata"]["annotations"] = {NOTE: note}
    world.api.put(HPA, bad, namespace="elsewhere")
    assert [held.by for held in find_floors(world.kube, None)] == ["team/llm"]
    world.api.remove("predictiveautoscalers", "llm")
    assert [short(outcome) for outcome in sweep(world.kube, [])] == [(Action.PATCHED, "FloorPutBack")]


def test_an_owner_that_brings_a_defect_to_light_hides_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def reads(owner: Owner) -> Note | None:
        if owner.name == "bad":
            raise ZeroDivisionError
        return read_note(owner)

    monkeypatch.setattr(restore_module, "read_note", reads)
    world.api.put(HPA, hpa("bad"))
    assert [held.by for held in find_floors(world.kube, None)] == ["team/llm"]
    assert "ZeroDivisionError" in caplog.text


def test_a_sweep_that_cannot_look_says_so_and_changes_nothing(world: World) -> None:
    with world.api.fault("GET", "/horizontalpodautoscalers", hang_s=2.0):
        (outcome,) = sweep(world.kube, [])
    assert short(outcome) == (Action.FAILED, "Timeout")
    assert world.owner(HPA)[0] == 5


def test_a_bound_put_back_without_an_answer_is_looked_for_again(world: World) -> None:
    with world.api.fault("PATCH", f"/{HPA}/", cut=True, after=True, times=1):
        lost = release(world.kube, world.object())
    assert (short(lost), lost.undone) == ((Action.WAITING, "Unanswered"), True)
    assert world.owner(HPA) == (2, None)
    assert short(release(world.kube, world.object())) == (Action.PATCHED, "Released")
    assert world.finalizers() == []
