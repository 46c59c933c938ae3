"""What nobody can mean is refused in one line that says what was given and what is allowed."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.spec import Objective
from autoscaler.errors import UsageError


def refusal(make, **arguments) -> str:
    with pytest.raises(UsageError) as caught:
        make(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"late_budget": 0.0}, "late budget must be above 0 and below 1 (1% is 0.01), got 0"),
        ({"late_budget": 1.0}, "late budget must be above 0 and below 1 (1% is 0.01), got 1"),
        ({"late_budget": math.nan}, "late budget must be above 0 and below 1 (1% is 0.01), got nan"),
        ({"max_wait_s": -1.0}, "max wait must be a number of seconds >= 0, got -1"),
        ({"max_wait_s": math.inf}, "max wait must be a number of seconds >= 0, got inf"),
        ({"max_wait_s": math.nan}, "max wait must be a number of seconds >= 0, got nan"),
    ],
)
def test_an_objective_that_cannot_be_meant(arguments, message):
    assert refusal(Objective, **{"max_wait_s": 10.0, "late_budget": 0.01, **arguments}) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bin_s": 0.0}, "a bin must be a positive number of seconds, got 0"),
        ({"bin_s": math.nan}, "a bin must be a positive number of seconds, got nan"),
        ({"capacity_rps": {"requests": 0.0}}, "capacity for requests must be a positive number per second, got 0"),
        ({"capacity_rps": {"tokens": -3.0}}, "capacity for tokens must be a positive number per second, got -3"),
        ({"capacity_rps": {"a": 1.0, "b": math.inf}}, "capacity for b must be a positive number per second, got inf"),
        ({"replicas_min": 5, "replicas_max": 4}, "replicas must be 0 <= min <= max, got min 5 and max 4"),
        ({"replicas_min": -1}, "replicas must be 0 <= min <= max, got min -1 and max 100000"),
    ],
)
def test_a_spec_that_cannot_be_meant(arguments, message, spec_of):
    assert refusal(spec_of, **arguments) == message


def test_a_capacity_is_needed(spec_of):
    spec = spec_of()
    message = refusal(type(spec), bin_s=60.0, capacity_rps={}, objective=spec.objective, load_latency=spec.load_latency)
    assert message == "capacity is missing: give the work per second that one replica sustains"
