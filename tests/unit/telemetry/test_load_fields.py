"""What a decision line says of loads and placeholders reads back; a line without them is as before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from decision_records import make_record

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import Placeholders
from autoscaler.errors import UsageError
from autoscaler.telemetry.decision_line import from_line, to_line
from autoscaler.telemetry.record import Done

PHASES = {"Node": LoadLatency((180.0, 240.5), "Node"), "Readying": LoadLatency((95.0,), "Readying")}
WANTED = Placeholders(desired=2, before=0, most=4, replicas=7, replicas_ahead=9, lead_bins=8, held=True)
PLACED = Done("Patched", "PlaceholdersSet", "Deployment shop/warm: replicas 0 -> 2", 0, 2)


def test_phases_and_placeholders_read_back() -> None:
    record = replace(make_record(), phases=PHASES, placeholders=WANTED, placed=PLACED)
    again = from_line(to_line(record))
    assert (again.phases, again.placeholders, again.placed) == (PHASES, WANTED, PLACED)
    assert to_line(again) == to_line(record)


def test_a_line_without_them_has_no_fields_for_them() -> None:
    line = json.loads(to_line(make_record()))
    assert not {"phases_s", "placeholders"} & line.keys()
    again = from_line(json.dumps(line))
    assert (again.phases, again.placeholders, again.placed) == ({}, None, None)


@pytest.mark.parametrize(
    ("field", "content", "message"),
    [
        ("phases_s", {"Node": [2.0, 1.0]}, "phases_s.Node must be increasing numbers of seconds"),
        ("phases_s", {"Node": [None]}, "phases_s.Node must be increasing numbers of seconds"),
        ("phases_s", 3, "phases_s must be an object"),
        ("placeholders", {"desired": 1}, "placeholders.before is missing"),
        ("placeholders", {"desired": 1.5}, "placeholders.desired must be a whole number"),
    ],
)
def test_what_is_damaged_is_named(field: str, content: Any, message: str) -> None:
    line = json.loads(to_line(make_record())) | {field: content}
    with pytest.raises(UsageError, match=message):
        from_line(json.dumps(line), where="log, line 3")
