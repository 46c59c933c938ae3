"""GPUs divided among workloads: the cap, the minimums, what is worth most, and peace under noise."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core import gpu_kernels
from autoscaler.core.decision import Decision, Reason
from autoscaler.core.gpu_budget import RUNNING_WORTH, Claim, cut, divide, use_of
from autoscaler.core.gpu_kernels import best_replicas
from autoscaler.core.outlook import Outlook
from autoscaler.core.risk import LEVELS

# Worth in steps: sums are compared exactly enough, and ties are common.
_USES = st.lists(st.integers(1, 20).map(lambda step: step / 20), max_size=6).map(
    lambda uses: sorted(uses, reverse=True)
)


def claim(uses, *, gpus=1, priority=0, minimum=0, current=0, leaving=0, held=False, use_running=None) -> Claim:
    use = np.array(uses, dtype=np.float64)
    running = use if use_running is None else np.array(use_running, dtype=np.float64)
    return Claim(gpus, priority, minimum, len(use), current, leaving, use, running, held)


@st.composite
def claims(draw, *, gpus=5, running=6):
    return claim(
        draw(_USES),
        gpus=draw(st.integers(1, 5)) if gpus == 5 else gpus,
        priority=draw(st.integers(0, 2)),
        minimum=draw(st.integers(0, 3)),
        current=draw(st.integers(0, running)),
        leaving=draw(st.integers(0, 2)),
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
    counts = divide(cap, parts)

    assert all(0 <= count <= part.desired for part, count in zip(parts, counts, strict=True))
    assert gpus_of(parts, counts) <= cap
    ordered = sum(
        part.gpus_per_replica * max(0, count - part.current) for part, count in zip(parts, counts, strict=True)
    )
    assert ordered == 0 or held_gpus(parts) + ordered <= cap


@given(new_ones, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_minimums_come_before_every_other_wish(parts, cap):
    parts = [
        claim(part.use, gpus=part.gpus_per_replica, priority=part.priority, minimum=part.minimum) for part in parts
    ]
    least = [part.guaranteed for part in parts]
    if gpus_of(parts, least) <= cap:
        assert all(count >= few for count, few in zip(divide(cap, parts), least, strict=True))


@given(several, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_a_minimum_that_runs_is_never_taken_while_all_minimums_fit(parts, cap):
    if gpus_of(parts, [part.guaranteed for part in parts]) > cap:
        return
    for part, count in zip(parts, divide(cap, parts), strict=True):
        assert count >= min(part.guaranteed, part.current)


@given(several)
@settings(max_examples=200, deadline=None)
def test_where_all_wishes_fit_each_gets_its_own(parts):
    wished = gpus_of(parts, [part.desired for part in parts])
    beside = held_gpus(parts) + wished
    assert divide(beside, parts) == [part.desired for part in parts]


@given(several, st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_step_by_step_it_comes_to_rest_and_never_holds_more_than_the_cap(parts, cap):
    parts = [
        claim(part.use, gpus=part.gpus_per_replica, priority=part.priority, minimum=part.minimum) for part in parts
    ]
    parts = [part for part in parts if part.desired]
    counts = [0] * len(parts)
    leaving = [0] * len(parts)
    for _ in range(4):
        now = [
            Claim(p.gpus_per_replica, p.priority, p.minimum, p.desired, c, left, p.use, p.use_running)
            for p, c, left in zip(parts, counts, leaving, strict=True)
        ]
        after = divide(cap, now)
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
            return part.gpus_per_replica * float(part.use[first:last].sum())

        ranks = sorted({part.priority for part in parts}, reverse=True)
        rows = list(zip(parts, counts, strict=True))
        first = [sum(worth(p, 0, min(p.guaranteed, c)) for p, c in rows if p.priority == rank) for rank in ranks]
        rest = [
            sum(worth(p, p.guaranteed, max(p.guaranteed, c)) for p, c in rows if p.priority == rank) for rank in ranks
        ]
        return [round(value, 6) for value in first + rest]

    assert saved(divide(cap + 1, parts)) >= saved(divide(cap, parts))


@given(st.lists(claims(gpus=2, running=0), min_size=1, max_size=5), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_of_replicas_of_one_size_a_larger_cap_takes_none_from_anybody(parts, cap):
    more, less = divide(cap + 1, parts), divide(cap, parts)
    assert all(one >= other for one, other in zip(more, less, strict=True))


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 20)), max_size=8), st.integers(0, 25))
@settings(max_examples=300, deadline=None)
def test_what_is_chosen_is_the_best_of_all_that_fit(items, room):
    items.sort(key=lambda item: -item[1])
    sizes = np.array([size for size, _ in items], dtype=np.int64)
    worth = np.array([step / 20 for _, step in items])
    taken = best_replicas.py_func(room, sizes, worth) if len(items) < 3 else best_replicas(room, sizes, worth)

    best = 0.0
    for choice in itertools.product((False, True), repeat=len(items)):
        chosen = np.array(choice, dtype=bool)
        if sizes[chosen].sum() <= room:
            best = max(best, float((sizes * worth)[chosen].sum()))
    assert sizes[taken].sum() <= room
    assert float((sizes * worth)[taken].sum()) == pytest.approx(best)


def test_many_gpus_are_given_out_nearly_as_well():
    rng = np.random.default_rng(1)
    sizes = rng.choice([1, 2, 4, 8], size=3_000)
    worth = -np.sort(-rng.random(3_000))
    taken = best_replicas(3_000, sizes, worth)
    fluid = np.cumsum(sizes) <= 3_000
    bound = float((sizes * worth)[fluid].sum()) + 8 * float(worth[fluid.sum()])
    assert sizes[taken].sum() <= 3_000
    assert float((sizes * worth)[taken].sum()) > 0.999 * bound
    assert gpu_kernels.EXACT_GPUS < 3_000


@given(st.lists(st.lists(st.floats(0.5, 0.99), min_size=1, max_size=5), min_size=2, max_size=4), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_noise_below_the_worth_of_running_moves_nothing(uses, seed):
    """Every use lies within a factor of RUNNING_WORTH of every other, however it jumps from bin to bin."""
    assert 0.5 * RUNNING_WORTH > 0.99
    running = np.random.default_rng(seed).integers(0, [len(use) + 1 for use in uses])
    parts = [
        claim(sorted(use, reverse=True), gpus=1 + seed % 3, current=int(count))
        for use, count in zip(uses, running, strict=True)
    ]
    cap = held_gpus(parts)
    assert divide(cap, parts) == [part.current for part in parts]


def test_a_replica_that_saves_much_more_takes_the_place_of_one_that_runs():
    idle, busy = claim([0.9, 0.1], current=2), claim([1.0, 0.9])
    # Released now, ordered once it is gone.
    assert divide(2, [idle, busy]) == [1, 0]
    assert divide(2, [claim([0.9, 0.1], current=1, leaving=1), busy]) == [1, 0]
    assert divide(2, [claim([0.9, 0.1], current=1), busy]) == [1, 1]


def test_a_higher_priority_comes_first_however_little_it_saves():
    assert divide(3, [claim([1.0] * 3), claim([0.1] * 2, priority=1)]) == [1, 2]


def test_minimums_that_do_not_fit_are_cut_by_priority():
    low, high = claim([1.0] * 3, minimum=3), claim([0.5] * 3, minimum=3, priority=7)
    assert divide(4, [low, high]) == [1, 3]


def test_a_large_replica_is_not_shut_out_by_a_small_one_that_saves_less_in_all():
    # By worth per GPU alone the small one would take the one GPU that the large one lacks then.
    assert divide(8, [claim([0.9]), claim([0.85], gpus=8)]) == [0, 1]


def test_a_replica_that_does_not_fit_leaves_room_for_smaller_ones():
    assert divide(7, [claim([0.9], gpus=8), claim([0.5] * 4, gpus=2)]) == [0, 3]


def test_demand_that_is_unknown_takes_no_replica_away():
    blind = claim([0.05] * 3, current=3, held=True)
    assert divide(4, [blind, claim([1.0] * 4, priority=9)]) == [3, 1]


def test_a_cap_below_what_exists_releases_the_least_useful_and_orders_nothing():
    assert divide(3, [claim([0.9, 0.8, 0.2], current=3), claim([0.9, 0.7], current=2)]) == [2, 1]
    assert divide(0, [claim([0.9], current=1, minimum=1)]) == [0]


def outlook(needs, until=None, *, level=5, drain_s=60.0) -> Outlook:
    rows = np.array([needs, needs if until is None else until])
    return Outlook(rows, level, 0.0, math.nan, 2, drain_s, 0.0, 0.0, missing=False)


def test_the_use_of_a_replica_is_what_the_expected_shortfall_falls_by():
    needs = 2.0 + 3.0 * LEVELS
    use = use_of(outlook(needs), 0, 0.0, 7)
    rng = np.random.default_rng(0)
    demand = np.interp(rng.random(400_000), np.concatenate(([0.0], LEVELS)), np.concatenate(([0.0], needs)))
    shortfall = [np.maximum(demand - n, 0.0).mean() for n in range(8)]
    assert use == pytest.approx(-np.diff(shortfall), abs=2e-3)
    assert (np.diff(use) <= 0).all()


def test_a_forecast_without_spread_uses_just_what_it_says():
    use = use_of(outlook(np.full(len(LEVELS), 2.5)), 0, 0.0, 4)
    assert use == pytest.approx([0.99, 0.97, 0.478, 0.0], abs=0.011)


def test_a_backlog_counts_as_demand_and_doubles_it_at_most():
    plain, level = outlook(np.full(len(LEVELS), 2.0)), 1e-2
    assert use_of(plain, 0, 60.0, 5) == pytest.approx([0.99, 0.98, 0.96, 0.0, 0.0], abs=5 * level)
    assert use_of(plain, 0, 6e9, 5)[3] > 0.9
    assert use_of(plain, 0, 6e9, 5)[4] < level


def test_before_anything_is_known_every_replica_is_in_use():
    assert (use_of(outlook(np.full(len(LEVELS), np.nan)), 0, 0.0, 3) == 1.0).all()


@given(st.lists(st.floats(0, 1e6), min_size=len(LEVELS), max_size=len(LEVELS)), st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_use_falls_and_stays_a_share_whatever_the_quantiles(needs, count):
    use = use_of(outlook(np.array(needs)), 0, 0.0, count)
    assert use.shape == (count,)
    assert ((use > 0) & (use <= 1)).all()
    assert (np.diff(use) <= 0).all()


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
