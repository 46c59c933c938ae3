"""What `headstart explain` says of a load's phases and of placeholders."""

from __future__ import annotations

from dataclasses import replace

from decision_records import make_record

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import Placeholders
from autoscaler.report.explanation import explain
from autoscaler.telemetry.record import Done

# The decision is of 03:12:00, in bins of a minute.
WANTED = Placeholders(desired=2, before=0, most=4, replicas=7, replicas_ahead=9, lead_bins=8)
PLACED = Done("Patched", "PlaceholdersSet", "Deployment shop/warm: replicas 0 -> 2", 0, 2)


def steps(**changes):
    told = explain(replace(make_record(), **changes))
    assert told.differences == ()
    return {step.name: step.text for step in told.steps}


def nodes(placed=PLACED, **changes):
    return steps(placeholders=replace(WANTED, **changes), placed=placed)["nodes"]


def test_the_phases_stand_beside_the_load_in_their_order():
    phases = {"Readying": 95.0, "Node": 240.0, "Scheduling": 1.0, "Starting": 20.0}
    told = steps(phases={phase: LoadLatency((took_s,), phase) for phase, took_s in phases.items()})["load"]
    assert told.endswith(
        " Of those seen, in the median: 4 min for a node where none had room, 1 s until scheduled where one had,"
        " 20 s from there until the container ran, 95 s from there until ready."
    )


def test_without_phases_or_placeholders_nothing_is_told_of_them():
    told = steps()
    assert "Of those seen" not in told["load"]
    assert "nodes" not in told


def test_placeholders_that_are_ordered():
    assert nodes() == (
        "One node and one load ahead, at 03:20:00, room for 9 may be needed, 2 beyond the replicas: 2 placeholders."
        " Deployment shop/warm: replicas 0 -> 2."
    )


def test_placeholders_that_are_too_many_kept_or_in_place():
    in_place = Done("None", "InPlace", "Deployment shop/warm has 2 replicas ordered", 2, 2)
    assert "2 beyond the replicas; 1 is allowed: 1 placeholder." in nodes(desired=1, most=1)
    assert "0 beyond the replicas; too little is known to take any of the 2 away: 2 placeholders." in nodes(
        before=2, replicas_ahead=7, held=True
    )
    assert nodes(placed=in_place).endswith(" Nothing written: Deployment shop/warm has 2 replicas ordered.")
