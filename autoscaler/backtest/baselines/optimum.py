"""The clairvoyant optimum: the cheapest of three plans that are never late, with the trace known.

The first serves every bin's work within the bin, and is exact among such plans for a constant load. Replica level k is
busy in the bins that need k replicas or more. Between two busy bins it is either kept, or released and ordered again so
that it is ready in time: a gap is bridged when that costs no more than the load, plus the drain where one is paid.
Levels are nested, so the sum of the levels is a plan in which the cluster's rules give each level what it was planned.

The second lets work wait for as long as isn't late, see `patient_optimum`; the third is a static fleet. In bins of
1 to 30 minutes and with waits of 10 s, the second cost 0.5 to 5 % less than the first on eleven of fourteen traces, and
2 to 8 % more on three of spikes out of calm; in bins of 10 s, of three hours, it cost 20 to 43 % less.

With random loads or failing starts, the median load is planned for, and some work may come late; so it does where too
few replicas are allowed. It is the first plan then; in bins narrower than the longest wait, the cheapest of the plans
that are on time all the same, and only without any the cheaper of the others.

Work that arrives before the first load can be done waits for everybody. Replicas enough to work it off before the
first scored bin are added, or within one load where the scoring begins sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from autoscaler.backtest.baselines.metric import clamp, whole_replicas
from autoscaler.backtest.baselines.patient_optimum import patient_path, smallest_static
from autoscaler.backtest.cluster import simulate, whole_bins
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray

LONG_AGO = -(2**40)


def plan_optimum(setting: Setting) -> IntArray:
    """Replicas at the start of each bin, shape (n,). Hindsight."""
    load_bins = whole_bins(setting.load_latency.quantile_s(0.5), setting.bin_s)
    if setting.max_wait_s == 0 or load_bins >= len(setting):
        return _at_once(setting, load_bins)
    waiting = [_held(setting, busy, load_bins) for busy in _patient(setting, load_bins)]
    if setting.bin_s < setting.max_wait_s:
        # What is served within seconds is never the cheapest here. It counts where loads, or work from before the first
        # one, leave no plan but that one on time; looking takes 0.3 s over 14 days.
        best = _cheapest(setting, waiting)
        if _goes_as_planned(setting, load_bins) or not _is_late(setting, best):
            return best
        others = [_at_once(setting, load_bins), *(plan for plan in waiting if plan is not best)]
        return _cheapest(setting, [plan for plan in others if not _is_late(setting, plan)] or [best])
    at_once = _at_once(setting, load_bins)
    if _is_late(setting, at_once):
        return at_once
    return _cheapest(setting, [at_once, *(plan for plan in waiting if not _is_late(setting, plan))])


def _goes_as_planned(setting: Setting, load_bins: int) -> bool:
    """Whether every load takes what was planned, and one fits before what is scored."""
    quantiles_s = setting.load_latency.quantiles_s
    is_constant = quantiles_s[0] == quantiles_s[-1] and setting.start_failure_share == 0.0
    return is_constant and setting.score_from_bin > load_bins


def _at_once(setting: Setting, load_bins: int) -> IntArray:
    """The plan that serves every bin's work within the bin."""
    return _held(setting, np.minimum(_need(setting, load_bins), setting.replicas_max), load_bins)


def _cheapest(setting: Setting, plans: Sequence[IntArray]) -> IntArray:
    return min(plans, key=lambda plan: _paid_bins(setting, plan))


def _is_late(setting: Setting, plan: IntArray) -> bool:
    return simulate(setting, plan).late_fraction > 0.0


def _held(setting: Setting, busy: IntArray, load_bins: int) -> IntArray:
    """The plan under which `busy` replicas are ready in each bin, or more, shape (n,)."""
    gap_bins_max = load_bins + math.floor(setting.drain_s / setting.bin_s)
    return clamp(_keep_or_load(busy, load_bins, gap_bins_max), setting.replicas_min, setting.replicas_max)


