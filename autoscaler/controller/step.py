"""One bin of one workload: from what was seen to a decision. The same for the live and the simulated cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoscaler.controller.bin_data import BinData, saturated_bin
from autoscaler.controller.core_spec import Plan, ahead_spec, forecasts_alike, learned_spec, without_new_forecast
from autoscaler.controller.fleet import Fleet, fleet_of
from autoscaler.controller.pull import Pulled
from autoscaler.controller.workload import Workload
from autoscaler.core.decide import decide, decide_early, outlook_of
from autoscaler.core.decision import Decision
from autoscaler.core.learned_capacity import CapacitySamples
from autoscaler.core.node_head_start import Placeholders, decide_placeholders
from autoscaler.core.observation import Observation
from autoscaler.core.outlook import Outlook
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from autoscaler.core.unseen import short_gap_bins
from autoscaler.kube.facts import Target

DOUBTED = "GpuBusyWithoutDemand"


@dataclass(frozen=True, slots=True)
class Made:
    """A decision, and what it was made from.

    Attributes:
        spec: what was planned with.
        observation, outlook, decision: of the core.
        newest: whether it is for the bin that runs now; earlier ones only catch up, and nothing is done about them.
        placeholders: how many are wanted; None where none are asked for, and between bins.
    """

    spec: Spec
    observation: Observation
    outlook: Outlook
    decision: Decision
    newest: bool
    placeholders: Placeholders | None = None


def decide_on(workload: Workload, pulled: Pulled) -> list[Made]:
    """Decide on each bin that ended, and remember what it taught."""
    made = []
    for data in pulled.bins:
        fleet = _fleet(workload, data.end_s)
        believed = _believed(workload, data, fleet)
        _learn_from_bin(workload, believed, fleet)
        newest = data is pulled.bins[-1]
        if newest and len(pulled.bins) > short_gap_bins(_state(workload).lead_bins):
            # What came is known, but not what served it: the fleet of now stands in for each bin.
            workload.note_absence()
        made.append(_decide(workload, believed, fleet, newest=newest))
        workload.fleet, workload.bin = fleet, believed
    _note_metrics(workload, pulled)
    return made


def decide_between(workload: Workload, pulled: Pulled) -> list[Made]:
    """Decide before a bin is over, and only for more replicas than there are; an empty list: nothing is to be done.

    Teaches nothing: the bin will come, whole.
    """
    data = pulled.bins[-1]
    fleet = _fleet(workload, data.end_s)
    if not data.known or data.doubted(ready=fleet.ready, capacity_rps=workload.spec.capacity_rps):
        return []
    observation = _observation(workload, data, fleet)
    decision, outlook = decide_early(workload.spec, _state(workload), observation)
    if decision.desired <= decision.current:
        return []
    _take(workload, decision)
    return [Made(workload.spec, observation, outlook, decision, newest=True)]


def wants_rebuild(workload: Workload) -> Plan | None:
    """What is to be planned with, where that needs a forecast from history anew; what doesn't is taken on."""
    plan = _plan(workload)
    alike = forecasts_alike(plan.spec, workload.spec)
    # A history may take long to read, or can't be: a raised minReplicas doesn't wait for it.
    workload.spec = plan.spec if alike else without_new_forecast(workload.spec, plan.spec)
    if plan.ahead is None or workload.ahead is None:
        workload.ahead = None
        return None if alike and plan.ahead is None else plan
    ahead_alike = forecasts_alike(plan.ahead, workload.ahead.spec)
    ahead = plan.ahead if ahead_alike else without_new_forecast(workload.ahead.spec, plan.ahead)
    workload.ahead = replace(workload.ahead, spec=ahead)
    return None if alike and ahead_alike else plan


def _plan(workload: Workload) -> Plan:
    """What the object states and what was learned ask to plan with."""
    given, loads = workload.autoscaler.spec, workload.loads
    spec = learned_spec(given, workload.spec, loads, workload.capacities, nodes_warm=workload.nodes_warm)
    current = workload.ahead.spec.load_latency if workload.ahead is not None else None
    return Plan(spec, ahead_spec(given, spec, current, loads))


