"""The external scaler in the loop: what triggers describe is decided on, and posted; on a virtual clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from fake_prometheus import FakePrometheus
from keda_client import INLINE, Serve, ref

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.clock import VirtualClock
from autoscaler.controller.controller import Controller
from autoscaler.controller.no_cluster import NoCluster
from autoscaler.controller.ports import Cluster
from autoscaler.controller.process import Alone
from autoscaler.controller.rebuilder import InlineRebuilder
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import key_of
from autoscaler.keda.attach import ExternalScaler
from autoscaler.keda.board import Key, Posted
from autoscaler.keda.desk import Desk
from autoscaler.keda.messages import Listening
from autoscaler.keda.metadata import Inline, read_metadata
from autoscaler.kube.facts import Pod, Target, TargetKey
from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError
from autoscaler.telemetry.line_writer import LineWriter
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics
from forecasting.series import FloatArray

BIN_S = 60.0
DAY_S = 86_400.0
START_S = 20 * DAY_S
MORNING_S = 8 * 3_600.0
MOST = 60
LOAD_S = 180.0


def day(at_s: FloatArray) -> FloatArray:
    """Demand that swings once a day."""
    return 12 * (1 + 0.5 * np.sin(2 * np.pi * at_s / DAY_S))


def guest(**metadata: str) -> PredictiveAutoscaler:
    stated = {"query": "sum(arrivals)", "capacityPerReplica": "1", "loadLatency": "3m", "maxReplicas": f"{MOST}"}
    asked = read_metadata("prod", "chat", {**stated, "history": "48h", **metadata})
    assert isinstance(asked, Inline)
    return asked.autoscaler


class Memory(Desk):
    """No process: what is posted is kept here, and the guests are the test's."""

    def __init__(self) -> None:
        super().__init__(Listening("127.0.0.1:0"))
        self.posted: dict[Key, Posted] = {}
        self.there: tuple[PredictiveAutoscaler, ...] = (guest(),)
        self.kept: tuple[Key, ...] = ()

    def post(self, key: Key, posted: Posted) -> None:
        self.posted[key] = posted

    def keep(self, keys: Iterable[Key]) -> None:  # type: ignore[override]
        self.kept = tuple(keys)

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        return self.there


class Lines(LineWriter):
    """Decision lines, in memory."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> None:
        self._lines.append(line)


class Demand:
    """A Prometheus: demand by the time, or a failure."""

    def __init__(self) -> None:
        self.shape: Callable[[FloatArray], FloatArray] = day
        self.failing = False

    def fetch(self, requests: Iterable[RangeRequest]) -> Mapping[RangeRequest, RangeAnswer | SourceError]:
        return {request: self._answer(request) for request in requests}

    def _answer(self, request: RangeRequest) -> RangeAnswer | SourceError:
        if self.failing:
            return SourceError(Failure.UNREACHABLE, "Prometheus can't be reached")
        at_s = request.start_s + request.step_s * np.arange(request.points)
        return RangeAnswer(self.shape(at_s))


class Replica:
    """One of Headstart's replicas."""

    def __init__(self, demand: Demand, start_s: float = START_S, cluster: Cluster | None = None) -> None:
        self.desk = Memory()
        if cluster is not None:
            self.desk.there = ()
        self.lines: list[str] = []
        self.clock = VirtualClock(start_s, speed=float("inf"))
        self.metrics = Metrics(version="0", now_s=self.clock.now_s)
        scaler = ExternalScaler(self.desk, self.clock)
        self.controller = Controller(
            cluster=scaler.cluster(cluster or NoCluster()),
            source=demand,
            rebuilder=InlineRebuilder(demand),
            actuator=scaler.actuator(NoCluster()),
            elector=Alone(),
            clock=self.clock,
            teller=Teller(
                self.metrics,
                Log(lambda _line: None, now_s=self.clock.now_s),
                decisions=Lines(self.lines),
                on_decided=scaler.decided,
                on_tick=scaler.ticked,
            ),
            tick_s=15.0,
            settle_s=0.0,
        )

    def tick(self, at_s: float) -> None:
        self.clock.wait_until(at_s, Event())
        self.controller.tick()
        assert not any(workload.defects for workload in self.controller.workloads)

    def run(self, first_s: float, last_s: float) -> None:
        for at_s in np.arange(first_s, last_s + 1, 15.0):
            self.tick(float(at_s))

    @property
    def posted(self) -> Posted:
        return self.desk.posted[key_of(self.desk.there[0])]


