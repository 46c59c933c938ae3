"""Which cases a benchmark has: traces, loads, budgets and seeds, without running the same one twice.

A load shorter than a bin takes the whole bin in the simulated cluster, so that on bins of ten minutes loads of 30 s,
120 s and 600 s are one case; it carries all their labels. A seed counts only where loads are drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.backtest.benchmark.digest import case_digest
from autoscaler.backtest.benchmark.variants import Variant
from autoscaler.backtest.cluster import whole_bins
from autoscaler.backtest.from_trace import Scenario, setting_of
from autoscaler.backtest.setting import Setting
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace
from forecasting.series import linear_fill


@dataclass(frozen=True, slots=True)
class Question:
    """What a benchmark asks of each trace.

    Attributes:
        loads: load latencies.
        late_budgets: shares of the work that may be late.
        seeds: for loads drawn at random.
        max_wait_s: the longest wait that is not late.
        mean_replicas: replicas that a trace needs on average: its capacity per replica follows from that.
        score_from: share of the trace that is history.
        variants: of Headstart.
    """

    loads: Sequence[LoadLatency]
    late_budgets: Sequence[float]
    seeds: Sequence[int]
    max_wait_s: float
    mean_replicas: float
    score_from: float
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One trace under one load, budget and seed.

    Attributes:
        trace: its name.
        loads: labels of all the loads that come to this one.
        seed: None where nothing is drawn at random.
        setting: what is replayed.
        digest: of all that determines the result.
    """

    trace: str
    loads: tuple[str, ...]
    seed: int | None
    setting: Setting
    digest: str

    @property
    def load(self) -> str:
        """The loads in one text: '30s, 120s'."""
        return ", ".join(self.loads)


@dataclass(frozen=True, slots=True)
class Job:
    """Cases that differ in their budget only, so that the reactive plans are computed once for all."""

    cases: tuple[Case, ...]
    variants: tuple[Variant, ...]

    @property
    def size(self) -> int:
        """Bins to decide, which the time that it takes is proportional to."""
        return sum(len(case.setting) for case in self.cases)


@dataclass(frozen=True, slots=True)
class Plan:
    """All cases, as jobs, and what was left out, a sentence each."""

    jobs: tuple[Job, ...]
    left_out: tuple[str, ...]

    @property
    def cases(self) -> list[Case]:
        """All cases, in order."""
        return [case for job in self.jobs for case in job.cases]


def plan_cases(traces: Sequence[Trace], question: Question) -> Plan:
    """The cases of a question over traces of requests per bin.

    Raises:
        UsageError: two traces have one name, a trace has no demand at all, or no case is left.
    """
    _refuse_same_names(traces)
    jobs: list[Job] = []
    left_out: list[str] = []
    for trace in traces:
        capacity = _capacity_rps(trace, question.mean_replicas)
        for load, labels in _effective_loads(question.loads, trace.bin_s).items():
            if trace.duration_s < load.quantiles_s[-1]:
                left_out.append(f"{trace.name} covers {trace.duration_s:g} s, less than a load of {', '.join(labels)}")
                continue
            scenario = Scenario(
                capacity_rps={"requests": capacity},
                load_latency=load,
                max_wait_s=question.max_wait_s,
                late_budget=question.late_budgets[0],
                score_from=question.score_from,
            )
            setting = setting_of(trace, scenario)
            drawn = len(set(load.quantiles_s)) > 1
            jobs += [
                _job(setting, labels, seed, question) for seed in (dict.fromkeys(question.seeds) if drawn else [None])
            ]
    if not jobs:
        raise UsageError("no case is left: every trace is shorter than every load; give longer traces")
    return Plan(tuple(jobs), tuple(left_out))


def _job(setting: Setting, labels: tuple[str, ...], seed: int | None, question: Question) -> Job:
    cases = []
    for late_budget in dict.fromkeys(question.late_budgets):
        asked = replace(setting, late_budget=late_budget, seed=seed or 0)
        cases.append(Case(setting.trace_name, labels, seed, asked, case_digest(asked, question.variants)))
    return Job(tuple(cases), question.variants)


def _effective_loads(loads: Sequence[LoadLatency], bin_s: float) -> dict[LoadLatency, tuple[str, ...]]:
    """Each load as it acts in bins of `bin_s`, with the labels of all that act alike."""
    labels: dict[LoadLatency, tuple[str, ...]] = {}
    for load in dict.fromkeys(loads):
        shortest, longest = (whole_bins(load_s, bin_s) for load_s in (load.quantiles_s[0], load.quantiles_s[-1]))
        acting = LoadLatency.constant(shortest * bin_s) if shortest == longest else load
        labels[acting] = (*labels.get(acting, ()), load.label)
    return labels


def _capacity_rps(trace: Trace, mean_replicas: float) -> float:
    """Requests per second of one replica, so that the trace needs `mean_replicas` on average, gaps filled linearly."""
    mean_rps = float(np.mean(linear_fill(trace.demand["requests"]))) / trace.bin_s
    if not (math.isfinite(mean_rps) and mean_rps > 0):
        raise UsageError(f"{trace.name}: has no request at all; leave it out")
    return mean_rps / mean_replicas


def _refuse_same_names(traces: Sequence[Trace]) -> None:
    names = [trace.name for trace in traces]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two traces are named {twice}; rename one, results are told by name")
