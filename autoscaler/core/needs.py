"""Step 5 of a decision: what the forecasts say will be needed, in replicas."""

from __future__ import annotations

from autoscaler.core.schedule import Decisions, raised
from autoscaler.core.spec import Part, Spec
from autoscaler.core.state import State, in_replicas
from forecasting.series import FloatArray


def forecast_needs(spec: Spec, state: State) -> FloatArray:
    """Quantiles of demand one lead ahead, and of the peak until then, in replicas: shape (2, levels)."""
    needs = in_replicas(spec, state.forecasts)
    if state.calm:
        (needs,) = raised(spec.schedule, needs[None], in_replicas(spec, state.calm)[None], decision_at(spec, state))
    return needs[[0, 0]] if Part.RENT_OR_BUY in spec.without else needs


def decision_at(spec: Spec, state: State) -> Decisions:
    """When the decision is made that the state is for."""
    assert state.next_start_s is not None, "a state that a decision is made of knows its time"
    return Decisions(state.next_start_s - spec.bin_s, spec.bin_s, state.lead_bins)
