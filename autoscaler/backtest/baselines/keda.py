"""KEDA: an HPA for 1 to N, and a poll every 30 s that takes the target from 0 to 1 and back.

A poll that sees demand activates at once; one that sees none lets go once the cooldown has passed since the last
demand. A failed query changes nothing. The HPA that KEDA makes has no `behavior`, and a minimum of 1 where KEDA's is 0.
Rounds fall as in the plain HPA; where a poll and a sync fall together, the poll goes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from autoscaler.backtest.baselines import hpa_rounds
from autoscaler.backtest.baselines.hpa import HpaOptions, hpa_metric, hpa_rules
from autoscaler.backtest.baselines.hpa_rounds import REPLICAS, SYNC_S, HpaRules, HpaState
from autoscaler.backtest.baselines.metric import rounds_before, rounds_until
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray

POLL_ROUNDS = 2  # pollingInterval 30 s
COOLDOWN_ROUNDS = 20  # cooldownPeriod 300 s


@dataclass(frozen=True, slots=True)
class KedaOptions:
    """Settings of a ScaledObject with one trigger.

    Attributes:
        target: the trigger's threshold, as a share of what a replica sustains. KEDA has no default; this is the HPA's.
    """

    target: float = 0.8


def plan_keda(setting: Setting, options: KedaOptions) -> IntArray:
    """Replicas in each bin, shape (n,). Begins with 1, or the minimum where that is more."""
    rules = hpa_rules(setting, HpaOptions(target=options.target, behavior=None))
    hpa = hpa_rounds.new_hpa(rules, rules.replicas_min)
    desired = np.zeros(len(setting), dtype=np.int64)
    _run(rules, hpa, hpa_metric(setting), setting.bin_s, setting.replicas_min == 0, desired)
    return desired


@njit(cache=True)
def _run(rules: HpaRules, hpa: HpaState, metric: FloatArray, bin_s: float, sleeps: bool, desired: IntArray) -> None:
    """Fill the plan."""
    # Computed, for a number written here would be a type of its own to numba, and each kernel compiled for it too.
    done = rounds_until(0, bin_s, SYNC_S)  # the round at the start of the trace has no metric yet
    last_active = done - COOLDOWN_ROUNDS  # never active: nothing to cool down from
    for t in range(len(desired)):
        seen = metric[t : t + 1]
        if done < rounds_until(t, bin_s, SYNC_S):  # a round is due at the start of this bin
            last_active = _round(rules, hpa, seen, done, last_active, sleeps)
            done += 1
        desired[t] = hpa.counters[REPLICAS]
        inside = rounds_before(t + 1, bin_s, SYNC_S)
        while done < inside:
            skipped = 0
            awake = hpa.counters[REPLICAS] > 0
            if awake != (seen[0] == 0.0):  # no poll activates, and none may let go
                skipped = hpa_rounds.skip_idle(rules, hpa, seen, inside - done)
            done += skipped
            if skipped == 0:
                last_active = _round(rules, hpa, seen, done, last_active, sleeps)
                desired[t] = max(desired[t], hpa.counters[REPLICAS])
                done += 1
            elif seen[0] > 0.0:
                last_active = (done - 1) // POLL_ROUNDS * POLL_ROUNDS


@njit(cache=True)
def _round(rules: HpaRules, hpa: HpaState, metric: FloatArray, now: int, last_active: int, sleeps: bool) -> int:
    """Run the poll, where one is due, and the HPA's sync of round `now`; return the round that last saw demand."""
    if now % POLL_ROUNDS == 0:
        demand = metric[0]
        if demand > 0.0:
            last_active = now
            if hpa.counters[REPLICAS] == 0:
                hpa.counters[REPLICAS] = 1
        elif demand == 0.0 and sleeps and now >= last_active + COOLDOWN_ROUNDS:
            hpa.counters[REPLICAS] = 0
    hpa_rounds.sync(rules, hpa, metric)
    return last_active
