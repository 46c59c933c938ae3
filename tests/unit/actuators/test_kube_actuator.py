"""The controller's own writes: those whose answers are lost, and placeholders that are taken away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_api.objects import autoscaler, deployment, hpa, scaled_object
from fake_api.server import FakeApi
from world import NOTE, World, short

from autoscaler.actuators.outcome import Action
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.controller.kube_actuator import KubeActuator
from autoscaler.kube.client import Kube
from autoscaler.kube.events import EventRecorder
from autoscaler.kube.parse import parse_autoscaler
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics

NOTED = hpa(minReplicas=4)
NOTED["metadata"]["annotations"] = {NOTE: '{"min": 1, "written": 4, "by": "team/other"}'}
HEAD_START = {"placeholders": {"name": "warm", "maxReplicas": 9}}


class Watched:
    """The actuator of a world, with what it logs and counts."""

    def __init__(self, world: World, events: EventRecorder) -> None:
        self.logged: list[str] = []
        self.metrics = Metrics(version="0", now_s=lambda: 0.0)
        self.actuator = KubeActuator(world.kube, events, Log(self.logged.append), self.metrics, namespace=None)


@pytest.fixture
def world(api: FakeApi, kube: Kube) -> World:
    return World(api, kube, mode="Scale")


@pytest.fixture
def watched(world: World) -> Iterator[Watched]:
    events = EventRecorder(world.kube, instance="test")
    yield Watched(world, events)
    events.stop()


def test_a_replica_that_lost_the_lease_sends_nothing_again(world: World, watched: Watched) -> None:
    leads = iter([True, False])
    watched.actuator._leads = lambda: next(leads)
    with world.api.fault("PATCH", "/scale", status=409):
        outcome = watched.actuator.apply(world.object(), world.target(), 5, now_s=0.0)
    assert outcome.action is Action.CONFLICT
    # The first, and one after it was asked whether this replica leads.
    assert world.writes() == ["PATCH scale"] * 2


def test_a_status_without_an_answer_is_said_to_be_unknown_and_stored_again_without_a_change(
    world: World, watched: Watched
) -> None:
    status = PredictiveAutoscalerStatus(desired_replicas=5)
    with world.api.fault("PATCH", "/status", cut=True, after=True, times=1):
        assert not watched.actuator.write_status(world.object(), status)
    assert "whether it was carried out isn't known" in watched.logged[0]
    assert 'headstart_api_errors_total{kind="Unanswered",verb="patch"} 1.0' in watched.metrics.text().decode()
    stored = world.api.read("predictiveautoscalers", "llm")
    assert stored["status"]["desiredReplicas"] == 5
    assert watched.actuator.write_status(world.object(), status)
    assert world.api.read("predictiveautoscalers", "llm") == stored


@pytest.mark.parametrize(
    ("mode", "owner", "reason"),
    [
        ("Scale", None, None),
        ("Scale", hpa(), "OwnedByHorizontalPodAutoscaler"),
        ("Scale", scaled_object(annotations={"autoscaling.keda.sh/paused": "true"}), "Paused"),
        ("Floor", None, "NoOwner"),
        ("Floor", hpa(), None),
        ("Floor", NOTED, "HeldByAnother"),
        ("Floor", scaled_object(annotations={"autoscaling.keda.sh/paused": "true"}), "Paused"),
    ],
)
def test_what_an_owner_refuses_is_known_before_it_is_tried(
    world: World, watched: Watched, mode: str, owner: dict[str, Any] | None, reason: str | None
) -> None:
    world.set_mode(mode)
    if owner is not None:
        world.api.put("scaledobjects" if owner["kind"] == "ScaledObject" else "horizontalpodautoscalers", owner)
    refused = watched.actuator.refusal(world.object(), world.target())
    assert (None if refused is None else refused.reason) == reason
    assert refused in {None, world.apply(5)}


def test_placeholders_taken_away_without_an_answer_stay_away(world: World, watched: Watched) -> None:
    world.api.put("deployments", deployment("warm", replicas=3))
    asked = parse_autoscaler(world.api.put("predictiveautoscalers", autoscaler(nodeHeadStart=HEAD_START)))
    with world.api.fault("PATCH", "/scale", cut=True, after=True, times=1):
        lost = watched.actuator.take_away(asked, {3})
    assert (short(lost), lost.undone) == ((Action.WAITING, "Unanswered"), True)
    assert short(watched.actuator.take_away(asked, {3})) == (Action.NONE, "NothingToTakeAway")
    assert world.api.read("deployments", "warm")["spec"]["replicas"] == 0


def test_placeholders_asked_for_again_after_they_were_taken_away_were_nobodys_edit(
    world: World, watched: Watched
) -> None:
    world.api.put("deployments", deployment("warm", replicas=0))
    asked = parse_autoscaler(world.api.put("predictiveautoscalers", autoscaler(nodeHeadStart=HEAD_START)))
    for turn in range(4):
        placed = watched.actuator.place(asked, 3, held=False, now_s=20.0 * turn)
        assert (short(placed), placed.after) == ((Action.PATCHED, "PlaceholdersSet"), 3)
        assert watched.actuator.take_away(asked, {3}).after == 0
