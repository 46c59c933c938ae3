"""GPUs divided among workloads: the cap, the minimums, what is worth most, and peace under noise."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core import gpu_kernels
from autoscaler.core.decision import Decision, Reason
from autoscaler.core.gpu_budget import Claim, Meant, cut, divide
from autoscaler.core.gpu_kernels import best_counts

# Worth in steps: sums are compared exactly enough, and ties are common.
_USES = st.lists(st.integers(1, 20).map(lambda step: step / 20), max_size=6).map(
    lambda uses: sorted(uses, reverse=True)
)


def claim(uses, *, gpus=1, priority=0, minimum=0, current=0, leaving=0, held=False, meant=0) -> Claim:
    """Of a workload to which each further replica is worth so much."""
    saved = np.concatenate(([0.0], np.cumsum(np.array(uses, dtype=np.float64))))
    return Claim(gpus, priority, minimum, len(uses), current, leaving, saved, meant, held)


@st.composite
def claims(draw, *, gpus=5, running=6):
    return claim(
        draw(_USES),
        gpus=draw(st.integers(1, 5)) if gpus == 5 else gpus,
        priority=draw(st.integers(0, 2)),
        minimum=draw(st.integers(0, 3)),
        current=draw(st.integers(0, running)),
        leaving=draw(st.integers(0, 2)),
        meant=draw(st.integers(0, 6)),
        held=draw(st.booleans()),
    )


several = st.lists(claims(), min_size=1, max_size=5)
new_ones = st.lists(claims(running=0), min_size=1, max_size=5)


def gpus_of(parts, counts) -> int:
    return sum(part.gpus_per_replica * count for part, count in zip(parts, counts, strict=True))


def held_gpus(parts) -> int:
    return sum(part.held_gpus for part in parts)


@given(several, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_nothing_is_ordered_beyond_the_cap_beside_all_that_still_exists(parts, cap):
    counts = divide(cap, parts).given

    assert all(0 <= count <= part.desired for part, count in zip(parts, counts, strict=True))
    assert gpus_of(parts, counts) <= cap
    ordered = sum(
        part.gpus_per_replica * max(0, count - part.current) for part, count in zip(parts, counts, strict=True)
    )
    assert ordered == 0 or held_gpus(parts) + ordered <= cap


@given(new_ones, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_minimums_come_before_every_other_wish(parts, cap):
    parts = [dataclasses.replace(part, leaving=0, held=False) for part in parts]
    least = [part.guaranteed for part in parts]
    if gpus_of(parts, least) <= cap:
        assert all(count >= few for count, few in zip(divide(cap, parts).given, least, strict=True))


@given(several, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_a_minimum_that_runs_is_never_taken_while_all_minimums_fit(parts, cap):
    if gpus_of(parts, [part.guaranteed for part in parts]) > cap:
        return
    for part, count in zip(parts, divide(cap, parts).given, strict=True):
        assert count >= min(part.guaranteed, part.current)


@given(several)
@settings(max_examples=200, deadline=None)
def test_where_all_wishes_fit_each_gets_its_own(parts):
    wished = gpus_of(parts, [part.desired for part in parts])
    beside = held_gpus(parts) + wished
    assert divide(beside, parts).given == tuple(part.desired for part in parts)


@given(several, st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_step_by_step_it_comes_to_rest_and_never_holds_more_than_the_cap(parts, cap):
    parts = [dataclasses.replace(part, leaving=0, held=False) for part in parts]
    parts = [part for part in parts if part.desired]
    counts = [0] * len(parts)
    leaving = [0] * len(parts)
    for _ in range(4):
        now = [
            dataclasses.replace(part, current=count, leaving=left, meant_lately=count)
            for part, count, left in zip(parts, counts, leaving, strict=True)
        ]
        after = list(divide(cap, now).given)
        leaving = [max(0, before - count) for before, count in zip(counts, after, strict=True)]
        at_rest = counts == after
        counts = after
        assert gpus_of(parts, [c + left for c, left in zip(counts, leaving, strict=True)]) <= cap
    assert at_rest


@given(new_ones, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_a_larger_cap_saves_no_less_class_by_class(parts, cap):
    def saved(counts):
        def worth(part, first, last):
            return part.gpus_per_replica * float(part.saved[last] - part.saved[first])

        ranks = sorted({part.priority for part in parts}, reverse=True)
        rows = list(zip(parts, counts, strict=True))
        first = [sum(worth(p, 0, min(p.guaranteed, c)) for p, c in rows if p.priority == rank) for rank in ranks]
        rest = [
            sum(worth(p, p.guaranteed, max(p.guaranteed, c)) for p, c in rows if p.priority == rank) for rank in ranks
        ]
        return [round(value, 6) for value in first + rest]

    assert saved(divide(cap + 1, parts).given) >= saved(divide(cap, parts).given)


@given(st.lists(claims(gpus=2, running=0), min_size=1, max_size=5), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_of_replicas_of_one_size_a_larger_cap_takes_none_from_anybody(parts, cap):
    more, less = divide(cap + 1, parts).given, divide(cap, parts).given
    assert all(one >= other for one, other in zip(more, less, strict=True))


@given(
    st.lists(st.tuples(st.integers(1, 6), st.lists(st.integers(0, 20), max_size=4)), min_size=1, max_size=4),
    st.integers(0, 40),
)
@settings(max_examples=300, deadline=None)
def test_what_is_chosen_is_the_best_of_all_that_fit(items, room):
    """Of any rows, also such in which the last replica of a few is worth most."""
    rows = [np.concatenate(([0.0], np.cumsum(steps))) for _, steps in items]
    sizes = np.array([size for size, _ in items], dtype=np.int64)
    starts = np.cumsum([0, *(len(row) for row in rows)])
    counts = best_counts(room, sizes, starts, np.concatenate(rows))

    def worth(choice):
        return sum(row[count] for row, count in zip(rows, choice, strict=True))

    best = max(
        worth(choice)
        for choice in itertools.product(*(range(len(row)) for row in rows))
        if (np.array(choice) * sizes).sum() <= room
    )
    assert (counts * sizes).sum() <= room
    assert worth(counts) == pytest.approx(best)


def test_many_gpus_are_given_out_nearly_as_well():
    rng = np.random.default_rng(1)
    sizes = rng.choice([1, 2, 4, 8], size=300)
    rows = [np.concatenate(([0.0], np.cumsum(-np.sort(-rng.random(10))))) * size for size in sizes]
    counts = best_counts(3_000, sizes, np.cumsum([0, *(len(row) for row in rows)]), np.concatenate(rows))
    each = sorted(
        ((row[n + 1] - row[n]) / size, size) for row, size in zip(rows, sizes, strict=True) for n in range(10)
    )
    room, bound = 3_000, 0.0
    for worth, size in reversed(each):
        bound += worth * min(size, room)
        room -= min(size, room)
    assert (counts * sizes).sum() <= 3_000
    assert sum(row[count] for row, count in zip(rows, counts, strict=True)) > 0.999 * bound
    assert gpu_kernels.EXACT_GPUS < 3_000


def test_two_that_want_more_than_all_get_all_that_there_is():
    row = np.arange(5_001.0) ** 2
    counts = best_counts(6_000, np.array([1, 1]), np.array([0, 5_001, 10_002]), np.concatenate((row, row)))
    assert counts.tolist() == [5_000, 1_000]


def test_many_gpus_do_not_go_to_one_that_they_are_too_few_for():
    all_or_none = np.concatenate((np.zeros(3_000), [3_300.0]))
    rows = np.concatenate((all_or_none, np.arange(1_501.0)))
    counts = best_counts(2_000, np.array([1, 1]), np.array([0, 3_001, 4_502]), rows)
    assert counts[1] == 1_500


def test_minimums_that_do_not_fit_stay_where_they_run_for_a_little_more():
    one = claim([1.0, 1.0], minimum=2, current=1, meant=1)
    other = claim([0.99, 0.99], minimum=2, current=2, meant=2)
    assert divide(3, [one, other]).given == (1, 2)


@given(st.lists(st.lists(st.floats(0.5, 0.99), min_size=1, max_size=5), min_size=2, max_size=4), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_noise_below_the_weight_of_what_runs_moves_nothing(uses, seed):
    """Every worth lies within a factor of two of every other, however it jumps from bin to bin."""
    running = np.random.default_rng(seed).integers(0, [len(use) + 1 for use in uses]).tolist()
    parts = [
        claim(sorted(use, reverse=True), gpus=1 + seed % 3, current=count, meant=count)
        for use, count in zip(uses, running, strict=True)
    ]
    cap = held_gpus(parts)
    assert divide(cap, parts).given == tuple(part.current for part in parts)


def test_what_was_not_meant_to_for_half_a_load_gives_way_to_what_saves_a_little_more():
    def divided(meant):
        return divide(2, [claim([0.9, 0.5], current=2, meant=meant), claim([0.8])]).given

    assert divided(2) == (2, 0)
    assert divided(0) == (1, 0)
    # What is meant to run now is no less firm than what was before.
    assert divide(1, [claim([0.5], current=1), claim([0.4])]).given == (1, 0)


def test_a_queue_is_worked_off_where_that_is_possible():
    """Two of three replicas save nothing, all three much: none are spread so that nobody is served."""
    assert divide(4, [claim([0.0, 0.0, 3.0]), claim([0.0, 0.0, 2.9]), claim([0.5])]).given == (3, 0, 1)


def test_what_was_meant_lately_is_the_most_within_half_a_load():
    meant = Meant.start(9, now_s=0.0)
    assert meant.lately(now_s=0.0, within_s=300.0) == 9
    for at_s, replicas in ((60.0, 3), (120.0, 5), (240.0, 2)):
        meant = meant.after(replicas, now_s=at_s, within_s=300.0)
    assert meant.rows == ((0.0, 9), (120.0, 5), (240.0, 2))
    assert meant.lately(now_s=-86_400.0, within_s=300.0) == 0
    assert [meant.lately(now_s=at_s, within_s=300.0) for at_s in (300.0, 301.0, 420.0, 421.0, 600.0)] == [9, 5, 5, 2, 0]


def test_a_replica_that_saves_much_more_takes_the_place_of_one_that_runs():
    idle, busy = claim([0.9, 0.1], current=2), claim([1.0, 0.9])
    # Released now, ordered once it is gone.
    assert divide(2, [idle, busy]).given == (1, 0)
    assert divide(2, [claim([0.9, 0.1], current=1, leaving=1), busy]).given == (1, 0)
    assert divide(2, [claim([0.9, 0.1], current=1), busy]).given == (1, 1)


def test_a_higher_priority_comes_first_however_little_it_saves():
    assert divide(3, [claim([1.0] * 3), claim([0.1] * 2, priority=1)]).given == (1, 2)


def test_minimums_that_do_not_fit_are_cut_by_priority():
    low, high = claim([1.0] * 3, minimum=3), claim([0.5] * 3, minimum=3, priority=7)
    assert divide(4, [low, high]).given == (1, 3)


def test_a_large_replica_is_not_shut_out_by_a_small_one_that_saves_less_in_all():
    # By worth per GPU alone the small one would take the one GPU that the large one lacks then.
    assert divide(8, [claim([0.9]), claim([0.85], gpus=8)]).given == (0, 1)


def test_a_replica_that_does_not_fit_leaves_room_for_smaller_ones():
    assert divide(7, [claim([0.9], gpus=8), claim([0.5] * 4, gpus=2)]).given == (0, 3)


def test_demand_that_is_unknown_takes_no_replica_away():
    blind = claim([0.05] * 3, current=3, held=True)
    assert divide(4, [blind, claim([1.0] * 4, priority=9)]).given == (3, 1)


def test_a_cap_below_what_exists_releases_the_least_useful_and_orders_nothing():
    assert divide(3, [claim([0.9, 0.8, 0.2], current=3), claim([0.9, 0.7], current=2)]).given == (2, 1)
    assert divide(0, [claim([0.9], current=1, minimum=1)]).given == (0,)


def test_a_cut_says_so_and_what_it_was_cut_from():
    numbers = dict.fromkeys(field.name for field in dataclasses.fields(Decision))
    numbers |= {"desired": 5, "current": 2, "reasons": (Reason.AT_MAX, Reason.ORDERED_AHEAD)}
    whole = Decision(**numbers)
    assert cut(whole, 5) is whole
    less = cut(whole, 3)
    assert (less.desired, less.cut_from) == (3, 5)
    assert less.reasons == (Reason.GPU_BUDGET, Reason.AT_MAX, Reason.ORDERED_AHEAD)
    assert cut(whole, 2).reasons[-1] is Reason.STEADY
    assert cut(whole, 1).reasons[-1] is Reason.RELEASED
