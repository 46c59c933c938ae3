"""The number of placeholders, written to what the user created; and all that can be in the way.

| case                                        | what is written       | outcome                         |
| ------------------------------------------- | --------------------- | ------------------------------- |
| as many as are ordered                      | nothing               | None/InPlace                    |
| another number, also to 0, or unset before  | spec.replicas         | Patched/PlaceholdersSet         |
| within 15 s of the last write               | nothing               | Waiting/TooSoon                 |
| fewer than stand, or unset, while held      | nothing               | None/Held                       |
| somebody else changes it again and again    | ever less often       | Waiting/PlaceholdersReverted    |
| it changed between reading and writing      | nothing               | Conflict/Conflict               |
| it, or its kind, doesn't exist              | nothing, no back-off  | Refused/PlaceholdersNotFound    |
| 403                                         | nothing, no back-off  | Refused/PlaceholdersForbidden   |
| nobody asks any more, and ours stand        | 0                     | Patched/PlaceholdersTakenAway   |
| ... others, or none, stand                  | nothing               | None/NothingToTakeAway          |
| 500, nonsense                               | nothing; back-off     | Failed/..., Waiting/BackingOff  |
| hang, cut                                   | nothing; back-off     | Waiting/Unanswered, BackingOff  |
| ... and what was tried stands then          | nothing               | Patched/PlaceholdersSet         |
"""

from __future__ import annotations

from typing import Any

import pytest
from fake_api.objects import autoscaler, deployment
from fake_api.server import FakeApi, Kind
from world import T0_S, short

from autoscaler.actuators.outcome import Action, ActuatorMemory, Outcome
from autoscaler.actuators.placeholders import set_placeholders, take_away_placeholders
from autoscaler.kube.client import Kube
from autoscaler.kube.parse import parse_autoscaler

BUFFERS = "capacitybuffers"


def buffer(replicas: int | None = 0) -> dict[str, Any]:
    """A CapacityBuffer; None leaves replicas out."""
    spec: dict[str, Any] = {"podTemplateRef": {"name": "chat"}, "limits": {"cpu": "8"}}
    return {
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": {"name": "warm"},
        "spec": spec if replicas is None else {**spec, "replicas": replicas},
    }


class Placing:
    """The object team/llm, whose placeholders are `warm`."""

    def __init__(self, api: FakeApi, kube: Kube, kind: str) -> None:
        self.api, self.kube = api, kube
        self.plural = BUFFERS if kind == "CapacityBuffer" else "deployments"
        self.memory, self.now_s = ActuatorMemory(), T0_S
        head_start = {"placeholders": {"kind": kind, "name": "warm", "maxReplicas": 9}}
        self.object = parse_autoscaler(api.put("predictiveautoscalers", autoscaler(nodeHeadStart=head_start)))

    def set(self, count: int, *, after_s: float = 60.0, held: bool = False) -> Outcome:
        self.now_s += after_s
        return set_placeholders(self.kube, self.object, count, held=held, now_s=self.now_s, memory=self.memory)

    def take_away(self, *written: int) -> Outcome:
        return take_away_placeholders(self.kube, self.object, written)

    def replicas(self) -> int | None:
        value: int | None = self.api.read(self.plural, "warm")["spec"].get("replicas")
        return value

    def writes(self) -> int:
        return len(self.api.writes())


@pytest.fixture(params=["Deployment", "CapacityBuffer"])
def placing(request: pytest.FixtureRequest, api: FakeApi, kube: Kube) -> Placing:
    """Nothing but the placeholders themselves differs between the kinds."""
    api.kinds.append(Kind("autoscaling.x-k8s.io", "v1beta1", BUFFERS, "CapacityBuffer"))
    made = Placing(api, kube, request.param)
    api.put(made.plural, buffer() if made.plural == BUFFERS else deployment("warm", replicas=0))
    api.requests.clear()
    return made


def test_the_number_is_written_on_change_only_also_to_0(placing: Placing) -> None:
    outcome = placing.set(3)
    assert short(outcome) == (Action.PATCHED, "PlaceholdersSet")
    assert outcome.message.endswith("team/warm: replicas 0 -> 3")
    assert short(placing.set(3)) == (Action.NONE, "InPlace")
    assert placing.set(0).before == 3
    assert placing.replicas() == 0
    assert placing.writes() == 2


