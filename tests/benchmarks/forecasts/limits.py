"""What limits the gap that Headstart closes: its choice of risk, its forecast, or the traffic. `limits.py FOLDER`.

Over the cases of `headstart benchmark` with a day of history or more, beside Headstart as it is:

- its forecast with the one risk, of those that the self-backtest runs along, that kept the late budget at the least
  cost in hindsight: what a perfect choice of risk would be worth;
- likewise with gradient-boosted quantiles of the same features, each day forecast by trees that learned from four
  fifths of all days, later ones included, itself not: what a better learner of those features could be worth;
- likewise with the mean of the hour before and the hour after each bin known in advance, and how bins scatter about it:
  what it would be worth to know every rise, burst and fall beforehand, to the hour. Likewise to the half hour.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from question import default_question
from scores import markdown_table
from sklearn.ensemble import HistGradientBoostingRegressor

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.benchmark.cases import Job, plan_cases
from autoscaler.backtest.benchmark.find import trace_paths
from autoscaler.backtest.benchmark.gap import RIVALS, best_reactive, bound_hours, gap_closed
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.headstart import replay_headstart, spec_of
from autoscaler.backtest.setting import Setting
from autoscaler.cli import benchmark_options as options
from autoscaler.core.risk import CANDIDATES, LEVELS
from autoscaler.core.state import State, drain_s
from autoscaler.core.trials import FIRST_BINS, advance
from autoscaler.traces.read import read_trace
from forecasting.clock import DAY_S
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_features import FEATURES
from forecasting.lead_member import TARGETS
from forecasting.series import Series

AS_IT_IS = "Headstart"
BEST_RISK = "its forecast at the best risk in hindsight"
BOOSTED = "trees that know other days, later ones too, at theirs"
HOUR_KNOWN = "the mean of the hours around each bin known, at its best risk in hindsight"
HALF_HOUR_KNOWN = "of the half hours around it"
_FOLDS = 5
# Bins scatter otherwise about a low mean than about a high one.
_MEANS = 6
# Levels that trees are grown for; the others are interpolated, and those above are the last one.
_GROWN = np.array([1, 6, 8, 10, 12, 14, 16, 17])


@dataclass(frozen=True, slots=True)
class Line:
    """One forecast and choice of risk in one case."""

    trace: str
    load: str
    late_budget: float
    plan: str
    cost_over_rival: float
    kept: bool
    gap: float | None


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, help="a folder of traces, or one")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1 is one per core")
    given = parser.parse_args()
    jobs = _jobs(given.traces)
    lines = pd.DataFrame(
        [line for job in Parallel(n_jobs=given.jobs)(delayed(_lines)(job) for job in jobs) for line in job]
    )
    print(_table(lines))  # noqa: T201


def _jobs(folder: Path) -> list[Job]:
    """The benchmark's, without those that score before a day is known."""
    jobs = plan_cases(
        [read_trace(path) for path in trace_paths([folder])], default_question(options.DEFAULT_LOADS)
    ).jobs
    return [job for job in jobs if job.cases[0].setting.score_from_bin * job.cases[0].setting.bin_s >= DAY_S]


def _lines(job: Job) -> list[Line]:
    setting = job.cases[0].setting
    frontiers = {name: tune.frontier(setting, FAMILIES[name]) for name in RIVALS}
    bound = bound_hours(setting, simulate(setting, plan_optimum(setting)))
    found = {BEST_RISK: _risks(setting, _own_needs(setting)), BOOSTED: _risks(setting, _boosted_needs(setting))}
    found |= {HOUR_KNOWN: _risks(setting, _known_needs(setting, 3_600.0))}
    found |= {HALF_HOUR_KNOWN: _risks(setting, _known_needs(setting, 1_800.0))}
    lines = []
    for case in job.cases:
        outcome = replay_headstart(case.setting).outcome
        chosen = {AS_IT_IS: (outcome.replica_hours, outcome.late_fraction)}
        chosen |= {name: _best(hours, late, case.setting.late_budget) for name, (hours, late) in found.items()}
        for plan, (hours, late) in chosen.items():
            rival = best_reactive(setting, late, frontiers)
            rival_hours = None if rival is None else rival.outcome.replica_hours
            lines.append(
                Line(
                    trace=case.trace,
                    load=case.load,
                    late_budget=case.setting.late_budget,
                    plan=plan,
                    cost_over_rival=hours / (rival_hours or np.nan),
                    kept=late <= case.setting.late_budget,
                    gap=gap_closed(hours, rival_hours, bound),
                )
            )
    return lines


