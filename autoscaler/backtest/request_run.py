"""A backtest in the fidelity per request: plans made on binned demand, each replayed through the log's own requests.

Policies plan as in the fluid fidelity, on the log's work per bin and against the fluid cluster. What they cost and what
came late is then counted over single requests. What was tuned in hindsight was tuned on the fluid cluster, and the
optimum is the fluid one, so these rows say so; the frontiers are left out, since their points are fluid.
"""

from __future__ import annotations

import time
from dataclasses import replace

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.engine_speed import EngineSpeed
from autoscaler.backtest.from_trace import Scenario, check_scenario, first_scored_bin
from autoscaler.backtest.headstart import ReportProgress, no_progress
from autoscaler.backtest.request_level import RequestOutcome, setting_from_requests, simulate_requests
from autoscaler.backtest.result import BacktestResult, Bins, Outcome, PolicyResult, RequestFidelity, RequestFigures
from autoscaler.backtest.setting import Setting
from autoscaler.traces.requests import RequestLog

_FLUID = "fluid"


def request_setting(log: RequestLog, bin_s: float, speed: EngineSpeed, scenario: Scenario) -> Setting:
    """The setting on which policies plan for `log`, in bins of `bin_s` seconds.

    The scenario's `capacity_rps` and `drain_s` are not used: both follow from the engine's speed and the requests.

    Raises:
        UsageError: the log has no tokens or is shorter than one load, or the replicas' bounds are no range.
    """
    setting = setting_from_requests(
        log,
        bin_s,
        speed,
        load_latency=scenario.load_latency,
        max_wait_s=scenario.max_wait_s,
        late_budget=scenario.late_budget,
        replicas_min=scenario.replicas_min,
        replicas_max=scenario.replicas_max,
        start_failure_share=scenario.start_failure_share,
        seed=scenario.seed,
    )
    check_scenario(scenario, log.name, len(setting) * bin_s)
    return replace(setting, score_from_bin=first_scored_bin(scenario.score_from, len(setting)))


def replay_per_request(
    result: BacktestResult, log: RequestLog, speed: EngineSpeed, *, report: ReportProgress = no_progress
) -> BacktestResult:
    """The result with each policy's plan replayed through the requests of `log`.

    Args:
        result: of the fluid fidelity, over `request_setting(log, ...)`.
        log: the requests.
        speed: what one replica does.
        report: called with (policies done, policies in all).
    """
    rows = []
    seconds = dict(result.seconds)
    requests = 0
    for done, row in enumerate(result.policies, start=1):
        started_s = time.perf_counter()
        outcome = simulate_requests(log, speed, result.setting, row.outcome.desired)
        seconds[row.name] = seconds.get(row.name, 0.0) + time.perf_counter() - started_s
        requests = outcome.requests
        rows.append(_row(result.setting, row, outcome))
        report(done, len(result.policies))
    return replace(
        result, policies=tuple(rows), frontiers=(), seconds=seconds, requests=RequestFidelity(requests, speed)
    )


def _row(setting: Setting, row: PolicyResult, found: RequestOutcome) -> PolicyResult:
    figures = RequestFigures(
        wait=found.wait,
        first_token=found.first_token,
        unserved=found.unserved,
        late_work_fraction=found.late_work_fraction,
        fluid_late_work_fraction=row.outcome.late_fraction,
    )
    counted = replace(row, outcome=_outcome(setting, row.outcome, found), requests=figures)
    if not row.hindsight:
        return counted
    return replace(counted, title=f"{row.title}, {_FLUID}", settings={**row.settings, "chosen_on": _FLUID})


def _outcome(setting: Setting, fluid: Outcome, found: RequestOutcome) -> Outcome:
    return replace(
        fluid,
        counted=Bins(bins_of(setting, fluid).ready, found.paid, found.late_rs, found.served_rs),
        replica_hours=found.replica_hours,
        late_fraction=found.late_fraction,
        late_bins=found.late_bins,
        mean_utilisation=found.mean_slot_utilisation,
    )
