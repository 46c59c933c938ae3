"""From the user's object, and what was learned, to what the core plans with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscaler.api.node_head_start import NodeHeadStart
from autoscaler.api.v1alpha1 import PredictiveAutoscalerSpec
from autoscaler.core.event import Event
from autoscaler.core.learned_capacity import CapacitySamples, effective_capacity_rps
from autoscaler.core.learned_load import LoadTimes, effective_latency
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import node_and_load
from autoscaler.core.spec import Objective, Spec
from autoscaler.core.state import lead_bins_of


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planned with: replicas by `spec`, and nodes by `ahead` where they are kept warm."""

    spec: Spec
    ahead: Spec | None = None


def stated_spec(given: PredictiveAutoscalerSpec) -> Spec:
    """What the user stated, before anything is learned; where nodes are kept warm, of a load on a ready node."""
    return Spec(
        bin_s=given.interval,
        capacity_rps={demand.unit: demand.capacity for demand in given.demand},
        objective=Objective(max_wait_s=given.objective.max_wait, late_budget=given.objective.late_budget),
        load_latency=LoadLatency.constant(given.load_latency.prior),
        replicas_min=given.min_replicas,
        replicas_max=given.max_replicas,
        schedule=tuple(event.to_event() for event in given.schedule),
        time_zone=given.time_zone,
    )


def learned_spec(
    given: PredictiveAutoscalerSpec,
    current: Spec,
    loads: LoadTimes,
    capacities: Mapping[str, CapacitySamples],
    *,
    nodes_warm: bool = False,
) -> Spec:
    """What to plan with from now on.

    Args:
        given: what the user stated.
        current: what was planned with so far.
        loads: load latencies seen.
        capacities: unit -> capacities seen.
        nodes_warm: whether replicas find a ready node, by placeholders; else its time is part of a load.
    """
    stated = stated_spec(given)
    if given.node_head_start is not None and not nodes_warm:
        # Of the loads seen many found a warm node: from now on none will.
        latency = _node_and_load(given, given.node_head_start, current.load_latency, loads)
    else:
        prior = stated.load_latency
        seen = loads.latency_on_node(prior) if nodes_warm else loads.latency(prior)
        latency = _latency(prior, seen if given.load_latency.learn else prior, current.load_latency, stated.bin_s)
    capacity_rps = {}
    for demand in given.demand:
        capacity_rps[demand.unit] = demand.capacity
        learned_rps = capacities.get(demand.unit, CapacitySamples()).capacity_rps(demand.capacity)
        if demand.learn_capacity and learned_rps != demand.capacity:
            current_rps = current.capacity_rps.get(demand.unit, demand.capacity)
            capacity_rps[demand.unit] = effective_capacity_rps(current_rps, learned_rps)
    return replace(stated, load_latency=latency, capacity_rps=capacity_rps)


def ahead_spec(
    given: PredictiveAutoscalerSpec, spec: Spec, current: LoadLatency | None, loads: LoadTimes
) -> Spec | None:
    """What to plan nodes with, one node and one load ahead; None where no placeholders are asked for.

    Args:
        given: what the user stated.
        spec: what replicas are planned with.
        current: the time of a node and a load that was planned with so far; None where there was none.
        loads: load latencies and waits for nodes seen.
    """
    if given.node_head_start is None:
        return None
    return replace(spec, load_latency=_node_and_load(given, given.node_head_start, current, loads))


def _node_and_load(
    given: PredictiveAutoscalerSpec, nodes: NodeHeadStart, current: LoadLatency | None, loads: LoadTimes
) -> LoadLatency:
    """The time of a node and a load on it to plan with from now on."""
    load, node = stated_spec(given).load_latency, LoadLatency.constant(nodes.provisioning.prior)
    stated = node_and_load(node, load)
    seen_load = loads.latency_on_node(load) if given.load_latency.learn else load
    seen_node = loads.node_latency(node) if nodes.provisioning.learn else node
    seen = stated if seen_load is load and seen_node is node else node_and_load(seen_node, seen_load)
    return _latency(stated, seen, current or stated, given.interval)


def _latency(stated: LoadLatency, seen: LoadLatency, current: LoadLatency, bin_s: float) -> LoadLatency:
    """What is stated counts exactly. What is learned moves all the time: it waits until it is worth a new forecast."""
    return stated if seen is stated else effective_latency(current, seen, bin_s)


def _surges(spec: Spec) -> tuple[Event, ...]:
    """The events whose windows the forecast leaves out; what others ask for counts at once."""
    return tuple(event for event in spec.schedule if event.expect > 1.0)


def without_new_forecast(current: Spec, wanted: Spec) -> Spec:
    """What of `wanted` counts at once, on a state that was made for `current`: all but what is forecast anew."""
    asking = (event for event in wanted.schedule if event.expect == 1.0)
    return replace(
        current,
        objective=wanted.objective,
        replicas_min=wanted.replicas_min,
        replicas_max=wanted.replicas_max,
        schedule=(*_surges(current), *asking),
    )


def forecasts_alike(one: Spec, other: Spec) -> bool:
    """Whether a state made for one spec serves the other; if not, it is forecast from history anew."""
    return (
        one.bin_s == other.bin_s
        and one.capacity_rps == other.capacity_rps
        and lead_bins_of(one) == lead_bins_of(other)
        and one.members == other.members
        and _surges(one) == _surges(other)
        and one.time_zone == other.time_zone
    )
