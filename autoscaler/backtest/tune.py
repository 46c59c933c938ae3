"""Cost against lateness of a reactive family over its targets, and its best target in hindsight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoscaler.backtest.baselines.families import Family
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.result import Frontier, Outcome
from autoscaler.backtest.setting import Setting
from forecasting.series import FloatArray

# From a fleet twenty times as large as its demand to one that is a third too small, 6 % from one target to the next:
# finer than the HPA's tolerance of 10 %. On traces with spikes out of calm only the largest fleets keep 1 %.
TARGETS: FloatArray = np.geomspace(0.05, 1.5, 59)

# Targets tried between the two neighbours of the best one of a frontier: steps of about 0.4 %, since lateness jumps.
FINER_TARGETS = 31


@dataclass(frozen=True, slots=True)
class TunedTarget:
    """The best target of a family in hindsight.

    Attributes:
        target: as a share of what a replica sustains.
        outcome: what it led to.
        within_limit: False where no target kept the limit; then this is the one with the least late work.
    """

    target: float
    outcome: Outcome
    within_limit: bool


def frontier(setting: Setting, family: Family, targets: FloatArray = TARGETS) -> Frontier:
    """Replay a family at each target."""
    hours, late = np.zeros(len(targets)), np.zeros(len(targets))
    for at, target in enumerate(targets):  # one plan at a time: forty of them would be gigabytes
        outcome = simulate(setting, family.plan(setting, float(target)))
        hours[at], late[at] = outcome.replica_hours, outcome.late_fraction
    order = np.lexsort((late, hours))
    return Frontier(family.name, family.title, np.asarray(targets)[order], hours[order], late[order])


def best_target(
    setting: Setting, family: Family, late_fraction_max: float, known: Frontier | None = None
) -> TunedTarget:
    """The cheapest target whose late fraction over the scored bins is at most `late_fraction_max`.

    Args:
        setting: what is replayed.
        family: whose target is sought.
        late_fraction_max: the limit.
        known: the family's frontier where it is known already.
    """
    known = known or frontier(setting, family)
    best = float(known.targets[_best(known, late_fraction_max)])
    targets = np.sort(known.targets)
    at = int(np.searchsorted(targets, best))
    low, high = targets[max(0, at - 1)], targets[min(len(targets) - 1, at + 1)]
    finer = frontier(setting, family, np.append(np.linspace(low, high, FINER_TARGETS), best))
    chosen = _best(finer, late_fraction_max)
    target = float(finer.targets[chosen])
    return TunedTarget(
        target=target,
        outcome=simulate(setting, family.plan(setting, target)),
        within_limit=bool(finer.late_fraction[chosen] <= late_fraction_max),
    )


def _best(known: Frontier, late_fraction_max: float) -> int:
    """Index of the cheapest entry within the limit; where there is none, of the least late one."""
    within = np.flatnonzero(known.late_fraction <= late_fraction_max)
    return int(within[0]) if len(within) else int(np.argmin(known.late_fraction))
