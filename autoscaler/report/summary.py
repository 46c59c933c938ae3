"""A backtest's numbers for people: what each policy costs, how late it is, and what Headstart saves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.backtest.result import BacktestResult, Outcome, PolicyResult
from autoscaler.backtest.setting import Setting

HEADSTART = "headstart"
RIVAL = "hpa-best"  # HPA at the target that, in hindsight, is the cheapest as late as Headstart at most
RIVAL_FAMILY = "hpa"
STATIC = "static"
OPTIMUM = "optimum"

# Two sums of the same lateness in another order differ in the last digits; no two targets are this close.
_SAME_LATENESS = 1e-9
_FAMILIES = (HEADSTART, "hpa", "keda", "knative")
_MONTH_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """One policy over the scored bins.

    Attributes:
        name, title, hindsight: as in PolicyResult.
        replica_hours: replicas paid for, times hours.
        gpu_hours: the same in GPUs.
        money: None where no price was given.
        late_fraction: late work over arrived work; NaN where nothing arrived.
        late_bins: bins with late work.
        within_budget: whether the late share is at most the budget (true where nothing arrived).
        mean_utilisation: served work over ready replicas' time; NaN where none was ever ready.
        cost_over_optimum: replica-hours over the optimum's: 1.0 is the optimum itself; None without one.
    """

    name: str
    title: str
    hindsight: bool
    replica_hours: float
    gpu_hours: float
    money: float | None
    late_fraction: float
    late_bins: int
    within_budget: bool
    mean_utilisation: float
    cost_over_optimum: float | None


@dataclass(frozen=True, slots=True)
class Saving:
    """Headstart against the cheapest HPA target that is at most as late, found in hindsight.

    Attributes:
        gpu_hours: saved over the scored bins; negative where Headstart is dearer.
        share: of the HPA's GPU-hours.
        money: None where no price was given.
        gap_closed: share of the way from the HPA's cost down to the optimum's; None where there is no way.
        month_gpu_hours: `gpu_hours` scaled to 30 days: a projection.
        month_money: `money` scaled to 30 days, None where no price was given.
    """

    gpu_hours: float
    share: float
    money: float | None
    gap_closed: float | None
    month_gpu_hours: float
    month_money: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What the table, the page and the picture show.

    Attributes:
        policies: in display order: Headstart, the reactive ones, predictive-naive ones, static, optimum.
        saving: None where Headstart or an HPA that is at most as late is not among the policies.
        scored_bins: bins that count.
        scored_s: their length in seconds.
    """

    policies: tuple[PolicySummary, ...]
    saving: Saving | None
    scored_bins: int
    scored_s: float

    def policy(self, name: str) -> PolicySummary | None:
        """The policy of that name, None where it was not run."""
        return next((row for row in self.policies if row.name == name), None)


def summarise(result: BacktestResult) -> Summary:
    """Reduce a result to its numbers. Needs at least one policy."""
    setting = result.setting
    scored_bins = len(setting) - setting.score_from_bin
    scored_s = scored_bins * setting.bin_s
    optimum = _outcome(result, OPTIMUM)
    rows = tuple(_policy(result, row, optimum) for row in in_display_order(result.policies))
    by_name = {row.name: row for row in rows}
    saving = None
    if HEADSTART in by_name and RIVAL in by_name and is_as_late_at_most(by_name[RIVAL], by_name[HEADSTART]):
        saving = _saving(by_name[HEADSTART], by_name[RIVAL], by_name.get(OPTIMUM), scored_s)
    return Summary(rows, saving, scored_bins, scored_s)


def in_display_order(policies: tuple[PolicyResult, ...]) -> list[PolicyResult]:
    """Headstart first, then each reactive family (default before best), the others, static, the optimum last."""
    last = {STATIC: len(_FAMILIES) + 1, OPTIMUM: len(_FAMILIES) + 2}

    def place(row: PolicyResult) -> int:
        family = family_of(row.name)
        return last.get(row.name, _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES))

    return sorted(policies, key=place)


def family_of(name: str) -> str:
    """The family of a policy's name: 'hpa' of 'hpa-best'."""
    return name.removesuffix("-best")


def is_as_late_at_most(row: PolicySummary, other: PolicySummary) -> bool:
    """Whether `row` keeps the lateness of `other` or a lower one."""
    return row.late_fraction <= other.late_fraction + _SAME_LATENESS


def least_late(result: BacktestResult, family: str) -> tuple[float, float] | None:
    """(late fraction, GPU-hours) of the least late target that was tried of a reactive family; None without one.

    Among equally late targets the cheapest.
    """
    tried = [
        (float(late), float(cost) * result.gpus_per_replica)
        for frontier in result.frontiers
        if frontier.name == family
        for late, cost in zip(frontier.late_fraction, frontier.replica_hours, strict=True)
    ]
    tried += [
        (row.outcome.late_fraction, row.outcome.replica_hours * result.gpus_per_replica)
        for row in result.policies
        if family_of(row.name) == family
    ]
    return min(tried, default=None)


def work_name(setting: Setting) -> str:
    """What arrives, in the user's words: 'requests', or 'the work' where it is counted in another unit."""
    return "requests" if set(setting.demand_rps) == {"requests"} else "the work"


def _policy(result: BacktestResult, row: PolicyResult, optimum: Outcome | None) -> PolicySummary:
    outcome = row.outcome
    gpu_hours = outcome.replica_hours * result.gpus_per_replica
    over_optimum = outcome.replica_hours / optimum.replica_hours if optimum and optimum.replica_hours > 0 else None
    return PolicySummary(
        name=row.name,
        title=row.title,
        hindsight=row.hindsight,
        replica_hours=outcome.replica_hours,
        gpu_hours=gpu_hours,
        money=None if result.gpu_hour_price is None else gpu_hours * result.gpu_hour_price,
        late_fraction=outcome.late_fraction,
        late_bins=outcome.late_bins,
        within_budget=not outcome.late_fraction > result.setting.late_budget,
        mean_utilisation=outcome.mean_utilisation,
        cost_over_optimum=over_optimum,
    )


def _saving(own: PolicySummary, rival: PolicySummary, optimum: PolicySummary | None, scored_s: float) -> Saving:
    gpu_hours = rival.gpu_hours - own.gpu_hours
    money = None if own.money is None or rival.money is None else rival.money - own.money
    way = rival.gpu_hours - optimum.gpu_hours if optimum else 0.0
    months = scored_s / _MONTH_S
    return Saving(
        gpu_hours=gpu_hours,
        share=gpu_hours / rival.gpu_hours if rival.gpu_hours > 0 else math.nan,
        money=money,
        gap_closed=gpu_hours / way if way > 0 else None,
        month_gpu_hours=gpu_hours / months,
        month_money=None if money is None else money / months,
    )


def _outcome(result: BacktestResult, name: str) -> Outcome | None:
    return next((row.outcome for row in result.policies if row.name == name), None)
