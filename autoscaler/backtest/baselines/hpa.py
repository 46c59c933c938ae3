"""The Kubernetes HorizontalPodAutoscaler on one or several External metrics of type AverageValue.

It syncs every 15 s, at whole multiples of 15 s from the trace's start. A round sees the bins that are complete by
then. So with wide bins several rounds go on the same metric, which lets rate policies take several steps, and with bins
under 15 s only some bins begin with a decision. The metric is a rate over the last minute, or over the last bin where
bins are wider.

The plan's row t is the most that the rounds in bin t led to: a rise within it counts from its start, a fall from the
next bin's. Counted from the next bin's too, the rise from 1 to 20 replicas that takes 45 s came 5 min late in bins of
that width, and the best target as seldom late as Headstart on the bundled `code` cost 23 % more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from autoscaler.backtest.baselines import hpa_rounds
from autoscaler.backtest.baselines.hpa_rounds import REPLICAS, SYNC_S, HpaRules, HpaState
from autoscaler.backtest.baselines.metric import ROUNDING, rounds_before, rounds_until, trailing_mean, window_bins
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray

# rate(...[1m]): the shortest that is usual with scrapes every 15 s or 30 s.
METRIC_WINDOW_S = 60.0

_SELECT = {"Max": hpa_rounds.SELECT_MAX, "Min": hpa_rounds.SELECT_MIN, "Disabled": hpa_rounds.SELECT_DISABLED}


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """One entry of `policies`: at most `value` pods, or per cent, within `period_s`."""

    kind: Literal["Pods", "Percent"]
    value: float
    period_s: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """`scaleUp` or `scaleDown` of a behavior."""

    stabilization_s: float
    policies: tuple[ScalingPolicy, ...]
    select: Literal["Max", "Min", "Disabled"] = "Max"


@dataclass(frozen=True, slots=True)
class Behavior:
    """The `behavior` field; its defaults are those of autoscaling/v2."""

    up: ScalingRules = ScalingRules(0.0, (ScalingPolicy("Pods", 4, 15.0), ScalingPolicy("Percent", 100, 15.0)))
    down: ScalingRules = ScalingRules(300.0, (ScalingPolicy("Percent", 100, 15.0),))


@dataclass(frozen=True, slots=True)
class HpaOptions:
    """Settings of the HPA.

    Attributes:
        target: work that each replica should carry, as a share of its capacity. 0.8 is the API's own default where a
            user names no metric (CPU at 80 %).
        tolerance: --horizontal-pod-autoscaler-tolerance.
        behavior: None where the object has none, which isn't the same as a behavior of defaults.
    """

    target: float = 0.8
    tolerance: float = 0.1
    behavior: Behavior | None = Behavior()


def plan_hpa(setting: Setting, options: HpaOptions) -> IntArray:
    """Replicas in each bin, shape (n,). Begins with the minimum, which is at least 1."""
    return follow_metrics(setting, hpa_metric(setting)[:, np.newaxis], options)


def hpa_metric(setting: Setting) -> FloatArray:
    """Demand in replicas as the metric shows it at the start of each bin, shape (n + 1,); NaN is a failed query."""
    return trailing_mean(setting.observed_replicas, window_bins(METRIC_WINDOW_S, setting.bin_s))


def follow_metrics(setting: Setting, metrics: FloatArray, options: HpaOptions) -> IntArray:
    """Run an HPA over several metrics; entry (t, m) of `metrics` is what metric m shows at the start of bin t."""
    rules = hpa_rules(setting, options)
    desired = np.zeros(len(setting), dtype=np.int64)
    _run(rules, hpa_rounds.new_hpa(rules, rules.replicas_min), metrics, setting.bin_s, desired)
    return desired


def hpa_rules(setting: Setting, options: HpaOptions) -> HpaRules:
    """The kernels' form of the options, with the setting's bounds: an HPA without a gate keeps 1 replica."""
    behavior = options.behavior or Behavior()
    return HpaRules(
        target=float(options.target),
        tolerance=float(options.tolerance),
        replicas_min=max(1, setting.replicas_min),
        replicas_max=max(1, setting.replicas_max),
        has_behavior=options.behavior is not None,
        up_rounds=_window_rounds(behavior.up.stabilization_s),
        down_rounds=_window_rounds(behavior.down.stabilization_s),
        up_policies=_policy_table(behavior.up.policies),
        down_policies=_policy_table(behavior.down.policies),
        up_select=_SELECT[behavior.up.select],
        down_select=_SELECT[behavior.down.select],
    )


def _window_rounds(window_s: float) -> int:
    """Rounds younger than the window, the present one included."""
    return max(1, math.ceil(window_s / SYNC_S - ROUNDING))


def _policy_table(policies: tuple[ScalingPolicy, ...]) -> FloatArray:
    rows = [(float(p.kind == "Percent"), float(p.value), float(_window_rounds(p.period_s) - 1)) for p in policies]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


@njit(cache=True)
def _run(rules: HpaRules, state: HpaState, metrics: FloatArray, bin_s: float, desired: IntArray) -> None:
    """Fill the plan."""
    done = rounds_until(0, bin_s, SYNC_S)  # the round at the start of the trace has no metric yet
    for t in range(len(desired)):
        if done < rounds_until(t, bin_s, SYNC_S):  # a round is due at the start of this bin
            hpa_rounds.sync(rules, state, metrics[t])
            done += 1
        desired[t] = state.counters[REPLICAS]
        inside = rounds_before(t + 1, bin_s, SYNC_S)
        while done < inside:
            skipped = hpa_rounds.skip_idle(rules, state, metrics[t], inside - done)
            if skipped == 0:
                hpa_rounds.sync(rules, state, metrics[t])
                desired[t] = max(desired[t], state.counters[REPLICAS])
            done += max(1, skipped)
