"""One sync of the Kubernetes HorizontalPodAutoscaler on External metrics of type AverageValue.

Follows pkg/controller/podautoscaler of Kubernetes as it is after the mend of kubernetes#98174: recommendations are
stored before they are stabilised, and the current count is clamped between the stabilised bounds. Time is counted in
rounds of SYNC_S; history lives in rings that are long enough for the longest window.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from autoscaler.backtest.baselines.metric import replicas_for
from autoscaler.backtest.setting import IntArray
from forecasting.series import FloatArray

SYNC_S = 15.0  # --horizontal-pod-autoscaler-sync-period

REPLICAS = 0  # entries of HpaState.counters
ROUND = 1

NONE = -1  # no recommendation

IS_PERCENT = 0  # columns of a policy table
VALUE = 1
EARLIER_ROUNDS = 2

SELECT_MAX = 0
SELECT_MIN = 1
SELECT_DISABLED = 2


class HpaRules(NamedTuple):
    """The settings of one HPA.

    Attributes:
        target: work that each replica should carry, as a share of its capacity.
        tolerance: deviation of the ratio from 1 that changes nothing.
        replicas_min: at least 1.
        replicas_max: at least replicas_min.
        has_behavior: whether `behavior` is set; otherwise the older rules hold: the largest recommendation of the down
            window, at most max(2 x replicas, 4).
        up_rounds: recommendations, the present one included, whose smallest bounds a rise.
        down_rounds: likewise, whose largest bounds a fall.
        up_policies: one row per policy, shape (k, 3): is it a percentage, its value, how many rounds before the present
            one lie in its period.
        down_policies: likewise.
        up_select: SELECT_MAX, SELECT_MIN or SELECT_DISABLED.
        down_select: likewise.
    """

    target: float
    tolerance: float
    replicas_min: int
    replicas_max: int
    has_behavior: bool
    up_rounds: int
    down_rounds: int
    up_policies: FloatArray
    down_policies: FloatArray
    up_select: int
    down_select: int


class HpaState(NamedTuple):
    """What an HPA remembers: the replicas it asked for, and rings of recommendations and changes, one per round."""

    counters: IntArray
    recommended: IntArray
    changes: IntArray


def new_hpa(rules: HpaRules, replicas: int) -> HpaState:
    """Start an HPA that finds `replicas` and takes them for its first recommendation, as a restarted controller."""
    policies = np.vstack([rules.up_policies, rules.down_policies])
    length = max(rules.up_rounds, rules.down_rounds, int(policies[:, EARLIER_ROUNDS].max(initial=0)) + 1)
    state = HpaState(
        counters=np.array([replicas, 1], dtype=np.int64),
        recommended=np.full(length, NONE, dtype=np.int64),
        changes=np.zeros(length, dtype=np.int64),
    )
    state.recommended[0] = replicas
    return state


@njit(cache=True)
def sync(rules: HpaRules, state: HpaState, metrics: FloatArray) -> None:
    """Run one round.

    Args:
        rules: the settings.
        state: changed in place; counters[REPLICAS] is the outcome.
        metrics: total demand in replicas as each metric shows it, shape (m,); NaN where the query failed.
    """
    replicas = state.counters[REPLICAS]
    slot = state.counters[ROUND] % len(state.changes)
    state.recommended[slot] = NONE
    state.changes[slot] = 0
    wanted = replicas
    if replicas == 0:
        pass  # an HPA with a minimum above 0 leaves a target with 0 replicas alone
    elif replicas > rules.replicas_max:
        wanted = rules.replicas_max
    elif replicas < rules.replicas_min:
        wanted = rules.replicas_min
    else:
        recommendation = recommend(rules, replicas, metrics)
        if recommendation != NONE:
            state.recommended[slot] = recommendation
            if rules.has_behavior:
                wanted = _follow_behavior(rules, state, recommendation)
            else:
                highest = _stabilised(state, recommendation, rules.down_rounds, 1)
                wanted = min(highest, max(2 * replicas, 4))
            wanted = min(max(wanted, rules.replicas_min), rules.replicas_max)
    state.changes[slot] = wanted - replicas
    state.counters[REPLICAS] = wanted
    state.counters[ROUND] += 1


@njit(cache=True)
def recommend(rules: HpaRules, replicas: int, metrics: FloatArray) -> int:
    """The largest recommendation over the metrics; NONE where all failed, or one failed and the rest would lower."""
    highest = NONE
    failed = False
    for demand in metrics:
        if np.isnan(demand):
            failed = True
            continue
        within = abs(1.0 - demand / (rules.target * replicas)) <= rules.tolerance
        highest = max(highest, replicas if within else replicas_for(demand, rules.target))
    if failed and highest < replicas:
        return NONE
    return highest


@njit(cache=True)
def skip_idle(rules: HpaRules, state: HpaState, metrics: FloatArray, rounds: int) -> int:
    """Skip up to `rounds` rounds on unchanged metrics that would change nothing; return how many those are.

    The same as as many calls of `sync`, which wide bins would make by the hundred.
    """
    replicas = state.counters[REPLICAS]
    recommendation = NONE if replicas == 0 else recommend(rules, replicas, metrics)
    rounds = min(rounds, _idle_rounds(rules, state, recommendation, rounds))
    length = len(state.changes)
    for past in range(min(rounds, length)):
        slot = (state.counters[ROUND] + rounds - 1 - past) % length
        state.recommended[slot] = recommendation
        state.changes[slot] = 0
    state.counters[ROUND] += rounds
    return rounds


@njit(cache=True)
def _idle_rounds(rules: HpaRules, state: HpaState, recommendation: int, rounds: int) -> int:
    """How many of the next `rounds` rounds surely change nothing when each recommends the same."""
    replicas = state.counters[REPLICAS]
    if recommendation == NONE:
        return rounds
    if recommendation > replicas:
        return 0
    now = state.counters[ROUND]
    held = 0  # rounds in which an earlier recommendation of the present count or more is still in the window
    for age in range(1, min(rules.down_rounds - 1, now) + 1):
        earlier = state.recommended[(now - age) % len(state.recommended)]
        if earlier > replicas and not rules.has_behavior:
            return 0  # without a behavior, an earlier higher recommendation still raises
        if earlier >= replicas and held == 0:
            held = rules.down_rounds - age
    return rounds if recommendation == replicas else held


@njit(cache=True)
def _follow_behavior(rules: HpaRules, state: HpaState, recommendation: int) -> int:
    """Stabilise a recommendation and limit its rate as `behavior` says."""
    replicas: int = state.counters[REPLICAS]
    lowest = _stabilised(state, recommendation, rules.up_rounds, -1)
    highest = _stabilised(state, recommendation, rules.down_rounds, 1)
    wanted = min(max(replicas, lowest), highest)
    if wanted > replicas:
        return max(replicas, min(wanted, _rate_limit(state, rules.up_policies, rules.up_select, 1)))
    if wanted < replicas:
        return min(replicas, max(wanted, _rate_limit(state, rules.down_policies, rules.down_select, -1)))
    return replicas


@njit(cache=True)
def _stabilised(state: HpaState, recommendation: int, rounds: int, sign: int) -> int:
    """The largest (sign 1) or smallest (sign -1) of the last `rounds` recommendations, the present one included."""
    now = state.counters[ROUND]
    length = len(state.recommended)
    extreme = recommendation
    slot = now % length
    for _ in range(min(rounds - 1, now)):
        slot = slot - 1 if slot > 0 else length - 1
        earlier: int = state.recommended[slot]
        if earlier != NONE and sign * earlier > sign * extreme:
            extreme = earlier
    return extreme


@njit(cache=True)
def _rate_limit(state: HpaState, policies: FloatArray, select: int, sign: int) -> int:
    """How far replicas may rise (sign 1) or fall (sign -1) in this round."""
    replicas: int = state.counters[REPLICAS]
    if select == SELECT_DISABLED:
        return replicas
    now = state.counters[ROUND]
    chosen = replicas
    for i in range(len(policies)):
        start = replicas
        for past in range(max(0, now - int(policies[i, EARLIER_ROUNDS])), now):
            start -= state.changes[past % len(state.changes)]
        if policies[i, IS_PERCENT] == 0.0:
            limit = start + sign * int(policies[i, VALUE])
        elif sign > 0:
            limit = math.ceil(start * (1.0 + policies[i, VALUE] / 100.0))
        else:
            limit = int(start * (1.0 - policies[i, VALUE] / 100.0))
        farther = sign * limit > sign * chosen
        if i == 0 or farther == (select == SELECT_MAX):
            chosen = limit
    return chosen
