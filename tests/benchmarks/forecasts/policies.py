"""Compares forecasts as policies: the replicas that each model's quantiles order. `make benchmark-forecasts`.

Every model is asked at each bin of the last days of a trace. Its quantiles then order and release replicas by the very
arithmetic of Headstart's decisions, at each of many headrooms, and of those that keep a late budget the cheapest is
taken: in hindsight, for Headstart's forecast too, so that only the forecasts differ.

Bins are as wide as a load takes, ten minutes, since some models take seconds for a forecast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
from asked import answer_of, arguments, ask_rivals, parsed
from ours import HEADSTART, OURS, run
from problems import LEVELS, LOAD_S, Problem
from scores import markdown_table

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.optimum import plan_optimum
from autoscaler.backtest.benchmark.gap import RIVALS as REACTIVE
from autoscaler.backtest.benchmark.gap import best_reactive
from autoscaler.backtest.cluster import simulate
from autoscaler.backtest.from_trace import Scenario, setting_of
from autoscaler.backtest.headstart import spec_of
from autoscaler.backtest.setting import Setting
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.risk import Candidates
from autoscaler.core.state import drain_s
from autoscaler.core.trials import FIRST_BINS, Trials
from autoscaler.traces.formats import rebin
from autoscaler.traces.read import read_trace
from autoscaler.traces.trace import Trace

LATE_BUDGETS = (0.05, 0.01)
# The mean of a window of ten minutes is the last value in bins as wide.
MODELS = tuple(name for name in OURS if name != "window-mean")
NONE = "no forecast: HPA or Knative"
_UNIT = "requests"
_LOAD_BINS = 1
_MEAN_REPLICAS = 20.0
_MAX_WAIT_S = 10.0
# Headrooms, as the standard score of a level: beyond 99 % the forecast's quantiles go on as between 95 and 99 %. The
# second is the median, by which queues are moved on.
_HEADROOMS = np.concatenate([[-0.25], np.arange(0.0, 12.01, 0.1)])


@dataclass(frozen=True, slots=True)
class Contest:
    """One trace whose last bins are decided: a problem, and the backtest of its scored bins."""

    problem: Problem
    setting: Setting
    optimum_hours: float

    @property
    def scored_hours(self) -> float:
        """How long the scored bins last."""
        return (len(self.setting) - self.setting.score_from_bin) * self.setting.bin_s / 3_600


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    traces = [read_trace(path, (_UNIT,)) for path in options.paths]
    contests = [
        _contest(rebin(trace, LOAD_S), options.bins)
        for trace in traces
        if trace.bin_s <= LOAD_S and trace.duration_s >= 2 * options.bins * LOAD_S
    ]
    if not contests:
        sys.exit(f"{options.traces}: no trace of bins up to {LOAD_S:g} s has twice {options.bins} bins of that width")
    for contest in contests:
        for name in MODELS:
            run(name, contest.problem)[0].to_parquet(answer_of(options.folder, contest.problem, name))
    ask_rivals([contest.problem for contest in contests], options)
    page = report(contests, options.folder, [*MODELS, *options.rival])
    (options.folder / "policies.md").write_text(page)
    print(page)  # noqa: T201


def _options() -> argparse.Namespace:
    parser = arguments(__doc__, "build/policies")
    parser.add_argument("--bins", type=int, default=288, help="how many of the last bins are decided")
    return parsed(parser)


def _contest(trace: Trace, bins: int) -> Contest:
    values = trace.demand[_UNIT] / trace.bin_s
    origins = np.arange(len(values) - bins, len(values))
    leads_s = tuple(LOAD_S * step for step in range(_LOAD_BINS + 1))
    problem = Problem(trace.name, trace.bin_s, trace.start_s, values, leads_s, origins, origins)
    scenario = Scenario(
        capacity_rps={_UNIT: float(np.nanmean(values)) / _MEAN_REPLICAS},
        load_latency=LoadLatency.constant(LOAD_S),
        max_wait_s=_MAX_WAIT_S,
        late_budget=LATE_BUDGETS[0],
        score_from=0.5,
    )
    # Just those bins are scored that the policies' are, see `trials.advance`.
    setting = replace(setting_of(trace, scenario), score_from_bin=int(origins[0]) + _LOAD_BINS + FIRST_BINS)
    return Contest(problem, setting, simulate(setting, plan_optimum(setting)).replica_hours)


def report(contests: Sequence[Contest], folder: Path, names: Sequence[str]) -> str:
    """What each model's policy costs, as Markdown; the rows as Parquet in `folder`."""
    rows = []
    for contest in contests:
        for name in names:
            path = answer_of(folder, contest.problem, name)
            if path.exists():
                rows += _rows(contest, name, frontier(contest, pd.read_parquet(path)))
        rows += _reactive_rows(contest)
    costs = pd.DataFrame(rows)
    costs.to_parquet(folder / "policies.parquet")
    asked = len(contests) * len(LATE_BUDGETS)
    parts = [
        "## As policies",
        f"Replica-hours at the cheapest headroom in hindsight that keeps the late budget, over those with Headstart's "
        f"forecast: geometric mean over {len(contests)} traces, the last {len(contests[0].problem.origins)} bins of "
        f"{LOAD_S:g} s each. The last column: in how many of {asked} no headroom keeps it; they are left out.",
        markdown_table(_pooled(costs), "forecast"),
    ]
    for late_budget, of_budget in costs.groupby("late_budget", sort=False):
        per_trace = of_budget.pivot_table(index="trace", columns="forecast", values="cost", sort=False)
        parts += [f"Over the optimum's, at most {100 * late_budget:g} % late.", markdown_table(per_trace, "trace")]
    return "\n\n".join(parts) + "\n"


