"""What is planned with: what the user states counts exactly, and what was learned where the user lets it."""

from __future__ import annotations

import pytest

from autoscaler.controller.core_spec import forecasts_alike, learned_spec, stated_spec
from autoscaler.core.learned_capacity import CapacitySamples
from autoscaler.core.learned_load import LoadTimes

NO_LOADS = LoadTimes()


def planned(object_of, before, *, loads=NO_LOADS, capacities=None, **stated):
    """The spec after an edit of the object `before`, when both were taken in."""
    current = learned_spec(object_of(**before).spec, stated_spec(object_of(**before).spec), loads, capacities or {})
    return learned_spec(object_of(**stated).spec, current, loads, capacities or {})


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("prior_s", [1_750.0, 1_805.0, 600.0, 3_000.0])
def test_an_edited_prior_counts_exactly_while_no_load_was_seen(object_of, prior_s, learn):
    stated = {"loadLatency": {"prior": f"{prior_s:g}s", "learn": learn}}
    assert planned(object_of, {}, **stated).load_latency.quantile_s(0.9) == prior_s


def test_who_stops_learning_gets_the_prior_back(object_of):
    loads = LoadTimes.restored([5_000.0] * 20)
    learning, fixed = {"loadLatency": {"prior": "600s"}}, {"loadLatency": {"prior": "600s", "learn": False}}
    assert planned(object_of, learning, loads=loads, **learning).load_latency.quantile_s(0.9) == 5_000.0
    assert planned(object_of, learning, loads=loads, **fixed).load_latency.quantile_s(0.9) == 600.0


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("capacity", [0.95, 1.05, 3.0])
def test_an_edited_capacity_counts_exactly_while_nothing_was_learned(object_of, capacity, learn):
    demand = [{"query": "requests", "capacity": capacity, "learnCapacity": learn}]
    assert planned(object_of, {}, demand=demand).capacity_rps == {"requests": capacity}


def test_who_stops_learning_gets_the_stated_capacity_back(object_of):
    capacities = {"requests": CapacitySamples.of([1.05] * 20)}
    fixed = [{"query": "requests", "capacity": 1.0, "learnCapacity": False}]
    assert planned(object_of, {}, capacities=capacities, demand=fixed).capacity_rps == {"requests": 1.0}


def test_a_learned_capacity_a_few_percent_away_forecasts_nothing_anew(object_of):
    capacities = {"requests": CapacitySamples.of([1.05] * 20)}
    assert planned(object_of, {}, capacities=capacities).capacity_rps == {"requests": 1.0}
    capacities = {"requests": CapacitySamples.of([0.6] * 20)}
    assert planned(object_of, {}, capacities=capacities).capacity_rps == {"requests": 0.6}


def test_another_unit_begins_as_stated(object_of):
    demand = [{"unit": "prompt_tokens", "query": "tokens", "capacity": 900.0}]
    assert planned(object_of, {}, demand=demand).capacity_rps == {"prompt_tokens": 900.0}


@pytest.mark.parametrize(
    ("edit", "alike"),
    [
        ({"minReplicas": 3}, True),
        ({"maxReplicas": 30}, True),
        ({"objective": {"maxWait": "30s"}}, True),
        ({"loadLatency": {"prior": "1799s"}}, True),  # the same three bins
        ({"loadLatency": {"prior": "1801s"}}, False),
        ({"interval": "300s"}, False),
        ({"timeZone": "UTC"}, True),
        ({"timeZone": "Europe/Berlin"}, False),
        ({"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "atLeast": 5}]}, True),
        ({"schedule": [{"name": "x", "cron": "0 9 * * *", "duration": "1h", "expect": "2x"}]}, False),
        ({"demand": [{"query": "requests", "capacity": 2.0}]}, False),
        ({"demand": [{"unit": "tokens", "query": "requests", "capacity": 1.0}]}, False),
    ],
)
def test_only_what_a_forecast_depends_on_forecasts_anew(object_of, edit, alike):
    assert forecasts_alike(stated_spec(object_of().spec), stated_spec(object_of(**edit).spec)) is alike