def _fleet(workload: Workload, now_s: float) -> Fleet:
    """The fleet as the cluster has it; as it was where the cluster can't be read."""
    target = workload.target
    if isinstance(target, Target):
        return fleet_of(
            target,
            now_s=now_s,
            bin_s=workload.spec.bin_s,
            load_latency=workload.spec.load_latency,
            before=workload.fleet,
        )
    assert workload.fleet is not None, "a workload whose target was never read isn't decided on"
    return workload.fleet


def _believed(workload: Workload, data: BinData, fleet: Fleet) -> BinData:
    """The bin, its demand unknown where busy GPUs speak against it."""
    if not data.doubted(ready=fleet.ready, capacity_rps=workload.spec.capacity_rps):
        return data
    return BinData(data.end_s, dict.fromkeys(data.demand_rps, math.nan), data.engine)


def _state(workload: Workload) -> State:
    assert workload.state is not None, "a workload without a state isn't decided on"
    return workload.state


def _decide(workload: Workload, data: BinData, fleet: Fleet, *, newest: bool) -> Made:
    observation = _observation(workload, data, fleet)
    decision, workload.state = decide(workload.spec, _state(workload), observation)
    workload.queue_unseen = False
    _take(workload, decision)
    outlook = outlook_of(workload.spec, workload.state)
    return Made(workload.spec, observation, outlook, decision, newest, _decide_placeholders(workload, observation))


def _decide_placeholders(workload: Workload, observation: Observation) -> Placeholders | None:
    """How many placeholders to have, after the replicas were decided on."""
    asked = workload.autoscaler.spec.node_head_start
    if asked is None or workload.ahead is None or workload.decision is None:
        return None
    most = asked.placeholders.max_replicas
    told, workload.ahead = decide_placeholders(workload.ahead, observation, workload.decision, most=most)
    workload.placeholders = told
    return told


def _take(workload: Workload, decision: Decision) -> None:
    """Without a GPU budget a decision stands; with one, as far as `Budgets` gives what it wants."""
    if workload.autoscaler.spec.gpu_budget is None:
        workload.budget_problem = None
        workload.defects.pop("divide", None)
        workload.take(decision)


def _observation(workload: Workload, data: BinData, fleet: Fleet) -> Observation:
    return Observation(
        data.end_s,
        data.demand_rps,
        fleet.ready,
        fleet.due_bins,
        workload.backlog_rs(data),
        history_missing=workload.history_unknown,
        queue_unseen=workload.queue_unseen,
        fleet_assumed=isinstance(workload.target, Target) and workload.target.assumed,
    )


def _learn_from_bin(workload: Workload, data: BinData, fleet: Fleet) -> None:
    """Lateness of the bin that ended, which the fleet before served, and the capacity where that was saturated."""
    if workload.fleet is None or data.end_s <= workload.taught_s:
        # A history that joined late has bins decided on again; they taught already.
        return
    workload.taught_s = data.end_s
    spec, unit = workload.spec, workload.request_unit
    demand = max((rate / spec.capacity_rps[unit] for unit, rate in data.demand_rps.items()), default=math.nan)
    workload.lateness = workload.lateness.with_bin(
        spec,
        demand_replicas=demand if data.known else math.nan,
        ready=workload.fleet.ready,
        backlog_rs=workload.backlog_rs(data),
    )
    if unit is None or workload.bin is None or workload.bin.end_s + spec.bin_s != data.end_s:
        return
    ready = None if fleet.changed or workload.fleet.changed else fleet.ready
    seen = saturated_bin(workload.bin, data, unit=unit, ready=ready, bin_s=spec.bin_s)
    workload.capacities[unit] = workload.capacities.get(unit, CapacitySamples()).with_bin(seen)


def _note_metrics(workload: Workload, pulled: Pulled) -> None:
    """Why demand is unknown, and for how many bins."""
    assert workload.bin is not None, "a bin was just decided on"
    workload.metrics_reason, workload.metrics_message = pulled.reason, pulled.message
    if not pulled.reason and not workload.bin.known:
        workload.metrics_reason = DOUBTED
        workload.metrics_message = (
            f"GPU utilisation is {workload.bin.engine.gpu_utilization:.0%} and demand next to nothing: the demand query"
            " seems to miss traffic, so nothing is released"
        )
    workload.outage_bins = 0 if workload.bin.known else workload.outage_bins + len(pulled.bins)
