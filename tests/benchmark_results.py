"""Results of a benchmark made by hand: two traces, two loads, two budgets, and one case without a gap."""

from __future__ import annotations

import numpy as np

from autoscaler.backtest.benchmark.cases import Case
from autoscaler.backtest.benchmark.rows import Row
from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.backtest.setting import Setting
from autoscaler.core.load_latency import LoadLatency

MEMBERS = ("regression", "last-level")
BUDGETS = (0.05, 0.001)
LOADS = (("30s", "120s"), ("600s",))


def make_results(traces: tuple[str, ...] = ("diurnal", "steps")) -> list[Finished]:
    """Every trace under every load and budget. The first trace has the lower costs; its last case has no gap."""
    results = []
    for at, trace in enumerate(traces):
        for loads in LOADS:
            for budget in BUDGETS:
                gap = None if (at, loads, budget) == (0, LOADS[-1], BUDGETS[-1]) else 0.8 - 0.9 * at + 2 * budget
                results.append(make_finished(trace, loads, budget, gap))
    return results


def make_finished(trace: str, loads: tuple[str, ...], budget: float, gap: float | None) -> Finished:
    """A case: the optimum costs 100 replica-hours, the best reactive plan 200, Headstart between by the gap closed."""
    own = 200.0 - 100.0 * (0.7 if gap is None else gap)
    rows = (
        _headstart("headstart", "Headstart", own, 0.8 * budget, gap),
        _headstart(
            "headstart-seasonless",
            "Headstart without seasonality",
            own + 5.0,
            budget,
            None if gap is None else gap - 0.05,
        ),
        _row("hpa", "HPA, target 80 %", 150.0, 4 * budget),
        _row(
            "reactive-best", "Best reactive plan at equal lateness", *((None, None) if gap is None else (200.0, budget))
        ),
        _row("optimum", "Optimum in hindsight", 100.0, 0.0, hindsight=True),
    )
    return Finished(make_case(trace, loads, budget), rows)


def make_case(trace: str, loads: tuple[str, ...], budget: float) -> Case:
    """A case of 40 bins of ten minutes."""
    setting = Setting(
        trace_name=trace,
        start_s=0.0,
        bin_s=600.0,
        demand_rps={"requests": np.ones(40)},
        capacity_rps={"requests": 1.0},
        arrivals_rs=np.full(40, 600.0),
        load_latency=LoadLatency.constant(600.0),
        max_wait_s=10.0,
        late_budget=budget,
        score_from_bin=20,
    )
    return Case(trace, loads, None, setting, f"{trace}-{'-'.join(loads)}-{budget:g}")


def _headstart(policy: str, title: str, hours: float, late: float, gap: float | None) -> Row:
    return _row(
        policy,
        title,
        hours,
        late,
        rival_family=None if gap is None else "hpa",
        rival_target=None if gap is None else 0.4,
        rival_hours=None if gap is None else 200.0,
        static_hours=250.0,
        gap_closed=gap,
        gap_closed_with_static=(250.0 - hours) / 150.0 if gap is None else gap,
        weights=dict(zip(MEMBERS, (0.75, 0.25), strict=True)),
    )


def _row(policy: str, title: str, hours: float | None, late: float | None, **others: object) -> Row:
    known = {
        "hindsight": False,
        "late_bins": None if late is None else 3,
        "mean_utilisation": None if late is None else 0.6,
        "late_after_day": late,
        "optimum_hours": 100.0,
        "seconds": 0.5,
    }
    return Row(policy=policy, title=title, replica_hours=hours, late_fraction=late, **{**known, **others})