class Followed(NoCluster):
    """The object prod/chat in mode Shadow, and its workload, which an HPA scales by what is posted for it."""

    def __init__(self, **spec: Any) -> None:
        stated = {
            "scaleTargetRef": {"name": "chat"},
            "minReplicas": 0,
            "maxReplicas": MOST,
            "history": "48h",
            "demand": [{"query": "sum(arrivals)", "capacity": 1.0}],
            "loadLatency": {"prior": f"{LOAD_S:g}s"},
        }
        self.object = PredictiveAutoscaler.from_manifest(
            {
                "apiVersion": "headstart.dev/v1alpha1",
                "kind": "PredictiveAutoscaler",
                "metadata": {"name": "chat", "namespace": "prod", "uid": "1"},
                "spec": stated | spec,
            }
        )
        self.created_s: list[float] = []
        self.now_s = START_S

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        return (self.object,)

    def target(self, key: TargetKey) -> Target:
        pods = tuple(self._pod(f"chat-{k}", created_s) for k, created_s in enumerate(self.created_s))
        return Target(key, len(pods), "", pods)

    def _pod(self, name: str, created_s: float) -> Pod:
        ready = created_s + LOAD_S <= self.now_s
        return Pod(name, name, "", created_s, None, None, ready, created_s + LOAD_S if ready else None, 1, False, False)

    def follow(self, replica: Replica, first_s: float, last_s: float) -> None:
        """Run a replica of Headstart, and the HPA after it."""
        for at_s in np.arange(first_s, last_s + 1, 15.0):
            self.now_s = float(at_s)
            replica.tick(self.now_s)
            posted = replica.desk.posted.get(key_of(self.object))
            if posted is not None:
                kept = self.created_s[: posted.desired]
                self.created_s = kept + [self.now_s] * (posted.desired - len(kept))


@pytest.fixture
def demand() -> Demand:
    return Demand()


def test_a_guest_gets_a_decision_on_its_history_at_once_and_without_a_false_backlog(demand: Demand) -> None:
    replica = Replica(demand)
    replica.run(START_S, START_S + 15)
    assert replica.posted.usable
    assert 12 <= replica.posted.desired <= 17
    assert replica.posted.replicas is None, "nobody knows how many there are"
    assert replica.posted.interval_s == BIN_S
    assert replica.desk.kept == (key_of(replica.desk.there[0]),)


def test_before_its_first_decision_on_data_nobody_knows_a_guests_replicas_and_the_lines_say_so(demand: Demand) -> None:
    demand.failing = True
    replica = Replica(demand)
    replica.run(START_S, START_S + 120)
    assert not replica.posted.usable
    demand.failing = False
    replica.run(START_S + 135, START_S + 900)
    assert replica.posted.usable
    lines = [json.loads(line) for line in replica.lines]
    current = [line["decision"]["current"] for line in lines]
    first = next(place for place, line in enumerate(lines) if line["decision"]["desired"] < MOST)
    assert set(current[: first + 1]) == {None}
    assert None not in current[first + 1 :]
    assert "isn't known" in lines[0]["done"]["message"]
    assert lines[-1]["done"]["message"] == "KEDA's HPA scales: it asks for the decision"
    assert {line["done"]["reason"] for line in lines} == {"External"}


SECRET = b'{"access_token":"ya29.SECRET-OF-THE-NODE"}'


@pytest.mark.parametrize("status", [200, 400, 500])
def test_kedas_log_quotes_no_server_that_isnt_prometheus(serve: Serve, status: int) -> None:
    server, own = FakePrometheus(), FakePrometheus()
    server.answer = lambda _: (status, SECRET)
    metadata = INLINE | {"serverAddress": f"{server.url}/computeMetadata/v1"}
    said = _unavailable(PrometheusSource(Connection(url=own.url), jitter_s=0.0), serve, metadata)
    for each in (server, own):
        each.close()
    assert server.asked
    assert "SECRET" not in said
    assert "Prometheus' JSON" in said


