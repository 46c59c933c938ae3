"""The controller on a simulated cluster and a virtual clock: what `headstart run --simulate` runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.clock import VirtualClock
from autoscaler.controller.controller import Controller
from autoscaler.controller.rebuilder import InlineRebuilder
from autoscaler.controller.simulated import Served, SimulatedWorld
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import Workload
from autoscaler.core.load_latency import LoadLatency
from autoscaler.traces.trace import Trace


def simulate(
    autoscaler: PredictiveAutoscaler,
    trace: Trace,
    loads: LoadLatency,
    *,
    clock: VirtualClock,
    teller: Teller,
    stop: Event,
    on_tick: Callable[[Workload], object],
) -> Served:
    """Run the controller over the trace, or until `stop` is set.

    Args:
        autoscaler: the object, in mode Scale; its interval is the trace's bin.
        trace: what arrives.
        loads: what loads really take.
        clock: started at `start_of(trace)`.
        teller: where decisions are told.
        stop: ends the run.
        on_tick: called after each tick.
    """
    world = SimulatedWorld(autoscaler, trace, loads)
    controller = Controller(
        cluster=world,
        source=world,
        rebuilder=InlineRebuilder(world),
        actuator=world,
        elector=world,
        clock=clock,
        teller=teller,
        tick_s=trace.bin_s,
        settle_s=0.0,
    )
    for k in range(len(trace) + 1):
        at_s = world.start_s + k * trace.bin_s
        clock.wait_until(at_s, stop)
        if stop.is_set():
            break
        world.begin(at_s)
        if k < len(trace):
            controller.tick()
            for workload in controller.workloads:
                on_tick(workload)
    controller.stop()
    return world.served()


def start_of(trace: Trace) -> float:
    """When the simulation of a trace starts: bins lie on even times of the clock, as live."""
    return math.floor(trace.start_s / trace.bin_s) * trace.bin_s
