"""A decision line reads back to the last bit, and a bad one is one line that names the field."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from decision_records import PATCHED, make_outlook, make_record, make_spec, without_history
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decide import choose
from autoscaler.core.decision import Decision, Reason
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.outlook import Outlook
from autoscaler.core.risk import LEVELS
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import lead_bins_of
from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import OPENING, compact, from_line, to_line
from autoscaler.telemetry.record import Done, Record


def same(left: object, right: object) -> bool:
    """Equality to the last bit, through dataclasses and arrays; NaN is NaN, and 0.0 is not -0.0."""
    if is_dataclass(left):
        return type(left) is type(right) and all(
            same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left)
        )
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and same(left.tolist(), right.tolist())
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return isinstance(right, dict) and same(list(left.items()), list(right.items()))
    return type(left) is type(right) and repr(left) == repr(right)


counts = st.integers(0, 2**53)
floats = st.floats()
texts = st.text(max_size=20)
levels = st.integers(0, len(LEVELS) - 1)
positive = st.floats(min_value=1e-300, max_value=1e300)
observations = st.builds(
    Observation,
    now_s=floats,
    demand_rps=st.dictionaries(texts, floats, max_size=3),
    ready=counts,
    due_bins=st.lists(st.integers(-5, 9), max_size=12).map(lambda due: np.array(due, dtype=np.int64)),
    backlog_rs=st.none() | floats,
    history_missing=st.booleans(),
    queue_unseen=st.booleans(),
)
outlooks = st.builds(
    Outlook,
    needs=st.lists(floats, min_size=2 * len(LEVELS), max_size=2 * len(LEVELS)).map(
        lambda needs: np.array(needs).reshape(2, len(LEVELS))
    ),
    level=levels,
    late_price=floats,
    late_share=floats,
    lead_bins=st.integers(0, 10_000),
    drain_s=positive,
    demand_replicas=floats,
    backlog_rs=floats,
    missing=st.booleans(),
    scheduled=st.lists(texts, max_size=2).map(tuple),
    usual_median=floats,
    cold_replicas=counts,
    trusted=st.booleans(),
    queue_unseen=st.booleans(),
    fallen_bins=st.integers(0, 1440),
    rises_weekly=st.booleans(),
)
specs = st.builds(
    lambda replicas, **values: Spec(**values, replicas_min=min(replicas), replicas_max=max(replicas)),
    replicas=st.tuples(counts, counts),
    bin_s=positive,
    capacity_rps=st.dictionaries(texts, positive, min_size=1, max_size=3),
    objective=st.builds(Objective, max_wait_s=positive, late_budget=st.floats(1e-300, 0.999)),
    load_latency=st.builds(
        lambda loads_s, label: LoadLatency.empirical(loads_s, label=label),
        st.lists(positive, min_size=1, max_size=5),
        texts,
    ),
    time_zone=st.sampled_from(["UTC", "America/New_York"]),
)
decisions = st.builds(
    Decision,
    **{
        field.name: counts if field.name in {"desired", "current", "ready", "lead_bins"} else floats
        for field in fields(Decision)
        if field.name not in {"reasons", "scheduled", "cut_from"}
    },
    scheduled=st.lists(texts, max_size=2).map(tuple),
    cut_from=st.none() | counts,
    reasons=st.lists(st.sampled_from(Reason), max_size=3).map(tuple),
)
records = st.builds(
    Record,
    time_s=st.floats(0, 4e9),
    namespace=texts,
    name=texts,
    mode=texts,
    spec=specs,
    observation=observations,
    outlook=outlooks,
    decision=decisions,
    done=st.builds(
        Done, action=texts, reason=texts, message=texts, before=st.none() | counts, after=st.none() | counts
    ),
)


@given(records)
def test_every_record_reads_back_to_the_last_bit(record: Record) -> None:
    line = to_line(record)
    assert "\n" not in line
    assert line.isascii()
    again = from_line(line)
    assert same(again, record)
    assert to_line(again) == line


def test_a_line_begins_with_what_it_is_and_its_keys_keep_their_order() -> None:
    first, second = to_line(make_record()), to_line(without_history(make_record()))
    assert first.startswith(OPENING)
    keys = [(key, list(value) if isinstance(value, dict) else None) for key, value in json.loads(first).items()]
    assert [
        (key, list(value) if isinstance(value, dict) else None) for key, value in json.loads(second).items()
    ] == keys
    assert [key for key, _ in keys[:7]] == ["kind", "version", "time", "time_s", "namespace", "name", "mode"]
    assert json.loads(first)["time"] == "2025-11-25T03:12:02.000Z"


def test_the_logged_outlook_makes_the_same_decision_again() -> None:
    for record in (make_record(), without_history(make_record()), make_record(outlook=make_outlook(backlog_rs=900.0))):
        again = from_line(to_line(record))
        assert same(choose(again.spec, again.outlook, again.observation), record.decision)


def test_a_long_load_latency_becomes_five_quantiles_that_plan_the_same() -> None:
    loads = LoadLatency.lognormal(120.0, 0.7)
    few = compact(loads)
    assert len(few.quantiles_s) == 5
    assert (few.quantile_s(0.5), few.quantile_s(0.9)) == (loads.quantile_s(0.5), loads.quantile_s(0.9))
    assert lead_bins_of(make_spec(load_latency=few)) == lead_bins_of(make_spec(load_latency=loads))
    assert compact(few) is few


def test_thousands_of_loading_replicas_fit_below_the_size_at_which_log_lines_are_split() -> None:
    record = make_record(due=tuple(sorted(i % 40 for i in range(10_000))), spec=make_spec(replicas_max=100_000))
    assert len(to_line(record)) < 4_096


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version":7', '"version":2', "version is 2, this Headstart reads 7"),
        ('"missing":false', '"missing":0', "outlook.missing must be true or false, not 0"),
        ('"level":14', '"level":21', "outlook.level must be 0 to 20, not 21"),
        ('"drain_s":60.0', '"drain_s":0', "outlook.drain_s must be above 0"),
        ('"drain_s":60.0', '"drain_s":NaN', "NaN is not JSON"),
        ('"drain_s":60.0', '"drain_s":1e999', "outlook.drain_s must be a number, null"),
        ('"drain_s":60.0', '"drain_s":"60"', "outlook.drain_s must be a number, null"),
        ('"ready":3,"due', '"ready":3.0,"due', "observation.ready must be a whole number"),
        ('"ready":3,"due', '"due', "observation.ready is missing"),
        ("[[1,1],[3,1]]", "[[1,-1]]", "observation.due_bins must count 1 to"),
        ("[[1,1],[3,1]]", "[[1,9999999]]", "observation.due_bins must count 1 to"),
        ("[[1,1],[3,1]]", "[1]", "observation.due_bins must be pairs"),
        ('"requests":3.2', '"requests":0', "spec: capacity for requests must be a positive number"),
        ("OrderedAhead", "Bored", "decision.reasons has 'Bored', which"),
        ('"bin_s":60.0', '"bin_s":-1', "spec: a bin must be a positive number"),
        ('"load_s":[', '"load_s":[1e9,', "spec.load_s must be increasing"),
    ],
)
def test_a_bad_line_is_refused_with_its_place_and_field(old: str, new: str, message: str) -> None:
    line = to_line(make_record())
    assert old in line
    assert message in refusal(line.replace(old, new))


@pytest.mark.parametrize("line", ["", "{", "[" * 100_000, '{"a":1}}', to_line(make_record())[:-30]])
def test_a_line_that_is_cut_or_damaged_is_refused(line: str) -> None:
    assert "is not whole JSON" in refusal(line)


def refusal(line: str) -> str:
    """What is said of a bad line: one line that begins with its place."""
    with pytest.raises(UsageError) as refused:
        from_line(line, where="log.jsonl, line 3")
    message = str(refused.value)
    assert message.startswith("log.jsonl, line 3: ")
    assert "\n" not in message
    return message


def test_not_measured_and_measured_as_nothing_stay_apart() -> None:
    record = make_record(done=replace(PATCHED, before=None))
    measured = replace(record, observation=replace(record.observation, backlog_rs=math.nan))
    assert from_line(to_line(record)).observation.backlog_rs is None
    assert math.isnan(from_line(to_line(measured)).observation.backlog_rs)


def test_replicas_that_nobody_knows_are_null_and_what_was_decided_by_reads_back() -> None:
    record = make_record(ready=20, due=())
    record = replace(record, observation=replace(record.observation, fleet_assumed=True))
    content = json.loads(to_line(record))
    assert list(content["decision"])[:3] == ["desired", "current", "ready"]
    assert (content["decision"]["current"], content["decision"]["ready"]) == (None, None)
    assert content["observation"]["ready"] == 20
    again = from_line(to_line(record))
    assert again.assumed
    assert same(again, record)
    assert same(choose(again.spec, again.outlook, again.observation), record.decision)
    assert not again.changed
