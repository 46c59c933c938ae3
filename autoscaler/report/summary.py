"""A backtest's numbers for people: what each policy costs, how late it is, and what Headstart saves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autoscaler.backtest.result import BacktestResult, Outcome, PolicyResult, RequestFigures
from autoscaler.backtest.setting import Setting

HEADSTART = "headstart"
WARM_NODES = "headstart-warm-nodes"
RIVAL_FAMILY = "hpa"
BEST = "-best"  # behind a family's name: at its best target in hindsight
STATIC = "static"
OPTIMUM = "optimum"

# Two sums of the same lateness in another order differ in the last digits; no two targets are this close.
_SAME_LATENESS = 1e-9
_REACTIVE = ("hpa", "keda", "knative")
_DAY_S = 86_400.0
_MONTH_S = 30 * _DAY_S
_PROJECTED_FROM_S = 7 * _DAY_S  # less than a week has not seen every kind of day


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
        starts_per_day: replicas ordered a day, each of which loads the model.
        within_budget: whether the late share is at most the budget (true where nothing arrived).
        mean_utilisation: served work over ready replicas' time; 0 where none was ever ready.
        cost_over_optimum: replica-hours over the optimum's: 1.0 is the optimum itself; None without one.
        requests: what single requests met; None in the fluid fidelity.
    """

    name: str
    title: str
    hindsight: bool
    replica_hours: float
    gpu_hours: float
    money: float | None
    late_fraction: float
    late_bins: int
    starts_per_day: float
    within_budget: bool
    mean_utilisation: float
    cost_over_optimum: float | None
    requests: RequestFigures | None


@dataclass(frozen=True, slots=True)
class Saving:
    """Headstart against the cheapest HPA target, of all that were tried, that is at most as late as Headstart was.

    Attributes:
        gpu_hours: saved over the scored bins; negative where Headstart is dearer.
        share: of the HPA's GPU-hours.
        money: None where no price was given.
        gap_closed: share of the way from the HPA's cost down to the optimum's; None where there is no way.
        month_gpu_hours: `gpu_hours` scaled to 30 days: a projection; None where less than a week is scored.
        month_money: `money` scaled to 30 days; None where no price was given or less than a week is scored.
    """

    gpu_hours: float
    share: float
    money: float | None
    gap_closed: float | None
    month_gpu_hours: float | None
    month_money: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What the table, the page and the picture show.

    Attributes:
        policies: in display order: Headstart, the reactive ones, predictive-naive ones, static, optimum.
        saving: None where Headstart was not run, where HPA was run at its default target only, or where none of its
            targets is at most as late.
        static_as_good: the static fleet that needs no hindsight, where it is at most as late as Headstart and costs no
            more; else None.
        scored_bins: bins that count.
        scored_s: their length in seconds.
    """

    policies: tuple[PolicySummary, ...]
    saving: Saving | None
    static_as_good: PolicySummary | None
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
    own = next((row for row in rows if row.name == HEADSTART), None)
    rival_hours = None if own is None else _cheapest_as_late(result, own.late_fraction)
    saving = None
    static = None if own is None else next((row for row in rows if _is_static_as_good(row, own)), None)
    if own is not None and rival_hours is not None:
        saving = _saving(result, own, rival_hours, optimum, scored_s)
    return Summary(rows, saving, static, scored_bins, scored_s)


def in_display_order(policies: tuple[PolicyResult, ...]) -> list[PolicyResult]:
    """Headstart first, then each reactive family (default before best), the others, static, the optimum last."""
    order = (HEADSTART, WARM_NODES, *_REACTIVE, None, STATIC, OPTIMUM)

    def place(row: PolicyResult) -> int:
        family = family_of(row.name)
        return order.index(family) if family in order else order.index(None)

    return sorted(policies, key=place)


def family_of(name: str) -> str:
    """The family of a policy's name: 'hpa' of 'hpa-best', 'static' of 'static-peak', 'same-time-last-week' as it is."""
    known = (family for family in (*_REACTIVE, STATIC) if name.startswith(f"{family}-"))
    return next(known, name)