def frontier(contest: Contest, forecasts: pd.DataFrame) -> np.ndarray:
    """Mean replicas and late share of a model's policy at each headroom, shape (headrooms, 2)."""
    problem, setting = contest.problem, contest.setting
    needs = needs_of(problem, forecasts) / setting.capacity_rps[_UNIT]
    spec = spec_of(setting)
    candidates = Candidates(np.arange(len(_HEADROOMS), dtype=np.int64), np.zeros(len(_HEADROOMS)))
    trials = Trials.start(len(candidates), lead_bins=_LOAD_BINS).seen(
        needs,
        (setting.arrivals_rs / setting.bin_s)[problem.origins],
        np.isnan(problem.values)[problem.origins],
        candidates=candidates,
        spec=spec,
        drain_s=drain_s(spec, _LOAD_BINS),
    )
    assert trials.results is not None, "more bins than one load"
    return trials.results


def needs_of(problem: Problem, forecasts: pd.DataFrame) -> np.ndarray:
    """Work per second at each origin and headroom: one load ahead, and the peak until then, shape (m, 2, headrooms)."""
    columns = [f"q{level}" for level in LEVELS]
    known = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    by_step = []
    for step in problem.steps:
        said = forecasts[forecasts["step"] == step].set_index("origin").reindex(problem.origins)[columns].to_numpy()
        piece = np.clip(np.searchsorted(known, _HEADROOMS) - 1, 0, len(known) - 2)
        slope = (said[:, piece + 1] - said[:, piece]) / (known[piece + 1] - known[piece])
        by_step.append(np.maximum(said[:, piece] + slope * (_HEADROOMS - known[piece]), 0.0))
    return np.stack([by_step[-1], np.max(by_step, axis=0)], axis=1)


def _rows(contest: Contest, name: str, results: np.ndarray) -> list[dict[str, object]]:
    replicas, late = results.T
    hours = replicas * contest.scored_hours
    return [
        _row(contest, name, budget, float(np.where(late <= budget, hours, np.inf).min())) for budget in LATE_BUDGETS
    ]


def _reactive_rows(contest: Contest) -> list[dict[str, object]]:
    frontiers = {name: tune.frontier(contest.setting, FAMILIES[name]) for name in REACTIVE}
    rows = []
    for budget in LATE_BUDGETS:
        found = best_reactive(contest.setting, budget, frontiers)
        rows.append(_row(contest, NONE, budget, np.inf if found is None else found.outcome.replica_hours))
    return rows


def _row(contest: Contest, name: str, late_budget: float, hours: float) -> dict[str, object]:
    cost = hours / contest.optimum_hours if np.isfinite(hours) else np.nan
    return {"trace": contest.problem.name, "forecast": name, "late_budget": late_budget, "cost": cost}


def _pooled(costs: pd.DataFrame) -> pd.DataFrame:
    """Cost over that with Headstart's forecast, a row per forecast: geometric means over the traces that have both."""
    keys = ["forecast", "late_budget", "trace"]
    logs = np.log(costs.set_index(keys)["cost"]).unstack("trace")
    logs -= logs.xs(HEADSTART, level="forecast").reindex(logs.index, level="late_budget")
    means = np.exp(logs.mean(axis=1)).unstack("late_budget")[list(LATE_BUDGETS)]
    means = means.rename(columns=lambda late: f"{late:.0%} late")
    means["never so seldom late"] = logs.isna().sum(axis=1).groupby("forecast").sum().astype(object)
    return means.reindex(costs["forecast"].unique())


if __name__ == "__main__":
    main()
