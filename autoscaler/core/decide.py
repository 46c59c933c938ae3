"""The decision: a pure function, the same for the live controller, the KEDA scaler and the backtest.

No I/O, no clock, no logging: `now` is in the observation, and what should be told is in the decision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.core.cold_start import reactive_replicas
from autoscaler.core.decision import UNKNOWING, Decision, Reason
from autoscaler.core.demand import see_demand
from autoscaler.core.needs import decision_at, forecast_needs
from autoscaler.core.observation import Observation
from autoscaler.core.outlook import Outlook
from autoscaler.core.plan_kernels import IntArray, choose_replicas, queue_ahead, whole
from autoscaler.core.risk import LEVELS, LOW, MEDIAN, is_due
from autoscaler.core.schedule import Decisions, asking, expecting
from autoscaler.core.selection import with_risk_selected
from autoscaler.core.spec import Spec
from autoscaler.core.state import State, drain_s, in_replicas


@dataclass(frozen=True, slots=True)
class _Need:
    """What is needed, in replicas and replica-seconds, against what is there."""

    at_lead: float
    until_lead: float
    backlog_at_lead_rs: float
    busy: int
    current: int


def decide(spec: Spec, state: State, observation: Observation) -> tuple[Decision, State]:
    """Decide how many replicas to have from now on.

    Args:
        spec: what the user stated.
        state: what the last decision returned, or `State.start(spec)`.
        observation: the world at the start of the bin. Bins skipped since the last decision count as missing.

    Returns:
        The decision, and the state to give to the next one. Neither argument is changed.
    """
    state = look_ahead(spec, state, observation)
    decision = choose(spec, outlook_of(spec, state), observation)
    return decision, replace(state, serving=serving_after(decision), ready=decision.ready)


def serving_after(decision: Decision) -> int:
    """Replicas that serve once a decision is carried out: loading ones are released first."""
    at_once = max(0, decision.desired - decision.current) if decision.lead_bins == 0 else 0
    return min(decision.ready, decision.desired) + at_once


def decide_early(spec: Spec, state: State, observation: Observation) -> tuple[Decision, Outlook]:
    """Decide between two decisions, on demand of the time since one bin ago: only ever for more replicas.

    A burst need not wait for its bin to end. The state stays as it is: the bin will come, whole.

    Args:
        spec: what the user stated.
        state: what the last decision returned.
        observation: the world at a time before the state's next bin; all demand in it is known.

    Returns:
        The decision, and the outlook that it was made of.
    """
    ahead = look_ahead(spec, replace(state, next_start_s=observation.now_s), observation)
    outlook = replace(outlook_of(spec, ahead), early=True)
    return choose(spec, outlook, observation), outlook


def look_ahead(spec: Spec, state: State, observation: Observation) -> State:
    """Steps 1, 2, 5 and 6: the state with the bin that just ended, its forecast and the risk to take."""
    state = see_demand(spec, state, observation)
    state = replace(state, needs=forecast_needs(spec, state))
    return with_risk_selected(spec, state) if is_due(state.bins, observation.now_s, spec.bin_s) else state


def outlook_of(spec: Spec, state: State) -> Outlook:
    """What a decision weighs: of the state that `look_ahead`, or the whole decision, returned."""
    last = state.trials.last_demand
    return Outlook(
        needs=state.needs,
        level=state.risk.level(state.needs[0]),
        late_price=state.risk.late_price,
        late_share=state.risk.late_share,
        lead_bins=state.lead_bins,
        drain_s=drain_s(spec, state.lead_bins),
        demand_replicas=0.0 if math.isnan(last) else last,
        backlog_rs=state.backlog_rs,
        missing=state.bins == 0 or state.trials.last_missing,
        queue_unseen=state.queue_unseen,
        scheduled=_raised_by(spec, state),
        cold_replicas=reactive_replicas(spec, state),
        trusted=all(forecast.trusted for forecast in state.forecasts.values()),
        fallen_bins=max(forecast.fallen_bins for forecast in state.forecasts.values()),
        rises_weekly=any(forecast.rises_weekly for forecast in state.forecasts.values()),
        usual_median=float(in_replicas(spec, state.forecasts)[0, MEDIAN]) if state.calm else math.nan,
    )


def choose(spec: Spec, outlook: Outlook, observation: Observation) -> Decision:
    """Steps 4, 7 and 8: replicas for an outlook and what is ready and loading, with the reasons."""
    need = _weigh(spec, outlook, observation)
    held = outlook.missing or outlook.early or outlook.queue_unseen or observation.history_missing
    by_forecast = _wanted(outlook, need, held=held)
    ordered = _wanted(outlook, replace(need, current=0), held=held)
    wanted = max(by_forecast, outlook.cold_replicas)
    least, asked_by = _least(spec, outlook, observation)
    desired = min(max(wanted, least), spec.replicas_max)
    scheduled = outlook.scheduled + (asked_by if least > max(wanted, spec.replicas_min) else ())
    return Decision(
        now_s=observation.now_s,
        desired=desired,
        current=need.current,
        ready=observation.ready,
        reasons=(
            *_bounded_by(outlook, wanted, desired, scheduled),
            *_reasons(
                outlook,
                need,
                desired,
                kept_for=_kept_for(outlook, need, desired, held=held) if ordered < by_forecast == desired else None,
                fewer_do=ordered < need.current,
                cold=wanted > by_forecast,
                history_missing=observation.history_missing,
            ),
        ),
        lead_bins=outlook.lead_bins,
        median_at_lead=float(outlook.needs[0, MEDIAN]),
        low_at_lead=float(outlook.needs[0, LOW]),
        high_at_lead=need.at_lead,
        peak_until_lead=need.until_lead,
        risk_level=float(LEVELS[outlook.level]),
        late_price=outlook.late_price,
        backlog_rs=outlook.backlog_rs,
        backlog_at_lead_rs=need.backlog_at_lead_rs,
        expected_late_share=outlook.late_share,
        scheduled=scheduled,
    )


def _raised_by(spec: Spec, state: State) -> tuple[str, ...]:
    """Names of the events for which more is ordered or kept than by the forecast alone."""
    if not state.calm:
        return ()
    level = state.risk.level(state.needs[0])
    if not (state.needs[:, level] > in_replicas(spec, state.forecasts)[:, level]).any():
        return ()
    return expecting(spec.schedule, decision_at(spec, state))


def _least(spec: Spec, outlook: Outlook, observation: Observation) -> tuple[int, tuple[str, ...]]:
    """Step 8: the fewest replicas that minimum and events allow, and the events that ask for most."""
    least, events = asking(spec.schedule, Decisions(observation.now_s, spec.bin_s, outlook.lead_bins))
    return max(spec.replicas_min, least), events


def _weigh(spec: Spec, outlook: Outlook, observation: Observation) -> _Need:
    """Steps 4 and 6: the need at the chosen risk, against what is ready and on order."""
    due = _due(observation.due_bins, outlook.lead_bins)
    median = float(outlook.needs[0, MEDIAN]) if math.isnan(outlook.usual_median) else outlook.usual_median
    ahead_rs, busy = 0.0, 0
    if not math.isnan(median):
        ahead_rs, busy = queue_ahead(
            outlook.backlog_rs, observation.ready, due, outlook.demand_replicas, median, spec.bin_s
        )
    return _Need(
        at_lead=float(outlook.needs[0, outlook.level]),
        until_lead=float(outlook.needs[1, outlook.level]),
        backlog_at_lead_rs=ahead_rs,
        busy=busy,
        current=observation.ready + len(observation.due_bins),
    )


def _wanted(outlook: Outlook, need: _Need, *, held: bool) -> int:
    """Steps 6 and 7: order what is needed, release what isn't; before any forecast, hold and have at least one."""
    if math.isnan(need.at_lead):
        return max(need.current, 1)
    return int(
        choose_replicas(
            need.at_lead,
            need.until_lead,
            float(LEVELS[outlook.level]),
            outlook.demand_replicas,
            outlook.backlog_rs,
            need.backlog_at_lead_rs,
            outlook.drain_s,
            need.busy,
            need.current,
            held,
        )
    )