def was_tuned(result: BacktestResult) -> bool:
    """Whether several targets of HPA were tried, so that one of them is the best."""
    names = {row.name for row in result.policies} | {f"{row.name}{BEST}" for row in result.frontiers}
    return RIVAL_FAMILY + BEST in names


def rival_targets(result: BacktestResult) -> list[tuple[float, float]]:
    """(late fraction, replica-hours) of every HPA target that was tried: its rows, and its frontier."""
    rows = [row.outcome for row in result.policies if family_of(row.name) == RIVAL_FAMILY]
    tried = [(outcome.late_fraction, outcome.replica_hours) for outcome in rows]
    for frontier in result.frontiers:
        if frontier.name == RIVAL_FAMILY:
            tried += zip(frontier.late_fraction.tolist(), frontier.replica_hours.tolist(), strict=True)
    return tried


def work_name(result: BacktestResult) -> str:
    """What is late or not, in the user's words: 'requests', or 'the work' where it is counted in another unit."""
    counted = result.requests is not None or set(result.setting.demand_rps) == {"requests"}
    return "requests" if counted else "the work"


def _policy(result: BacktestResult, row: PolicyResult, optimum: Outcome | None) -> PolicySummary:
    outcome = row.outcome
    setting = result.setting
    late_fraction = outcome.late_fraction if setting.arrivals_rs[setting.score_from_bin :].any() else math.nan
    gpu_hours = outcome.replica_hours * result.gpus_per_replica
    over_optimum = outcome.replica_hours / optimum.replica_hours if optimum and optimum.replica_hours > 0 else None
    return PolicySummary(
        name=row.name,
        title=row.title,
        hindsight=row.hindsight,
        replica_hours=outcome.replica_hours,
        gpu_hours=gpu_hours,
        money=None if result.gpu_hour_price is None else gpu_hours * result.gpu_hour_price,
        late_fraction=late_fraction,
        late_bins=outcome.late_bins,
        starts_per_day=_starts_per_day(setting, outcome),
        within_budget=not late_fraction > setting.late_budget,
        mean_utilisation=outcome.mean_utilisation,
        cost_over_optimum=over_optimum,
        requests=row.requests,
    )


def _starts_per_day(setting: Setting, outcome: Outcome) -> float:
    """Replicas ordered in the scored bins, over their days."""
    more = np.diff(outcome.desired, prepend=0)[setting.score_from_bin :].clip(min=0)
    return float(more.sum()) * _DAY_S / ((len(setting) - setting.score_from_bin) * setting.bin_s)


def _cheapest_as_late(result: BacktestResult, late_fraction: float) -> float | None:
    """Replica-hours of the cheapest HPA target that is at most this late; None where there is none, or no choice."""
    if not was_tuned(result):
        return None
    return min((cost for late, cost in rival_targets(result) if late <= late_fraction + _SAME_LATENESS), default=None)


def _is_static_as_good(row: PolicySummary, own: PolicySummary) -> bool:
    static = family_of(row.name) == STATIC and not row.hindsight
    return static and row.late_fraction <= own.late_fraction + _SAME_LATENESS and row.gpu_hours <= own.gpu_hours


def _saving(
    result: BacktestResult, own: PolicySummary, rival_hours: float, optimum: Outcome | None, scored_s: float
) -> Saving:
    gpu_hours = (rival_hours - own.replica_hours) * result.gpus_per_replica
    money = None if result.gpu_hour_price is None else gpu_hours * result.gpu_hour_price
    way = rival_hours - optimum.replica_hours if optimum else 0.0
    months = scored_s / _MONTH_S if scored_s >= _PROJECTED_FROM_S else None
    return Saving(
        gpu_hours=gpu_hours,
        share=(rival_hours - own.replica_hours) / rival_hours if rival_hours > 0 else math.nan,
        money=money,
        gap_closed=(rival_hours - own.replica_hours) / way if way > 0 else None,
        month_gpu_hours=None if months is None else gpu_hours / months,
        month_money=None if months is None or money is None else money / months,
    )


def _outcome(result: BacktestResult, name: str) -> Outcome | None:
    return next((row.outcome for row in result.policies if row.name == name), None)
