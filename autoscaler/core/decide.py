"""The decision: a pure function, the same for the live controller, the KEDA scaler and the backtest.

No I/O, no clock, no logging: `now` is in the observation, and what should be told is in the decision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.core.decision import Decision, Reason
from autoscaler.core.demand import see_demand
from autoscaler.core.observation import Observation
from autoscaler.core.plan_kernels import IntArray, backlog_at_lead, choose_replicas, is_idle
from autoscaler.core.risk import (
    FIRST_LOWEST_ORDER,
    KEEP_LEVELS,
    LEVELS,
    LOW,
    MEDIAN,
    ORDER_LEVELS,
    cheapest_within,
    is_due,
    replay_candidates,
)
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from forecasting.lead_features import DAY_S
from forecasting.series import FloatArray

# A backlog is to be worked off within an eighth of a load, or a bin where that is longer: on a minute trace with a
# load of ten minutes this cost 2 % less at equal lateness than a whole load.
_DRAINS_PER_LOAD = 8.0


@dataclass(frozen=True, slots=True)
class _Need:
    """What is needed, in replicas and replica-seconds, and what is there."""

    at_lead: float
    until_lead: float
    backlog_at_lead_rs: float
    current: int
    missing: bool
    idle: bool


def decide(spec: Spec, state: State, observation: Observation) -> tuple[Decision, State]:
    """Decide how many replicas to have from now on.

    Args:
        spec: what the user stated.
        state: what the last decision returned, or `State.start(spec)`.
        observation: the world at the start of the bin. Bins skipped since the last decision count as missing.

    Returns:
        The decision, and the state to give to the next one. Neither argument is changed.
    """
    state, missing = see_demand(spec, state, observation)
    needs = _forecast_needs(spec, state)
    state = replace(state, needs=state.needs.append(needs))
    state = _select_risk(spec, state)
    need = _weigh(spec, state, observation, needs, missing=missing)
    wanted = _wanted(spec, state, need)
    desired = min(max(wanted, spec.replicas_min), spec.replicas_max)
    decision = Decision(
        now_s=observation.now_s,
        desired=desired,
        current=need.current,
        ready=observation.ready,
        reasons=_reasons(spec, state, need, wanted, desired),
        lead_bins=state.lead_bins,
        median_at_lead=float(needs[0, MEDIAN]),
        low_at_lead=float(needs[0, LOW]),
        high_at_lead=need.at_lead,
        peak_until_lead=need.until_lead,
        order_level=float(LEVELS[state.risk.order]),
        keep_level=float(LEVELS[state.risk.keep]),
        backlog_rs=state.backlog_rs,
        backlog_at_lead_rs=need.backlog_at_lead_rs,
        expected_late_share=state.risk.late_share,
    )
    released_ready = max(0, need.current - desired - len(observation.due_bins))
    serving_at_once = max(0, desired - need.current) if state.lead_bins == 0 else 0
    return decision, replace(state, serving=observation.ready - released_ready + serving_at_once)


def _forecast_needs(spec: Spec, state: State) -> FloatArray:
    """Step 5: quantiles of demand one lead ahead, and of the peak until then, in replicas: shape (2, levels)."""
    needs = [forecast.quantiles / spec.capacity_rps[unit] for unit, forecast in state.forecasts.items()]
    return needs[0] if len(needs) == 1 else np.fmax.reduce(needs)


def _select_risk(spec: Spec, state: State) -> State:
    """Step 6, at times: the cheapest risk level that would have kept the budget."""
    if not is_due(state.bins, spec.bin_s, state.lead_bins):
        return state
    past = min(len(state.needs) - 1, len(state.demand))
    needs = state.needs.rows[-1 - past : -1]
    forecast = np.flatnonzero(~np.isnan(needs[:, 0, MEDIAN]))
    if len(forecast) <= max(state.lead_bins, 1):
        return state
    results = replay_candidates(
        needs[forecast],
        state.demand.rows[-past:][forecast],
        state.missing.rows[-past:][forecast] > 0,
        ORDER_LEVELS,
        KEEP_LEVELS,
        state.lead_bins,
        spec.bin_s,
        spec.objective.max_wait_s,
        _drain_s(spec, state),
        spec.replicas_min,
        spec.replicas_max,
    )
    lowest = 0 if state.bins * spec.bin_s >= DAY_S else FIRST_LOWEST_ORDER
    return replace(state, risk=cheapest_within(results, spec.objective.late_budget, lowest_order=lowest))


def _weigh(spec: Spec, state: State, observation: Observation, needs: FloatArray, *, missing: bool) -> _Need:
    """Steps 4 and 6: the need at the chosen risk, against what is ready and on order."""
    due = _due(observation.due_bins, state.lead_bins)
    median = float(needs[0, MEDIAN])
    now = float(state.demand.rows[-1]) if len(state.demand) else 0.0
    ahead_rs = 0.0
    if not math.isnan(median):
        ahead_rs = backlog_at_lead(state.backlog_rs, observation.ready, due, now, median, spec.bin_s)
    return _Need(
        at_lead=float(needs[0, state.risk.order]),
        until_lead=float(needs[1, state.risk.keep]),
        backlog_at_lead_rs=ahead_rs,
        current=observation.ready + len(observation.due_bins),
        missing=missing,
        idle=is_idle(now, state.backlog_rs),
    )


def _wanted(spec: Spec, state: State, need: _Need) -> int:
    """Steps 6 and 7: order what is needed, release what isn't; before any forecast, hold and have at least one."""
    if math.isnan(need.at_lead):
        return max(need.current, 1)
    return int(
        choose_replicas(
            need.at_lead,
            need.until_lead,
            state.backlog_rs,
            need.backlog_at_lead_rs,
            _drain_s(spec, state),
            need.current,
            need.missing,
            need.idle,
        )
    )


def _reasons(spec: Spec, state: State, need: _Need, wanted: int, desired: int) -> tuple[Reason, ...]:
    """Step 8: why, most important first."""
    reasons = []
    if desired > wanted:
        reasons.append(Reason.AT_MIN)
    elif desired < wanted:
        reasons.append(Reason.AT_MAX)
    if math.isnan(need.at_lead):
        return (*reasons, Reason.NO_HISTORY)
    if need.missing:
        reasons.append(Reason.DEMAND_MISSING)
    if need.backlog_at_lead_rs > _drain_s(spec, state):
        reasons.append(Reason.BACKLOG)
    if desired > need.current:
        reasons.append(Reason.ORDERED_AHEAD)
    elif desired < need.current:
        reasons.append(Reason.RELEASED)
    elif need.at_lead <= need.current - 1 and not need.missing:
        reasons.append(Reason.KEPT)
    else:
        reasons.append(Reason.STEADY)
    if math.isnan(state.risk.late_share):
        reasons.append(Reason.SHORT_HISTORY)
    return tuple(reasons)


def _due(due_bins: IntArray, lead_bins: int) -> IntArray:
    """Loading replicas by the bin in which they serve, shape (lead_bins,); later ones count in the last."""
    if lead_bins == 0 or len(due_bins) == 0:
        return np.zeros(lead_bins, dtype=np.int64)
    # A load that takes longer than expected is due in the next bin, however long it is overdue.
    return np.bincount(np.clip(due_bins, 1, lead_bins) - 1, minlength=lead_bins).astype(np.int64)


def _drain_s(spec: Spec, state: State) -> float:
    """Time in which a backlog is to be worked off."""
    return max(spec.bin_s, state.lead_bins * spec.bin_s / _DRAINS_PER_LOAD)