def _best(hours: np.ndarray, late: np.ndarray, late_budget: float) -> tuple[float, float]:
    """The cheapest risk that keeps the budget; where none does, the least late one."""
    kept = late <= late_budget
    best = int(np.where(kept, hours, np.inf).argmin() if kept.any() else late.argmin())
    return float(hours[best]), float(late[best])


def _ensemble(setting: Setting) -> tuple[LeadEnsemble, Series]:
    """The forecast of a workload that nothing is known of yet, and its demand in replicas."""
    (unit,) = setting.capacity_rps
    series = Series.of(
        setting.demand_rps[unit] / setting.capacity_rps[unit], bin_s=setting.bin_s, start_s=setting.start_s
    )
    state = State.start(spec_of(setting), start_s=setting.start_s)
    floor = state.forecasts[unit].history.floor / setting.capacity_rps[unit]
    start = LeadEnsemble.start(lead=state.lead_bins, bin_s=setting.bin_s, floor=floor, start_s=setting.start_s)
    return start, series


def _own_needs(setting: Setting) -> np.ndarray:
    """What Headstart forecasts after each bin, in replicas, shape (n, TARGETS, levels)."""
    start, series = _ensemble(setting)
    return start.fit_with_quantiles(series)[1]


def _boosted_needs(setting: Setting) -> np.ndarray:
    """Likewise by trees that learned from other days."""
    start, series = _ensemble(setting)
    _, bins = start.history.extend(series.values)
    first = len(series) - len(bins)
    features, level = bins.features[:, :FEATURES], bins.features[:, FEATURES]
    # What came of the origin after bin n is known with bin n + lead + 1.
    ahead = bins.lead + 1
    known = np.flatnonzero(bins.matured) - ahead
    day = np.arange(len(bins)) // bins.day
    logs = np.full((len(bins), TARGETS, len(_GROWN)), np.nan)
    for fold, target in np.ndindex(_FOLDS, TARGETS):
        learned = known[day[known] % _FOLDS != fold]
        came = bins.targets[learned + ahead, target] - level[learned]
        asked = np.flatnonzero(day % _FOLDS == fold)
        for i, trees in enumerate(_grown(features[learned], came)):
            logs[asked, target, i] = trees.predict(features[asked]) + level[asked]
    grown = np.maximum.accumulate(np.maximum(np.exp(logs) - bins.floor, 0.0), axis=2)
    needs = np.full((len(series), TARGETS, len(LEVELS)), np.nan)
    for row, target in np.ndindex(len(bins), TARGETS):
        needs[first + row, target] = np.interp(np.arange(len(LEVELS)), _GROWN, grown[row, target])
    return needs


def _grown(features: np.ndarray, came: np.ndarray) -> Iterator[HistGradientBoostingRegressor]:
    """Trees for each level of _GROWN. Leaves of 60 closed 48 % of the gap on bundled traces, leaves of 200 41 %."""
    for level in LEVELS[_GROWN]:
        trees = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            min_samples_leaf=60,
            max_iter=80,
            learning_rate=0.08,
            max_leaf_nodes=8,
            early_stopping=False,
            random_state=0,
        )
        yield trees.fit(features, came)