def test_a_trigger_may_not_name_a_link_local_server(serve: Serve) -> None:
    metadata = INLINE | {"serverAddress": "http://169.254.169.254/computeMetadata/v1"}
    said = _unavailable(PrometheusSource(Connection(url="http://127.0.0.1:1"), jitter_s=0.0), serve, metadata)
    assert "169.254.169.254 is link-local" in said
    assert "no object or trigger may name it" in said


def _unavailable(source: PrometheusSource, serve: Serve, metadata: Mapping[str, str]) -> str:
    """What GetMetrics says of a trigger whose server can't be used."""
    asked = read_metadata("prod", "chat", metadata)
    assert isinstance(asked, Inline)
    replica, served = Replica(source), serve()  # type: ignore[arg-type]
    replica.desk.there = (asked.autoscaler,)
    replica.run(START_S, START_S + 60)
    source.close()
    served.board.post(asked.key, replica.posted)
    code, said = served.refusal(ref(metadata))
    assert code is grpc.StatusCode.UNAVAILABLE
    return said


def test_no_metric_is_told_of_replicas_that_nobody_looks_at(demand: Demand) -> None:
    replica = Replica(demand)
    replica.run(START_S, START_S + 300)
    text = replica.metrics.text().decode()
    told = {
        line.partition("{")[0] for line in text.splitlines() if line.startswith("headstart_") and 'name="chat-' in line
    }
    assert {"headstart_desired_replicas", "headstart_demand_replicas", "headstart_metrics_age_seconds"} <= told
    assert {"headstart_ready_replicas", "headstart_loading_replicas", "headstart_late_share"}.isdisjoint(told)
    assert "headstart_objects 0.0" in text
    assert "headstart_undecided_objects 0.0" in text


def test_of_an_object_they_are_told(demand: Demand) -> None:
    cluster = Followed()
    replica = Replica(demand, cluster=cluster)
    cluster.follow(replica, START_S, START_S + 300)
    text = replica.metrics.text().decode()
    for name in ("ready_replicas", "loading_replicas", "late_share"):
        assert f'headstart_{name}{{name="chat",namespace="prod"}}' in text
    assert "headstart_objects 1.0" in text


def test_a_guest_stays_about_what_it_needs(demand: Demand) -> None:
    replica = Replica(demand)
    for k in range(40):
        replica.run(START_S + 60 * k, START_S + 60 * k + 45)
        needed = float(day(np.array(START_S + 60 * k + 180)))
        assert needed <= replica.posted.desired + 1 <= 1.5 * needed + 1


def test_a_guest_that_began_in_an_outage_is_not_held_at_the_number_that_nobody_knows(demand: Demand) -> None:
    demand.failing = True
    replica = Replica(demand)
    replica.run(START_S, START_S + 1_200)
    demand.failing = False
    replica.run(START_S + 1_215, START_S + 1_320)
    assert replica.posted.usable
    assert replica.posted.desired < MOST / 2


def test_after_a_gap_a_guest_keeps_what_it_was_told_for_one_load(demand: Demand) -> None:
    replica = Replica(demand)
    replica.run(START_S, START_S + 600)
    told = replica.posted.desired
    back_s = START_S + 1_260
    demand.shape = lambda at_s: np.where(at_s <= START_S + 600, day(at_s), np.where(at_s < back_s, np.nan, 2.0))
    replica.run(START_S + 615, back_s - 15)
    assert not replica.posted.usable
    replica.run(back_s, back_s + LOAD_S - 15)
    assert replica.posted.usable
    assert replica.posted.desired >= told
    replica.run(back_s + LOAD_S, back_s + LOAD_S + 600)
    assert replica.posted.desired < told


def test_no_load_is_learned_of_pods_that_nobody_saw(demand: Demand) -> None:
    replica = Replica(demand)
    replica.run(START_S, START_S + 600)
    demand.shape = lambda at_s: np.where(at_s < START_S + 600, day(at_s), 50.0)
    replica.run(START_S + 615, START_S + 1_500)
    (workload,) = replica.controller.workloads
    assert workload.loads.samples == ()
    assert workload.spec.load_latency.quantile_s(0.5) == 180.0


def test_a_guest_that_isnt_asked_for_any_more_is_forgotten(demand: Demand) -> None:
    replica = Replica(demand)
    replica.tick(START_S)
    replica.desk.there = ()
    replica.tick(START_S + 15)
    assert replica.desk.kept == ()
    assert list(replica.controller.workloads) == []


