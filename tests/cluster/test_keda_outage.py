"""What KEDA does while an external scaler fails, as our documentation says it: seen with KEDA itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster.keda_objects import KedaObjects, external_trigger, scaled_by
from cluster.live_objects import LiveObjects
from cluster.scripted_scaler import METRIC, Fault, ScriptedScaler
from cluster.waiting import stays, wait_until

FALLBACK = {"failureThreshold": 3, "replicas": 6}
METRIC_FAILS = ("False", "FailedGetExternalMetric")


class Workload:
    """A Deployment with 4 ready replicas, which is what its scaler wants."""

    def __init__(self, name: str, live: LiveObjects, scaled: KedaObjects, scaler: ScriptedScaler) -> None:
        self._name = name
        self._live = live
        self.scaled = scaled
        self.scaler = scaler

    def settle(self, *triggers: dict[str, Any], minimum: int = 1, **spec: Any) -> None:
        """Create all, and return once KEDA's HPA has brought the wanted 4 replicas."""
        self.scaler.wanted = 4
        self._live.create_deployment(self._name, replicas=1, load="0s")
        trigger = external_trigger(self.scaler.address)
        manifest = scaled_by(trigger, *triggers, name=self._name, minimum=minimum, **spec)
        self.scaled.create("scaledobjects", manifest)
        self.wait_for_replicas(4)
        wait_until(lambda: self._live.ready(self._name) == 4, timeout_s=60, what="4 ready replicas")

    def wait_for_replicas(self, number: int, *, timeout_s: float = 60) -> None:
        """Return once the Deployment has `number` replicas."""
        wait_until(lambda: self._live.replicas(self._name) == number, timeout_s=timeout_s, what=f"{number} replicas")

    def wait_for_fallback(self, active: str) -> None:
        """Return once KEDA says "True" or "False" of its fallback; its writers overtake each other for a moment."""
        wait_until(
            lambda: self.scaled.condition(self._name, "Fallback")[0] == active, timeout_s=60, what=f"fallback {active}"
        )

    def wait_for_hpa(self, active: tuple[str, str], *, timeout_s: float = 60) -> None:
        """Return once the HPA's condition ScalingActive has this status and reason."""
        wait_until(
            lambda: self.scaled.hpa_condition(self._name, "ScalingActive") == active,
            timeout_s=timeout_s,
            what=f"an HPA whose ScalingActive is {active}",
        )

    def holds(self, number: int, *, for_s: float = 8.0) -> bool:
        """Whether the Deployment has `number` replicas all the time, looked at for several polls and HPA syncs."""
        return stays(lambda: self._live.replicas(self._name) == number, for_s=for_s)


@contextmanager
def serving(scaler: ScriptedScaler) -> Iterator[ScriptedScaler]:
    scaler.start()
    try:
        yield scaler
    finally:
        scaler.stop()


@pytest.fixture
def chat(live: LiveObjects, scaled: KedaObjects, scaler: ScriptedScaler) -> Workload:
    return Workload("chat", live, scaled, scaler)


@pytest.mark.parametrize("fault", [Fault.NO_VALUE, Fault.ALL_FAIL])
def test_without_fallback_errors_hold_the_replicas_and_recovery_takes_up_the_wanted_number(
    chat: Workload, fault: Fault
) -> None:
    chat.settle()
    chat.scaler.fault = fault
    chat.scaler.wanted = 2
    chat.wait_for_hpa(METRIC_FAILS)
    assert chat.holds(4)

    chat.scaler.fault = None
    chat.wait_for_replicas(2)


def test_without_fallback_errors_can_take_a_workload_to_zero_once_it_has_cooled_down(chat: Workload) -> None:
    chat.settle(minimum=0)
    # With each error the HPA's request throws the scaler away, and a poll that is under way then counts as inactive,
    # not as failed. Slow answers let the two meet within seconds; with answers of 20 ms it took 40 s here.
    chat.scaler.delay_s = 0.6
    chat.scaler.fault = Fault.NO_VALUE
    chat.wait_for_replicas(0, timeout_s=150)


