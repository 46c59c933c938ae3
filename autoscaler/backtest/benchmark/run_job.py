"""One job of a benchmark: every policy over the cases of one trace, load and seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.benchmark.cases import Case, Job
from autoscaler.backtest.benchmark.gap import RIVALS, Rival, best_reactive, best_static, bound_hours, gap_closed
from autoscaler.backtest.benchmark.rows import Row
from autoscaler.backtest.benchmark.variants import HEADSTART, Variant
from autoscaler.backtest.cluster import bins_of, simulate
from autoscaler.backtest.headstart import Replay, replay_headstart
from autoscaler.backtest.result import Frontier, Outcome
from autoscaler.backtest.setting import Setting

REACTIVE_BEST = "reactive-best"
REACTIVE_WITHIN_BUDGET = "reactive-within-budget"
STATIC_BEST = "static-best"
OPTIMUM = "optimum"

_DAY_S = 86_400.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Finished:
    """A case and its rows."""

    case: Case
    rows: tuple[Row, ...]


def run_job(job: Job) -> list[Finished]:
    """Replay all policies in all cases of a job: a pure function, for any process on any machine."""
    bench = _Bench(job.cases[0].setting)
    return [Finished(case, _rows(bench, case, job.variants)) for case in job.cases]


def _rows(bench: _Bench, case: Case, variants: tuple[Variant, ...]) -> tuple[Row, ...]:
    own = [bench.headstart(variant, case.setting) for variant in variants]
    late = next(row.late_fraction for row in own if row.policy == HEADSTART)
    assert late is not None, "Headstart has a plan in every case"
    budget = case.setting.late_budget
    return (
        *own,
        *(bench.default(name) for name in FAMILIES),
        bench.rival(REACTIVE_BEST, "Best reactive plan at equal lateness", lambda: bench.reactive(late)),
        bench.rival(REACTIVE_WITHIN_BUDGET, "Best reactive plan for the asked budget", lambda: bench.reactive(budget)),
        bench.rival(STATIC_BEST, "Best static fleet at equal lateness", lambda: bench.static(late)),
        bench.optimum(),
    )


class _Bench:
    """What the cases of a job share: a setting but for its budget, and what has been computed already."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._optimum, self._optimum_seconds = _timed(lambda: simulate(setting, plan_optimum(setting)))
        self._bound_hours = bound_hours(setting, self._optimum)
        self._frontiers: dict[str, Frontier] = {name: tune.frontier(setting, FAMILIES[name]) for name in RIVALS}
        self._reactive: dict[float, Rival | None] = {}
        self._static: dict[float, Rival | None] = {}
        self._defaults: dict[str, Row] = {}
        self._without_budget: dict[str, Row] = {}

    def headstart(self, variant: Variant, setting: Setting) -> Row:
        """A variant of Headstart, beside the best that is late at most as often."""
        if variant.name in self._without_budget:
            return self._without_budget[variant.name]
        replay, seconds = _timed(lambda: replay_headstart(setting, variant.members, without=variant.without))
        row = self._against_rivals(variant, replay, seconds)
        if not variant.knows_budget:
            self._without_budget[variant.name] = row
        return row

    def default(self, name: str) -> Row:
        """A reactive family at its default target."""
        if name not in self._defaults:
            family = FAMILIES[name]
            outcome, seconds = _timed(lambda: simulate(self._setting, family.plan(self._setting, family.target)))
            title = f"{family.title}, target {100 * family.target:.0f} %"
            row = self._row(name, title, outcome, seconds, hindsight=False)
            self._defaults[name] = replace(row, target=family.target)
        return self._defaults[name]

    def optimum(self) -> Row:
        """The clairvoyant optimum."""
        title = "Optimum in hindsight"
        return self._row(OPTIMUM, title, self._optimum, self._optimum_seconds, hindsight=True)

    def rival(self, policy: str, title: str, find: Callable[[], Rival | None]) -> Row:
        """The best of a kind in hindsight, or a row without numbers where none of its kind is so seldom late."""
        found, seconds = _timed(find)
        row = self._row(policy, title, None if found is None else found.outcome, seconds, hindsight=True)
        return row if found is None else replace(row, family=found.family, target=found.target)

    def reactive(self, limit: float) -> Rival | None:
        """See gap.best_reactive."""
        if limit not in self._reactive:
            self._reactive[limit] = best_reactive(self._setting, limit, self._frontiers)
        return self._reactive[limit]

    def static(self, limit: float) -> Rival | None:
        """See gap.best_static."""
        if limit not in self._static:
            self._static[limit] = best_static(self._setting, limit)
        return self._static[limit]

    def _against_rivals(self, variant: Variant, replay: Replay, seconds: float) -> Row:
        outcome = replay.outcome
        row = self._row(variant.name, variant.title, outcome, seconds, hindsight=False)
        rival, static = self.reactive(outcome.late_fraction), self.static(outcome.late_fraction)
        any_hours = [found.outcome.replica_hours for found in (rival, static) if found is not None]
        rival_hours = None if rival is None else rival.outcome.replica_hours
        bound = self._bound_hours
        return replace(
            row,
            rival_family=None if rival is None else rival.family,
            rival_target=None if rival is None else rival.target,
            rival_hours=rival_hours,
            static_hours=None if static is None else static.outcome.replica_hours,
            gap_closed=gap_closed(outcome.replica_hours, rival_hours, bound),
            gap_closed_with_static=gap_closed(outcome.replica_hours, min(any_hours, default=None), bound),
            weights=replay.weights,
        )

    def _row(self, policy: str, title: str, outcome: Outcome | None, seconds: float, *, hindsight: bool) -> Row:
        return Row(
            policy=policy,
            title=title,
            hindsight=hindsight,
            replica_hours=None if outcome is None else outcome.replica_hours,
            late_fraction=None if outcome is None else outcome.late_fraction,
            late_bins=None if outcome is None else outcome.late_bins,
            mean_utilisation=None if outcome is None else outcome.mean_utilisation,
            late_after_day=None if outcome is None else late_after_day(self._setting, outcome),
            optimum_hours=self._bound_hours,
            seconds=seconds,
        )


def late_after_day(setting: Setting, outcome: Outcome) -> float | None:
    """Late share without the first scored day; None where no work arrives later."""
    later = slice(setting.score_from_bin + round(_DAY_S / setting.bin_s), None)
    arrived_rs = float(setting.arrivals_rs[later].sum())
    if not arrived_rs > 0:
        return None
    return float(bins_of(setting, outcome).late_rs[later].sum()) / arrived_rs


def _timed(compute: Callable[[], Result]) -> tuple[Result, float]:
    started_s = time.thread_time()
    return compute(), time.thread_time() - started_s