def _kept_for(outlook: Outlook, need: _Need, wanted: int, *, held: bool) -> Reason | None:
    """What keeps more than are ordered, where it isn't a peak that may come: a queue, or the demand of now."""
    if wanted > _wanted(replace(outlook, backlog_rs=0.0), replace(need, busy=0), held=held):
        return Reason.KEPT_FOR_QUEUE
    by_forecast, by_demand = whole(max(need.at_lead, need.until_lead)), whole(outlook.demand_replicas)
    return Reason.KEPT_FOR_DEMAND if by_forecast < by_demand <= need.current and not held else None


def _bounded_by(outlook: Outlook, wanted: int, desired: int, scheduled: tuple[str, ...]) -> tuple[Reason, ...]:
    """Step 8: the events and bounds that changed what was wanted."""
    events = (Reason.SCHEDULED,) if scheduled else ()
    if desired < wanted:
        return (*events, Reason.AT_MAX)
    return (*events, Reason.AT_MIN) if desired > wanted and scheduled == outlook.scheduled else events


def _reasons(
    outlook: Outlook,
    need: _Need,
    desired: int,
    *,
    kept_for: Reason | None,
    fewer_do: bool,
    cold: bool,
    history_missing: bool,
) -> tuple[Reason, ...]:
    """Step 8: why, most important first."""
    if math.isnan(need.at_lead):
        return (Reason.NO_HISTORY,)
    reasons = []
    if outlook.missing:
        reasons.append(Reason.DEMAND_MISSING)
    if history_missing:
        reasons.append(Reason.HISTORY_MISSING)
    if outlook.queue_unseen:
        reasons.append(Reason.QUEUE_UNKNOWN)
    if need.backlog_at_lead_rs > outlook.drain_s:
        reasons.append(Reason.BACKLOG)
    if kept_for is not None:
        reasons.append(kept_for)
    if desired > need.current:
        reasons.append(Reason.ORDERED_AHEAD)
    elif desired < need.current:
        reasons.append(Reason.RELEASED)
    elif fewer_do and not (cold or kept_for) and UNKNOWING.isdisjoint(reasons):
        reasons.append(Reason.KEPT)
    else:
        reasons.append(Reason.STEADY)
    aside = {
        Reason.EARLY: outlook.early,
        Reason.SHORT_HISTORY: math.isnan(outlook.late_share),
        Reason.COLD_START: cold,
        Reason.NOT_TRUSTED: not outlook.trusted,
    }
    return (*reasons, *(reason for reason, said in aside.items() if said))


def _due(due_bins: IntArray, lead_bins: int) -> IntArray:
    """Loading replicas by the bin in which they serve, shape (lead_bins,); later ones count in the last."""
    if lead_bins == 0 or len(due_bins) == 0:
        return np.zeros(lead_bins, dtype=np.int64)
    # A load that takes longer than expected is due in the next bin, however long it is overdue.
    return np.bincount(np.clip(due_bins, 1, lead_bins) - 1, minlength=lead_bins).astype(np.int64)