def test_while_too_little_is_known_the_number_is_only_raised(placing: Placing) -> None:
    assert placing.set(3, held=True).after == 3
    kept = placing.set(0, held=True)
    assert short(kept) == (Action.NONE, "Held")
    assert kept.message.endswith("team/warm keeps the replicas that are ordered, 3, while too little is known")
    assert placing.set(5, held=True).after == 5
    assert placing.set(0).after == 0


def test_what_is_held_is_cut_to_what_is_allowed(placing: Placing) -> None:
    placing.api.edit(placing.plural, "warm", lambda body: body["spec"].update(replicas=12))
    assert placing.set(0, held=True).after == 9


def test_a_number_that_was_never_set_may_stand_for_many_and_is_held(api: FakeApi, kube: Kube) -> None:
    api.kinds.append(Kind("autoscaling.x-k8s.io", "v1beta1", BUFFERS, "CapacityBuffer"))
    placing = Placing(api, kube, "CapacityBuffer")
    api.put(BUFFERS, buffer(None))
    assert short(placing.set(2, held=True)) == (Action.NONE, "Held")
    assert placing.replicas() is None


def test_nothing_else_is_written(placing: Placing) -> None:
    before = placing.api.read(placing.plural, "warm")
    placing.set(3)
    after = placing.api.read(placing.plural, "warm")
    assert after["spec"] == {**before["spec"], "replicas": 3}
    written = placing.api.writes()[0][2]
    assert written is not None
    assert written["spec"] == {"replicas": 3}
    assert written["metadata"] == {"resourceVersion": before["metadata"]["resourceVersion"]}


def test_writes_are_15_s_apart(placing: Placing) -> None:
    placing.set(3)
    assert short(placing.set(4, after_s=14.0)) == (Action.WAITING, "TooSoon")
    assert placing.set(4, after_s=1.0).after == 4


def test_whoever_else_writes_it_is_followed_ever_less_often(placing: Placing) -> None:
    placing.set(3)
    tried = []
    for _ in range(120):
        placing.api.edit(placing.plural, "warm", lambda body: body["spec"].update(replicas=1))
        tried.append(short(placing.set(3, after_s=15.0)))
    assert tried.count((Action.PATCHED, "PlaceholdersSet")) <= 8
    waiting = placing.set(3, after_s=15.0)
    assert short(waiting) == (Action.WAITING, "PlaceholdersReverted")
    assert "somebody set the replicas of" in waiting.message


def test_a_change_in_between_is_not_overwritten(placing: Placing) -> None:
    with placing.api.fault("PATCH", status=409, times=1):
        assert short(placing.set(3)) == (Action.CONFLICT, "Conflict")
    assert placing.set(3, after_s=1.0).after == 3


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_is_tried_again_ever_less_often(placing: Placing, status: int) -> None:
    with placing.api.fault("GET", "warm", status=status):
        assert short(placing.set(3)) == (Action.FAILED, "ServerError")
        assert short(placing.set(3, after_s=14.0)) == (Action.WAITING, "BackingOff")
        assert placing.set(3, after_s=1.0).action is Action.FAILED
    assert placing.set(3, after_s=60.0).after == 3


def test_failures_are_in_a_row_only_while_nothing_works_in_between(placing: Placing) -> None:
    for _ in range(6):
        with placing.api.fault("GET", "warm", status=500):
            assert placing.set(0).action is Action.FAILED
        assert short(placing.set(0, after_s=15.0)) == (Action.NONE, "InPlace")


def test_a_lost_answer_is_found_out_and_blames_nobody(placing: Placing) -> None:
    placing.set(1)
    with placing.api.fault("PATCH", "warm", cut=True, after=True, times=1):
        lost = placing.set(3)
    assert (short(lost), lost.maybe) == ((Action.WAITING, "Unanswered"), 3)
    assert "whether it was carried out isn't known" in lost.message
    found = placing.set(3)
    assert (short(found), found.before, found.after) == ((Action.PATCHED, "PlaceholdersSet"), 1, 3)
    assert placing.writes() == 2
    placing.api.edit(placing.plural, "warm", lambda body: body["spec"].update(replicas=2))
    placing.set(3)
    with placing.api.fault("PATCH", "warm", cut=True, after=True, times=1):
        placing.set(4)
    # One edit was somebody's; what was lost isn't a second one, after which a write waits for longer.
    both = placing.set(5, after_s=15.0)
    assert short(both) == (Action.PATCHED, "PlaceholdersSet")
    assert "replicas 3 -> 4, by a write whose answer was lost; " in both.message
    assert both.message.endswith("replicas 4 -> 5")


