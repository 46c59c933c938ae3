"""The Knative Pod Autoscaler (KPA) on requests per second, with panic mode and scale to zero.

Follows knative/serving pkg/autoscaler/scaling with the defaults of config-autoscaler. It ticks every 2 s, at whole
multiples from the trace's start; a tick sees the bins that are complete by then, and the replicas ready at that
moment. Where bins are wider than a window, the window's mean is the last bin's. The metric counts what arrives, also
at 0 replicas, where Knative's activator takes the requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from autoscaler.backtest import cluster_steps
from autoscaler.backtest.baselines.metric import (
    replicas_for,
    rounds_before,
    rounds_until,
    trailing_mean,
    window_bins,
)
from autoscaler.backtest.cluster import new_state
from autoscaler.backtest.cluster_steps import READY, ClusterState
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray

TICK_S = 2.0
STABLE_S = 60.0  # stable-window
PANIC_S = 6.0  # panic-window-percentage: 10 % of it
PANIC_THRESHOLD = 2.0  # panic-threshold-percentage: 200 %
UP_RATE = 1000.0  # max-scale-up-rate
DOWN_RATE = 2.0  # max-scale-down-rate
GRACE_S = 30.0  # scale-to-zero-grace-period

STABLE_TICKS = int(STABLE_S / TICK_S)
GRACE_TICKS = int(GRACE_S / TICK_S)

WANTED = 0  # entries of the KPA's memory
PANIC_AT = 1  # tick that last crossed the threshold, or NOT
PANIC_PODS = 2  # most replicas wanted in this panic
ZERO_AT = 3  # tick since which nothing is wanted, or NOT

NOT = -1


@dataclass(frozen=True, slots=True)
class KnativeOptions:
    """Settings of the KPA.

    Attributes:
        target: work that each replica should carry, as a share of its capacity: target-utilization-percentage 70 %.
    """

    target: float = 0.7


class KpaRules(NamedTuple):
    """Target and bounds."""

    target: float
    replicas_min: int
    replicas_max: int


def plan_knative(setting: Setting, options: KnativeOptions) -> IntArray:
    """Replicas at the start of each bin, shape (n,). Begins with 1 (initial-scale), or the minimum where it is more."""
    demand = setting.observed_replicas
    stable = trailing_mean(demand, window_bins(STABLE_S, setting.bin_s))
    panic = trailing_mean(demand, window_bins(PANIC_S, setting.bin_s))
    rules = KpaRules(float(options.target), setting.replicas_min, setting.replicas_max)
    # No window's mean is above the highest bin, so no plan asks for more than that.
    highest = replicas_for(float(np.nanmax(demand, initial=0.0)), options.target)
    cluster = new_state(setting, replicas_max=max(min(highest, setting.replicas_max), setting.replicas_min, 1))
    memory = np.array([min(max(1, setting.replicas_min), setting.replicas_max), NOT, 0, NOT], dtype=np.int64)
    desired = np.zeros(len(setting), dtype=np.int64)
    _run(rules, cluster, memory, stable, panic, desired)
    return desired


@njit(cache=True)
def _run(
    rules: KpaRules,
    cluster: ClusterState,
    memory: IntArray,
    stable: FloatArray,
    panic: FloatArray,
    desired: IntArray,
) -> None:
    """Fill the plan."""
    done = rounds_before(0, cluster.bin_s, TICK_S)
    for t in range(len(desired)):
        cluster_steps.begin_bin(cluster, t)
        if done < rounds_until(t, cluster.bin_s, TICK_S):  # a tick is due at the start of this bin
            tick(rules, memory, stable[t], panic[t], _ready(cluster, memory), done)
            done += 1
        desired[t] = memory[WANTED]
        cluster_steps.scale(cluster, t, desired[t])
        inside = rounds_before(t + 1, cluster.bin_s, TICK_S)
        settled = False
        while done < inside and not settled:
            before = memory[WANTED]
            tick(rules, memory, stable[t], panic[t], _ready(cluster, memory), done)
            # Without panic or a grace period, a tick that changed nothing is followed by its like to the bin's end.
            settled = memory[WANTED] == before and memory[PANIC_AT] == NOT and memory[ZERO_AT] == NOT
            done += 1
        done = max(done, inside)


@njit(cache=True)
def _ready(cluster: ClusterState, memory: IntArray) -> int:
    """Replicas ready at a tick: what is wanted no more is gone by then, though the plan says so from the next bin."""
    ready: int = min(cluster.counters[READY], memory[WANTED])
    return ready


@njit(cache=True)
def tick(rules: KpaRules, memory: IntArray, stable: float, panic: float, ready: int, now: int) -> None:
    """Run one tick.

    Args:
        rules: target and bounds.
        memory: changed in place; memory[WANTED] is the outcome.
        stable: mean demand of the stable window in replicas; NaN where there is no data, which changes nothing.
        panic: mean demand of the panic window; NaN counts as the stable one.
        ready: replicas that are ready.
        now: number of this tick.
    """
    if np.isnan(stable):
        return
    counted = max(1, ready)
    lowest = int(counted / DOWN_RATE)
    highest = math.ceil(UP_RATE * counted)
    panic_pods = replicas_for(stable if np.isnan(panic) else panic, rules.target)
    wanted = min(max(replicas_for(stable, rules.target), lowest), highest)
    if panic_pods / counted >= PANIC_THRESHOLD:
        memory[PANIC_AT] = now
    elif memory[PANIC_AT] != NOT and now > memory[PANIC_AT] + STABLE_TICKS:
        memory[PANIC_AT] = NOT
        memory[PANIC_PODS] = 0
    if memory[PANIC_AT] != NOT:
        wanted = max(wanted, min(max(panic_pods, lowest), highest), memory[PANIC_PODS])
        memory[PANIC_PODS] = wanted
    _want(rules, memory, wanted, now)


@njit(cache=True)
def _want(rules: KpaRules, memory: IntArray, wanted: int, now: int) -> None:
    """Keep `wanted` within the bounds; the last replica goes only once its grace period has passed."""
    if wanted > 0 or memory[WANTED] == 0:
        memory[ZERO_AT] = NOT
    elif memory[ZERO_AT] == NOT:
        memory[ZERO_AT] = now
    if memory[ZERO_AT] != NOT and now < memory[ZERO_AT] + GRACE_TICKS:
        wanted = 1
    elif wanted == 0:
        memory[ZERO_AT] = NOT
    memory[WANTED] = min(max(wanted, rules.replicas_min), rules.replicas_max)