def test_an_edited_trigger_is_another_guest(demand: Demand) -> None:
    replica = Replica(demand)
    replica.run(START_S, START_S + 60)
    before = replica.posted
    replica.desk.there = (guest(capacityPerReplica="2"), *replica.desk.there)
    replica.run(START_S + 75, START_S + 120)
    assert replica.posted.usable
    assert replica.posted.desired <= before.desired / 2 + 2


def test_without_prometheus_nothing_is_usable_and_nothing_is_released(demand: Demand) -> None:
    replica = Replica(demand)
    replica.run(START_S, START_S + 300)
    before = replica.posted
    demand.failing = True
    replica.run(START_S + 315, START_S + 900)
    assert not replica.posted.usable
    assert "Prometheus can't be reached" in replica.posted.reason
    assert replica.posted.desired >= before.desired


def test_without_a_history_a_guess_is_never_held(demand: Demand) -> None:
    demand.failing = True
    replica = Replica(demand)
    replica.run(START_S, START_S + 120)
    assert not any(posted.usable for posted in replica.desk.posted.values())


def test_from_zero_it_is_active_one_load_before_the_demand_of_each_day(demand: Demand) -> None:
    demand.shape = lambda at_s: 12.0 * (at_s % DAY_S >= MORNING_S) * (at_s % DAY_S < 2 * MORNING_S)
    replica = Replica(demand, START_S + MORNING_S - 600)
    replica.desk.there = (guest(history="240h"),)
    active_s = np.inf
    for before_s in range(600, -15, -15):
        replica.tick(START_S + MORNING_S - before_s)
        if replica.posted.desired > 0:
            active_s = before_s
            break
    assert 180 <= active_s < 600


def test_from_zero_a_surprise_is_answered_with_the_next_tick(demand: Demand) -> None:
    demand.shape = lambda at_s: 2.0 * (at_s >= START_S + 125)
    replica = Replica(demand)
    replica.run(START_S, START_S + 120)
    assert replica.posted.usable
    assert replica.posted.desired == 0
    replica.tick(START_S + 135)
    assert replica.posted.desired >= 1


@pytest.mark.parametrize("jump_rps", [33.3, 40.0, 44.7, 52.4])
def test_replicas_agree_within_a_tick_whenever_they_started(demand: Demand, jump_rps: float) -> None:
    """But for one replica, where the need is close to a whole number: the older one remembers more."""
    old = Replica(demand)
    old.run(START_S, START_S + 1_800 - 15)
    # A jump that none of them expects while the second is young.
    demand.shape = lambda at_s: np.where(at_s < START_S + 2_400, day(at_s), jump_rps)
    young = Replica(demand, START_S + 1_800)
    apart = []
    for at_s in np.arange(START_S + 1_800, START_S + 4_800, 15.0):
        old.tick(float(at_s))
        young.tick(float(at_s))
        apart.append(abs(old.posted.desired - young.posted.desired))
    assert max(apart) <= 1
    assert np.mean(apart) < 0.4


@pytest.mark.parametrize("measured", [False, True], ids=["a queue that nobody measures", "a queue that is measured"])
def test_after_a_restart_an_object_is_not_answered_lower_than_what_runs_for_one_load(
    demand: Demand, measured: bool
) -> None:
    demand.shape = lambda at_s: np.where((at_s > START_S + 600) & (at_s <= START_S + 840), 30.0, 2.0)
    engine = {"engine": {"queueLength": "waiting"}} if measured else {}
    if measured:
        arrivals = demand.fetch
        empty = RangeAnswer(np.zeros(1))
        demand.fetch = lambda requests: {  # type: ignore[method-assign]
            request: empty if request.query == "waiting" else arrivals([request])[request] for request in requests
        }
    cluster = Followed(**engine)
    before = Replica(demand, cluster=cluster)
    cluster.follow(before, START_S, START_S + 840)
    running = len(cluster.created_s)
    assert running > 10
    after = Replica(demand, START_S + 855, cluster)
    cluster.follow(after, START_S + 855, START_S + 840 + LOAD_S - 15)
    if measured:
        assert len(cluster.created_s) < running
        return
    assert len(cluster.created_s) == running
    cluster.follow(after, START_S + 840 + LOAD_S, START_S + 3_000)
    assert len(cluster.created_s) < running
