"""Starting while Prometheus is down: nothing is released on the first bin that comes back, but on the history."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import predictive_autoscaler

from autoscaler.core.decision import Reason
from autoscaler.telemetry.record import Record

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")

BIN_S = 2
HISTORY_S = 7_200
# What is needed at times; the moment of the start is a quiet one.
USUAL, QUIET = 9.0, 2.0
QUIET_S = 60
SHORT = {Reason.NO_HISTORY, Reason.SHORT_HISTORY}


def test_a_controller_that_starts_without_prometheus_waits_for_its_history(
    live: LiveObjects, prometheus: PrometheusServer, exporter: Exporter, headstart: Callable[..., Controller]
) -> None:
    start_s = math.floor(time.time() / BIN_S) * BIN_S - HISTORY_S
    demand = [USUAL] * ((HISTORY_S - QUIET_S) // BIN_S) + [QUIET] * (QUIET_S // BIN_S)
    prometheus.backfill({"demand": demand}, start_s=start_s, step_s=BIN_S)
    exporter.set("demand", QUIET)
    live.create_deployment("chat", replicas=12)
    live.create_autoscaler(predictive_autoscaler("chat", target="chat", query="sum(demand)", history="2h"))

    controller = headstart("one", prometheus_url=prometheus.url)
    # Ready all the same: what serves the workload now is left alone, and the probe isn't about Prometheus.
    controller.start_until_ready()
    wait_until(
        lambda: live.condition("chat", "MetricsAvailable") == ("False", "Unreachable"), timeout_s=60, what="the outage"
    )
    first_s = controller.decisions()[-1].observation.now_s
    controller.wait_for_decision(first_s + 2 * BIN_S)
    assert live.condition("chat", "Ready") == ("False", "NoHistory")

    prometheus.start()
    held: list[Record] = []

    def stands_on_history() -> bool:
        decisions = controller.decisions()
        held[:] = [each for each in decisions if SHORT & set(each.decision.reasons)]
        return len(held) < len(decisions)

    wait_until(stands_on_history, timeout_s=90, what="a decision that stands on the history")
    wait_until(lambda: live.condition("chat", "Ready") == ("True", "Deciding"), timeout_s=30, what="the status of it")
    assert all(each.decision.desired == 12 for each in held)
    assert controller.end() == 0
