"""A state from demand that was recorded: what a controller that starts, or learned another load latency, plans with.

Bin for bin the same arithmetic as decisions one by one, without the decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from autoscaler.core.belief import Lately, believable_only
from autoscaler.core.risk import CANDIDATES, LEVELS, is_due
from autoscaler.core.schedule import Decisions, as_tried, raised, without_surges
from autoscaler.core.selection import with_risk_selected
from autoscaler.core.spec import Part, Spec
from autoscaler.core.state import State, drain_s, in_replicas
from forecasting.clock import DAY_S
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_history import LeadHistory
from forecasting.lead_member import TARGETS
from forecasting.series import FloatArray, Series


def replayed(spec: Spec, *, start_s: float, demand_rps: Mapping[str, FloatArray]) -> State:
    """The state at the end of a history; the next decision is for the bin after the first one that isn't in it.

    Args:
        spec: what to plan with.
        start_s: start of the first bin.
        demand_rps: unit -> work per second in each bin, shape (n,), NaN where it is missing; the units of the spec.

    Returns:
        A state whose queue is empty: what was ready in those bins isn't known.
    """
    state = replace(State.start(spec, start_s=start_s), next_start_s=start_s + spec.bin_s)
    return lengthened(spec, state, demand_rps)


def lengthened(spec: Spec, state: State, demand_rps: Mapping[str, FloatArray]) -> State:
    """A state of `replayed` at the end of a longer history, by these bins: the very one of the whole."""
    assert state.next_start_s is not None, "a replayed state knows its time"
    start_s = state.next_start_s - spec.bin_s
    bins = len(next(iter(demand_rps.values())))
    day = max(1, round(DAY_S / spec.bin_s))
    # Risk depends on the trials alone and they not on it, so that only the last selection counts.
    due = (i for i in range(bins, 0, -1) if is_due(state.bins + i, start_s + i * spec.bin_s, spec.bin_s))
    selected = next(due, 0)
    stops = sorted({*range(day, bins, day), selected, bins} - {0})
    first = 0
    for stop in stops:
        state = _with_bins(spec, state, {unit: values[first:stop] for unit, values in demand_rps.items()})
        if stop == selected:
            state = with_risk_selected(spec, state)
        first = stop
    return state


def _with_bins(spec: Spec, state: State, demand_rps: Mapping[str, FloatArray]) -> State:
    """The state after more bins, at most a day of them."""
    assert state.next_start_s is not None, "a replayed state knows its time"
    bins = len(next(iter(demand_rps.values())))
    start_s = state.next_start_s - spec.bin_s
    forecasts: dict[str, LeadEnsemble] = {}
    calm: dict[str, LeadEnsemble] = {}
    lately: dict[str, Lately] = {}
    needs = np.full((bins, TARGETS, len(LEVELS)), np.nan)
    calm_needs = needs.copy()
    demand = np.zeros(bins)
    missing = np.zeros(bins, dtype=np.bool_)
    for unit, capacity in spec.capacity_rps.items():
        before = state.forecasts[unit]
        values, lately[unit] = believable_only(demand_rps[unit], before.history, state.lately[unit], capacity)
        series = Series.of(values, bin_s=spec.bin_s, start_s=start_s)
        forecast, quantiles = before.fit_with_quantiles(series)
        forecasts[unit] = forecast
        needs = np.fmax(needs, quantiles / capacity)
        if unit in state.calm:
            usual = without_surges(spec.schedule, values, start_s=start_s, bin_s=spec.bin_s)
            calm[unit], quantiles = state.calm[unit].fit_with_quantiles(
                Series.of(usual, bin_s=spec.bin_s, start_s=start_s)
            )
            calm_needs = np.fmax(calm_needs, quantiles / capacity)
        demand = np.maximum(demand, _imputed(forecast.history, bins) / capacity)
        missing |= np.isnan(values)
    decisions = Decisions(start_s, spec.bin_s, state.lead_bins)
    usual = np.concatenate([in_replicas(spec, state.forecasts)[None], needs[:-1]])
    needs = raised(spec.schedule, needs, calm_needs, replace(decisions, first_s=start_s + spec.bin_s))
    if Part.RENT_OR_BUY in spec.without:
        needs = needs[:, [0, 0]]
    trials = state.trials.seen(
        as_tried(spec.schedule, np.concatenate([state.needs[None], needs[:-1]]), usual, decisions),
        demand,
        missing,
        candidates=CANDIDATES,
        spec=spec,
        drain_s=drain_s(spec, state.lead_bins),
    )
    return replace(
        state,
        next_start_s=state.next_start_s + bins * spec.bin_s,
        forecasts=forecasts,
        calm=calm,
        lately=lately,
        unseen=state.unseen.after(missing, lead_bins=state.lead_bins),
        needs=needs[-1].copy(),
        trials=trials,
        bins=state.bins + bins,
    )


def _imputed(history: LeadHistory, bins: int) -> FloatArray:
    """Demand of the last `bins` bins, work per second; 0 before the first known one."""
    known = history.demand_of_last(bins)
    demand = np.zeros(bins)
    demand[bins - len(known) :] = known
    return demand
