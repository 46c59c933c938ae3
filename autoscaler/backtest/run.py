"""A backtest: Headstart and the baselines over one trace, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from autoscaler.backtest import tune
from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.baselines.registry import BASELINES, BEST, WITHIN_BUDGET, run_baseline
from autoscaler.backtest.headstart import Replay, ReportProgress, no_progress, replay_headstart
from autoscaler.backtest.result import BacktestResult, Frontier, PolicyResult
from autoscaler.backtest.setting import Setting, WarmNodes
from autoscaler.backtest.warm_nodes import WarmReplay, replay_warm_nodes
from autoscaler.errors import UsageError
from forecasting.lead_members import DEFAULT_MEMBERS, MEMBERS

HEADSTART = "headstart"
WARM_NODES = "headstart-warm-nodes"
OPTIMUM = "optimum"
POLICIES = (HEADSTART, *BASELINES)


def run_backtest(
    setting: Setting,
    policies: Sequence[str] = POLICIES,
    *,
    members: Sequence[str] = DEFAULT_MEMBERS,
    report: ReportProgress = no_progress,
) -> BacktestResult:
    """Replay a trace under each policy.

    Targets tuned in hindsight keep the lateness that Headstart delivered, so that costs compare; without Headstart they
    keep the asked budget. The optimum is always replayed, since every cost is told relative to it.

    Where the setting keeps nodes warm, Headstart is replayed with and without it; the others order node and load.

    Args:
        setting: what is replayed.
        policies: names out of POLICIES. UsageError on others.
        members: the members of Headstart's forecast. UsageError on a name that is not in lead_members.MEMBERS.
        report: called with (bins done, bins in all) of Headstart's replay, which takes most of the time.
    """
    for policy in policies:
        check_policy(policy)
    for member in members:
        check_member(member)
    seconds: dict[str, float] = {}
    results: list[PolicyResult] = []
    replayed: Replay | None = None
    late_fraction_max = setting.late_budget
    if HEADSTART in policies:
        started_s = time.perf_counter()
        replayed = replay_headstart(setting, tuple(members), report=report)
        seconds[HEADSTART] = time.perf_counter() - started_s
        results.append(_row(replayed, members))
        late_fraction_max = replayed.outcome.late_fraction
        if setting.warm_nodes is not None:
            started_s = time.perf_counter()
            results.append(_warm_row(replay_warm_nodes(setting, tuple(members), report), setting.warm_nodes))
            seconds[WARM_NODES] = time.perf_counter() - started_s
    frontiers: dict[str, Frontier] = {}
    for family in FAMILIES.values():
        if any(f"{family.name}{suffix}" in policies for suffix in (BEST, WITHIN_BUDGET)):
            frontiers[family.name] = tune.frontier(setting, family)
    for name in BASELINES:
        if name in policies or name == OPTIMUM:
            started_s = time.perf_counter()
            results.append(run_baseline(name, setting, late_fraction_max=late_fraction_max, frontiers=frontiers))
            seconds[name] = time.perf_counter() - started_s
    return BacktestResult(
        setting=setting,
        policies=tuple(results),
        frontiers=tuple(frontiers.values()),
        forecast=None if replayed is None else replayed.forecast,
        seconds=seconds,
    )


def check_policy(name: str) -> None:
    """Raise UsageError on a name that isn't one of POLICIES."""
    if name not in POLICIES:
        raise UsageError(f"there is no policy {name!r}: choose from {', '.join(POLICIES)}")


def check_member(name: str) -> None:
    """Raise UsageError on a name that isn't one of lead_members.MEMBERS."""
    if name not in MEMBERS:
        raise UsageError(f"the forecast has no member {name!r}: choose from {', '.join(MEMBERS)}")


def priced(result: BacktestResult, *, gpu_hour_price: float | None, gpus_per_replica: int) -> BacktestResult:
    """The result with the price of a GPU-hour and the GPUs of a replica, for money."""
    return replace(result, gpu_hour_price=gpu_hour_price, gpus_per_replica=gpus_per_replica)


def _row(replayed: Replay, members: Sequence[str]) -> PolicyResult:
    return PolicyResult(
        name=HEADSTART,
        title="Headstart",
        hindsight=False,
        outcome=replayed.outcome,
        settings={"risk_level_last": replayed.risk_level, "members": ", ".join(members)},
        reasons=replayed.reasons,
    )


def _warm_row(replayed: WarmReplay, nodes: WarmNodes) -> PolicyResult:
    hours = replayed.outcome.replica_hours
    share = replayed.placeholder_hours / hours if hours > 0 else 0.0
    return PolicyResult(
        name=WARM_NODES,
        title=f"Headstart, nodes kept warm ({100 * share:.0f} % of it placeholders)",
        hindsight=False,
        outcome=replayed.outcome,
        settings={
            "node_provisioning": nodes.provisioning.label,
            "load_on_ready_node": nodes.load.label,
            "placeholders_max": nodes.placeholders_max,
            "placeholder_hours": replayed.placeholder_hours,
        },
    )
