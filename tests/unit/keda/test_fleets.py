"""Fleets that nobody here sees."""

from __future__ import annotations

from autoscaler.keda.fleets import Fleets
from autoscaler.kube.facts import Target, TargetKey

KEY = ("prod", "chat-keda-1")
TARGET = TargetKey("prod", "apps/v1", "Deployment", "chat-keda-1")
MOST, LOAD_S = 40, 120.0


def seen(fleets: Fleets, now_s: float) -> tuple[int, int]:
    """Replicas, and those that are ready."""
    target = fleets.target(KEY, TARGET, now_s=now_s, most=MOST)
    assert isinstance(target, Target)
    return target.replicas, sum(pod.ready for pod in target.pods)


def follow(fleets: Fleets, desired: int, now_s: float, *, usable: bool = True) -> None:
    fleets.follow(KEY, desired, usable=usable, now_s=now_s, load_s=LOAD_S)


def test_before_a_decision_on_data_there_is_all_that_may_be() -> None:
    fleets = Fleets()
    follow(fleets, 40, 0.0, usable=False)
    assert seen(fleets, 0.0) == (MOST, MOST)


def test_what_the_first_decision_asks_for_is_there_already() -> None:
    fleets = Fleets()
    follow(fleets, 5, 0.0)
    assert seen(fleets, 0.0) == (5, 5)


def test_what_is_ordered_is_ready_one_load_later() -> None:
    fleets = Fleets()
    follow(fleets, 2, 0.0)
    follow(fleets, 5, 60.0)
    assert seen(fleets, 60.0 + LOAD_S - 1.0) == (5, 2)
    assert seen(fleets, 60.0 + LOAD_S) == (5, 5)


def test_what_loads_leaves_before_what_serves() -> None:
    fleets = Fleets()
    follow(fleets, 2, 0.0)
    follow(fleets, 5, 60.0)
    follow(fleets, 3, 90.0)
    assert seen(fleets, 90.0) == (3, 2)
    follow(fleets, 0, 120.0)
    assert seen(fleets, 120.0) == (0, 0)


def test_a_release_that_an_hpa_ignores_isnt_followed() -> None:
    fleets = Fleets()
    follow(fleets, 20, 0.0)
    before, _ = seen(fleets, 0.0)
    follow(fleets, 19, 60.0)
    assert seen(fleets, 60.0)[0] == before == 21


def test_a_decision_on_no_data_is_followed_once_there_was_one_on_data() -> None:
    fleets = Fleets()
    follow(fleets, 2, 0.0)
    follow(fleets, 4, 60.0, usable=False)
    assert seen(fleets, 60.0) == (4, 2)


def test_a_fleet_is_forgotten_with_its_object() -> None:
    fleets = Fleets()
    follow(fleets, 2, 0.0)
    fleets.keep([KEY])
    assert seen(fleets, 0.0) == (2, 2)
    fleets.keep([])
    assert seen(fleets, 0.0) == (MOST, MOST)
