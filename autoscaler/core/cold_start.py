"""A cold start: while less than a day is known, there are at least the replicas that an HPA at its default would have.

A forecast that has seen a night knows nothing of the morning. What reacts is no better than an HPA, and no worse: the
largest demand of the last five minutes at 80 % of what a replica sustains, as a target of 80 % with the default
stabilization of scaling down asks for.
"""

from __future__ import annotations

import math

from autoscaler.core.plan_kernels import whole
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from forecasting.clock import DAY_S

_HPA_TARGET = 0.8
_HPA_STABILIZATION_S = 300.0


def reactive_replicas(spec: Spec, state: State) -> int:
    """What an HPA would have now; 0 once a day is known, and before any demand is.

    Args:
        spec: what the user stated.
        state: with the bin that just ended.
    """
    if state.bins_known * spec.bin_s >= DAY_S:
        return 0
    bins = math.ceil(_HPA_STABILIZATION_S / spec.bin_s)
    largest = 0.0
    for unit, capacity_rps in spec.capacity_rps.items():
        demand_rps = state.forecasts[unit].history.demand_of_last(bins)
        largest = max(largest, float(demand_rps.max(initial=0.0)) / capacity_rps)
    return int(whole(largest / _HPA_TARGET))
