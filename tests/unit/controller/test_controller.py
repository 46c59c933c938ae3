"""The loop on a simulated world: outages, hidden targets, edits, leadership; replicas never fall for lack of data."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.controller.writing import NOT_LEADING
from autoscaler.core.decision import Reason
from autoscaler.sources.ranges import Failure, RangeAnswer

DAY = 144
BIN_S = 600.0


@pytest.fixture(scope="module")
def daily():
    return 10 + 8 * np.sin(2 * np.pi * np.arange(6 * DAY) / DAY) * np.random.default_rng(0).uniform(0.9, 1.1, 6 * DAY)


def condition(run, kind):
    return next(each for each in run.workload.status.conditions if each.type == kind)


def break_it(run, how):
    if how == "empty":
        run.world.empty = True
    elif how == "hidden":
        run.world.hidden = True
    else:
        run.world.failure = Failure(how)


def mend_it(run):
    run.world.empty, run.world.hidden, run.world.failure = False, False, None


@pytest.mark.parametrize("how", ["empty", *Failure])
def test_replicas_never_fall_while_prometheus_says_nothing(start_run, daily, how):
    run = start_run(daily)
    run.tick(3 * DAY + 40)  # just after the peak: demand falls, and so would the replicas
    before = run.replicas[-1]
    break_it(run, how)
    run.tick(30)
    assert min(run.replicas[-30:]) >= before
    metrics = condition(run, "MetricsAvailable")
    assert metrics.status == "False"
    assert metrics.reason == ("NoData" if how == "empty" else str(how))
    assert Reason.DEMAND_MISSING in run.workload.decision.reasons
    mend_it(run)
    run.tick(30)
    assert condition(run, "MetricsAvailable").status == "True"
    assert run.replicas[-1] < before


def test_after_an_outage_the_history_is_asked_for_again(start_run, daily):
    run = start_run(daily)
    run.tick(2 * DAY)
    break_it(run, "Unreachable")
    run.tick(12)
    mend_it(run)
    run.tick(2)
    # The bins of the outage are known after all: Prometheus was there all the time, the way to it wasn't.
    log = run.workload.state.forecasts["requests"].history
    assert log.missing_at < log.bins - 20


def test_nothing_is_written_on_a_target_that_cannot_be_read(start_run, daily):
    run = start_run(daily)
    run.tick(2 * DAY)
    pods = {pod.uid for pod in run.world.target(None).pods}
    run.world.hidden = True
    run.tick(20)
    run.world.hidden = False
    assert {pod.uid for pod in run.world.target(None).pods} == pods
    assert run.workload.outcome.reason == "ClusterStale"
    ready = condition(run, "Ready")
    assert (ready.status, ready.reason) == ("False", "ClusterStale")
    run.tick(1)
    assert condition(run, "Ready").status == "True"


def test_a_standby_decides_the_same_and_writes_nothing(start_run, daily):
    leader, standby = start_run(daily), start_run(daily)
    standby.world.leads = False
    standby.world._replicas = leader.world._replicas  # one cluster
    for _ in range(DAY):
        leader.world._now_s = standby.world._now_s
        standby.tick()
        assert standby.workload.outcome is None or standby.workload.outcome.reason == "NotLeading"
        leader.tick()
        assert repr(leader.workload.decision) == repr(standby.workload.decision)  # NaN differs from itself
        standby.world._replicas = leader.world._replicas


def test_an_edit_of_the_bounds_takes_effect_at_the_next_decision(start_run, daily, object_of):
    run = start_run(daily)
    run.tick(2 * DAY)
    bins = run.workload.state.bins
    run.world._autoscaler = object_of(minReplicas=40)
    run.tick(1)
    assert run.replicas[-1] == 40
    assert run.workload.state.bins == bins + 1  # and forecasts nothing anew
    assert condition(run, "ScalingLimited").reason == "TooFewReplicas"


def test_an_edit_of_the_capacity_forecasts_the_history_anew(start_run, daily, object_of):
    run = start_run(daily)
    run.tick(3 * DAY)
    before = run.replicas[-1]
    run.world._autoscaler = object_of(demand=[{"query": "requests", "capacity": 0.25}])
    run.tick(1)
    assert run.workload.state.bins == pytest.approx(3 * DAY, abs=2)
    assert run.replicas[-1] > 3 * before


def test_load_latency_is_learned_and_planned_with(start_run, daily):
    run = start_run(daily, load_s=6 * 600.0)  # twice as long as the object believes
    run.tick(2 * DAY)
    assert run.workload.status.load_latency.p90_seconds == 3_600.0
    assert run.workload.state.lead_bins == 6
    assert run.workload.decision.lead_bins == 6


def test_the_late_share_and_the_last_change_are_in_the_status(start_run, daily):
    run = start_run(daily)
    run.tick(4 * DAY)
    status = run.workload.status
    assert 0 <= status.late_share < 0.2
    assert status.last_decision.to_replicas == status.desired_replicas
    assert "needed" in status.last_decision.message
    assert status.forecast_peak.replicas > 0


def test_an_object_that_goes_leaves_nothing(start_run, daily):
    run = start_run(daily)
    run.tick(10)
    run.world.objects = lambda: ()
    run.tick(1)
    assert not list(run.controller.workloads)
    assert b'name="chat"' not in run.metrics.text()


def test_a_floor_is_not_raised_by_what_others_added_while_nothing_is_known(start_run, daily, object_of):
    run = start_run(daily, object_of(mode="Floor"))
    run.tick(2 * DAY)
    floor = run.workload.floor
    assert floor == run.workload.decision.desired
    break_it(run, "empty")
    target = run.world.target(None)
    run.world.apply(run.workload.autoscaler, target, 3 * len(target.pods), now_s=run.world._now_s)  # HPA reacts
    written = []
    run.world.apply = lambda autoscaler, target, desired, *, now_s: written.append(desired) or run.workload.outcome
    run.tick(5)
    assert run.workload.decision.desired >= 3 * floor  # it holds what is there
    assert set(written) == {floor}  # and doesn't make HPA's replicas its own


def test_an_outage_is_the_last_decision_though_the_number_stays(start_run, daily):
    run = start_run(daily)
    run.tick(2 * DAY)
    break_it(run, "empty")
    run.tick(2)
    assert "DemandMissing" in run.workload.status.last_decision.reasons
    mend_it(run)
    run.tick(2)
    assert "DemandMissing" not in run.workload.status.last_decision.reasons


def test_engine_queries_without_a_value_are_told(start_run, daily, object_of):
    run = start_run(daily, object_of(engine={"queueLength": "no_such_series"}))
    run.tick(10)
    metrics = condition(run, "MetricsAvailable")
    assert metrics.status == "True"
    assert "no value now for queue_length" in metrics.message


@pytest.mark.parametrize("measured", [False, True], ids=["a queue that nobody measures", "a queue that is measured"])
@pytest.mark.parametrize(
    ("how", "answered"),
    [
        (Failure.TIMEOUT, ()),
        (Failure.UNREACHABLE, ()),
        (Failure.UNREACHABLE, (19,)),
        (Failure.UNREACHABLE, tuple(range(20))),
    ],
    ids=["timeouts", "unreachable", "the last is answered without a value", "all are"],
)
def test_after_an_outage_nothing_is_released_for_a_load_since_a_queue_may_have_grown(
    start_run, object_of, how, answered, measured
):
    demand = np.full(400, 10.0)
    demand[300:316], demand[316:] = 60.0, 2.0
    run = start_run(demand, object_of(**({"engine": {"queueLength": "waiting"}} if measured else {})))
    fetch = run.world.fetch
    empty = RangeAnswer(np.zeros(1))
    run.world.fetch = lambda requests: {
        **fetch([each for each in requests if each.query != "waiting"]),
        **{each: empty for each in requests if each.query == "waiting"},
    }
    run.tick(299)
    for bad in range(20):
        mend_it(run)
        break_it(run, "empty" if bad in answered else how)
        run.tick(1)
    before = run.replicas[-1]
    mend_it(run)
    run.tick(3)
    assert (min(run.replicas[-3:]) < before) == measured
    assert (Reason.QUEUE_UNKNOWN in run.workload.decision.reasons) != measured
    run.tick(1)
    assert run.replicas[-1] < before


@pytest.mark.parametrize(
    ("failed", "unknown", "held"),
    [(2, 2, False), (3, 3, True), (4, 5, True)],
    ids=["a load long", "longer with its last bin", "known for a bin between"],
)
def test_an_outage_that_ends_as_two_bins_are_caught_up_with_is_as_long(start_run, object_of, failed, unknown, held):
    demand = np.full(400, 10.0)
    demand[300:], demand[299 + unknown] = 2.0, np.nan
    run = start_run(demand, object_of(objective={"lateBudget": "10%"}))
    run.tick(300)
    break_it(run, Failure.UNREACHABLE)
    run.tick(failed)
    mend_it(run)
    run.next_bin += 1  # a slow tick
    run.tick(1 + unknown - failed)
    assert (Reason.QUEUE_UNKNOWN in run.workload.decision.reasons) == held
    assert (run.replicas[-1] == run.replicas[299]) == held


@pytest.mark.parametrize("mode", ["Scale", "Floor"])
@pytest.mark.parametrize("which", ["begins", "slept", "slept for a shorter time"])
def test_a_process_that_has_not_seen_the_queue_grow_releases_nothing_for_a_load(start_run, object_of, mode, which):
    demand = np.full(400, 2.0)
    demand[300:304] = 30.0
    run = start_run(demand, object_of(mode=mode))
    awake = 270 if "shorter" in which else 150
    run.tick(awake)
    slept = run.controller
    run.restart()
    run.tick(306 - awake)
    queued = run.workload.decision
    assert queued.backlog_rs > 0
    assert queued.current > 2 * queued.high_at_lead
    if mode == "Floor":
        run.world.leave_floor(run.replicas[-1])
    run.restart()
    run.controller = slept if "slept" in which else run.controller
    run.tick(3)
    assert run.replicas[-3:] == [run.replicas[305]] * 3
    assert Reason.QUEUE_UNKNOWN in run.workload.decision.reasons
    run.tick(20)
    assert run.replicas[-1] < run.replicas[305]


def test_a_process_that_begins_in_an_outage_has_not_seen_the_queue_either(start_run, object_of):
    demand = np.full(400, 2.0)
    demand[300:304] = 30.0
    load_s = 10 * BIN_S
    run = start_run(demand, object_of(loadLatency={"prior": f"{load_s:g}s"}), load_s=load_s)
    run.tick(306)
    busy = run.replicas[-1]
    run.restart()
    break_it(run, Failure.UNREACHABLE)
    run.tick(3)
    mend_it(run)
    run.tick(7)
    assert set(run.replicas[-10:]) == {busy}
    assert run.workload.decision.high_at_lead < busy / 2
    assert run.workload.decision.reasons[0] is Reason.QUEUE_UNKNOWN
    run.tick(1)
    assert run.replicas[-1] < busy


def test_a_process_that_wakes_in_an_outage_forgets_its_floor_since_another_one_may_have_raised_it(
    start_run, daily, object_of
):
    run = start_run(daily, object_of(mode="Floor"))
    run.tick(2 * DAY)
    assert run.workload.floor is not None
    break_it(run, Failure.UNREACHABLE)
    run.next_bin += 130
    run.tick(2)
    assert run.workload.floor is None
    assert run.workload.outcome.reason == "NoHistory"


def test_an_edited_interval_leaves_the_time_for_which_nothing_is_released(start_run, object_of):
    demand = np.full(400, 10.0)
    demand[316:] = 2.0
    run = start_run(demand, object_of(objective={"lateBudget": "10%"}))
    run.tick(300)
    break_it(run, Failure.UNREACHABLE)
    run.tick(20)
    mend_it(run)
    run.tick(1)
    run.world.given = object_of(interval="60s", objective={"lateBudget": "10%"})
    run.tick(3)
    assert set(run.replicas[-4:]) == {run.replicas[299]}
    run.tick(1)
    assert run.replicas[-1] < run.replicas[299]


@pytest.mark.parametrize(("stands", "floor"), [(0, 9), (8, 9), (9, None), (40, None)])
def test_a_process_that_begins_raises_the_floor_to_what_demand_needs_and_lowers_none(
    start_run, object_of, stands, floor
):
    run = start_run(np.full(400, 8.5), object_of(mode="Floor"))
    run.tick(300)
    assert run.replicas[-1] == 9
    run.world.apply(run.workload.autoscaler, run.world.target(None), 20, now_s=run.world._now_s)  # HPA adds
    run.restart()
    if stands:
        run.world.leave_floor(stands)
    written = []
    run.world.apply = lambda autoscaler, target, desired, *, now_s: written.append(desired) or NOT_LEADING
    run.tick(3)
    assert run.workload.decision.desired == 20
    assert Reason.QUEUE_UNKNOWN in run.workload.decision.reasons
    assert written == [floor] * 3 if floor else not written


def test_what_a_process_that_begins_orders_lowers_no_floor_that_the_one_before_had_just_written(start_run, object_of):
    run = start_run(np.full(400, 8.5), object_of(mode="Floor"))
    run.tick(300)
    run.world.apply(run.workload.autoscaler, run.world.target(None), 5, now_s=run.world._now_s)
    run.world.leave_floor(40)  # the HPA hasn't followed yet
    run.restart()
    run.world.apply = lambda *_, **__: pytest.fail("a lower floor was written")
    run.tick(1)
    assert 5 < run.workload.decision.desired < 40
