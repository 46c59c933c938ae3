"""The process that answers KEDA, and the loop's end of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from certificates_made import end_s
from keda_client import INLINE, posted, ref, unusable

from autoscaler.controller.workload import ObjectKey
from autoscaler.errors import UsageError
from autoscaler.keda.desk import UNANSWERED_S, Desk
from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub
from autoscaler.keda.messages import Listening
from autoscaler.keda.metadata import read_metadata
from autoscaler.keda.tls import TlsFiles

NAMED = ref({"predictiveAutoscaler": "chat"})
KEY = ("prod", "chat")
TIMEOUT_S = 30.0


def until(check: Callable[[], object]) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not check():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.02)


def exchange(desk: Desk) -> None:
    """Return once two exchanges have begun and ended since."""
    for _ in range(3):
        desk.keep([])
        until(lambda: not desk._wake.is_set())


class Caller:
    """Calls as KEDA does, over a connection that is made anew."""

    def __init__(self, port: int) -> None:
        self._address = f"127.0.0.1:{port}"

    def value(self, asked: ScaledObjectRef = NAMED) -> int | str:
        """The metric, or the status of the refusal."""
        with grpc.insecure_channel(self._address) as channel:
            try:
                request = GetMetricsRequest(scaledObjectRef=asked)
                return int(ExternalScalerStub(channel).GetMetrics(request, timeout=5.0).metricValues[0].metricValue)
            except grpc.RpcError as error:
                return str(error.code().name)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with ExitStack() as stack:
        one = Desk(Listening("127.0.0.1:0"))
        one.start()
        stack.callback(one.stop)
        yield one


def test_decisions_are_answered_once_their_tick_is_over(desk: Desk) -> None:
    caller = Caller(desk.port)
    assert caller.value() == "UNAVAILABLE"
    desk.post(KEY, posted(7, replicas=None))
    desk.keep([KEY])
    until(lambda: caller.value() == 7)
    desk.keep([])
    until(lambda: caller.value() == "NOT_FOUND")


def test_many_decisions_all_arrive(desk: Desk) -> None:
    keys = [("prod", f"m-{number}") for number in range(120)]
    for number, key in enumerate(keys):
        desk.post(key, posted(1 + number % 9, replicas=None))
    desk.keep(keys)
    caller = Caller(desk.port)
    until(lambda: caller.value(ref({"predictiveAutoscaler": "m-119"})) == 1 + 119 % 9)
    assert [caller.value(ref({"predictiveAutoscaler": f"m-{number}"})) for number in range(9)] == list(range(1, 10))


def test_what_triggers_describe_comes_to_the_loop_as_the_same_object_each_time(desk: Desk) -> None:
    caller = Caller(desk.port)
    for number in range(25):
        assert caller.value(ref(INLINE, name=f"m-{number}")) == "UNAVAILABLE"
    until(lambda: len(desk.objects()) == 25)
    before = desk.objects()
    desk.keep([])
    until(lambda: caller.value(ref(INLINE, name="m-25")) == "UNAVAILABLE" and len(desk.objects()) == 26)
    assert all(one is other for one, other in zip(before, desk.objects(), strict=False))
    assert desk.objects()[0].metadata.name == read_metadata("prod", "m-0", INLINE).key[1]


def test_a_process_that_dies_is_started_anew_and_guests_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.keda.desk._RESTART_S", 0.0)
    Caller(desk.port).value(ref(INLINE))
    until(desk.objects)
    died = desk.process_id
    assert died is not None
    os.kill(died, signal.SIGKILL)
    until(lambda: desk.process_id not in {None, died})
    desk.post(KEY, posted(7, replicas=None))
    desk.keep([KEY])
    until(lambda: Caller(desk.port).value() == 7)
    assert len(desk.objects()) == 1


def test_a_process_that_is_started_anew_goes_on_with_what_was_decided(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoscaler.keda.desk._RESTART_S", 0.0)
    held = ref({"predictiveAutoscaler": "held", "onMissing": "hold", "maxAge": "10m"})
    gone = ref({"predictiveAutoscaler": "gone"})
    desk.post(ObjectKey("prod", "held"), posted(9, interval_s=3_600.0))
    desk.post(("prod", "gone"), posted(5))
    desk.post(KEY, posted(7, interval_s=3_600.0))
    desk.keep([KEY, ("prod", "held"), ("prod", "gone")])
    until(lambda: Caller(desk.port).value() == 7)
    desk.post(("prod", "held"), unusable(4))
    desk.keep([KEY, ("prod", "held")])
    exchanged_s = time.monotonic()
    until(lambda: Caller(desk.port).value(gone) == "NOT_FOUND")
    assert Caller(desk.port).value(held) == 9
    died = desk.process_id
    assert died is not None
    os.kill(died, signal.SIGKILL)
    until(lambda: desk.process_id not in {None, died} and desk.figures().restarts == 1)
    until(lambda: Caller(desk.port).value() == 7)
    assert Caller(desk.port).value(held) == 9
    until(lambda: Caller(desk.port).value(gone) == "NOT_FOUND")
    assert [key for key, _ in desk._board.everything()] == [("prod", "held"), KEY]
    assert all(seen.age_s >= time.monotonic() - exchanged_s for _, seen in desk._board.everything())


def test_a_process_that_hangs_is_ended_and_another_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs = desk.process_id
    assert hangs is not None
    monkeypatch.setattr("autoscaler.keda.desk._RESTART_S", 0.0)
    monkeypatch.setattr("autoscaler.keda.desk._ANSWER_TIMEOUT_S", 0.5)
    exchange(desk)
    os.kill(hangs, signal.SIGSTOP)
    until(lambda: not Path(f"/proc/{hangs}").exists())
    monkeypatch.setattr("autoscaler.keda.desk._ANSWER_TIMEOUT_S", 10.0)
    until(lambda: desk.process_id not in {None, hangs})
    desk.post(KEY, posted(7, replicas=None))
    desk.keep([KEY])
    until(lambda: Caller(desk.port).value() == 7)
    assert "said nothing for 0.5 s" in caplog.text
    assert desk.figures().restarts >= 1


def test_calls_are_counted_over_the_death_of_a_process(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.keda.desk._RESTART_S", 0.0)
    calls = ("GetMetrics", "UNAVAILABLE")
    for _ in range(3):
        Caller(desk.port).value(ref(INLINE))
    until(lambda: desk.figures().calls.get(calls) == 3)
    assert desk.figures().guests == 1
    died = desk.process_id
    assert died is not None
    os.kill(died, signal.SIGKILL)
    until(lambda: desk.figures().restarts == 1 and desk.process_id)
    assert desk.figures().calls[calls] == 3
    until(lambda: Caller(desk.port).value(ref(INLINE)) and desk.figures().calls[calls] > 3)


def test_unusable_new_certificates_are_warned_of_once(
    files: TlsFiles, made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(Listening("127.0.0.1:0", files))
    desk.start()
    try:
        until(lambda: desk.figures().certificate_expires_s == end_s(made, "server"))
        assert desk.figures().certificate_problem == ""
        files.key.write_text("no key")
        until(lambda: desk.figures().certificate_problem)
        exchange(desk)
        (warning,) = [record.getMessage() for record in caplog.records if "certificates" in record.getMessage()]
        assert warning.startswith("new certificates for KEDA can't be used, and the ones before are served: ")
        files.key.write_bytes((made / "server.key").read_bytes())
        until(lambda: not desk.figures().certificate_problem)
    finally:
        desk.stop()


def test_healthz_hears_of_a_process_that_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    desk = Desk(Listening("127.0.0.1:0"), monotonic_s=lambda: now_s[0])
    now_s[0] += 3_600.0
    assert desk.problem() == "", "it isn't started yet"
    desk.start()
    try:
        until(lambda: desk.figures().guests == 0 and desk.problem() == "")
        monkeypatch.setattr("autoscaler.keda.desk.sys.executable", "/bin/false")
        assert desk.process_id is not None
        os.kill(desk.process_id, signal.SIGKILL)
        until(lambda: desk.figures().restarts)
        now_s[0] += UNANSWERED_S + 5.0
        assert desk.problem() == ("the process that answers KEDA was last heard of 30 s ago; 25 s are allowed")
    finally:
        desk.stop()


def test_it_ends_with_the_loop(desk: Desk) -> None:
    process = desk.process_id
    port = desk.port
    desk.stop()
    assert desk.process_id is None
    assert not Path(f"/proc/{process}").exists()
    assert Caller(port).value() == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("listening", "said"),
    [
        (Listening("nowhere"), "is no address to listen on"),
        (Listening("127.0.0.1:0", TlsFiles(Path("/no.pem"), Path("/no.key"))), "/no.pem: can't be read"),
    ],
    ids=["address", "certificate"],
)
def test_what_cant_be_listened_on_is_said(listening: Listening, said: str) -> None:
    desk = Desk(listening)
    with pytest.raises(UsageError, match=said):
        desk.start()
    desk.stop()


def test_an_address_that_is_taken_is_said(desk: Desk) -> None:
    other = Desk(Listening(f"127.0.0.1:{desk.port}"))
    with pytest.raises(UsageError, match="can't be listened on"):
        other.start()
    other.stop()
