"""A benchmark's numbers, pooled over cases: what each policy costs, how late it is, what Headstart saves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeVar

from autoscaler.backtest.benchmark.rows import Row
from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.backtest.benchmark.variants import HEADSTART
from forecasting.clock import DAY_S

Key = TypeVar("Key")

# Delivered lateness may be off the asked one by this factor and still counts as asked.
FACTOR = 2.0

# What is known when scoring begins.
LONG, SHORT = "a day of history or more", "less than a day of history"


@dataclass(frozen=True, slots=True)
class Pooled:
    """One policy over cases. None where no case has the number.

    Attributes:
        policy, title, hindsight: as in Row.
        cases: with a plan of this policy.
        without_plan: cases in which no plan of the kind is so seldom late.
        cost_over_optimum, cost_over_rival: geometric means.
        gap_mean, gap_median, gap_worst: share of the gap closed, over the cases that have a gap.
        gaps: how many have one.
        gap_with_static: the mean where a static fleet of the best size in hindsight counts among the rivals.
        late_over_asked: median of the delivered late share over the asked one.
        within: share of cases at most as late as asked.
        within_twice: share of cases at most FACTOR times as late as asked, after the first scored day where there is
            one.
        within_factor: share of cases within FACTOR of what was asked, to either side, likewise.
        seconds: to compute all.
    """

    policy: str
    title: str
    hindsight: bool
    cases: int
    without_plan: int
    cost_over_optimum: float | None
    cost_over_rival: float | None
    gap_mean: float | None
    gap_median: float | None
    gap_worst: float | None
    gaps: int
    gap_with_static: float | None
    late_over_asked: float | None
    within: float | None
    within_twice: float | None
    within_factor: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Worth:
    """What a part of Headstart is worth: the cases with the variant beside the same cases without it.

    Attributes:
        policy, title: of the variant.
        cases: those in which both have a gap.
        gap: share of the gap that the variant closes, on average.
        points: what it closes more than Headstart, in shares of the gap; below 0 where it is worse.
        better: share of the cases in which it closes more.
        within: share of its cases at most as late as asked.
    """

    policy: str
    title: str
    cases: int
    gap: float
    points: float
    better: float
    within: float | None


def pool(results: Sequence[Finished]) -> list[Pooled]:
    """Every policy over the cases, in the order of the rows."""
    rows: dict[str, list[tuple[Finished, Row]]] = {}
    for finished in results:
        for row in finished.rows:
            rows.setdefault(row.policy, []).append((finished, row))
    return [_pooled(of_policy) for of_policy in rows.values()]


def headstart_of(results: Sequence[Finished]) -> Pooled:
    """Headstart over the cases, of which there is at least one."""
    return next(pooled for pooled in pool(results) if pooled.policy == HEADSTART)


def row_of(finished: Finished, policy: str) -> Row:
    """The row of a policy."""
    return next(row for row in finished.rows if row.policy == policy)


def worth_of_parts(results: Sequence[Finished]) -> list[Worth]:
    """Each variant of Headstart against Headstart itself, in the cases that parts are judged by."""
    results = _judged_parts(results)
    variants = [row for row in results[0].rows if row.policy.startswith(f"{HEADSTART}-")]
    return [found for row in variants if (found := _worth(results, row.policy, row.title)) is not None]


def split(results: Iterable[Finished], keys: Callable[[Finished], Iterable[Key]]) -> dict[Key, list[Finished]]:
    """Results by each of their keys, keys in the order in which they come."""
    groups: dict[Key, list[Finished]] = {}
    for finished in results:
        for key in keys(finished):
            groups.setdefault(key, []).append(finished)
    return groups


def by_trace(results: Iterable[Finished]) -> dict[str, list[Finished]]:
    """Results by trace."""
    return split(results, lambda finished: [finished.case.trace])


def by_budget(results: Iterable[Finished]) -> dict[float, list[Finished]]:
    """Results by what was asked."""
    return split(results, lambda finished: [finished.case.setting.late_budget])


def by_load(results: Iterable[Finished]) -> dict[str, list[Finished]]:
    """Results by load; a case that stands for several loads is with each."""
    return split(results, lambda finished: finished.case.loads)


def by_history(results: Iterable[Finished]) -> dict[str, list[Finished]]:
    """Results by what Headstart knows when scoring begins: cold starts are another question."""
    return split(results, lambda finished: [LONG if _history_s(finished) >= DAY_S else SHORT])


def _judged_parts(results: Sequence[Finished]) -> list[Finished]:
    """The cases that parts of Headstart are judged by: those with a day of history, or all where there are none."""
    return by_history(results).get(LONG, list(results))


def mean_weights(results: Sequence[Finished]) -> Mapping[str, float]:
    """Member of Headstart's forecast -> its weight, the mean over cases."""
    weights = [row_of(finished, HEADSTART).weights for finished in results]
    return {member: fmean(each[member] for each in weights) for member in weights[0]}