def test_with_fallback_errors_take_no_workload_to_zero(chat: Workload) -> None:
    # Active by the fallback, it never cools down.
    chat.settle(minimum=0, cooldownPeriod=30, fallback=FALLBACK)
    chat.scaler.delay_s = 0.6
    chat.scaler.fault = Fault.NO_VALUE
    chat.wait_for_replicas(6)
    assert chat.holds(6, for_s=15)


def test_fallback_counts_only_after_more_failures_than_its_threshold(chat: Workload) -> None:
    chat.settle(fallback=FALLBACK)
    chat.scaler.fault = Fault.NO_VALUE
    chat.wait_for_replicas(6)
    chat.wait_for_fallback("True")

    def failures_are_told() -> bool:
        health = chat.scaled.scaled_object("chat")["status"]["health"][f"s0-{METRIC}"]
        return bool(health["status"] == "Failing" and health["numberOfFailures"] > FALLBACK["failureThreshold"])

    wait_until(failures_are_told, timeout_s=30, what="the ScaledObject to tell of more failures than its threshold")

    chat.scaler.fault = None
    chat.wait_for_replicas(4)
    chat.wait_for_fallback("False")


def test_fallback_that_keeps_the_higher_number_takes_no_replica_away(chat: Workload) -> None:
    chat.settle(fallback={**FALLBACK, "replicas": 2, "behavior": "currentReplicasIfHigher"})
    chat.scaler.fault = Fault.NO_VALUE
    chat.wait_for_fallback("True")
    assert chat.holds(4)


@pytest.mark.parametrize("end", ["killed", "all calls fail"])
def test_a_scaler_without_metric_spec_holds_the_replicas_and_its_fallback_never_counts(
    chat: Workload, end: str
) -> None:
    chat.settle(fallback=FALLBACK)
    if end == "killed":
        chat.scaler.stop()
    else:
        chat.scaler.fault = Fault.ALL_FAIL
    chat.wait_for_hpa(METRIC_FAILS)
    # 15 polls and HPA syncs: far more than the threshold of 3.
    assert chat.holds(4, for_s=15)
    assert chat.scaled.condition("chat", "Fallback")[0] != "True"

    chat.scaler.wanted = 3
    chat.scaler.fault = None
    if end == "killed":
        chat.scaler.start()
    chat.wait_for_replicas(3)


def test_a_scaler_that_hangs_holds_replicas_above_the_minimum_and_no_fallback_counts(
    chat: Workload, live: LiveObjects, scaled: KedaObjects
) -> None:
    with serving(ScriptedScaler()) as other:
        # Without a minimum it takes the workload to zero like errors do; the fallback never counts, and is no help.
        batch = Workload("batch", live, scaled, other)
        batch.settle(minimum=0, fallback=FALLBACK)
        chat.settle(fallback=FALLBACK)
        chat.scaler.fault = other.fault = Fault.HANG
        # Nobody sets a limit on these calls but the API server: 60 s for the HPA's request, which waits for so long.
        chat.wait_for_hpa(METRIC_FAILS, timeout_s=120)
        batch.wait_for_replicas(0, timeout_s=120)
        assert chat.holds(4)
        for each in ("chat", "batch"):
            assert scaled.condition(each, "Fallback")[0] != "True"

        chat.scaler.wanted = 3
        chat.scaler.fault = other.fault = None
        chat.wait_for_replicas(3)
        batch.wait_for_replicas(4)


def test_beside_another_trigger_a_failing_scaler_lets_it_scale_up_and_not_down(chat: Workload) -> None:
    with serving(ScriptedScaler(wanted=3)) as other:
        chat.settle(external_trigger(other.address))
        chat.scaler.fault = Fault.NO_VALUE
        other.wanted = 5
        chat.wait_for_replicas(5)
        other.wanted = 1
        assert chat.holds(5)

        chat.scaler.fault = None
        chat.wait_for_replicas(4)
