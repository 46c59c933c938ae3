"""What Headstart is measured against, in one place: the best reactive plan, and the gap down to the optimum.

The rival of a run is the cheapest plan, over the HPA's and Knative's targets in hindsight, that is late at most as
often as the run was. KEDA's is not among them: it is the HPA with another metric. The gap is what the rival costs above
the clairvoyant optimum, and `gap_closed` the share of it that the run saved:

    (rival - run) / (rival - optimum)

1 is the optimum, 0 the rival, and below 0 the run is dearer. A case has no gap, and is counted apart, where no target
is ever so seldom late, or where the rival costs less than 1 % more than the optimum, so that the quotient would be
noise: at loose budgets a rival that lets work be late may be cheaper than the optimum.

In bins at least as wide as the longest wait that is not late, the optimum is the cheapest plan found, see
`baselines.optimum`; with loads drawn at random, or too few replicas, some work is late under it too. In narrower bins,
where most work may wait for several, a proven bound stands in its place that no plan without late work is below; the
plan in hindsight costs 0.1 to 3.3 % more there, on three public hours of seconds.

A static fleet of the best size in hindsight is always seldom late enough. It is no autoscaler, so it is told beside:
`gap_closed_with_static` counts it among the rivals, and hardly a case is without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.optimum_bound import least_replica_hours
from autoscaler.backtest.baselines.static import plan_static_peak
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.result import Frontier, Outcome
from autoscaler.backtest.setting import Setting

RIVALS = ("hpa", "knative")
# Of the optimum's cost.
_LEAST_GAP = 0.01


@dataclass(frozen=True, slots=True)
class Rival:
    """A plan that is late at most so often, the cheapest of its kind.

    Attributes:
        family: 'hpa', 'knative' or 'static'.
        target: of the family, a share of what a replica sustains; the size of a static fleet.
        outcome: what it led to.
    """

    family: str
    target: float
    outcome: Outcome


def best_reactive(setting: Setting, late_fraction_max: float, frontiers: Mapping[str, Frontier]) -> Rival | None:
    """The cheapest target of RIVALS in hindsight within a limit of lateness; None where none keeps it.

    Args:
        setting: what is replayed.
        late_fraction_max: the limit over the scored bins.
        frontiers: family -> its frontier, for each of RIVALS.
    """
    best: Rival | None = None
    for name in RIVALS:
        tuned = tune.best_target(setting, FAMILIES[name], late_fraction_max, frontiers[name])
        if tuned.within_limit and (best is None or tuned.outcome.replica_hours < best.outcome.replica_hours):
            best = Rival(name, tuned.target, tuned.outcome)
    return best


def best_static(setting: Setting, late_fraction_max: float) -> Rival | None:
    """The smallest fleet of one size throughout that is within a limit of lateness; None where not even the peak's is.

    Lateness never rises with the size, so the size is found by halving.
    """
    low, high = -1, int(plan_static_peak(setting)[-1])
    best = _static(setting, high)
    if best.late_fraction > late_fraction_max:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        outcome = _static(setting, middle)
        if outcome.late_fraction <= late_fraction_max:
            high, best = middle, outcome
        else:
            low = middle
    return Rival("static", float(high), best)


def bound_hours(setting: Setting, optimum: Outcome) -> float:
    """Replica-hours of the optimum, down to which a gap is measured.

    In bins narrower than `max_wait_s`, what no plan without late work is below; in wider ones, those of `optimum`.
    """
    return optimum.replica_hours if setting.bin_s >= setting.max_wait_s else least_replica_hours(setting)


def gap_closed(own_hours: float, rival_hours: float | None, optimum_hours: float) -> float | None:
    """Share of the way from the rival's replica-hours down to the optimum's; None where there is no gap."""
    if rival_hours is None or rival_hours - optimum_hours < max(_LEAST_GAP * optimum_hours, 1e-9):
        return None
    return (rival_hours - own_hours) / (rival_hours - optimum_hours)


def _static(setting: Setting, replicas: int) -> Outcome:
    """A fleet of one size in the scored bins; before them one that leaves no queue."""
    plan = plan_static_peak(setting)
    plan[setting.score_from_bin :] = replicas
    return simulate(setting, plan)
