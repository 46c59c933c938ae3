"""The status: conditions that keep their time, written when something changed, never too large for the API."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from decision_records import make_outlook, make_record

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.controller.bin_data import BinData
from autoscaler.controller.fleet import Fleet
from autoscaler.controller.status import is_due, status_of
from autoscaler.controller.workload import new_workload
from autoscaler.core.decision import Reason
from autoscaler.core.lateness import Lateness
from autoscaler.core.learned_capacity import WINDOW, CapacitySamples
from autoscaler.core.learned_load import LoadTimes
from autoscaler.core.state import State
from autoscaler.kube.facts import Target, Unavailable
from autoscaler.sources.presets import resolve

NOW_S = 1_764_040_320.0  # 2025-11-25 03:12:00 UTC


@pytest.fixture
def workload(object_of):
    """One that decided: 7 replicas, of which 5 are ready and 1 loads."""
    autoscaler = object_of()
    workload = new_workload(autoscaler, resolve(autoscaler.spec))
    workload.state = State.start(workload.spec)
    workload.target = Target(None, 6, "1", ())
    workload.fleet = Fleet(5, np.array([1]), changed=False)
    workload.bin = BinData(NOW_S, {"requests": 4.0})
    record = make_record(ready=5)
    workload.decision = replace(record.decision, desired=7, current=6, ready=5, now_s=NOW_S)
    workload.outcome = Outcome(Action.PATCHED, "Scaled", "replicas 6 -> 7", 6, 7)
    return workload


def conditions(workload, now_s=NOW_S):
    made = status_of(workload, now_s).conditions
    return {each.type: (each.status, each.reason) for each in made}


def test_all_is_well(workload):
    assert conditions(workload) == {
        "Ready": ("True", "Deciding"),
        "MetricsAvailable": ("True", "Answered"),
        "ScalingActive": ("True", "Scale"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    status = status_of(workload, NOW_S)
    assert (status.desired_replicas, status.current_replicas) == (7, 6)
    assert (status.ready_replicas, status.loading_replicas) == (5, 1)
    assert status.last_decision.from_replicas == 6
    assert status.last_decision.time == "2025-11-25T03:12:00Z"
    assert status.observed_generation == 1
    # What is stored is what the API takes: no NaN.
    assert "NaN" not in json.dumps(status.to_manifest(), allow_nan=False)


def test_a_new_object_knows_nothing_yet(object_of):
    workload = new_workload(object_of(), resolve(object_of().spec))
    assert conditions(workload) == {
        "Ready": ("False", "LoadingHistory"),
        "MetricsAvailable": ("Unknown", "NotAskedYet"),
        "ScalingActive": ("Unknown", "NotTriedYet"),
        "ScalingLimited": ("Unknown", "NoDecisionYet"),
    }
    assert status_of(workload, NOW_S).desired_replicas is None
    workload.state = State.start(workload.spec)
    assert conditions(workload)["Ready"] == ("False", "NoDecisionYet")


@pytest.mark.parametrize(
    ("trouble", "kind", "expected"),
    [
        ({"problem": "no query"}, "Ready", ("False", "InvalidSpec")),
        ({"defects": {"decide": "KeyError"}}, "Ready", ("False", "InternalError")),
        ({"target": Unavailable(None, "TargetNotFound", "gone")}, "Ready", ("False", "TargetNotFound")),
        ({"state": None}, "Ready", ("False", "LoadingHistory")),
        ({"metrics_reason": "Timeout", "metrics_message": "too slow"}, "MetricsAvailable", ("False", "Timeout")),
        ({"outcome": Outcome(Action.REFUSED, "OwnedByX", "x")}, "ScalingActive", ("False", "OwnedByX")),
        ({"outcome": Outcome(Action.WAITING, "Paused", "x")}, "ScalingActive", ("False", "Paused")),
        ({"outcome": Outcome(Action.FAILED, "Forbidden", "x")}, "ScalingActive", ("False", "Forbidden")),
        ({"outcome": Outcome(Action.CONFLICT, "Conflict", "x")}, "ScalingActive", ("True", "Scale")),
        ({"outcome": Outcome(Action.NONE, "InPlace", "x")}, "ScalingActive", ("True", "Scale")),
    ],
)
def test_trouble_is_told(workload, trouble, kind, expected):
    for name, value in trouble.items():
        setattr(workload, name, value)
    assert conditions(workload)[kind] == expected


@pytest.mark.parametrize(
    ("reasons", "kind", "expected"),
    [
        ((Reason.AT_MAX, Reason.ORDERED_AHEAD), "ScalingLimited", ("True", "TooManyReplicas")),
        ((Reason.AT_MIN, Reason.STEADY), "ScalingLimited", ("True", "TooFewReplicas")),
        ((Reason.NO_HISTORY,), "Ready", ("False", "NoHistory")),
    ],
)
def test_reasons_of_the_decision_are_told(workload, reasons, kind, expected):
    workload.decision = replace(workload.decision, reasons=reasons)
    assert conditions(workload)[kind] == expected


def test_shadow_never_claims_to_scale(workload, object_of):
    workload.autoscaler = object_of(mode="Shadow")
    assert conditions(workload)["ScalingActive"] == ("False", "Shadow")


def test_a_transition_keeps_its_time_until_the_status_changes(workload):
    def time_of_metrics():
        return next(each.last_transition_time for each in workload.status.conditions if each.type == "MetricsAvailable")

    workload.status = status_of(workload, NOW_S)
    assert time_of_metrics() == "2025-11-25T03:12:00Z"
    workload.status = status_of(workload, NOW_S + 60.0)
    assert time_of_metrics() == "2025-11-25T03:12:00Z"
    workload.metrics_reason = "Timeout"
    workload.status = status_of(workload, NOW_S + 120.0)
    assert time_of_metrics() == "2025-11-25T03:14:00Z"
    workload.metrics_reason = "ServerError"  # another reason is no transition
    workload.status = status_of(workload, NOW_S + 180.0)
    assert time_of_metrics() == "2025-11-25T03:14:00Z"


def test_the_last_decision_is_the_last_change(workload):
    workload.status = status_of(workload, NOW_S)
    workload.decision = replace(workload.decision, now_s=NOW_S + 60.0, current=7)
    assert status_of(workload, NOW_S + 60.0).last_decision == workload.status.last_decision
    workload.decision = replace(workload.decision, now_s=NOW_S + 120.0, desired=4)
    changed = status_of(workload, NOW_S + 120.0).last_decision
    assert (changed.from_replicas, changed.to_replicas, changed.time) == (7, 4, "2025-11-25T03:14:00Z")


def test_what_changes_is_stored_at_once_and_what_drifts_every_five_minutes(workload):
    stored = workload.status = status_of(workload, NOW_S)
    assert is_due(None, stored, 0.0, 0.01)
    assert not is_due(stored, stored, 1e9, 0.01)
    workload.lateness = Lateness(late_rs=1.0, arrived_rs=100.0)
    drifted = status_of(workload, NOW_S + 60.0)
    assert not is_due(stored, drifted, 299.0, 0.01)
    assert is_due(stored, drifted, 300.0, 0.01)
    workload.fleet = Fleet(6, np.zeros(0, dtype=np.int64), changed=True)
    assert is_due(stored, status_of(workload, NOW_S + 60.0), 1.0, 0.01)


def test_a_late_share_that_crosses_the_budget_is_stored_at_once(workload):
    def late(share: float) -> PredictiveAutoscalerStatus:
        workload.lateness = Lateness(late_rs=share * 100.0, arrived_rs=100.0)
        return status_of(workload, NOW_S)

    for before, after, due in ((0.002, 0.01, False), (0.01, 0.012, True), (0.7, 0.012, False), (0.012, 0.01, True)):
        assert is_due(late(before), late(after), 1.0, 0.01) is due
    workload.lateness = Lateness()
    assert is_due(status_of(workload, NOW_S), late(0.5), 1.0, 0.01)


@pytest.mark.parametrize(("share", "percent"), [(1.0, "100%"), (0.00421, "0.42%"), (0.0, "0%"), (0.07, "7%")])
def test_the_late_share_is_also_told_as_the_budget_is_written(workload, share, percent):
    workload.lateness = Lateness(late_rs=share * 100.0, arrived_rs=100.0)
    assert status_of(workload, NOW_S).late_percent == percent
    workload.lateness = Lateness()
    assert status_of(workload, NOW_S).late_percent is None


@pytest.mark.parametrize("reason", ["BackingOff", "Timeout"])
def test_a_message_that_counts_seconds_is_not_stored_at_each_tick(workload, reason):
    workload.outcome = Outcome(Action.WAITING, reason, "tried again in 45 s")
    stored = workload.status = status_of(workload, NOW_S)
    workload.outcome = Outcome(Action.WAITING, reason, "tried again in 30 s")
    assert not is_due(stored, status_of(workload, NOW_S + 15.0), 15.0, 0.01)
    assert is_due(stored, status_of(workload, NOW_S + 315.0), 315.0, 0.01)
    workload.outcome = Outcome(Action.WAITING, "Paused", "tried again in 30 s")
    assert is_due(stored, status_of(workload, NOW_S + 15.0), 15.0, 0.01)


def test_what_was_learned_comes_back_from_the_status(workload, object_of):
    workload.loads = LoadTimes.restored([100.04, 200.0, 300.0])
    workload.capacities = {"requests": CapacitySamples.of([1.23456, 2.0])}
    status = status_of(workload, NOW_S)
    assert (status.load_latency.samples, status.load_latency.p50_seconds) == (3, 200.0)
    assert status.capacity[0].per_second is None  # the stated one holds
    again = PredictiveAutoscalerStatus.model_validate(json.loads(json.dumps(status.to_manifest())), by_alias=True)
    restored = new_workload(object_of().model_copy(update={"status": again}), workload.queries)
    assert restored.loads.recent_s == (100.0, 200.0, 300.0)
    assert restored.capacities["requests"].recent_rps == (1.235, 2.0)


def test_units_that_an_edit_took_away_are_left_out(workload, object_of):
    workload.capacities = {"requests": CapacitySamples.of([1.0])}
    workload.autoscaler = object_of(demand=[{"unit": "tokens", "query": "t", "capacity": 1.0}])
    assert status_of(workload, NOW_S).capacity == ()
    # And one that came back before its history was read.
    workload.spec = replace(workload.spec, capacity_rps={"tokens": 1.0})
    workload.autoscaler = object_of()
    assert status_of(workload, NOW_S).capacity[0].per_second is None


def test_it_stays_small(workload, object_of):
    workload.autoscaler = object_of(
        demand=[{"unit": f"unit_{k}", "query": "q", "capacity": 1.0} for k in range(8)],
    )
    workload.spec = replace(workload.spec, capacity_rps={f"unit_{k}": 1.0 for k in range(8)})
    workload.loads = LoadTimes.restored([1234.5678] * 1_000)
    workload.capacities = {f"unit_{k}": CapacitySamples.of([1234.5678] * 1_000) for k in range(8)}
    status = status_of(workload, NOW_S)
    assert len(status.load_latency.recent_seconds) == WINDOW
    assert len(json.dumps(status.to_manifest())) < 8_000


@pytest.mark.parametrize("peak", [math.nan, math.inf])
def test_a_peak_that_is_no_number_is_absent(workload, peak):
    workload.decision = replace(workload.decision, peak_until_lead=peak)
    assert status_of(workload, NOW_S).forecast_peak is None


def test_the_peak_is_expected_a_lead_from_now(workload):
    outlook = make_outlook()
    workload.decision = replace(workload.decision, peak_until_lead=6.543, lead_bins=outlook.lead_bins)
    peak = status_of(workload, NOW_S).forecast_peak
    assert (peak.replicas, peak.time) == (6.54, "2025-11-25T03:52:00Z")  # four bins of ten minutes