def _need(setting: Setting, load_bins: int) -> IntArray:
    """Replicas that must serve in each bin, shape (n,)."""
    demand: FloatArray = setting.arrivals_rs / setting.bin_s
    # 3.0000000000000004 is 3, but where no wait at all is allowed, the cluster finds even that late.
    need = whole_replicas(demand) if setting.max_wait_s > 0 else np.ceil(demand).astype(np.int64)
    early_rs, bins = _early(setting, load_bins)
    if early_rs > 0:
        need[load_bins : load_bins + bins] += math.ceil(early_rs / (bins * setting.bin_s))
    return need


def _early(setting: Setting, load_bins: int) -> tuple[float, int]:
    """Work that arrives before the first load is done, replica-seconds, and the bins in which it is worked off."""
    early_rs = float(setting.arrivals_rs[:load_bins].sum())
    return early_rs, setting.score_from_bin - load_bins if setting.score_from_bin > load_bins else load_bins


def _patient(setting: Setting, load_bins: int) -> tuple[IntArray, IntArray]:
    """Replicas ready in each bin where work may wait for several, shape (n,): the cheapest way, and a static fleet."""
    arrivals: FloatArray = setting.arrivals_rs / setting.bin_s
    wait_bins = setting.max_wait_s / setting.bin_s
    early_rs, bins = _early(setting, load_bins)
    before = np.zeros(load_bins, dtype=np.int64)
    size = smallest_static(
        arrivals[load_bins:],
        wait_bins,
        queued=early_rs / setting.bin_s,
        counted_from=max(0, setting.score_from_bin - load_bins),
    )
    spread = arrivals[load_bins:].copy()
    spread[:bins] += early_rs / (bins * setting.bin_s) if bins else 0.0
    path = patient_path(
        spread,
        wait_bins=wait_bins,
        load_bins=load_bins,
        drain_bins=setting.drain_s / setting.bin_s,
        replicas_min=setting.replicas_min,
        replicas_max=setting.replicas_max,
    )
    static = np.full(len(path), min(size, setting.replicas_max), dtype=np.int64)
    return np.append(before, path), np.append(before, static)


def _paid_bins(setting: Setting, plan: IntArray) -> float:
    """Replica-bins paid in the scored part, every drain in full."""
    released = np.maximum(-np.diff(plan[setting.score_from_bin :]), 0).sum()
    return float(plan[setting.score_from_bin :].sum() + released * setting.drain_s / setting.bin_s)


@njit(cache=True)
def _keep_or_load(need: IntArray, load_bins: int, gap_bins_max: int) -> IntArray:
    """Sum over the levels of the bins in which each is held.

    One pass with a stack of the levels that are not busy, the lowest on top: an entry holds the levels up to `tops`
    that aren't in the entries above it or busy, and the bin from which they are idle. Each bin pushes at most one
    entry, so the time is that of the trace, whatever the size of the fleet.

    Args:
        need: replicas that must serve in each bin, shape (n,).
        load_bins: bins from order to ready.
        gap_bins_max: the longest gap that is bridged.
    """
    n = len(need)
    tops = np.empty(n + 1, np.int64)
    idle_from = np.empty(n + 1, np.int64)
    tops[0] = need.max() if n else 0
    idle_from[0] = LONG_AGO
    size = 1
    steps = np.zeros(n + 1, np.int64)
    busy = 0
    for t in range(n):
        if need[t] < busy:
            tops[size] = busy
            idle_from[size] = t
            size += 1
        while busy < need[t]:
            levels = min(tops[size - 1], need[t]) - busy
            gap = t - idle_from[size - 1]
            start = idle_from[size - 1] if gap <= gap_bins_max else max(0, t - load_bins)
            steps[start] += levels
            steps[t] -= levels
            busy += levels
            if tops[size - 1] == busy:
                size -= 1
        busy = need[t]
        steps[t] += busy
        steps[t + 1] -= busy
    return np.cumsum(steps[:n])
