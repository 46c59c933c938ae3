"""A history as a line: it reads back to the last bit, and a damaged one is told with its field."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from decision_records import make_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.unseen import Unseen
from autoscaler.errors import UsageError
from autoscaler.telemetry.history_line import OPENING, HistoryRecord, from_history_line, to_history_line

RATES = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30)


def make_history(demand_rps=None, **others):
    values = {"namespace": "shop", "name": "chat", "spec": make_spec(), "start_s": 600.0}
    return HistoryRecord(
        **(values | others), demand_rps={"requests": np.array([1.0, math.nan])} if demand_rps is None else demand_rps
    )


@settings(deadline=None, max_examples=50)
@given(
    rates=RATES,
    start_s=st.floats(-1e12, 1e12),
    backlog_rs=st.floats(0.0, allow_infinity=False),
    serving=st.none() | st.integers(0, 10**6),
    unseen=st.builds(Unseen, st.integers(0, 10**6), st.integers(0, 100)),
)
def test_it_reads_back_to_the_last_bit(rates, start_s, backlog_rs, serving, unseen):
    record = make_history(
        {"requests": np.array(rates)}, start_s=start_s, backlog_rs=backlog_rs, serving=serving, unseen=unseen
    )
    line = to_history_line(record)
    assert line.startswith(OPENING)
    assert "\n" not in line
    assert line.isascii()
    again = from_history_line(line, where="line 1")
    # NaN differs from itself, and which of the many NaNs it was isn't kept.
    np.testing.assert_array_equal(again.demand_rps["requests"], record.demand_rps["requests"])
    np.testing.assert_array_equal(
        np.signbit(again.demand_rps["requests"])[~np.isnan(rates)], np.signbit(rates)[~np.isnan(rates)]
    )
    assert replace(again, demand_rps={}) == replace(record, demand_rps={})
    assert to_history_line(again) == line


def test_without_any_history_it_reads_back_too():
    assert from_history_line(to_history_line(make_history({})), where="line 1").demand_rps == {}


DAMAGES = {
    "cut": (lambda content: None, "is not whole JSON"),
    "another kind": (lambda content: content.update(kind="Decision"), "kind must be 'History'"),
    "no start": (lambda content: content.pop("start_s"), "start_s is missing"),
    "a start that is none": (lambda content: content.update(start_s=None), "start_s must be a number of seconds"),
    "text for a rate": (lambda content: content["demand_rps"].update(requests=["x"]), "demand_rps.requests must be a"),
    "another unit": (lambda content: content.update(demand_rps={"tokens": [1.0]}), "must have the units of spec.cap"),
    "one unit too many": (lambda content: content["demand_rps"].update(tokens=[1.0, 2.0]), "must have the units of"),
    "uneven bins": (
        lambda content: (
            content["spec"]["capacity_rps"].update(tokens=1.0),
            content["demand_rps"].update(tokens=[1.0]),
        ),
        "equally many bins each",
    ),
    "half a replica": (lambda content: content.update(serving=1.5), "serving must be a whole number"),
    "no capacity": (lambda content: content["spec"].update(capacity_rps={}), "capacity is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_is_told_with_its_field(damage):
    change, told = DAMAGES[damage]
    line = to_history_line(make_history())
    if damage == "cut":
        line = line[:-20]
    else:
        content = json.loads(line)
        change(content)
        line = json.dumps(content)
    with pytest.raises(UsageError, match=r"^recording, line 7: ") as caught:
        from_history_line(line, where="recording, line 7")
    assert told in str(caught.value)
