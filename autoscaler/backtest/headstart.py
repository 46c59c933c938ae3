"""Headstart's own policy in the backtest: the production `decide`, driven by the simulated cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from autoscaler.backtest.cluster import SimulatedCluster
from autoscaler.backtest.result import BandArray, ForecastBand, Outcome
from autoscaler.backtest.rhythm import Rhythm
from autoscaler.backtest.setting import Setting
from autoscaler.core.decide import decide
from autoscaler.core.decision import Reason
from autoscaler.core.risk import LEVELS, LOW
from autoscaler.core.spec import Objective, Part, Spec
from autoscaler.core.state import State
from forecasting.lead_members import DEFAULT_MEMBERS

PROGRESS_EVERY = 256
# Weights follow losses with a half-life of days: every 16th bin tells their mean, for 0.1 % of the time.
_WEIGHTS_EVERY = 16

ReportProgress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Headstart's run over a trace.

    Attributes:
        outcome: what it led to.
        forecast: what was forecast for each bin, one load ahead.
        reasons: why, per bin.
        risk_level: of the last decision.
        weights: member -> its weight in the forecast, the mean over the scored bins.
    """

    outcome: Outcome
    forecast: ForecastBand
    reasons: tuple[str, ...]
    risk_level: float
    weights: Mapping[str, float]


def spec_of(
    setting: Setting, members: tuple[str, ...] = DEFAULT_MEMBERS, without: frozenset[Part] = frozenset()
) -> Spec:
    """The workload that a setting describes; its bins are the setting's intervals."""
    return Spec(
        bin_s=setting.bin_s * Rhythm(setting).every,
        capacity_rps=setting.capacity_rps,
        objective=Objective(max_wait_s=setting.max_wait_s, late_budget=setting.late_budget),
        load_latency=setting.load_latency,
        replicas_min=setting.replicas_min,
        replicas_max=setting.replicas_max,
        members=members,
        without=without,
        schedule=setting.schedule,
        time_zone=setting.time_zone,
    )


def replay_headstart(
    setting: Setting,
    members: tuple[str, ...] = DEFAULT_MEMBERS,
    report: ReportProgress = no_progress,
    *,
    without: frozenset[Part] = frozenset(),
) -> Replay:
    """Decide interval by interval on the simulated cluster.

    Args:
        setting: what is replayed.
        members: the forecast's members.
        report: called now and then with (bins done, bins in all).
        without: parts of the policy that are left out.
    """
    spec = spec_of(setting, members, without)
    rhythm = Rhythm(setting)
    state = State.start(spec, start_s=setting.start_s)
    cluster = SimulatedCluster(setting)
    bins = len(setting)
    band = np.full((3, bins + (state.lead_bins + 1) * rhythm.every), np.nan, dtype=np.float32)
    reasons: list[str] = []
    decision = None
    weights = _MeanWeights(members)
    for t in range(bins):
        ready, due_bins = cluster.begin_bin()
        if decision is None or rhythm.is_interval(t):
            decision, state = decide(spec, state, rhythm.observation(t, ready, due_bins))
            first = t + decision.lead_bins * rhythm.every
            said = decision.median_at_lead, decision.low_at_lead, decision.high_at_lead
            band[:, first : first + rhythm.every] = np.array(said)[:, None]
        cluster.scale_and_serve(decision.desired)
        reasons.append(_REASON_TEXT[decision.reasons])
        if t % PROGRESS_EVERY == 0:
            report(t, bins)
        if t >= setting.score_from_bin and (t - setting.score_from_bin) % _WEIGHTS_EVERY == 0:
            weights.add(state)
    report(bins, bins)
    assert decision is not None, "a trace has at least one bin"
    return Replay(
        outcome=cluster.outcome(),
        forecast=_band(band[:, :bins], decision.risk_level),
        reasons=tuple(reasons),
        risk_level=decision.risk_level,
        weights=weights.mean(),
    )


class _MeanWeights:
    """The members' weights, averaged over moments, targets and units of work."""

    def __init__(self, members: tuple[str, ...]) -> None:
        self._members = members
        self._sum = np.zeros(len(members))
        self._moments = 0

    def add(self, state: State) -> None:
        """Count the weights of one moment."""
        self._sum += np.mean([forecast.weights.mean(axis=1) for forecast in state.forecasts.values()], axis=0)
        self._moments += 1

    def mean(self) -> dict[str, float]:
        """Member -> mean weight."""
        return dict(zip(self._members, (self._sum / self._moments).tolist(), strict=True))


class _Texts(dict[tuple[Reason, ...], str]):
    """Reasons joined for a column of text, each combination once: ten million bins share a few strings."""

    def __missing__(self, reasons: tuple[Reason, ...]) -> str:
        self[reasons] = " ".join(reasons)
        return self[reasons]


_REASON_TEXT = _Texts()


def _band(rows: BandArray, high_level: float) -> ForecastBand:
    return ForecastBand(median=rows[0], low=rows[1], high=rows[2], low_level=float(LEVELS[LOW]), high_level=high_level)
