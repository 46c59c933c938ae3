"""Two replicas of the controller: one writes, the other is ready to, whatever becomes of the first."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

import pytest
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until, watching
from cluster.workloads import horizontal_pod_autoscaler, predictive_autoscaler

from autoscaler.telemetry.record import Record

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")

TAKEOVER_S = 15
LEASE_S = 10
BIN_S = 2
# Over a day: whoever has less chooses its risk by how long it has run, and not by the clock.
HISTORY_S = 25 * 3_600


def leads(controller: Controller) -> bool:
    return "headstart_leader 1.0" in controller.page("/metrics")[1]


def by_bin(controller: Controller) -> dict[float, Record]:
    """Its last decision about each bin of "chat": a history that was read anew is caught up on."""
    return {each.observation.now_s: each for each in controller.decisions() if each.name == "chat"}


def same_decisions(one: Controller, other: Controller, *, bins: int = 4) -> bool:
    """Whether they decide the same, to the last bit, of the newest bins that both have decided on."""
    ones, others = by_bin(one), by_bin(other)
    common = sorted(ones.keys() & others.keys())[-bins:]
    return len(common) == bins and all(ones[at_s].decision == others[at_s].decision for at_s in common)


def acted(controller: Controller) -> list[Record]:
    """Decisions on "chat" that it made while it led."""
    passive = {"NotLeading", "CaughtUp"}
    return [each for each in controller.decisions() if each.name == "chat" and each.done.reason not in passive]


def test_another_replica_takes_over_and_goes_on_as_the_first_would_have(
    live: LiveObjects, prometheus: PrometheusServer, exporter: Exporter, headstart: Callable[..., Controller]
) -> None:
    exporter.set("demand", 3)
    start_s = math.floor(time.time() / BIN_S) * BIN_S - HISTORY_S
    prometheus.backfill({"demand": [3.0] * (HISTORY_S // BIN_S)}, start_s=start_s, step_s=BIN_S)
    prometheus.start()
    live.create_deployment("chat", replicas=1)
    live.create_autoscaler(
        predictive_autoscaler("chat", target="chat", query="sum(demand)", history=f"{HISTORY_S // 3_600}h")
    )
    live.create_deployment("held", replicas=1)
    live.create_hpa(horizontal_pod_autoscaler("held", target="held", minimum=1, maximum=20))
    live.create_autoscaler(predictive_autoscaler("held", target="held", query="sum(demand)", mode="Floor"))
    first = headstart("first", prometheus_url=prometheus.url)
    second = headstart("second", prometheus_url=prometheus.url)
    first.start_until_ready()
    wait_until(lambda: leads(first), timeout_s=30, what="the first to lead")
    second.start_until_ready()
    wait_until(lambda: live.replicas("chat") >= 3, timeout_s=60, what="the first to order replicas")
    assert not leads(second)
    # Once the replicas of the start are there, and what has queued meanwhile is served.
    wait_until(lambda: same_decisions(first, second), timeout_s=60, what="both to decide the same")
    assert not acted(second)

    holder = live.lease_holder()
    first.end(kill=True)
    killed_s = time.time()
    wait_until(lambda: live.lease_holder() != holder, timeout_s=60, what="the second to take the Lease")
    assert time.time() - killed_s <= TAKEOVER_S
    # Its page says so after its next tick.
    wait_until(lambda: leads(second), timeout_s=60, what="the second to lead")
    exporter.set("demand", 9)
    wait_until(lambda: live.replicas("chat") >= 9, timeout_s=60, what="the second to order replicas")

    third = headstart("third", prometheus_url=prometheus.url)
    third.start_until_ready()
    wait_until(lambda: live.hpa("held")[0] >= 9, timeout_s=60, what="the second to raise the floor")
    ended_s = time.time()
    with watching(lambda: live.hpa("held")[0]) as floors:
        assert second.end() == 0
        wait_until(lambda: acted(third), timeout_s=60, what="the third to act")
    # Not for a moment had the HPA leave to release what was ordered ahead.
    assert min(floors) >= 9
    # A lease that is given up is taken at the next look, before it would have ended.
    assert acted(third)[0].time_s - ended_s < LEASE_S
    third.wait_for_decision(acted(third)[0].observation.now_s)
    assert third.end() == 0
    # Nobody was there to hand it to.
    assert live.hpa("held") == (1, {})

    # Each change of the replicas is one that an Event tells: none twice, none by someone else.
    told = [re.findall(r"replicas (\d+) -> (\d+)", each.message) * each.count for each in live.events("chat", "Scaled")]
    changes = [(int(before), int(after)) for found in told for before, after in found]
    deployment = live.deployment("chat")
    assert deployment.metadata.generation == 1 + len(changes)
    assert deployment.spec.replicas == 1 + sum(after - before for before, after in changes)
