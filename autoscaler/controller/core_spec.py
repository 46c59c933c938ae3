"""From the user's object, and what was learned, to what the core plans with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autoscaler.api.v1alpha1 import PredictiveAutoscalerSpec
from autoscaler.core.event import Event
from autoscaler.core.learned_capacity import CapacitySamples, effective_capacity_rps
from autoscaler.core.learned_load import LoadTimes, effective_latency
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import lead_bins_of


def stated_spec(given: PredictiveAutoscalerSpec) -> Spec:
    """What the user stated, before anything is learned."""
    return Spec(
        bin_s=given.interval,
        capacity_rps={demand.unit: demand.capacity for demand in given.demand},
        objective=Objective(max_wait_s=given.objective.max_wait, late_budget=given.objective.late_budget),
        load_latency=LoadLatency.constant(given.load_latency.prior),
        replicas_min=given.min_replicas,
        replicas_max=given.max_replicas,
        schedule=tuple(event.to_event() for event in given.schedule),
    )


def learned_spec(
    given: PredictiveAutoscalerSpec,
    current: Spec,
    loads: LoadTimes,
    capacities: Mapping[str, CapacitySamples],
) -> Spec:
    """What to plan with from now on.

    Args:
        given: what the user stated.
        current: what was planned with so far.
        loads: load latencies seen.
        capacities: unit -> capacities seen.
    """
    stated = stated_spec(given)
    # What is stated counts exactly. What is learned moves all the time: it waits until it is worth a new forecast.
    latency = stated.load_latency
    if given.load_latency.learn and (seen := loads.latency(stated.load_latency)) is not stated.load_latency:
        latency = effective_latency(current.load_latency, seen, stated.bin_s)
    capacity_rps = {}
    for demand in given.demand:
        capacity_rps[demand.unit] = demand.capacity
        learned_rps = capacities.get(demand.unit, CapacitySamples()).capacity_rps(demand.capacity)
        if demand.learn_capacity and learned_rps != demand.capacity:
            current_rps = current.capacity_rps.get(demand.unit, demand.capacity)
            capacity_rps[demand.unit] = effective_capacity_rps(current_rps, learned_rps)
    return replace(stated, load_latency=latency, capacity_rps=capacity_rps)


def _surges(spec: Spec) -> tuple[Event, ...]:
    """The events whose windows the forecast leaves out; what others ask for counts at once."""
    return tuple(event for event in spec.schedule if event.expect > 1.0)


def forecasts_alike(one: Spec, other: Spec) -> bool:
    """Whether a state made for one spec serves the other; if not, it is forecast from history anew."""
    return (
        one.bin_s == other.bin_s
        and one.capacity_rps == other.capacity_rps
        and lead_bins_of(one) == lead_bins_of(other)
        and one.members == other.members
        and _surges(one) == _surges(other)
    )
