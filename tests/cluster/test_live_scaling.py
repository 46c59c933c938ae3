"""A live run from end to end: exporter, Prometheus, controller, API server, pods that load."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import predictive_autoscaler

from autoscaler.actuators.outcome import Action
from autoscaler.core.decision import Reason
from autoscaler.telemetry.record import Record

BIN_S = 2
TICK_S = 1
# A wave that fits a day a whole number of times: the day before tells it.
PERIOD_S = 48
HIGH_S = 16
LOW, HIGH = 2.0, 8.0
HISTORY_S = 30 * 3_600
PRIOR_S = 30
# Longer than the pause of 15 s between two writes: there is always one while the rise is near.
LOAD_S = 16
# The conditions once all is well.
WELL = {
    "Ready": ("True", "Deciding"),
    "MetricsAvailable": ("True", "Answered"),
    "ScalingActive": ("True", "Scale"),
    "ScalingLimited": ("False", "DesiredWithinRange"),
}

pytestmark = pytest.mark.usefixtures("predictive_autoscalers")


@contextmanager
def replaying(exporter: Exporter, demand: Callable[[float], float]) -> Iterator[None]:
    """Let the exporter show `demand` at each time."""
    stop = threading.Event()

    def show() -> None:
        while not stop.is_set():
            exporter.set("demand", demand(time.time()))
            stop.wait(0.1)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def headstart_says(*words: str | Path) -> str:
    command = [Path(sys.executable).with_name("headstart"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown_together(live: LiveObjects) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Status and columns of one moment at which all is well: a tick may come between two looks."""
    status, columns = live.status("chat"), live.columns("chat")
    told = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    return (status, columns) if told == WELL and live.status("chat") == status else None


def test_a_daily_wave_is_met_by_replicas_that_were_ordered_ahead(
    live: LiveObjects,
    prometheus: PrometheusServer,
    exporter: Exporter,
    headstart: Callable[..., Controller],
    tmp_path: Path,
) -> None:
    # About when the controller is ready, so that the second rise is the one to foresee.
    first_rise_s = math.ceil((time.time() + 12) / BIN_S) * BIN_S

    def demand(at_s: float) -> float:
        return HIGH if (at_s - first_rise_s) % PERIOD_S < HIGH_S else LOW

    now_s = math.floor(time.time() / BIN_S) * BIN_S
    times_s = range(now_s - HISTORY_S, now_s, BIN_S)
    prometheus.backfill({"demand": [demand(at_s) for at_s in times_s]}, start_s=times_s[0], step_s=BIN_S)
    live.create_deployment("chat", replicas=2, load=f"{LOAD_S}s")
    history, prior = f"{HISTORY_S // 3_600}h", {"prior": f"{PRIOR_S}s"}
    live.create_autoscaler(
        predictive_autoscaler("chat", target="chat", query="sum(demand)", history=history, loadLatency=prior)
    )
    recording = tmp_path / "recording.jsonl"
    controller = headstart("one", prometheus_url=prometheus.url, options=["--record", recording])
    with replaying(exporter, demand):
        prometheus.start()
        unready = controller.start_until_ready()
        wait_until(lambda: live.ready("chat") > 2 * LOW, timeout_s=90, what="replicas to load")
        wait_until(
            lambda: controller.decisions()[-1].decision.lead_bins < PRIOR_S / BIN_S,
            # Five loads must have been seen: where the first rise takes fewer, the next ones bring the others.
            timeout_s=3 * PERIOD_S,
            what="a shorter lead",
        )
        rise_s = first_rise_s + PERIOD_S * math.ceil((time.time() + LOAD_S - first_rise_s) / PERIOD_S)
        controller.wait_for_decision(rise_s, timeout_s=2 * PERIOD_S)
        high = live.replicas("chat")
        wait_until(lambda: live.replicas("chat") < high, timeout_s=2 * PERIOD_S, what="replicas to be released")
        # The status follows the write, and says for 15 s that the next one waits.
        shown = wait_until(lambda: shown_together(live), timeout_s=2 * PERIOD_S, what="a status with all well")
    events = live.events("chat", "Scaled")
    assert controller.end() == 0

    # Ready only once there was something to decide with; the first decision stands on the history.
    assert any("histories-read" in page for page in unready)
    decisions = controller.decisions()
    assert not {Reason.NO_HISTORY, Reason.SHORT_HISTORY} & set(decisions[0].decision.reasons)

    check_the_rise(decisions, rise_s)
    check_what_users_see(*shown, events)

    assert "all equal byte for byte" in headstart_says("replay", recording)
    assert "Made again from its line it is the same decision" in headstart_says("explain", controller.process.log)


def check_the_rise(decisions: list[Record], rise_s: float) -> None:
    """Replicas were ordered while demand was still low, and written within a tick of the bin that told so."""
    before = [each for each in decisions if rise_s - LOAD_S <= each.observation.now_s < rise_s]
    demand_rps = [each.observation.demand_rps["requests"] for each in before]
    # A bin whose scrape or query came too late has no demand.
    assert {each for each in demand_rps if not math.isnan(each)} == {LOW}
    # Whoever follows demand has three replicas for two requests a second. The last of these look beyond the high time
    # where the learned lead is longer than it.
    assert max(each.decision.high_at_lead for each in before) > 2 * LOW
    assert before[-1].decision.current > 2 * LOW
    written = [each for each in decisions if each.done.action == Action.PATCHED]
    assert median(each.time_s - each.observation.now_s for each in written) <= BIN_S + TICK_S


def check_what_users_see(status: dict[str, Any], columns: dict[str, Any], events: list[Any]) -> None:
    """The status whose conditions were waited for, the columns of kubectl and the Events."""
    # Times in the API are whole seconds; a busy machine is late.
    assert LOAD_S - 1 <= status["loadLatency"]["p50Seconds"] <= status["loadLatency"]["p90Seconds"] < PRIOR_S
    assert status["lastDecision"]["message"]
    assert status["forecastPeak"]["replicas"] > 0
    assert columns["Mode"] == "Scale"
    assert columns["Desired"] == status["desiredReplicas"]
    assert columns["Reason"] == status["lastDecision"]["reasons"][0]
    assert any("replicas 2 -> " in event.message for event in events)