def _known_needs(setting: Setting, around_s: float) -> np.ndarray:
    """What would be forecast if the mean of `around_s` before and after each bin, itself left out, were known.

    How bins scatter is known as well: the quantiles are those of all bins whose means are about as high.
    """
    demand = setting.arrivals_rs / setting.bin_s
    lead = State.start(spec_of(setting)).lead_bins
    bins, width = len(demand), max(1, round(around_s / setting.bin_s))
    sums = np.concatenate([[0.0], np.cumsum(demand)])
    first, last = np.maximum(np.arange(bins) - width, 0), np.minimum(np.arange(bins) + width + 1, bins)
    least = 0.001 * demand.mean()
    mean = (sums[last] - sums[first] - demand) / (last - first - 1) + least
    about = np.empty(bins, dtype=np.int64)
    about[np.argsort(mean, kind="stable")] = np.arange(bins) * _MEANS // bins
    scatter = np.stack(
        [np.quantile((demand + least)[about == each] / mean[about == each], LEVELS) for each in range(_MEANS)]
    )
    each_bin = np.maximum(mean[:, None] * scatter[about] - least, 0.0)
    needs = np.full((bins, TARGETS, len(LEVELS)), np.nan)
    for after in range(bins - lead - 1):
        needs[after] = each_bin[after + 1 + lead], each_bin[after + 1 : after + 2 + lead].max(axis=0)
    needs[bins - lead - 1 :] = needs[bins - lead - 2]
    return needs


def _risks(setting: Setting, needs_after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replica-hours and late share of each of CANDIDATES over the scored bins, shape (c,) each.

    Missing bins are not scored by the self-backtest; they are taken to cost as much as the others. Loads take as long
    as is planned for: drawn ones are a bin longer once in 140 on a trace of minutes, for 0.001 % of its replica-hours.
    """
    spec = spec_of(setting)
    lead = State.start(spec).lead_bins
    first = setting.score_from_bin - lead - FIRST_BINS
    candidates = len(CANDIDATES)
    sums, scored = np.zeros((candidates, 2)), np.zeros(2)
    demand = setting.arrivals_rs / setting.bin_s
    (unit,) = setting.capacity_rps
    advance(
        needs_after[first - 1 : -1],
        demand[first:],
        np.isnan(setting.demand_rps[unit])[first:],
        float(demand[first - 1]),
        False,
        CANDIDATES.levels,
        CANDIDATES.prices,
        LEVELS,
        spec.bin_s,
        spec.objective.max_wait_s,
        drain_s(spec, lead),
        spec.replicas_min,
        spec.replicas_max,
        -1,
        np.zeros(candidates, dtype=np.int64),
        np.zeros((candidates, lead), dtype=np.int64),
        np.zeros(candidates),
        sums,
        scored,
    )
    scored_hours = (len(setting) - setting.score_from_bin) * setting.bin_s / 3_600
    return sums[:, 0] / scored[0] * scored_hours, sums[:, 1] / scored[1]


def _table(lines: pd.DataFrame) -> str:
    """Means over the cases with a gap under all plans, and in how many of all the budget is kept, as Markdown."""
    plans = list(lines["plan"].unique())
    by_case = lines.set_index(["trace", "load", "late_budget", "plan"]).unstack("plan")
    gaps = by_case["gap"].astype(float).dropna()[plans]
    pooled = gaps.groupby("late_budget").mean().T.reindex(columns=list(options.DEFAULT_BUDGETS))
    pooled = pooled.rename(columns=lambda budget: f"{100 * budget:g} %")
    pooled.insert(0, "all", gaps.mean())
    pooled["x best reactive"] = np.exp(np.log(by_case["cost_over_rival"].loc[gaps.index]).mean())
    pooled["kept"] = by_case["kept"].sum().astype(int).astype(object)
    return "\n\n".join(
        [
            f"Gap closed, mean of the {len(gaps)} of {len(by_case)} cases that have one under all plans, and by late "
            f"budget; the cost over the best reactive plan's; and in how many of {len(by_case)} the budget is kept.",
            markdown_table(pooled, "plan"),
            markdown_table(gaps.groupby("trace").mean(), "trace"),
        ]
    )


if __name__ == "__main__":
    main()
