"""Steps 1 and 2 of a decision: what of the observed demand is usable, and how it joins the history.

Missing is not zero. What can't be believed is missing too, see belief.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from autoscaler.core.belief import Lately, believable_only
from autoscaler.core.fluid import serve_bin
from autoscaler.core.needs import forecast_needs
from autoscaler.core.observation import Observation
from autoscaler.core.risk import CANDIDATES
from autoscaler.core.schedule import Decisions, as_tried, without_surges
from autoscaler.core.spec import Spec
from autoscaler.core.state import State, drain_s, in_replicas
from autoscaler.core.trials import servable
from autoscaler.core.unseen import Unseen
from forecasting.clock import DAY_S

# Bins that a decision catches up on, at most: a second's work. After a longer silence the history starts anew.
_SKIPPED_BINS_MAX = 4_320


def see_demand(spec: Spec, state: State, observation: Observation) -> State:
    """The state with the bins since the last decision.

    Bins that were skipped are missing. A clock that was set a day back or more, or far ahead, starts the history anew:
    what is remembered belongs to another time. ValueError where time goes back by less: a driver's mistake.
    """
    skipped, away = _skipped_bins(spec, state, observation), observation.queue_unseen
    state = replace(state, serving=_served(state, observation))
    if skipped is None:
        away = away or state.next_start_s is not None
        state = State.start(spec, start_s=observation.now_s)
        backlog_rs = _believed_backlog_rs(spec, state, observation)
    else:
        for bins_ago in range(skipped + 1, 1, -1):
            start_s = observation.now_s - bins_ago * spec.bin_s
            state = replace(_append(spec, state, {}, None, start_s), next_start_s=start_s + 2 * spec.bin_s)
            # The self-backtest decides on them as on missing ones: what it has on order comes, and its queues move on.
            state = replace(state, needs=forecast_needs(spec, state))
        backlog_rs = _believed_backlog_rs(spec, state, observation)
        state = _append(spec, state, observation.demand_rps, backlog_rs, observation.now_s - spec.bin_s)
    if observation.fleet_assumed:
        state = replace(state, unseen=Unseen())
    elif away and backlog_rs is None:
        state = replace(state, unseen=state.unseen.begun(state.lead_bins))
    return replace(state, next_start_s=observation.now_s + spec.bin_s)


def _served(state: State, observation: Observation) -> int | None:
    """Replicas that served since the last decision; None before one.

    As many are ready still as were before a release: nobody carried it out. In the modes that leave scaling to others a
    queue was told, and replicas kept for it, that a fleet of nobody's would have had.
    """
    if state.serving is None or state.ready is None or observation.fleet_assumed:
        return state.serving
    return max(state.serving, state.ready) if observation.ready >= state.ready else state.serving


def _skipped_bins(spec: Spec, state: State, observation: Observation) -> int | None:
    """Bins without a decision since the last one; None where the history starts anew."""
    if state.next_start_s is None:
        return None
    elapsed_s = observation.now_s - state.next_start_s
    if elapsed_s < -DAY_S or elapsed_s > _SKIPPED_BINS_MAX * spec.bin_s:
        return None
    skipped = round(elapsed_s / spec.bin_s)
    if skipped < 0:
        raise ValueError(f"time went back: {observation.now_s} s comes before {state.next_start_s} s")
    return skipped


def _believed(spec: Spec, state: State, demand_rps: Mapping[str, float]) -> tuple[dict[str, float], dict[str, Lately]]:
    """Unit -> work per second of the last bin, NaN where it can't be believed; and what tells that of the next."""
    believed, lately = {}, {}
    for unit, capacity in spec.capacity_rps.items():
        said = np.array([demand_rps.get(unit, math.nan)])
        (rate,), lately[unit] = believable_only(said, state.forecasts[unit].history, state.lately[unit], capacity)
        believed[unit] = float(rate)
    return believed, lately


def _believed_backlog_rs(spec: Spec, state: State, observation: Observation) -> float | None:
    """The queue as it is measured; None where it isn't, or is absurd: it would stay for good once none is measured.

    Absurd is more than a day of the largest demand known, or of a replica's where that is less.
    """
    peaks = [
        math.exp(forecast.history.peak_log) / spec.capacity_rps[unit] for unit, forecast in state.forecasts.items()
    ]
    backlog_rs = observation.backlog_rs
    return backlog_rs if backlog_rs is not None and 0 <= backlog_rs <= max(1.0, *peaks) * DAY_S else None


def _append(
    spec: Spec, state: State, demand_rps: Mapping[str, float], backlog_rs: float | None, start_s: float
) -> State:
    """One more bin of demand, missing for units that aren't there; the queue moves on, and the self-backtest."""
    believed, lately = _believed(spec, state, demand_rps)
    forecasts = {unit: forecast.update(believed[unit]) for unit, forecast in state.forecasts.items()}
    calm = {
        unit: forecast.update(_without_surge(spec, believed[unit], start_s)) for unit, forecast in state.calm.items()
    }
    known = [unit for unit, forecast in forecasts.items() if forecast.history.bins_known]
    demand = max((forecasts[unit].history.latest_demand / spec.capacity_rps[unit] for unit in known), default=0.0)
    missing = np.array([any(math.isnan(rate) for rate in believed.values())])
    unseen = Unseen() if backlog_rs is not None else state.unseen.after(missing, lead_bins=state.lead_bins)
    trials = state.trials.seen(
        as_tried(
            spec.schedule,
            state.needs[None],
            in_replicas(spec, state.forecasts)[None],
            Decisions(start_s, spec.bin_s, state.lead_bins),
        ),
        np.array([demand]),
        missing,
        candidates=CANDIDATES,
        spec=spec,
        drain_s=drain_s(spec, state.lead_bins),
    )
    if backlog_rs is None:
        backlog_rs = 0.0
        if state.serving is not None:
            arrivals_rs = servable(demand, spec.replicas_max) * spec.bin_s
            backlog_rs, _ = serve_bin(
                state.backlog_rs, arrivals_rs, float(state.serving), spec.bin_s, spec.objective.max_wait_s
            )
    return replace(
        state,
        forecasts=forecasts,
        calm=calm,
        lately=lately,
        unseen=unseen,
        trials=trials,
        backlog_rs=backlog_rs,
        bins=state.bins + 1,
    )


def _without_surge(spec: Spec, value: float, start_s: float) -> float:
    """The demand of a bin, NaN where an event was expected to multiply it."""
    return float(without_surges(spec.schedule, np.array([value]), start_s=start_s, bin_s=spec.bin_s)[0])
