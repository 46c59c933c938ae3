"""Load latency learned from pods: which readiness counts, what doesn't poison it, when the lead changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.learned_load import (
    NODE_WAIT_S_MIN,
    WINDOW,
    LoadSample,
    LoadTimes,
    Phase,
    effective_latency,
)
from autoscaler.core.load_latency import LoadLatency
from autoscaler.kube.facts import Pod

PRIOR = LoadLatency.constant(120.0)


def a_pod(name="a", created_s=1000.0, load_s=60.0, **changes):
    """A pod that is Ready `load_s` after it was created."""
    pod = Pod(
        uid=f"uid-{name}",
        name=name,
        node="node-1",
        created_s=created_s,
        scheduled_s=created_s + 1.0,
        started_s=created_s + 5.0,
        ready=True,
        ready_s=created_s + load_s,
        restarts=0,
        deleting=False,
        failed=False,
    )
    return replace(pod, **changes)


def loading(pod):
    return replace(pod, ready=False, ready_s=None)


def after(*looks, start=None):
    times = start or LoadTimes()
    for pods in looks:
        times = times.with_pods(pods)
    return times


def test_a_pod_seen_loading_and_then_ready_counts_once_with_its_phases():
    pod = a_pod()
    times = after([loading(pod)], [loading(pod)], [pod], [pod])
    assert times.samples == (LoadSample(total_s=60.0, scheduling_s=1.0, starting_s=4.0, readying_s=55.0),)
    assert {phase: load.quantile_s(0.5) for phase, load in times.phases().items()} == {
        Phase.SCHEDULING: 1.0,
        Phase.STARTING: 4.0,
        Phase.READYING: 55.0,
    }


def test_a_pod_that_flaps_counts_with_its_first_readiness_only():
    pod = a_pod()
    lapsed = replace(loading(pod), lapsed=True)
    again = replace(pod, ready_s=pod.created_s + 4000.0)
    assert after([loading(pod)], [pod], [lapsed], [again]).recent_s == (60.0,)


def test_a_pod_that_lapsed_before_it_was_first_seen_never_counts():
    pod = a_pod()
    assert after([replace(loading(pod), lapsed=True)], [pod]).recent_s == ()


def test_a_crash_loop_is_no_load():
    pod = a_pod()
    crashed = replace(loading(pod), restarts=1)
    assert after([loading(pod)], [crashed], [replace(pod, restarts=1)]).recent_s == ()


def test_a_restart_after_the_first_readiness_takes_nothing_back():
    pod = a_pod()
    assert after([loading(pod)], [pod], [replace(pod, restarts=3, ready_s=9000.0)]).recent_s == (60.0,)


@pytest.mark.parametrize("end", [{"deleting": True}, {"failed": True}])
def test_a_pod_deleted_or_failed_before_it_was_ready_does_not_count(end):
    pod = a_pod()
    assert after([loading(pod)], [replace(loading(pod), **end)], []).recent_s == ()


def test_pods_ready_at_first_sight_count_where_their_readiness_was_surely_the_first():
    looks = [
        a_pod("plain", load_s=60.0),
        a_pod("restarted", restarts=1),
        a_pod("flapped", load_s=9000.0),
        a_pod("absurd", load_s=-20.0),
        a_pod("untold", ready_s=None),
    ]
    assert after(looks).recent_s == (60.0,)


def test_a_load_shorter_than_a_look_counts():
    old, quick = a_pod("old"), a_pod("quick", created_s=5000.0, load_s=9.0)
    assert after([old], [old, quick]).recent_s == (60.0, 9.0)


def test_pods_that_vanish_from_sight_and_return_do_not_count_again():
    old, new = a_pod("old"), a_pod("new", created_s=5000.0, load_s=50.0)
    assert after([old, new], [new], [old, new]).recent_s == (60.0, 50.0)
    assert after([old], [], [old], [old, new]).recent_s == (60.0, 50.0)


def test_identities_are_kept_of_present_pods_only():
    times = LoadTimes()
    for i in range(500):
        pod = a_pod(f"p{i}", created_s=1000.0 + 100 * i)
        times = after([loading(pod)], [pod], start=times)
    assert len(times.samples) == WINDOW
    assert len(times.settled | times.loading) == 1


def test_a_restored_window_does_not_count_the_pods_that_are_in_it_already():
    pods = [a_pod("a", load_s=60.0), a_pod("b", load_s=70.0)]
    times = LoadTimes.restored((60.0, 70.0))
    quick = a_pod("quick", created_s=5000.0, load_s=9.0)
    slow = a_pod("slow", created_s=900.0, load_s=80.0)
    times = after([*pods, loading(slow)], [*pods, slow, quick], start=times)
    assert sorted(times.recent_s) == [9.0, 60.0, 70.0, 80.0]


def test_a_status_with_nonsense_restores_what_makes_sense():
    restored = LoadTimes.restored((float("nan"), -1.0, 5.0, float("inf"), *[7.0] * 60))
    assert restored.recent_s == (7.0,) * WINDOW
    assert LoadTimes.restored((float("nan"),)) == LoadTimes()


def test_the_prior_holds_until_enough_loads_are_seen():
    four = LoadTimes.restored((10.0, 20.0, 30.0, 40.0))
    assert four.latency(PRIOR) is PRIOR
    five = LoadTimes.restored((10.0, 20.0, 30.0, 40.0, 50.0)).latency(PRIOR)
    assert five.quantiles_s == (10.0, 20.0, 30.0, 40.0, 50.0)
    assert five.label == "5 observed loads"
    assert four.latency(PRIOR, samples_min=4).quantile_s(0.5) == 25.0


def test_one_broken_node_does_not_count_until_a_second_like_it_is_seen():
    usual = (60.0,) * 6
    assert LoadTimes.restored((*usual, 900.0)).latency(PRIOR).quantile_s(1.0) == 60.0
    assert LoadTimes.restored((*usual, 900.0, 800.0)).latency(PRIOR).quantile_s(1.0) == 900.0
    assert LoadTimes.restored((*usual, 590.0)).latency(PRIOR).quantile_s(1.0) == 590.0


def test_a_broken_node_among_the_first_five_leaves_the_prior():
    assert LoadTimes.restored((60.0, 60.0, 5000.0, 60.0, 60.0)).latency(PRIOR) is PRIOR


def test_loads_of_a_blink_have_no_outliers_below_ten_seconds():
    assert LoadTimes.restored((0.0,) * 6 + (8.0,)).latency(PRIOR).quantile_s(1.0) == 8.0


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.booleans(), st.integers(0, 2), st.booleans(), st.integers(0, 5))),
    st.lists(st.floats(), max_size=8),
)
def test_whatever_the_pods_say_samples_stay_few_finite_and_not_negative(seen, recent):
    times = LoadTimes.restored(recent)
    for load_s, ready, restarts, lapsed, name in seen:
        times = times.with_pods([a_pod(str(name), load_s=load_s, ready=ready, restarts=restarts, lapsed=lapsed)])
    assert len(times.samples) <= WINDOW
    assert times.latency(PRIOR, samples_min=1).quantile_s(0.9) >= 0.0


@pytest.mark.parametrize(
    ("current_s", "learned_s", "planned_s"),
    [
        (120.0, 121.0, 121.0),  # three bins instead of two
        (120.0, 90.0, 120.0),  # still two bins
        (125.0, 119.0, 125.0),  # a bin, but not 10 % shorter
        (125.0, 112.0, 112.0),
        (600.0, 539.0, 539.0),
        (60.0, 60.0 * (1 + 1e-13), 60.0),
    ],
)
def test_the_lead_grows_at_once_and_shrinks_by_a_bin_and_a_tenth(current_s, learned_s, planned_s):
    current, learned = LoadLatency.constant(current_s), LoadLatency.constant(learned_s)
    assert effective_latency(current, learned, 60.0).quantile_s(0.9) == planned_s


def waiting(pod):
    """The pod while no node has room for it."""
    return replace(loading(pod), scheduled_s=None, started_s=None, unschedulable=True)


def on_new_node(name="n", created_s=1000.0, node_s=200.0, load_s=60.0):
    scheduled_s = created_s + node_s
    return a_pod(name, created_s, node_s + load_s, scheduled_s=scheduled_s, started_s=scheduled_s + 10.0)


def test_the_wait_for_a_node_is_part_of_the_load_and_learned_apart():
    pod = on_new_node()
    times = after([waiting(pod)], [waiting(pod)], [loading(pod)], [pod])
    assert times.samples == (LoadSample(total_s=260.0, node_s=200.0, starting_s=10.0, readying_s=50.0),)
    assert (times.recent_s, times.recent_node_s, times.node_waits_s) == ((260.0,), (200.0,), (200.0,))
    assert set(times.phases()) == {Phase.NODE, Phase.STARTING, Phase.READYING}
    assert times.phases()[Phase.NODE].quantile_s(0.5) == 200.0
    assert times.latency(PRIOR, samples_min=1).quantile_s(0.5) == 260.0


def test_a_load_that_finds_room_waits_for_no_node():
    times = after([loading(a_pod())], [a_pod()])
    assert (times.recent_node_s, times.node_waits_s) == ((), ())
    assert Phase.NODE not in times.phases()


def test_room_that_a_pod_leaves_within_seconds_is_no_node():
    pod = on_new_node(node_s=NODE_WAIT_S_MIN - 1.0)
    times = after([waiting(pod)], [pod])
    assert times.node_waits_s == ()
    assert times.samples[0].scheduling_s == NODE_WAIT_S_MIN - 1.0


def test_a_pod_that_was_held_back_for_another_reason_waited_for_no_node():
    pod = on_new_node()
    gated = replace(waiting(pod), unschedulable=False)
    times = after([gated], [pod])
    assert (times.recent_s, times.node_waits_s) == ((260.0,), ())


def test_a_pod_first_seen_on_its_node_counts_by_how_long_that_took():
    new, room = on_new_node("new"), a_pod("room", created_s=1001.0)
    assert after([new, room]).node_waits_s == (200.0,)
    assert after([loading(new), loading(room)], [new, room]).node_waits_s == (200.0,)


def learned(nodes, rooms):
    """After so many loads that waited 200 s for a node and took 60 s on it, and so many that found room."""
    times = LoadTimes()
    for i in range(nodes + rooms):
        created_s = 1000.0 * (i + 1)
        pod = on_new_node(f"p{i}", created_s) if i < nodes else a_pod(f"p{i}", created_s)
        times = after([loading(pod)], [pod], start=times)
    return times


def test_a_load_on_a_ready_node_is_what_remains():
    times = learned(nodes=3, rooms=2)
    assert times.latency_on_node(PRIOR).quantiles_s == (60.0,) * 5
    assert times.latency(PRIOR).quantiles_s == (60.0, 60.0, 260.0, 260.0, 260.0)
    assert times.node_latency(PRIOR) is PRIOR
    assert learned(nodes=5, rooms=0).node_latency(PRIOR).quantiles_s == (200.0,) * 5


def test_loads_that_find_warm_nodes_do_not_push_out_what_a_node_takes():
    times = learned(nodes=5, rooms=2 * WINDOW)
    assert times.recent_node_s == ()
    assert times.node_latency(PRIOR).quantile_s(0.9) == 200.0


def test_node_waits_are_restored():
    times = learned(nodes=5, rooms=3)
    again = LoadTimes.restored(times.recent_s, times.recent_node_s, times.node_waits_s)
    assert again.latency_on_node(PRIOR).quantiles_s == times.latency_on_node(PRIOR).quantiles_s
    assert again.node_latency(PRIOR).quantiles_s == times.node_latency(PRIOR).quantiles_s


@given(
    st.lists(st.floats(), max_size=60),
    st.lists(st.floats(), max_size=60),
    st.lists(st.floats(), max_size=60),
)
def test_whatever_a_status_says_no_load_is_negative(totals, nodes, waits):
    times = LoadTimes.restored(totals, nodes, waits)
    for latency in (times.latency(PRIOR), times.latency_on_node(PRIOR), times.node_latency(PRIOR)):
        assert all(0.0 <= took_s < float("inf") for took_s in latency.quantiles_s)
    assert all(0.0 <= sample.on_node_s <= sample.total_s for sample in times.samples)
