"""Two processes of `headstart keda serve` behind one name, as a headless Service gives it, and KEDA itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from cluster.exporter import Exporter
from cluster.keda_objects import KedaObjects, external_trigger
from cluster.keda_serving import (
    BIN_S,
    DESCRIBED,
    START_S,
    TICK_S,
    Serving,
    Workload,
    answer,
    start_with_history,
)
from cluster.live_objects import LiveObjects
from cluster.name_server import NameServer
from cluster.processes import free_port
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until, watching

LOW, HIGH = 3.0, 7.0
# As good as one replica each: who is answered by it loses most.
FALLBACK = {"failureThreshold": 1, "replicas": 1}


@pytest.fixture
def both(tmp_path: Path, prometheus: PrometheusServer, exporter: Exporter) -> Iterator[tuple[Serving, Serving]]:
    """They serve at one port of two addresses, and Prometheus has a history of low demand."""
    start_with_history(prometheus, exporter, LOW)
    port = free_port()
    first, second = (
        Serving(name, tmp_path, prometheus_url=prometheus.url, address=f"{host}:{port}")
        for name, host in (("first", "127.0.0.1"), ("second", "127.0.0.2"))
    )
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        first.process.stop(kill=True)
        second.process.stop(kill=True)


@pytest.fixture
def names() -> Iterator[NameServer]:
    serving = NameServer(["127.0.0.1", "127.0.0.2"])
    yield serving
    serving.close()


def decided_alike(one: Serving, other: Serving, *, bins: int) -> bool:
    """Whether both have decided on so many bins at the end, the same of each, to the last bit."""
    ones, others = one.by_bin(), other.by_bin()
    common = sorted(ones.keys() & others.keys())[-bins:]
    return len(common) == bins and all(ones[at_s].decision == others[at_s].decision for at_s in common)


def test_keda_asks_both_processes_that_answer_the_same_and_goes_on_with_one(
    live: LiveObjects,
    scaled: KedaObjects,
    exporter: Exporter,
    both: tuple[Serving, Serving],
    names: NameServer,
) -> None:
    first, second = both
    chat = Workload("chat", live, scaled)
    port = first.address.rpartition(":")[2]
    chat.create(external_trigger(f"dns://{names.address}/headstart.test:{port}", **DESCRIBED), fallback=FALLBACK)
    # What is asked for at one of them only, the other doesn't decide on.
    wait_until(lambda: all(each.by_bin() for each in both), timeout_s=START_S, what="KEDA to ask both")
    chat.wait_for(LOW, timeout_s=60)
    wait_until(lambda: decided_alike(first, second, bins=4), timeout_s=60, what="both to decide the same")

    exporter.set("demand", HIGH)
    chat.wait_for(HIGH)
    wait_until(lambda: decided_alike(first, second, bins=8), timeout_s=60, what="both to decide the same")
    ones, others = first.by_bin(), second.by_bin()
    assert median(abs(ones[at_s].time_s - others[at_s].time_s) for at_s in ones.keys() & others.keys()) <= TICK_S

    def answers() -> set[object]:
        return {answer(each.address, scaled.namespace, "chat", DESCRIBED) for each in both}

    assert wait_until(lambda: len(answers()) == 1, timeout_s=10 * BIN_S, what="the same answer of both")

    with watching(lambda: (chat.replicas(), chat.hpa_has_metric(), scaled.condition("chat", "Fallback")[0])) as seen:
        assert first.process.stop(kill=True) == -signal.SIGKILL
        exporter.set("demand", HIGH + 4)
        chat.wait_for(HIGH + 4)
    replicas, has_metric, fallback = zip(*seen, strict=True)
    assert min(replicas) >= HIGH
    assert all(has_metric)
    assert "True" not in fallback
