"""The arithmetic of one decision, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.core.plan_kernels import choose_replicas, queue_ahead, release


def bins_of(*values):
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("backlog", "ready", "due", "now", "ahead", "expected", "busy"),
    [
        (30.0, 4, (), 9.0, 9.0, 30.0, 4),  # nothing loads: it serves at once
        (0.0, 4, (0, 0), 4.0, 4.0, 0.0, 0),
        (0.0, 4, (0, 0), 6.0, 6.0, 240.0, 4),
        (0.0, 4, (2, 0), 6.0, 6.0, 120.0, 6),  # two more from the next bin on
        (0.0, 4, (0, 2), 6.0, 6.0, 240.0, 6),  # due[1] serves in the bin at the lead, not before
        (100.0, 4, (0, 0, 0), 3.0, 0.0, 0.0, 4),  # demand stays as it is until the lead
        (400.0, 4, (0, 0, 0), 3.0, 0.0, 220.0, 4),
        (0.0, 4, (0, 0, 0), 4.0, 40.0, 0.0, 0),  # what comes at the lead is ordered for, and queues no more
        (0.0, 3, (0, 3, 0), 4.0, 8.0, 0.0, 6),  # on 3, 3, 6: two bins of one too few, then two too many
        (60.0, 4, (9, 0), 1.0, 1.0, 0.0, 2),  # one of demand and one of the queue: what loads comes too late for it
        (960.0, 4, (0, 9), 1.0, 1.0, 600.0, 11),  # two bins take 180 each, then 10 of the queue and one of demand
        (60.0 + 1e-7, 4, (), 1.0, 1.0, 60.0, 2),
    ],
)
def test_the_queue_one_lead_ahead_and_whom_it_keeps_busy(backlog, ready, due, now, ahead, expected, busy):
    arguments = (backlog, ready, bins_of(*due), now, ahead, 60.0)
    assert queue_ahead(*arguments) == (pytest.approx(expected), busy)
    assert queue_ahead.py_func(*arguments) == (pytest.approx(expected), busy)


@pytest.mark.parametrize(
    ("need", "until", "now_rs", "lead_rs", "current", "missing", "idle", "expected"),
    [
        (7.2, 7.2, 0, 0, 5, False, False, 8),  # ordered
        (7.2, 7.2, 0, 0, 5, True, False, 8),  # missing demand doesn't forbid to order
        (8.0, 8.0, 0, 0, 8, False, False, 8),
        (8.0 + 1e-12, 8.0, 0, 0, 8, False, False, 8),  # 8 needs 8, whatever the last place says
        (8.0 - 1e-12, 8.0, 0, 0, 5, False, False, 8),
        (3.1, 7.2, 0, 0, 10, False, False, 8),  # released, but not below the peak until then
        (3.1, 7.2, 0, 0, 8, False, False, 8),  # kept for it
        (3.1, 7.2, 0, 0, 6, False, False, 6),  # a peak before the lead can't be ordered for any more
        (7.2, 3.1, 0, 0, 10, False, False, 8),
        (3.1, 3.1, 0, 0, 10, True, False, 10),  # missing: nothing is released
        (0.0, 0.0, 0, 0, 3, False, False, 1),  # whatever is forecast: some came a moment ago
        (0.0, 0.0, 0, 0, 3, False, True, 0),
        (4.0, 4.0, 0, 150, 4, False, False, 6),  # 150 replica-seconds in 75 s take two more
        (4.0, 4.0, 150, 0, 9, False, False, 6),  # a queue of now keeps replicas
        (4.0, 4.0, 150, 0, 4, False, False, 4),  # and orders none: by then it is gone
        (2.0, 9.0, 0, 75, 2, False, False, 3),
        (0.04, 0.04, 0, 0, 3, False, False, 1),  # a trickle keeps its replica
        (0.04, 0.04, 0, 0, 3, False, True, 0),  # nothing arrives: next to nothing is none
        (0.06, 0.04, 0, 0, 3, False, True, 1),  # but a forecast is
        (0.04, 0.04, 0, 0, 3, True, True, 3),
        (1.0, 1.0, 0, 7500, 1, False, False, 3),  # a queue asks for twice what demand needs at most
    ],
)
def test_replicas_wanted(need, until, now_rs, lead_rs, current, missing, idle, expected):
    arguments = (need, until, 0.99, 0.0 if idle else 0.01, float(now_rs), float(lead_rs), 75.0, 0, current, missing)
    assert choose_replicas(*arguments) == expected
    assert choose_replicas.py_func(*arguments) == expected


@pytest.mark.parametrize(("current", "expected"), [(12, 7), (7, 7), (5, 5)])
def test_what_the_last_bin_needed_stays_however_sure_the_forecast_is_and_is_not_ordered_for(current, expected):
    assert choose_replicas(2.0, 3.1, 0.9999, 6.4, 0.0, 0.0, 75.0, 0, current, False) == expected


@pytest.mark.parametrize(("busy", "current", "expected"), [(0, 40, 15), (7, 40, 15), (25, 40, 25), (41, 40, 40)])
def test_what_a_queue_keeps_busy_stays_and_nothing_is_ordered_for_it(busy, current, expected):
    # Of a queue of 3,000 replica-seconds alone no more would stay than three times what demand itself needs.
    assert choose_replicas(5.0, 5.0, 0.99, 5.0, 3000.0, 0.0, 75.0, busy, current, False) == expected


@pytest.mark.parametrize(("risk_level", "expected"), [(0.5, 0), (0.999, 0), (0.9995, 1), (0.9999, 1)])
def test_the_most_cautious_risks_keep_the_last_replica_of_an_idle_service(risk_level, expected):
    assert choose_replicas(0.02, 0.04, risk_level, 0.0, 0.0, 0.0, 75.0, 0, 3, False) == expected


@pytest.mark.parametrize(
    ("now_rs", "lead_rs", "expected"),
    [(0, 0, 1), (1, 0, 5), (1, 150, 7), (900, 9_000, 14)],  # a queue tells that 0.3 was too little
)
def test_while_something_is_queued_at_least_what_came_is_needed(now_rs, lead_rs, expected):
    assert choose_replicas(0.3, 0.3, 0.99, 4.6, float(now_rs), float(lead_rs), 75.0, 0, 1, False) == expected


@pytest.mark.parametrize(
    ("current", "wanted", "ready", "due", "left", "due_left"),
    [
        (7, 6, 4, (1, 2), 4, (1, 1)),
        (7, 4, 4, (1, 2), 4, (0, 0)),
        (7, 2, 4, (1, 2), 2, (0, 0)),
        (4, 0, 4, (), 0, ()),
    ],
)
def test_surplus_replicas_leave_latest_due_first(current, wanted, ready, due, left, due_left):
    for kernel in (release, release.py_func):
        loading = bins_of(*due)
        assert kernel(current, wanted, ready, loading) == left
        assert loading.tolist() == list(due_left)
