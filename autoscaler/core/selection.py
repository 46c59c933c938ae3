"""Step 6 of a decision, at times: the risk is chosen anew."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.risk import cheapest_within
from autoscaler.core.spec import Part, Spec
from autoscaler.core.state import State
from forecasting.clock import DAY_S


def with_risk_selected(spec: Spec, state: State) -> State:
    """The state with the cheapest risk that would have kept the budget.

    As it was before any bin is scored, and where the spec leaves the choice out.
    """
    results = state.trials.results
    if results is None or Part.BUDGET_CONTROLLER in spec.without:
        return state
    days = state.trials.bins_scored * spec.bin_s / DAY_S
    return replace(state, risk=cheapest_within(results, spec.objective.late_budget, days=days))
