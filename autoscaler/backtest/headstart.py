"""Headstart's own policy in the backtest: the production `decide`, driven by the simulated cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autoscaler.backtest.cluster import SimulatedCluster
from autoscaler.backtest.result import BandArray, ForecastBand, Outcome
from autoscaler.backtest.setting import Setting
from autoscaler.core.decide import decide
from autoscaler.core.decision import Reason
from autoscaler.core.observation import Observation
from autoscaler.core.risk import LEVELS, LOW
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import State
from forecasting.lead_members import DEFAULT_MEMBERS

_PROGRESS_EVERY = 256

ReportProgress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Headstart's run over a trace: what it led to, the forecast behind it, and the reasons per bin."""

    outcome: Outcome
    forecast: ForecastBand
    reasons: tuple[str, ...]
    order_level: float


def spec_of(setting: Setting, members: tuple[str, ...] = DEFAULT_MEMBERS) -> Spec:
    """The workload that a setting describes."""
    return Spec(
        bin_s=setting.bin_s,
        capacity_rps=setting.capacity_rps,
        objective=Objective(max_wait_s=setting.max_wait_s, late_budget=setting.late_budget),
        load_latency=setting.load_latency,
        replicas_min=setting.replicas_min,
        replicas_max=setting.replicas_max,
        members=members,
    )


def replay_headstart(
    setting: Setting,
    members: tuple[str, ...] = DEFAULT_MEMBERS,
    report: ReportProgress = no_progress,
) -> Replay:
    """Decide bin by bin on the simulated cluster.

    Args:
        setting: what is replayed.
        members: the forecast's members.
        report: called now and then with (bins done, bins in all).
    """
    spec = spec_of(setting, members)
    state = State.start(spec, start_s=setting.start_s)
    cluster = SimulatedCluster(setting)
    bins = len(setting)
    band = np.full((3, bins + state.lead_bins), np.nan, dtype=np.float32)
    reasons: list[str] = []
    unknown = dict.fromkeys(setting.demand_rps, float("nan"))
    decision = None
    for t in range(bins):
        ready, due_bins = cluster.begin_bin()
        demand_rps = {unit: float(demand[t - 1]) for unit, demand in setting.demand_rps.items()} if t else unknown
        now_s = setting.start_s + t * setting.bin_s
        decision, state = decide(spec, state, Observation(now_s, demand_rps, ready, due_bins))
        cluster.scale_and_serve(decision.desired)
        band[:, t + decision.lead_bins] = decision.median_at_lead, decision.low_at_lead, decision.high_at_lead
        reasons.append(_REASON_TEXT[decision.reasons])
        if t % _PROGRESS_EVERY == 0:
            report(t, bins)
    report(bins, bins)
    assert decision is not None, "a trace has at least one bin"
    return Replay(cluster.outcome(), _band(band[:, :bins], decision.order_level), tuple(reasons), decision.order_level)


class _Texts(dict[tuple[Reason, ...], str]):
    """Reasons joined for a column of text, each combination once: ten million bins share a few strings."""

    def __missing__(self, reasons: tuple[Reason, ...]) -> str:
        self[reasons] = " ".join(reasons)
        return self[reasons]


_REASON_TEXT = _Texts()


def _band(rows: BandArray, high_level: float) -> ForecastBand:
    return ForecastBand(median=rows[0], low=rows[1], high=rows[2], low_level=float(LEVELS[LOW]), high_level=high_level)
