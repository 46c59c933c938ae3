"""The baselines by the names that the command line knows, and how each becomes a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES, Family
from autoscaler.backtest.baselines.hpa import HpaOptions
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.baselines.same_time import DAY_S, WEEK_S, SameTimeOptions, plan_same_time
from autoscaler.backtest.baselines.static import plan_static, plan_static_peak
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.result import Frontier, PolicyResult
from autoscaler.backtest.setting import IntArray, Setting
from autoscaler.errors import UsageError

BEST = "-best"
WITHIN_BUDGET = "-within-budget"


@dataclass(frozen=True, slots=True)
class Baseline:
    """One baseline.

    Attributes:
        name: as the command line names it.
        title: for people.
        hindsight: whether it uses what nobody could have known at the time.
        run: (setting, limit, frontiers by family that are known already) -> its row. The limit is the late share that
            a target tuned in hindsight has to keep.
    """

    name: str
    title: str
    hindsight: bool
    run: Callable[[Setting, float, Mapping[str, Frontier]], PolicyResult]


def run_baseline(
    name: str,
    setting: Setting,
    *,
    late_fraction_max: float | None = None,
    frontiers: Mapping[str, Frontier] | None = None,
) -> PolicyResult:
    """Replay one baseline.

    Args:
        name: one of BASELINES.
        setting: what is replayed.
        late_fraction_max: the late share that a target tuned in hindsight has to keep; None is the setting's budget.
        frontiers: family name -> its frontier; what is missing is computed where the baseline needs it.

    Raises:
        UsageError: no baseline has that name.
    """
    if name not in BASELINES:
        raise UsageError(f"there is no policy {name!r}: choose from headstart, {', '.join(BASELINES)}")
    limit = setting.late_budget if late_fraction_max is None else late_fraction_max
    return BASELINES[name].run(setting, limit, frontiers or {})


def _plain(
    name: str,
    title: str,
    plan: Callable[[Setting], IntArray],
    settings: Mapping[str, float | int | str],
    *,
    hindsight: bool = False,
) -> Baseline:
    """A baseline with one plan."""

    def run(setting: Setting, _limit: float, _frontiers: Mapping[str, Frontier]) -> PolicyResult:
        return PolicyResult(name, title, hindsight, simulate(setting, plan(setting)), settings)

    return Baseline(name, title, hindsight, run)


def _default(family: Family) -> Baseline:
    """A family at its default target."""
    title = f"{family.title}, target {100 * family.target:.0f} %"
    return _plain(family.name, title, lambda s: family.plan(s, family.target), {"target": family.target})


def _best(family: Family) -> Baseline:
    """A family at its best target in hindsight."""
    title = f"{family.title}, best target in hindsight"
    return _tuned(family, family.name + BEST, title, lambda _, limit: limit)


def _within_budget(family: Family) -> Baseline:
    """A family at the cheapest target that keeps the asked budget, in hindsight."""
    title = f"{family.title}, best for the asked budget"
    return _tuned(family, family.name + WITHIN_BUDGET, title, lambda setting, _: setting.late_budget)


def _tuned(family: Family, name: str, title: str, limit_of: Callable[[Setting, float], float]) -> Baseline:
    """A family at the cheapest target that is within a limit of lateness, in hindsight."""

    def run(setting: Setting, late_fraction_max: float, frontiers: Mapping[str, Frontier]) -> PolicyResult:
        limit = limit_of(setting, late_fraction_max)
        tuned = tune.best_target(setting, family, limit, frontiers.get(family.name))
        note = "" if tuned.within_limit else ", none is so seldom late"
        return PolicyResult(
            name=name,
            title=f"{title} ({100 * tuned.target:.3g} %{note})",
            hindsight=True,
            outcome=tuned.outcome,
            settings={
                "target": tuned.target,
                "late_fraction_max": limit,
                "within_limit": int(tuned.within_limit),
            },
        )

    return Baseline(name, title, True, run)


def _same_time(name: str, title: str, period_s: float) -> Baseline:
    """The HPA with the demand of one period ago as one more trigger."""
    options = SameTimeOptions(period_s, HpaOptions())
    settings = {"target": options.hpa.target, "period_s": period_s}
    return _plain(name, title, lambda s: plan_same_time(s, options), settings)


BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        _default(FAMILIES["hpa"]),
        _within_budget(FAMILIES["hpa"]),
        _best(FAMILIES["hpa"]),
        *(make(FAMILIES[name]) for name in ("keda", "knative") for make in (_default, _best)),
        _plain("static", "Static, for the largest demand so far", plan_static, {"target": 1.0}),
        _plain("static-peak", "Static, for the peak in hindsight", plan_static_peak, {"target": 1.0}, hindsight=True),
        _same_time("same-time-yesterday", "HPA and the same time yesterday", DAY_S),
        _same_time("same-time-last-week", "HPA and the same time last week", WEEK_S),
        _plain("optimum", "Optimum in hindsight", plan_optimum, {}, hindsight=True),
    )
}
