from __future__ import annotations

import math

import pytest
from keda_client import INLINE, Hand, posted, unusable

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.workload import ObjectKey
from autoscaler.keda.board import Board, Key
from autoscaler.keda.guests import Guests, GuestsFullError
from autoscaler.keda.metadata import Inline, read_metadata


def guest(number: int, namespace: str = "prod") -> PredictiveAutoscaler:
    asked = read_metadata(namespace, f"chat-{number}", INLINE)
    assert isinstance(asked, Inline)
    return asked.autoscaler


def names(guests: Guests) -> list[str]:
    return [each.metadata.name.partition("-keda-")[0] for each in guests.objects()]


def test_the_board_remembers_the_last_usable_decision_beside_the_newest() -> None:
    clock = Hand()
    board = Board(clock)
    board.post(("prod", "chat"), unusable(2))
    seen = board.get(("prod", "chat"))
    assert seen is not None
    assert (seen.usable, seen.usable_age_s) == (None, math.inf)
    board.post(("prod", "chat"), posted(3))
    clock.now_s += 60.0
    board.post(("prod", "chat"), unusable(4))
    clock.now_s += 5.0
    seen = board.get(ObjectKey("prod", "chat"))
    assert seen is not None
    assert (seen.newest, seen.age_s) == (unusable(4), 5.0)
    assert (seen.usable, seen.usable_age_s) == (posted(3), 65.0)


def test_the_board_forgets_what_is_gone_and_knows_what_exists() -> None:
    board = Board()
    assert board.exists(("prod", "chat")) is None
    board.post(("prod", "chat"), posted(1))
    board.keep([("prod", "code")])
    assert board.get(("prod", "chat")) is None
    assert board.exists(("prod", "chat")) is False
    assert board.exists(("prod", "code")) is True
    board.post(("prod", "chat"), posted(1))
    assert board.exists(("prod", "chat")) is True


def test_another_board_goes_on_with_the_ages_of_the_one_before() -> None:
    clock, later = Hand(), Hand()
    later.now_s += 5_000.0
    board, other = Board(clock), Board(later)
    board.post(("prod", "chat"), posted(3))
    clock.now_s += 60.0
    board.post(("prod", "chat"), unusable(4))
    board.post(("prod", "new"), unusable(2))
    clock.now_s += 5.0
    told: list[Key] = []
    other.listen(told.append)
    other.restore(board.everything())
    for key in (("prod", "chat"), ("prod", "new")):
        assert other.get(key) == board.get(key)
    other.keep([("prod", "new")])
    assert [key for key, _ in other.everything()] == [("prod", "new")]
    assert told == []


def test_the_board_tells_of_each_decision() -> None:
    board = Board()
    told: list[Key] = []
    board.listen(told.append)
    board.post(("prod", "chat"), posted(1))
    assert told == [("prod", "chat")]


def test_guests_go_after_their_last_call() -> None:
    clock = Hand()
    guests = Guests(clock, forget_after_s=600.0)
    guests.admit(guest(1))
    guests.admit(guest(2))
    clock.now_s += 400.0
    guests.admit(guest(1))
    clock.now_s += 201.0
    assert names(guests) == ["chat-1"]
    clock.now_s += 400.0
    assert names(guests) == []


def test_guests_are_limited_and_those_that_go_make_room() -> None:
    clock = Hand()
    guests = Guests(clock, guests_max=2, forget_after_s=600.0)
    guests.admit(guest(1))
    clock.now_s += 300.0
    guests.admit(guest(2))
    with pytest.raises(GuestsFullError, match="2 workloads are described in trigger metadata already"):
        guests.admit(guest(3))
    guests.admit(guest(2))
    clock.now_s += 301.0
    guests.admit(guest(3))
    assert names(guests) == ["chat-2", "chat-3"]


def test_one_namespace_leaves_room_for_others() -> None:
    clock = Hand()
    guests = Guests(clock, guests_max=10, per_namespace=2, forget_after_s=600.0)
    guests.admit(guest(1))
    clock.now_s += 300.0
    guests.admit(guest(2))
    with pytest.raises(GuestsFullError) as raised:
        guests.admit(guest(3))
    assert str(raised.value) == (
        "2 workloads of namespace prod are described in trigger metadata already, and --keda-guests-per-namespace"
        " allows no more; make PredictiveAutoscaler objects of some, or wait until unused ones are forgotten (600 s"
        " after their last call)"
    )
    guests.admit(guest(3, "team-b"))
    guests.admit(guest(2))
    clock.now_s += 301.0
    guests.admit(guest(3))
    assert names(guests) == ["chat-3", "chat-2", "chat-3"]
