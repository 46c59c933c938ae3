"""The measured late share: the fluid queue over what came and who served."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.lateness import Lateness


def test_nothing_is_late_while_replicas_suffice_and_unknown_before(spec_of):
    assert math.isnan(Lateness().late_share)
    lateness = Lateness()
    for _ in range(10):
        lateness = lateness.with_bin(spec_of(), demand_replicas=3.0, ready=3, backlog_rs=None)
    assert lateness.late_share == 0.0


def test_all_is_late_without_a_replica_and_half_of_two_bins_is_half(spec_of):
    spec = spec_of()
    lateness = Lateness().with_bin(spec, demand_replicas=2.0, ready=0, backlog_rs=None)
    assert lateness.late_share == 1.0
    assert lateness.backlog_rs == 2.0 * spec.bin_s
    after = lateness.with_bin(spec, demand_replicas=2.0, ready=100, backlog_rs=0.0)
    assert after.late_share == pytest.approx(0.5, abs=0.01)


def test_bins_without_demand_data_are_not_counted(spec_of):
    late = Lateness(1.0, 2.0, 5.0)
    assert late.with_bin(spec_of(), demand_replicas=math.nan, ready=3, backlog_rs=None) == late
    assert late.with_bin(spec_of(), demand_replicas=math.nan, ready=3, backlog_rs=7.0).backlog_rs == 7.0


def test_a_measured_backlog_replaces_the_estimate(spec_of):
    assert Lateness().with_bin(spec_of(), demand_replicas=9.0, ready=3, backlog_rs=4.0).backlog_rs == 4.0