def test_nonsense_is_a_failure(placing: Placing) -> None:
    with placing.api.fault("GET", "warm", status=200, body={"kind": "Scale", "metadata": {}}):
        assert short(placing.set(3)) == (Action.FAILED, "Malformed")


def test_what_may_not_be_written_is_refused_and_named(placing: Placing) -> None:
    with placing.api.fault("", "warm", status=403):
        outcome = placing.set(3)
    assert short(outcome) == (Action.REFUSED, "PlaceholdersForbidden")
    # No back-off: the next decision finds the right that was given meanwhile.
    assert placing.set(3, after_s=1.0).after == 3


def test_what_does_not_exist_is_refused_and_found_once_it_does(placing: Placing) -> None:
    placing.api.remove(placing.plural, "warm")
    outcome = placing.set(3)
    assert short(outcome) == (Action.REFUSED, "PlaceholdersNotFound")
    assert "correct nodeHeadStart.placeholders" in outcome.message
    assert "\n" not in outcome.message
    body = buffer(None) if placing.plural == BUFFERS else deployment("warm", replicas=0)
    placing.api.put(placing.plural, body)
    assert placing.set(3).after == 3


def test_a_cluster_without_capacity_buffers_says_so(api: FakeApi, kube: Kube) -> None:
    outcome = Placing(api, kube, "CapacityBuffer").set(3)
    assert short(outcome) == (Action.REFUSED, "PlaceholdersNotFound")
    assert "no kind 'CapacityBuffer' in autoscaling.x-k8s.io/v1beta1" in outcome.message


def test_the_older_version_of_capacity_buffers_will_do(api: FakeApi, kube: Kube) -> None:
    api.kinds.append(Kind("autoscaling.x-k8s.io", "v1alpha1", BUFFERS, "CapacityBuffer"))
    placing = Placing(api, kube, "CapacityBuffer")
    api.put(BUFFERS, buffer(None))
    outcome = placing.set(2)
    assert outcome.message == "CapacityBuffer team/warm: replicas unset -> 2"
    assert placing.replicas() == 2


def test_what_nobody_asks_for_any_more_goes_to_0(placing: Placing) -> None:
    placing.set(3)
    outcome = placing.take_away(2, 3)
    assert short(outcome) == (Action.PATCHED, "PlaceholdersTakenAway")
    assert outcome.message.endswith("team/warm: replicas 3 -> 0, for nobody asks for them any more")
    assert placing.replicas() == 0
    assert short(placing.take_away(2, 3)) == (Action.NONE, "NothingToTakeAway")
    assert placing.writes() == 2


def test_a_number_that_somebody_else_ordered_is_not_taken_away(placing: Placing) -> None:
    placing.set(3)
    placing.api.edit(placing.plural, "warm", lambda body: body["spec"].update(replicas=7))
    assert short(placing.take_away(3)) == (Action.NONE, "NothingToTakeAway")
    assert placing.replicas() == 7


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"status": 404}, (Action.REFUSED, "PlaceholdersNotFound")),
        ({"status": 403}, (Action.REFUSED, "PlaceholdersForbidden")),
        ({"status": 409}, (Action.CONFLICT, "Conflict")),
        ({"status": 500}, (Action.FAILED, "ServerError")),
        ({"cut": True}, (Action.WAITING, "Unanswered")),
    ],
)
def test_what_is_in_the_way_of_taking_away_is_an_outcome(
    placing: Placing, fault: dict[str, Any], outcome: tuple[Action, str]
) -> None:
    placing.set(3)
    with placing.api.fault("PATCH", "warm", **fault):
        assert short(placing.take_away(3)) == outcome