def worst_case(results: Sequence[Finished]) -> tuple[Finished, float] | None:
    """The case in which Headstart closes the least of the gap; None where none has a gap."""
    gaps = [(gap, finished) for finished in results if (gap := row_of(finished, HEADSTART).gap_closed) is not None]
    if not gaps:
        return None
    gap, finished = min(gaps, key=lambda pair: pair[0])
    return finished, gap


def late_judged(row: Row) -> float | None:
    """The late share that is held against what was asked: after the first scored day, where there is more than one."""
    return row.late_fraction if row.late_after_day is None else row.late_after_day


def _history_s(finished: Finished) -> float:
    setting = finished.case.setting
    return setting.score_from_bin * setting.bin_s


def _pooled(of_policy: Sequence[tuple[Finished, Row]]) -> Pooled:
    rows = [row for _, row in of_policy]
    asked = [finished.case.setting.late_budget for finished, _ in of_policy]
    late = [(row.late_fraction, budget) for row, budget in zip(rows, asked, strict=True)]
    judged = [(late_judged(row), budget) for row, budget in zip(rows, asked, strict=True)]
    ratios = [value / budget for value, budget in late if value is not None]
    judged_ratios = [value / budget for value, budget in judged if value is not None]
    gaps = [row.gap_closed for row in rows if row.gap_closed is not None]
    with_static = [row.gap_closed_with_static for row in rows if row.gap_closed_with_static is not None]
    return Pooled(
        policy=rows[0].policy,
        title=rows[0].title,
        hindsight=rows[0].hindsight,
        cases=len(ratios),
        without_plan=len(rows) - len(ratios),
        cost_over_optimum=_geometric_mean(row.cost_over_optimum for row in rows),
        cost_over_rival=_geometric_mean(row.cost_over_rival for row in rows),
        gap_mean=fmean(gaps) if gaps else None,
        gap_median=median(gaps) if gaps else None,
        gap_worst=min(gaps, default=None),
        gaps=len(gaps),
        gap_with_static=fmean(with_static) if with_static else None,
        late_over_asked=median(ratios) if ratios else None,
        within=_share(ratios, lambda ratio: ratio <= 1.0),
        within_twice=_share(judged_ratios, lambda ratio: ratio <= FACTOR),
        within_factor=_share(judged_ratios, lambda ratio: 1.0 / FACTOR <= ratio <= FACTOR),
        seconds=sum(row.seconds for row in rows),
    )


def _worth(results: Sequence[Finished], policy: str, title: str) -> Worth | None:
    pairs = [(row_of(finished, policy), row_of(finished, HEADSTART), finished) for finished in results]
    gaps = [
        (row.gap_closed, own.gap_closed)
        for row, own, _ in pairs
        if row.gap_closed is not None and own.gap_closed is not None
    ]
    if not gaps:
        return None
    return Worth(
        policy=policy,
        title=title,
        cases=len(gaps),
        gap=fmean(gap for gap, _ in gaps),
        points=fmean(gap - own for gap, own in gaps),
        better=sum(gap > own for gap, own in gaps) / len(gaps),
        within=next(pooled.within for pooled in pool(results) if pooled.policy == policy),
    )


def _share(values: Sequence[float], holds: Callable[[float], bool]) -> float | None:
    return sum(map(holds, values)) / len(values) if values else None


def _geometric_mean(values: Iterable[float | None]) -> float | None:
    logs = [math.log(value) for value in values if value is not None and value > 0]
    return math.exp(fmean(logs)) if logs else None
